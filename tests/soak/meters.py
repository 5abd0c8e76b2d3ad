"""What grows: memory, open files, connections, processes and files of one stack, looked at again and again.

A leak grows by every measure: of a process's memory the smaller slope of resident and proportional counts, because sharing with
forks moves the second and page cache of libraries the first. A slope is the median over all pairs of looks, so one look that
met a run at its peak does not decide; of what runs borrow and give back, each minute's least counts. A leak goes on: what only
warms up is flat in the second half. Only what lived through the whole quiet time is judged: a restart hides a leak and fakes one.
"""

import asyncio
import contextlib
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import psutil
import psycopg

from carousel_pipeline.database import connect, query

from .kills import children, fork_servers, postmaster

EVERY_S: Final = 5.0
_MB: Final = 2**20
_CONNECTIONS: Final = b"""
select datname || '/' || coalesce(nullif(application_name, ''), usename) as who, count(*) as n,
       max(extract(epoch from clock_timestamp() - state_change)) filter (where state like 'idle in transaction%') as idle_s
  from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() group by 1
"""
# How much may be added in ten minutes under load before it counts as growth.
LIMITS: Final[Mapping[str, float]] = MappingProxyType(
    {"memory_mb": 8.0, "files_open": 8.0, "connections": 8.0, "processes": 8.0, "files": 20.0}
)


@dataclass
class Look:
    """One look.

    Attributes:
        at: seconds of the monotonic clock.
        processes: by part: process id, resident and proportional memory in bytes, open files.
        runs: living run processes.
        every: living processes of the stack, runs aside.
        connections: by database and user; None when the database did not answer.
        files: by folder.
        logs_bytes: size of all logs.
    """

    at: float
    processes: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)
    runs: int = 0
    every: int = 0
    connections: dict[str, int] | None = None
    idle_in_transaction_s: float = 0.0
    files: dict[str, int] = field(default_factory=dict)
    logs_bytes: int = 0


class Meters:
    """Looks at one stack until cancelled.

    Args:
        up: the stack.
        scratch: its TMPDIR.

    Attributes:
        looks: in order.
        violations: what the ledger found wrong, each once.
        audits: how often the ledger was asked and answered.
    """

    def __init__(self, up: Any, scratch: Path) -> None:
        self._up = up
        self._scratch = scratch
        self.looks: list[Look] = []
        self.violations: dict[str, None] = {}
        self.audits = 0

    async def run(self) -> None:
        while True:
            self.looks.append(await asyncio.to_thread(self.look))
            await asyncio.sleep(EVERY_S)

    def look(self) -> Look:
        state = self._up.state
        found = Look(time.monotonic())
        parts = dict(state.get("processes", {}))
        parts["carousel up"] = self._up.process.pid
        if servers := fork_servers(state):
            parts["Fork server"] = servers[0].pid
            found.runs = sum(len(children(server)) for server in servers)
        if (server := postmaster(self._up.home)) is not None:
            parts["PostgreSQL"] = server
        for name, pid in parts.items():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                memory = process.memory_full_info()
                found.processes[name] = (pid, memory.rss, memory.pss, process.num_fds())
        found.every = len(self._up.leftovers()) - found.runs
        found.files, found.logs_bytes = self._files()
        if state.get("ready"):
            self._ask(state["database_url"], found)
        return found

    def _ask(self, url: str, found: Look) -> None:
        with contextlib.suppress(psycopg.Error), connect(url, None) as session:
            rows = session.execute(_CONNECTIONS).fetchall()
            found.connections = {row["who"]: row["n"] for row in rows}
            found.idle_in_transaction_s = max((float(row["idle_s"] or 0) for row in rows), default=0.0)
            for row in session.execute(query("ledger.violations")):
                self.violations[f"{row['rule']}: {row['detail']} ({row['id']})"] = None
            self.audits += 1

    def _files(self) -> tuple[dict[str, int], int]:
        """Count files; what people sent and what was made for them grows with them and is counted apart."""
        counts = {"home": 0, "scratch": 0, "artifacts": 0, "artifacts_unfinished": 0, "telegram": 0, "postgres": 0}
        logs = 0
        for folder, folders, files in os.walk(self._up.home):  # it forgives what vanishes meanwhile
            top = (*Path(folder).relative_to(self._up.home).parts, "")[0]
            for name in (*folders, *files):
                if top == "artifacts":
                    counts["artifacts_unfinished" if name.startswith(".new-") else "artifacts"] += 1
                else:
                    counts[top if top in {"telegram", "postgres"} else "home"] += 1
                if top == "logs":
                    with contextlib.suppress(OSError):
                        logs += Path(folder, name).stat().st_size
        counts["scratch"] = sum(len(folders) + len(files) for _, folders, files in os.walk(self._scratch))
        return counts, logs


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the median slope over all pairs, per ten minutes."""
    slopes = [(b - a) / (t - s) for (s, a), (t, b) in combinations(points, 2) if t > s]
    return 600.0 * statistics.median(slopes) if slopes else 0.0


def lasting(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of everything or of the second half, whichever is less."""
    return min(slope(points), slope(points[len(points) // 2 :]))


def least(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the least value of each minute."""
    minutes: dict[int, list[tuple[float, float]]] = {}
    for at, value in points:
        minutes.setdefault(int(at // 60), []).append((at, value))
    return [min(minute, key=lambda point: point[1]) for minute in minutes.values()]


def growth(looks: Sequence[Look], *, judged: bool) -> dict[str, Any]:
    """Return what grew while nothing but runs was killed, and whether that is a leak.

    Args:
        looks: of the quiet time.
        judged: False when that was too short to say anything.
    """
    processes = {}
    leaks = []

    def per_ten_minutes(value: Callable[[Look], float | None]) -> float:
        points = [(look.at, found) for look in looks if (found := value(look)) is not None]
        return round(lasting(least(points)), 2)

    for part in sorted({part for look in looks for part in look.processes}):
        mine = [(look.at, *look.processes[part]) for look in looks if part in look.processes]
        mine = [one for one in mine if one[1] == mine[-1][1]]
        resident = lasting([(at, rss / _MB) for at, _, rss, _, _ in mine])
        proportional = lasting([(at, pss / _MB) for at, _, _, pss, _ in mine])
        opened = lasting(least([(at, fds) for at, _, _, _, fds in mine]))
        processes[part] = {
            "looks": len(mine),
            "pss_mb": round(statistics.median(one[3] for one in mine) / _MB, 1),
            "rss_mb_per_10_min": round(resident, 2),
            "pss_mb_per_10_min": round(proportional, 2),
            "files_open": mine[-1][4],
            "files_open_per_10_min": round(opened, 2),
        }
        # The local Telegram keeps what was said, as Telegram does.
        if part != "Telegram" and min(resident, proportional) > LIMITS["memory_mb"]:
            leaks.append(f"memory of {part}")
        if opened > LIMITS["files_open"]:
            leaks.append(f"open files of {part}")
    connections = per_ten_minutes(lambda look: sum(look.connections.values()) if look.connections is not None else None)
    every = per_ten_minutes(lambda look: look.every)
    files = {
        name: per_ten_minutes(lambda look, name=name: look.files[name])  # type: ignore[misc]  # mypy knows no defaults of lambdas
        for name in ("home", "scratch", "artifacts_unfinished")
    }
    leaks += ["connections"] if connections > LIMITS["connections"] else []
    leaks += ["processes"] if every > LIMITS["processes"] else []
    leaks += [f"files in {name}" for name, grown in files.items() if grown > LIMITS["files"]]
    return {
        "minutes": round((looks[-1].at - looks[0].at) / 60, 1) if looks else 0,
        "judged": judged,
        "leaks": leaks if judged else None,
        "processes": processes,
        "connections_per_10_min": connections,
        "processes_per_10_min": every,
        "files_per_10_min": files,
    }


def extent(looks: Sequence[Look]) -> dict[str, Any]:
    """Return the highest counts of the whole time, and the last ones."""
    last = looks[-1]
    asked = [look for look in looks if look.connections is not None]
    return {
        "looks": len(looks),
        "runs_at_once": max(look.runs for look in looks),
        "processes": {"highest": max(look.every for look in looks), "last": last.every, "runs_left": last.runs},
        "connections": {
            "highest": max((sum((look.connections or {}).values()) for look in asked), default=0),
            "last": asked[-1].connections if asked else None,
        },
        "idle_in_transaction_s": round(max(look.idle_in_transaction_s for look in looks), 1),
        "files": {"first": looks[0].files, "last": last.files},
        "logs_mb": round(last.logs_bytes / _MB, 2),
    }
