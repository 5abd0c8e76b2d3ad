"""Days built from one snapshot and replaced whole.

What must stay true: one build at a time (an advisory lock, taken before the snapshot, or a second build would delete what it
cannot see); the days' old rows, new rows and marks change in one transaction; only marks that the snapshot saw are removed, so a
fact that is committed meanwhile leaves its day marked. Connections are the pipeline's: it reads the `usage.source_*` views and
writes the tables of schema `usage`, nothing else.

Long histories are built in spans of days, two spans at a time over two connections: while one is computed here, the server reads
the other. Spans share no day, so neither sees the other.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final

import polars as pl
import psycopg
from psycopg.conninfo import make_conninfo

from carousel_pipeline.database import Row, connect, query
from carousel_pipeline.usage.copying import copy_in, copy_out
from carousel_pipeline.usage.rollup import SOURCES, Days, Facts, roll_up

_REQUESTS_AT_ONCE: Final = 120_000
_DAYS_AT_ONCE: Final = 120
_SPANS_AT_ONCE: Final = 2
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Built:
    """What a build made: days, requests opened on them, seconds it took."""

    days: int
    requests: int
    seconds: float


@contextmanager
def usage_session(url: str) -> Iterator[psycopg.Connection[Row]]:
    """Open a connection of role `led_pipeline` whose statements may take as long as reading whole days takes."""
    with connect(url, "led_pipeline") as connection:
        connection.execute(query("usage.session"))
        yield connection


def stale_days(connection: psycopg.Connection[Row]) -> list[date]:
    """Look for changes since the last look and return the days that must be built, ascending."""
    connection.execute(query("usage.mark_stale"))
    return [row["day"] for row in connection.execute(query("usage.stale_days"))]


def known_days(connection: psycopg.Connection[Row]) -> list[date]:
    """Look for changes and return every day there is, built or not, ascending."""
    connection.execute(query("usage.mark_stale"))
    return [row["day"] for row in connection.execute(query("usage.known_days"))]


def build(connection: psycopg.Connection[Row], days: Sequence[date]) -> Built:
    """Build `days` (UTC, any order) from what is committed now; `connection` is that of `usage_session`."""
    begun = time.perf_counter()
    connection.execute(query("usage.lock"))
    try:
        requests = _build_spans(connection, list(_spans(connection, sorted(set(days)))))
    finally:
        connection.execute(query("usage.unlock"))
    return Built(len(set(days)), requests, time.perf_counter() - begun)


def _build_spans(connection: psycopg.Connection[Row], spans: Sequence[list[date]]) -> int:
    waiting = iter(spans)

    def work(over: psycopg.Connection[Row]) -> int:
        return sum(_build_span(over, span) for span in waiting)

    with ExitStack() as stack:
        others = [stack.enter_context(_another(connection)) for _ in range(min(_SPANS_AT_ONCE, len(spans)) - 1)]
        workers = stack.enter_context(ThreadPoolExecutor(_SPANS_AT_ONCE))
        return sum(workers.map(work, [connection, *others]))


def _another(connection: psycopg.Connection[Row]) -> AbstractContextManager[psycopg.Connection[Row]]:
    info = connection.info
    return usage_session(make_conninfo(info.dsn, password=info.password or None))


def _build_span(connection: psycopg.Connection[Row], days: Sequence[date]) -> int:
    begun = time.perf_counter()
    with connection.transaction():
        connection.execute(query("usage.snapshot"))
        now = connection.execute(query("usage.now")).fetchone()
        made = roll_up(_read(connection, days), days)
        for table in ("day", *made.tables()):
            connection.execute(query(f"usage.forget_{table}"), {"days": list(days)})
        for table, frame in made.tables().items():
            copy_in(connection, f"usage.{table}", frame)
        took = (time.perf_counter() - begun) * 1000 / len(days)
        copy_in(connection, "usage.day", _calendar(days, made, None if now is None else now["at"], took))
        connection.execute(query("usage.unmark"), {"days": list(days)})
    return int(made.daily["requests"].sum())


def _calendar(days: Sequence[date], made: Days, at: datetime | None, took_ms: float) -> pl.DataFrame:
    counts = made.daily.group_by("day").agg(pl.col("requests").sum())
    return (
        pl.DataFrame({"day": days}, schema={"day": pl.Date})
        .join(counts, on="day", how="left", maintain_order="left")
        .select("day", built_at=pl.lit(at), requests=pl.col("requests").fill_null(0), took_ms=pl.lit(round(took_ms)))
    )


def _read(connection: psycopg.Connection[Row], days: Sequence[date]) -> Facts:
    span = {"start": _midnight(days[0]), "stop": _midnight(days[-1] + _ONE_DAY)}
    connection.execute(query("usage.open_span"))
    connection.execute(query("usage.fill_span"), span)
    connection.execute(query("usage.know_span"))
    frames = {name: copy_out(connection, query(f"usage.{name}"), schema, span) for name, schema in SOURCES.items()}
    return Facts(**frames)


def _spans(connection: psycopg.Connection[Row], days: Sequence[date]) -> Iterator[list[date]]:
    """Unbroken runs of days, each small enough for memory."""
    if not days:
        return
    around = {"start": _midnight(days[0]), "stop": _midnight(days[-1] + _ONE_DAY)}
    sizes = {row["day"]: row["requests"] for row in connection.execute(query("usage.sizes"), around)}
    span, held = [days[0]], sizes.get(days[0], 0)
    for before, day in pairwise(days):
        size = sizes.get(day, 0)
        if day - before > _ONE_DAY or held + size > _REQUESTS_AT_ONCE or len(span) >= _DAYS_AT_ONCE:
            yield span
            span, held = [], 0
        span.append(day)
        held += size
    yield span


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
