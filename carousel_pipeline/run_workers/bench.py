"""`carousel bench dispatch`: from submission to the first line of work, and to the end, four ways on the same four assets.

Stock Dagster is Dagster as its documentation sets it up on Postgres: its code server, its storage, its queue, its logs, all
defaults. Ours is the shipped dagster.yaml as `carousel up` uses it. Both get one run to warm up, then one run after another,
submitted as the bot submits them. `direct` calls the assets' work without Dagster: the floor.
"""

import os
import platform
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import dagster

from carousel_pipeline.database import ensure_database
from carousel_pipeline.errors import TransientError
from carousel_pipeline.local.dagster_home import local_instance
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.run_workers.bench_definitions import STEPS, bench_partitions, work
from carousel_pipeline.run_workers.bench_stack import DagsterStack
from carousel_pipeline.run_workers.storage import psycopg2_url

DEFINITIONS = "carousel_pipeline.run_workers.bench_definitions"
_STOCK_SERVER = ("-m", "dagster", "api", "grpc", "-h", "127.0.0.1", "-p", "{port}", "-m", DEFINITIONS)
OUR_SERVER = (
    "-c",
    f"from carousel_pipeline.run_workers.code_server import serve; serve('127.0.0.1', {{port}}, {DEFINITIONS!r})",
)
# A stock run takes up to forty seconds; five of them say enough about seconds.
_STOCK_RUNS = 5
_PAUSE_S = 0.2


def bench_dispatch(runs: int = 10, seed: int = 1) -> dict[str, Any]:
    """Measure, in one go, and clean up; takes some minutes.

    Args:
        runs: how many of ours and of direct calls; of stock Dagster at most five each.
        seed: of the partition keys.

    Returns:
        `stock_multiprocess`, `stock_in_process`, `carousel`, `direct`, each with `to_first_step_s` and `to_end_s` as p50, p95
        and p99 in seconds; `ratio_to_first_step` and `ratio_to_end`, stock in-process to ours at p50; the circumstances.
    """
    keys = random.Random(seed)  # noqa: S311 - repeatable, not secret
    with (
        tempfile.TemporaryDirectory(prefix="carousel-bench-", ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as postgres,
    ):
        stock_runs = min(runs, _STOCK_RUNS)
        url = postgres.url("stock")
        stock = {"storage": {"postgres": {"postgres_url": _explicit(url)}}, "telemetry": {"enabled": False}}
        ensure_database(url)
        with DagsterStack(Path(folder) / "stock", url, stock, _STOCK_SERVER) as stack:
            timed_run(stack, "in_process", keys)
            in_process = [timed_run(stack, "in_process", keys) for _ in range(stock_runs)]
            multiprocess = [timed_run(stack, "multiprocess", keys) for _ in range(stock_runs)]
        url = postgres.url("ours")
        ensure_database(url)
        with DagsterStack(Path(folder) / "ours", url, local_instance(), OUR_SERVER) as stack:
            timed_run(stack, "in_process", keys)
            ours = [timed_run(stack, "in_process", keys) for _ in range(runs)]
    rows = {
        "stock_multiprocess": row(multiprocess),
        "stock_in_process": row(in_process),
        "carousel": row(ours),
        "direct": row([_timed_call() for _ in range(runs)]),
    }
    return {
        **rows,
        "ratio_to_first_step": _ratio(rows, "to_first_step_s"),
        "ratio_to_end": _ratio(rows, "to_end_s"),
        "machine": f"{os.cpu_count()} × {platform.machine()}, Python {platform.python_version()}, PostgreSQL on the same machine",
        "dagster": dagster.__version__,
        "load_before": round(os.getloadavg()[2], 2),
        "seed": seed,
        "runs": runs,
        "stock_runs": stock_runs,
    }


def timed_run(stack: DagsterStack, job: str, keys: random.Random) -> tuple[float, float]:
    """Seconds from submission to the first step's start, and to the run's end, by the run's own event log."""
    key = str(uuid.UUID(int=keys.getrandbits(128), version=4))
    stack.add_partition(bench_partitions.name or "", key)
    submitted = time.time()
    run = stack.wait(stack.launch(job, key))
    if run["status"] != "SUCCESS":
        raise TransientError(
            f"a benchmark run ended as {run['status']}; the code server said:\n{stack.log('code')[-2000:]}"
        )
    time.sleep(_PAUSE_S)
    return min(step["startTime"] for step in run["stepStats"]) - submitted, run["endTime"] - submitted


def _timed_call() -> tuple[float, float]:
    begun = time.perf_counter()
    work(STEPS[0])
    first = time.perf_counter()
    for step in STEPS[1:]:
        work(step)
    return first - begun, time.perf_counter() - begun


def row(timings: Sequence[tuple[float, float]]) -> dict[str, dict[str, float]]:
    """Return percentiles in seconds of what `timed_run` measured."""
    first, end = zip(*timings, strict=True)
    return {"to_first_step_s": percentiles(first), "to_end_s": percentiles(end)}


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Return p50, p95 and p99 of one value or more."""
    ordered = sorted(values)
    if len(ordered) == 1:
        ordered *= 2
    hundredths = statistics.quantiles(ordered, n=100, method="inclusive")
    return {f"p{n}": round(hundredths[n - 1], 6) for n in (50, 95, 99)}


def _ratio(rows: dict[str, dict[str, dict[str, float]]], what: str) -> float:
    return round(rows["stock_in_process"][what]["p50"] / rows["carousel"][what]["p50"], 1)


def _explicit(url: str) -> str:
    return psycopg2_url(url).render_as_string(hide_password=False)
