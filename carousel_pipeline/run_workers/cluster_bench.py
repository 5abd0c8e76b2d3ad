"""`carousel bench cluster`: from submission to the first line of work and to the end, on workers that share a Redis."""

import contextlib
import os
import platform
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from carousel_pipeline.database import ensure_database
from carousel_pipeline.errors import ConfigurationError, TransientError
from carousel_pipeline.local.dagster_home import local_instance
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.local.probes import free_port
from carousel_pipeline.run_workers.bench import DEFINITIONS, OUR_SERVER, row, timed_run
from carousel_pipeline.run_workers.bench_stack import DagsterStack
from carousel_pipeline.run_workers.worker import answers

WORKERS: Final = 2
_START_S: Final = 60.0
_POLL_S: Final = 0.2


def bench_cluster(runs: int = 10, seed: int = 1) -> dict[str, Any]:
    """Measure two workers on this machine, and clean up; takes a minute.

    Args:
        runs: one after another, after a first one that is not counted.
        seed: of the partition keys.

    Returns:
        `cluster` with `to_first_step_s` and `to_end_s` as p50, p95 and p99 in seconds; the circumstances.

    Raises:
        ConfigurationError: there is no redis-server on this machine.
    """
    keys = random.Random(seed)  # noqa: S311 - repeatable, not secret
    with (
        tempfile.TemporaryDirectory(prefix="carousel-bench-", ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as postgres,
        redis_server(Path(folder)) as broker,
    ):
        url = postgres.url("cluster")
        ensure_database(url)
        with DagsterStack(
            Path(folder) / "stack", url, local_instance(cluster=True), OUR_SERVER, {"CAROUSEL_BROKER_URL": broker}
        ) as stack:
            start_workers(stack, broker, DEFINITIONS)
            timed_run(stack, "in_process", keys)
            timings = [timed_run(stack, "in_process", keys) for _ in range(runs)]
    return {
        "cluster": row(timings),
        "workers": WORKERS,
        "machine": f"{os.cpu_count()} × {platform.machine()}, Python {platform.python_version()}, all on the same machine",
        "load_before": round(os.getloadavg()[2], 2),
        "seed": seed,
        "runs": runs,
    }


def start_workers(stack: DagsterStack, broker: str, definitions: str, *, concurrency: int = 2) -> list[str]:
    """Start the workers in the stack's environment, wait for their answers, and return their names."""
    names = [f"worker-{number}" for number in range(1, WORKERS + 1)]
    for name in names:
        arguments = f"{broker!r}, concurrency={concurrency}, definitions={definitions!r}, host={name!r}"
        stack.start(name, "-c", f"from carousel_pipeline.run_workers.worker import serve; serve({arguments})")
    deadline = time.monotonic() + _START_S
    for name in names:
        while not answers(broker, name):
            if time.monotonic() > deadline or stack.processes[name].poll() is not None:
                raise TransientError(f"{name} did not start; it said:\n{stack.log(name)[-2000:]}")
            time.sleep(_POLL_S)
    return names


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a Redis that keeps nothing, and yield its address.

    Raises:
        ConfigurationError: it is not installed.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise ConfigurationError("redis-server is not installed: apt-get install redis-server")
    port = free_port(0)
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:  # noqa: S603 - Debian's
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
