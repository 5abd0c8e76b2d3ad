"""How long a roll-up takes at a size that nobody has yet, beside the same roll-up in plain SQL; the rows must agree.

Both read and write the same server of the bench's own, which keeps nothing on disk for certain; they take turns.
"""

import os
import platform
import resource
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg

from carousel_pipeline.database import Row, connect, ensure_database, migrate, query
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.usage.build import build, known_days, usage_session
from carousel_pipeline.usage.checks import run_checks
from carousel_pipeline.usage.history import generate_history

TABLES: Final = ("daily", "daily_failure", "daily_seconds", "daily_call", "daily_money", "daily_person")
_SEED: Final = 9
_DAYS: Final = 400
_ROUNDS: Final = 5


def bench_usage(requests: int = 1_000_000) -> dict[str, Any]:
    """Measure on an embedded server of its own and return the figures of `carousel bench usage --json`.

    `all_s` is the roll-up of every day, read, computed and written, `one_day_s` the median of one of the busiest days, `mark_s`
    the first look for changes and `look_s` a later one; `plain_sql_s` is the yardstick for `all_s`, `checks_s` the four checks.
    `client_mb` is the most memory that this process has held (the made-up past is made by another), `server_mb` that of the
    server's process for it. `disagreements` counts rows that the two roll-ups have not in common.
    """
    with (
        tempfile.TemporaryDirectory(prefix="carousel-bench-", ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(Path(folder), durable=False) as server,
    ):
        url = server.url("bench")
        ensure_database(url)
        migrate(url)
        rows, history_s = _in_a_process_of_its_own(url, requests)
        with usage_session(url) as session:
            backend = psutil.Process(session.info.backend_pid)
            begun = time.perf_counter()
            days = known_days(session)
            mark_s = time.perf_counter() - begun
            whole = build(session, days)
            busiest = [build(session, [day]).seconds for day in days[-_ROUNDS - 1 : -1]]
            begun = time.perf_counter()
            known_days(session)
            look_s = time.perf_counter() - begun
            begun = time.perf_counter()
            verdicts = run_checks(session)
            checks_s = time.perf_counter() - begun
            server_mb = backend.memory_info().rss / 2**20
        with connect(url, None) as owner:
            plain_s = roll_up_plainly(owner)
            disagreements = sum(disagreeing(owner, table) for table in TABLES)
    return {
        "machine": f"{os.cpu_count()} x {platform.machine()}, {platform.system()}, server and client together",
        "seed": _SEED,
        "runs": 1,
        "history": rows,
        "history_s": round(history_s, 1),
        "days": len(days),
        "all_s": round(whole.seconds, 2),
        "one_day_s": round(statistics.median(busiest), 3),
        "mark_s": round(mark_s, 2),
        "look_s": round(look_s, 3),
        "checks_s": round(checks_s, 2),
        "checks_failed": [verdict.name for verdict in verdicts if not verdict.passed],
        "plain_sql_s": round(plain_s, 2),
        "ratio_plain_sql": round(whole.seconds / plain_s, 2),
        "client_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "server_mb": round(server_mb),
        "disagreements": disagreements,
    }


def _in_a_process_of_its_own(url: str, requests: int) -> tuple[dict[str, int], float]:
    """Make the past where its memory does not count; return its rows and the seconds."""
    begun = time.perf_counter()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        rows = pool.submit(generate_history, url, requests=requests, days=_DAYS, seed=_SEED).result()
    return rows, time.perf_counter() - begun


def roll_up_plainly(owner: psycopg.Connection[Row]) -> float:
    """Roll all history up in plain SQL into schema `plain`, and return the seconds; `owner` is a superuser."""
    owner.execute(query("history.patience"))
    owner.execute(query("usage_plain.prepare"))
    begun = time.perf_counter()
    with owner.transaction():
        owner.execute(query("usage_plain.cases"))
        for table in TABLES:
            owner.execute(query(f"usage_plain.{table}"))
    return time.perf_counter() - begun


def disagreeing(owner: psycopg.Connection[Row], table: str) -> int:
    """Return how many rows of `usage.<table>` and `plain.<table>` are not in the other."""
    [row] = owner.execute(query(f"usage_plain.compare_{table}")).fetchall()
    return int(row["rows"])
