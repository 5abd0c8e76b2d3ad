"""How long a roll-up takes at a size that nobody has yet, beside the same roll-up in plain SQL; the rows must agree.

Both read and write the same server of the bench's own, which keeps nothing on disk for certain; they take turns. The past may be
kept in a folder, so that only the measured part needs a quiet machine.
"""

import os
import platform
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg

from carousel_pipeline.database import Row, connect, ensure_database, migrate, query
from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.usage.build import build, known_days, usage_session
from carousel_pipeline.usage.checks import run_checks
from carousel_pipeline.usage.history import generate_history

TABLES: Final = ("daily", "daily_failure", "daily_seconds", "daily_call", "daily_money", "daily_person")
_SEED: Final = 9
_DAYS: Final = 400
_ROUNDS: Final = 5
_LOOK_S: Final = 0.1
_CLIENT: Final = "127.0.0.1("  # in the title of a server's process that works for a client


def bench_usage(requests: int = 1_000_000, folder: Path | None = None, *, prepare: bool = False) -> dict[str, Any]:
    """Measure on an embedded server of its own and return the figures of `carousel bench usage --json`.

    Args:
        requests: size of the past.
        folder: keeps the server with its past, made when it is not there yet; None: made for this once.
        prepare: make the past and measure nothing.

    `all_s` is the roll-up of every day, read, computed and written, `one_day_s` the median of one of the busiest days, `mark_s`
    the first look for changes and `look_s` a later one; `plain_sql_s` is the yardstick for `all_s`, `checks_s` the four checks.
    `client_mb` is the most memory that this process has held when the days are built (the past is made by another process),
    `server_mb` the most that the server's processes for it have held together, each with what it touched of the shared buffers.
    `disagreements` counts rows that the two roll-ups have not in common.

    Raises:
        ConfigurationError: the folder has a past of another size.
    """
    with ExitStack() as stack:
        home = folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="carousel-bench-", ignore_cleanup_errors=True))
        )
        url = stack.enter_context(EmbeddedPostgres(home, durable=False)).url("bench")
        ensure_database(url)
        migrate(url)
        history = _past(url, requests)
        if prepare:
            return history
        with usage_session(url) as session:
            begun = time.perf_counter()
            days = known_days(session)
            mark_s = time.perf_counter() - begun
            with _most_memory(psutil.Process(psutil.Process(session.info.backend_pid).ppid())) as server_mb:
                whole = build(session, days)
            client_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            busiest = [build(session, [day]).seconds for day in days[-_ROUNDS - 1 : -1]]
            begun = time.perf_counter()
            known_days(session)
            look_s = time.perf_counter() - begun
            begun = time.perf_counter()
            verdicts = run_checks(session)
            checks_s = time.perf_counter() - begun
        with connect(url, None) as owner:
            plain_s = roll_up_plainly(owner)
            disagreements = sum(disagreeing(owner, table) for table in TABLES)
    return {
        "machine": f"{os.cpu_count()} x {platform.machine()}, {platform.system()}, server and client together",
        "seed": _SEED,
        "runs": 1,
        **history,
        "days": len(days),
        "all_s": round(whole.seconds, 2),
        "one_day_s": round(statistics.median(busiest), 3),
        "mark_s": round(mark_s, 2),
        "look_s": round(look_s, 3),
        "checks_s": round(checks_s, 2),
        "checks_failed": [verdict.name for verdict in verdicts if not verdict.passed],
        "plain_sql_s": round(plain_s, 2),
        "ratio_plain_sql": round(whole.seconds / plain_s, 2),
        "client_mb": round(client_mb),
        "server_mb": round(max(server_mb)),
        "disagreements": disagreements,
    }


def _past(url: str, requests: int) -> dict[str, Any]:
    """Take the past that is there, as if never built; or make it, in a process of its own, where its memory does not count."""
    with connect(url, None) as owner:
        [found] = owner.execute(query("history.size")).fetchall()
        if found["requests"]:
            if found["requests"] != requests:
                raise ConfigurationError(
                    f"the folder has a past of {found['requests']} requests: name another, or delete it"
                )
            owner.execute(query("history.patience"))
            owner.execute(query("usage_plain.start_over"))
            return {"history": found}
    begun = time.perf_counter()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        rows = pool.submit(generate_history, url, requests=requests, days=_DAYS, seed=_SEED).result()
    return {"history": rows, "history_s": round(time.perf_counter() - begun, 1)}


@contextmanager
def _most_memory(postmaster: psutil.Process) -> Iterator[list[float]]:
    """Look ten times a second at what the server's processes for clients hold; MB, one number a look."""
    looks, done = [0.0], threading.Event()

    def look() -> None:
        while not done.wait(_LOOK_S):
            with suppress(psutil.NoSuchProcess):
                backends = [child for child in postmaster.children() if _CLIENT in child.cmdline()[0]]
                looks.append(sum(child.memory_info().rss for child in backends) / 2**20)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield looks
    finally:
        done.set()
        watcher.join()


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
