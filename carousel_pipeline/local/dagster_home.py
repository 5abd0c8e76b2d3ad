"""DAGSTER_HOME of one machine, made from the shipped dagster.yaml."""

from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from carousel_pipeline.paths import resource

# The local compute log manager starts `tail` and a Python interpreter, twice, for every run, to copy output into files; the
# code server's own log has that output already.
_LOCAL_LOGS = MappingProxyType(
    {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
)


def local_instance() -> dict[str, Any]:
    """Return the shipped instance configuration, with logs that need no bucket."""
    shipped: dict[str, Any] = yaml.safe_load(resource("dagster.yaml").read_text(encoding="utf-8"))
    return shipped | {"compute_logs": _LOCAL_LOGS}


def write_local_instance(home: Path) -> Path:
    """Make `home` a DAGSTER_HOME for `carousel up`, anew at every start, and return it."""
    home.mkdir(parents=True, exist_ok=True)
    draft = home / "dagster.yaml.new"
    draft.write_text(yaml.safe_dump(local_instance(), sort_keys=False), encoding="utf-8")
    draft.replace(home / "dagster.yaml")
    return home
