"""Definitions of a code server under test: assets that wait for a file, tell what they are, or die."""

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import dagster as dg
import numpy as np

THINGS = dg.DynamicPartitionsDefinition(name="things")
_FOLDER = "RUN_WORKERS_TEST_FOLDER"
_preloaded: set[str] = set()
os.register_at_fork(after_in_child=lambda: _preloaded.update(sys.modules))


def _state() -> dict[str, object]:
    files = [_target(entry) for entry in Path("/proc/self/fd").iterdir()]
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "random": random.random(),  # noqa: S311 - the state that a fork would copy
        "numpy": float(np.random.default_rng().random()),
        "numpy_legacy": float(np.random.random()),  # noqa: NPY002 - as above
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "sockets": sorted(file for file in files if file.startswith("socket:")),
        "imported": sorted(set(sys.modules) - _preloaded),
    }


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except FileNotFoundError:  # the descriptor that read the folder
        return ""


@dg.asset(partitions_def=THINGS)
def told(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Tells what its process is."""
    state = _state()
    (Path(os.environ[_FOLDER]) / context.run_id).write_text(repr(state), encoding="utf-8")
    return dg.MaterializeResult()


@dg.asset(partitions_def=THINGS)
def patient(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Runs until the test lets it go."""
    folder = Path(os.environ[_FOLDER])
    (folder / f"{context.run_id}.pid").write_text(str(os.getpid()), encoding="ascii")
    while not (folder / "go").exists():
        time.sleep(0.02)
    return dg.MaterializeResult()


@dg.asset(partitions_def=THINGS)
def doomed() -> dg.MaterializeResult[None]:
    """Dies as if the kernel had run out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return dg.MaterializeResult()


defs = dg.Definitions(
    assets=[told, patient, doomed],
    jobs=[
        dg.define_asset_job(name, dg.AssetSelection.assets(asset), executor_def=dg.in_process_executor)
        for name, asset in (("tell", told), ("wait", patient), ("die", doomed))
    ],
)
