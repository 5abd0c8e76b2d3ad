"""`carousel bench scale`: how long the same work takes after a past of a thousand, ten thousand, … a million requests.

Every past lies in databases of its own on one server. Everything is asked of all of them in turn, round after round, so that a
neighbour's load falls on all alike; a ratio is the median of the rounds' own. The first of two calls is not counted: it warms
what a system at work has warm. Who asks and who answers share a core, for waking another one takes as long as the shortest query
and happens to some connections and not to others: these seemed to grow.
"""

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

from carousel_pipeline.database import Role, Row, connect, query
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.run_workers.bench_definitions import bench_partitions
from carousel_pipeline.run_workers.scale.orchestration import Act, Orchestra
from carousel_pipeline.run_workers.scale.past import dagster_instance, make_dagster_past, make_past
from carousel_pipeline.run_workers.scale.queries import GROWING, names, parameters, role_of
from carousel_pipeline.run_workers.scale.scene import Scene, set_scene

PASTS: Final = (1_000, 10_000, 100_000, 1_000_000)
# As empty as a system can be of which a page can be asked.
_YOUNG: Final = 200
_QUERY_ROUNDS: Final = 30
_ACT_ROUNDS: Final = 8
_GROWING_ROUNDS: Final = 2
_WORST: Final = 8

Timings = dict[str, dict[int, list[float]]]
Timed = Callable[[], float]


def bench_scale(history: Sequence[int] = PASTS) -> dict[str, Any]:
    """Measure, in one go, and clean up.

    Args:
        history: lengths of pasts, in requests; a million takes a quarter of an hour and 12 GB of disk, most of it to make it up.

    Returns:
        Milliseconds by operation and by length of the past; `ratio_max`, the worst of all operations after the longest past to
        the same after hardly any; `worst`, the operations that grew most; `growing`, what grows by its nature, with the reason.
    """
    pasts = [_YOUNG, *sorted(history)]
    with (
        tempfile.TemporaryDirectory(prefix="carousel-bench-", ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(Path(folder) / "postgres", durable=False) as server,
        ExitStack() as stack,
    ):
        begun = time.perf_counter()
        systems = {size: stack.enter_context(_aged(server, Path(folder), size)) for size in pasts}
        made_s = time.perf_counter() - begun
        with _core_shared():
            asked = _in_turns({size: system.queries(measured=True) for size, system in systems.items()}, _QUERY_ROUNDS)
        acted = _in_turns({size: system.acts() for size, system in systems.items()}, _ACT_ROUNDS)
        grown = _in_turns({size: system.growing() for size, system in systems.items()}, _GROWING_ROUNDS)
        sizes = systems[pasts[-1]].megabytes()
    ratios = {name: _ratio(taken[pasts[-1]], taken[_YOUNG]) for name, taken in (asked | acted).items()}
    worst = sorted(ratios, key=lambda name: ratios[name], reverse=True)
    return {
        "history": pasts,
        **{f"{group}_ms": _curves(acted, group) for group in ("sensor_tick", "dispatch", "run", "settle", "cleanup")},
        "bot_query_ms": _curves(asked, ""),
        "ratio_max": ratios[worst[0]],
        "worst": {name: ratios[name] for name in worst[:_WORST]},
        "growing": {name: _curve(taken) for name, taken in grown.items()},
        "megabytes": sizes,
        "made_s": round(made_s, 1),
        "machine": f"{os.cpu_count()} x {platform.machine()}, Python {platform.python_version()}, server and client together",
        "seed": 9,
        "runs": {"queries": _QUERY_ROUNDS, "others": _ACT_ROUNDS},
    }


class _System:
    """One past with the present at its end."""

    def __init__(self, urls: Sequence[str], scene: Scene, orchestra: Orchestra, stack: ExitStack) -> None:
        self._urls = urls
        self._scene = scene
        self._orchestra = orchestra
        self._stack = stack
        self._connections: dict[Role, psycopg.Connection[Row]] = {}

    def queries(self, *, measured: bool) -> Mapping[str, Timed]:
        return {name: self._question(name) for name in names() if (name in GROWING) is not measured}

    def acts(self) -> Mapping[str, Timed]:
        return {name: self._act(act) for name, act in self._orchestra.acts().items()}

    def growing(self) -> Mapping[str, Timed]:
        acts = {name: self._act(act) for name, act in self._orchestra.growing().items()}
        return {**self.queries(measured=False), **acts}

    def megabytes(self) -> dict[str, int]:
        found = {}
        for name, url in zip(("application", "dagster"), self._urls, strict=True):
            with connect(url, None) as owner:
                [row] = owner.execute(query("scale.megabytes")).fetchall()
                found[name] = int(row["megabytes"])
        return found

    def _question(self, name: str) -> Timed:
        statement, values, role = query(name), parameters(name, self._scene), role_of(name)
        if role not in self._connections:
            self._connections[role] = _bring(self._stack.enter_context(closing(connect(self._urls[0], role))))
        connection = self._connections[role]
        with connection.transaction(force_rollback=True):
            connection.execute(query("monitoring.patience"))
            connection.execute(statement, values)
            [row] = connection.execute(query("scale.wrote")).fetchall()
        wrote = row["wrote"]

        def ask() -> float:
            with connection.transaction(force_rollback=True):
                connection.execute(query("monitoring.patience"))
                begun = time.perf_counter()
                cursor = connection.execute(statement, values)
                if cursor.description:
                    cursor.fetchall()
                if wrote:
                    connection.execute(query("scale.check_now"))
                return time.perf_counter() - begun

        return ask

    def _act(self, act: Act) -> Timed:
        def timed() -> float:
            begun = time.perf_counter()
            act()
            took = time.perf_counter() - begun
            self._orchestra.undo()
            return took

        return timed


@contextmanager
def _aged(server: EmbeddedPostgres, folder: Path, size: int) -> Iterator[_System]:
    url, dagster_url = server.url(f"past_{size}"), server.url(f"dagster_{size}")
    make_past(url, size)
    with connect(url, None) as owner:
        owner.execute(query("history.patience"))
        scene = set_scene(owner)
        owner.execute(query("scale.vacuum"))
    with dagster_instance(folder / f"home_{size}", dagster_url) as instance, ExitStack() as stack:
        make_dagster_past(instance, dagster_url, url, size)
        instance.add_dynamic_partitions(bench_partitions.name or "", [str(request) for request in scene.open])
        yield _System((url, dagster_url), scene, Orchestra(instance, url, scene), stack)


@contextmanager
def _core_shared() -> Iterator[None]:
    """Keep this process on one core, and with it the servers of the connections that are opened meanwhile."""
    if sys.platform != "linux":
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _bring(connection: psycopg.Connection[Row]) -> psycopg.Connection[Row]:
    if sys.platform == "linux":
        os.sched_setaffinity(connection.info.backend_pid, os.sched_getaffinity(0))
    return connection


def _in_turns(asked: Mapping[int, Mapping[str, Timed]], rounds: int) -> Timings:
    timings: Timings = {name: {size: [] for size in asked} for name in next(iter(asked.values()))}
    for _ in range(rounds):
        for name, taken in timings.items():
            for size, times in taken.items():
                asked[size][name]()
                times.append(asked[size][name]())
    return timings


def _ratio(old: Sequence[float], young: Sequence[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(old, young, strict=True)), 2)


def _curves(timings: Timings, group: str) -> dict[str, Any]:
    named = {name.removeprefix(group).strip(): taken for name, taken in timings.items() if name.startswith(group)}
    return {name: _curve(taken) for name, taken in named.items()}


def _curve(taken: Mapping[int, Iterable[float]]) -> dict[str, dict[str, float]]:
    return {str(size): _percentiles([took * 1000 for took in times]) for size, times in taken.items()}


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {f"p{n}": round(cuts[n - 1], 3) for n in (50, 95, 99)}
