"""What the workers of the tests run: a run says that it began, and ends when it is told to."""

import os
import time
from pathlib import Path

import dagster as dg


@dg.op
def wait_for_the_sign(context: dg.OpExecutionContext) -> None:
    """Wait for the file `go`."""
    folder = Path(os.environ["CLUSTER_TEST_FOLDER"])
    (folder / context.run_id).write_text(str(os.getpid()), encoding="ascii")
    while not (folder / "go").exists():
        time.sleep(0.05)


@dg.job(executor_def=dg.in_process_executor)
def waits() -> None:
    """Wait."""
    wait_for_the_sign()


defs = dg.Definitions(jobs=[waits])
