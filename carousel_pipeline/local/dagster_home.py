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
# Celery's result backend is left out: workers are asked, see carousel_pipeline/run_workers/cluster.py.
_CLUSTER = MappingProxyType(
    {
        "module": "carousel_pipeline.run_workers.cluster",
        "class": "ClusterRunLauncher",
        "config": {"broker": {"env": "CAROUSEL_BROKER_URL"}, "backend": None},
    }
)


def local_instance(*, cluster: bool = False) -> dict[str, Any]:
    """Return the shipped instance configuration, with logs that need no bucket.

    Args:
        cluster: runs go to the workers behind CAROUSEL_BROKER_URL.
    """
    shipped: dict[str, Any] = yaml.safe_load(resource("dagster.yaml").read_text(encoding="utf-8"))
    launcher = {"run_launcher": dict(_CLUSTER)} if cluster else {}
    return shipped | {"compute_logs": dict(_LOCAL_LOGS)} | launcher


def write_local_instance(home: Path, *, cluster: bool = False, overlay: Path | None = None) -> Path:
    """Make `home` a DAGSTER_HOME, anew at every start, and return it.

    Args:
        home: the folder.
        cluster: as for `local_instance`.
        overlay: a YAML file whose parts replace the shipped ones.
    """
    instance = local_instance(cluster=cluster)
    if overlay is not None:
        instance |= yaml.safe_load(overlay.read_text(encoding="utf-8"))
    home.mkdir(parents=True, exist_ok=True)
    draft = home / "dagster.yaml.new"
    draft.write_text(yaml.safe_dump(instance, sort_keys=False), encoding="utf-8")
    draft.replace(home / "dagster.yaml")
    return home
