"""`carousel bench load`: people who use the whole product on this machine, alone, one after another, in a rush, and in patience.

Two stacks of `load.py`. On the first the model takes no time: latency of one person at a time, then as many carousels as the
machine makes for as long as is asked, then one person's rush beside others. On the second many wait at once for seven pictures,
each of which takes half a minute: memory, connections, and how many got an album; who got none is a figure, not the end. Only
the first carousel is not counted.
"""

import asyncio
import contextlib
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID, uuid4

import psutil
import psycopg
from psycopg.types.json import Jsonb

from carousel_pipeline.database import Row, connect, query
from carousel_pipeline.errors import CarouselError
from carousel_pipeline.requests import Options
from carousel_pipeline.run_workers.bench import percentiles
from carousel_pipeline.run_workers.load import (
    LoadStack,
    Made,
    a_text,
    change_text,
    greeted,
    load_stack,
    make_one,
    outline,
    paint_each,
    take,
)

_AT_ONCE: Final = 8
_OTHERS: Final = 6
_LOOK_S: Final = 0.5
_POLL_S: Final = 0.1
_WEIGH_S: Final = 10.0
_LONGEST_S: Final = 1800.0
_PLENTY: Final = 100
_MB: Final = 1e6


def bench_load(
    seconds: float = 300, waiting: int = 200, *, runs: int = 10, rush: int = 30, picture_s: float = 30.0
) -> dict[str, Any]:
    """Measure and clean up.

    Args:
        seconds: how long people come without a pause.
        waiting: how many wait for slow pictures at the same time.
        runs: carousels, and changes of one, whose latency is measured.
        rush: carousels that one person asks for at once.
        picture_s: how long a slow picture takes.

    Returns:
        The contract's figures of `load`, latencies as p50, p95 and p99 in seconds, and the circumstances.
    """
    before = round(os.getloadavg()[2], 2)
    with tempfile.TemporaryDirectory(prefix="carousel-load-", ignore_cleanup_errors=True) as folder:
        with (
            load_stack(_inside(folder, "quick"), picture_s=0) as stack,
            connect(stack.database_url, None) as owner,
            Watch(stack) as watch,
        ):
            figures = asyncio.run(_alone(stack, owner, runs))
            figures |= asyncio.run(_sustained(stack, seconds))
            figures |= asyncio.run(_rushed(stack, owner, rush))
            violations, stand_ins = _count(owner, "load_violations"), _count(owner, "load_stand_ins")
        figures["max_db_connections_without_waiting"] = watch.connections
        with (
            load_stack(_inside(folder, "slow"), places=waiting + _AT_ONCE, picture_s=picture_s) as stack,
            connect(stack.database_url, None) as owner,
        ):
            with Watch(stack, weigh=True) as watch:
                figures |= asyncio.run(_patient(stack, owner, waiting))
            figures["stand_ins"] = stand_ins + _count(owner, "load_stand_ins")
            violations += _count(owner, "load_violations")
    return figures | {
        "asked_to_wait": waiting,
        "waiting": watch.waiting,
        "weighed": len(watch.weights),
        "mb_per_waiting_run": percentiles(watch.weights or [0.0]),
        "max_db_connections": watch.connections,
        "db_connections_while_all_wait": watch.connections_then,
        "violations": violations,
        "picture_s": picture_s,
        "machine": f"{os.cpu_count()} × {platform.machine()}, Python {platform.python_version()}, everything on the same machine",
        "load_before": before,
        "seed": None,
        "runs": runs,
    }


async def _alone(stack: LoadStack, owner: psycopg.Connection[Row], runs: int) -> dict[str, Any]:
    """One person after another: a carousel, and then other words on a slide."""
    await make_one(stack.telegram)
    pairs: list[tuple[Made, Made]] = []
    outlines: list[float] = []
    for _ in range(runs):
        async with greeted(stack.telegram) as chat:
            found = await outline(chat)
            outlines.append(found.seen - found.asked)
            made = await take(chat, found)
            pairs.append((made, await change_text(chat, made)))
    times = _times(owner, [one.request_id for pair in pairs for one in pair])
    carousels = [(made, times[made.request_id]) for made, _ in pairs]
    return {
        "text_to_outline_s": percentiles(outlines),
        "tap_to_first_model_call_s": percentiles(row["called"] - made.tapped for made, row in carousels),
        "tap_to_album_s": percentiles(row["sent"] - made.tapped for made, row in carousels),
        "dagster_share_s": percentiles(_share(stack, row) for _, row in carousels),
        "edit_to_album_s": percentiles(times[edit.request_id]["sent"] - edit.tapped for _, edit in pairs),
    }


def _share(stack: LoadStack, times: Row) -> float:
    """Return the seconds between the confirmation and the album in which no asset worked: dispatch, start, Dagster's records."""
    with connect(stack.dagster.environment["DAGSTER_DATABASE_URL"], None) as dagster:
        bodies = dagster.execute(query("bench.load_bodies"), {"run": times["run_id"]}).fetchall()
    worked = sum(min(body["ended"] or times["sent"], times["sent"]) - body["began"] for body in bodies)
    return float(times["sent"] - times["reserved"] - worked)


async def _sustained(stack: LoadStack, seconds: float) -> dict[str, Any]:
    """People come and go without a pause; what was seen while the time ran counts."""
    began, busy = time.time(), _busy_s()
    made: list[Made] = []

    async def one_after_another() -> None:
        while time.time() < began + seconds:
            made.append(await make_one(stack.telegram))

    await asyncio.gather(*(one_after_another() for _ in range(_AT_ONCE)))
    inside = sum(one.seen <= began + seconds for one in made)
    return {
        "seconds": seconds,
        "people_at_once": _AT_ONCE,
        "carousels": inside,
        "carousels_per_s": round(inside / seconds, 3),
        "tap_to_seen_under_load_s": percentiles(one.seen - one.tapped for one in made),
        "cpu_s_per_carousel": round((_busy_s() - busy) / len(made), 2),
    }


async def _rushed(stack: LoadStack, owner: psycopg.Connection[Row], rush: int) -> dict[str, Any]:
    """One person asks for many at once; others come meanwhile, and each place that was told is compared with what came."""
    async with greeted(stack.telegram) as greedy:
        owner.execute(query("bench.load_credits"), {"tg": greedy.id, "key": str(uuid4()), "credits": 10 * rush})
        ids: list[UUID] = []
        for _ in range(rush):  # the next outline of a person is written after the last one
            ids.append(_opened(owner, greedy.id))
            await _until(lambda: len(_rows(owner, "load_outlined", ids=ids)) == len(ids))
        for row in _rows(owner, "load_outlined", ids=ids):
            owner.execute(query("bench.load_confirm"), {"tg": greedy.id, **row})
        told_at = time.time()
        told = {str(one): _rows(owner, "load_place", id=one)[0]["ahead"] for one in ids}
        others = [await make_one(stack.telegram) for _ in range(_OTHERS)]
        await _until(lambda: all(row["sent"] for row in _times(owner, ids).values()))
    times = _times(owner, ids)
    # Its own claims before it, after everybody was told: who was served by then is no place any more.
    claims = sorted(row["claimed"] for row in times.values() if row["claimed"] > told_at)
    off = [abs(told[key] - claims.index(row["claimed"])) for key, row in times.items() if row["claimed"] > told_at]
    return {
        "fairness": {
            "rush": rush,
            "rush_to_album_s": percentiles(row["sent"] - row["reserved"] for row in times.values()),
            "others_tap_to_seen_s": percentiles(one.seen - one.tapped for one in others),
        },
        "queue_places": {"told": len(off), "off_by_at_most": max(off, default=0)},
    }


async def _patient(stack: LoadStack, owner: psycopg.Connection[Row], waiting: int) -> dict[str, Any]:
    """All have an outline and chose a picture a slide; then all press the button at once. Count who got an album."""
    gate = asyncio.Semaphore(_AT_ONCE)
    async with AsyncExitStack() as chats:

        async def come() -> tuple[Any, Any]:
            async with gate:
                chat = await chats.enter_async_context(greeted(stack.telegram))
                _rows(owner, "load_credits", tg=chat.id, key=str(uuid4()), credits=_PLENTY)
                return chat, await paint_each(chat, await outline(chat, limit_s=_LONGEST_S))

        ready = await asyncio.gather(*(come() for _ in range(waiting)))
        taken = (take(chat, found, limit_s=_LONGEST_S) for chat, found in ready)
        made = await asyncio.gather(*taken, return_exceptions=True)
    failures = [one for one in made if isinstance(one, BaseException)]
    for failure in failures:
        if not isinstance(failure, CarouselError):
            raise failure
    return {"delivered": len(made) - len(failures), "first_failure": str(failures[0]) if failures else None}


class Watch:
    """Counts the server's connections, the requests being worked on, and what their run processes weigh, while the block runs.

    Attributes:
        connections: most at once.
        connections_then: at the moment when most were worked on.
        waiting: most worked on at once.
        weights: private megabytes of each run process that waits, at the weighing that found most of them.
    """

    def __init__(self, stack: LoadStack, *, weigh: bool = False) -> None:
        self._stack = stack
        self._weigh = weigh
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_again, name="watch")
        self.connections = self.connections_then = self.waiting = 0
        self.weights: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look_again(self) -> None:
        weighed_at = time.monotonic()
        with connect(self._stack.database_url, None) as server:
            while not self._over.wait(_LOOK_S):
                now, working = _count(server, "load_connections"), _count(server, "load_working")
                self.connections = max(self.connections, now)
                if working >= self.waiting:
                    self.waiting, self.connections_then = working, now
                if self._weigh and time.monotonic() > weighed_at + _WEIGH_S:
                    weights = self._weights()
                    self.weights = max(self.weights, weights, key=len)
                    weighed_at = time.monotonic()

    def _weights(self) -> list[float]:
        """Weigh the runs that use no processor time between two looks; who works is not waiting."""
        code_server = psutil.Process(self._stack.dagster.processes["code"].pid)
        runs = [run for server in code_server.children() for run in server.children()]
        before = {run: _used_s(run) for run in runs}
        time.sleep(_LOOK_S)
        found = []
        for run, used in before.items():
            with contextlib.suppress(psutil.Error):  # ended meanwhile
                if _used_s(run) == used:
                    found.append(run.memory_full_info().uss / _MB)
        return found


def _used_s(process: psutil.Process) -> float | None:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)


def _opened(owner: psycopg.Connection[Row], person: int) -> UUID:
    options = Jsonb(Options().model_dump(mode="json"))
    [row] = _rows(owner, "load_open", tg=person, key=str(uuid4()), source=a_text(), options=options)
    request_id: UUID = row["id"]
    return request_id


def _times(owner: psycopg.Connection[Row], ids: Sequence[str | UUID]) -> dict[str, Row]:
    return {str(row["id"]): row for row in _rows(owner, "load_times", ids=[UUID(str(one)) for one in ids])}


def _rows(connection: psycopg.Connection[Row], name: str, **values: object) -> list[Row]:
    return connection.execute(query(f"bench.{name}"), values).fetchall()


def _count(connection: psycopg.Connection[Row], name: str) -> int:
    [row] = _rows(connection, name)
    number: int = row["n"]
    return number


async def _until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(_LONGEST_S):
        while not met():  # noqa: ASYNC110 - another process's rows can only be polled
            await asyncio.sleep(_POLL_S)


def _inside(folder: str, name: str) -> Path:
    path = Path(folder) / name
    path.mkdir()
    return path


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system)
