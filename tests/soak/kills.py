"""What is killed while people work: one thing at a time, in an order that the seed decides.

The supervisor stops a stack in which one part ends five times within two minutes, so each part gets a breather. Nothing is killed
while the stack starts again after PostgreSQL: a part that never got ready is not tried again, by design.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg

from carousel_pipeline.database import connect

BREATHER_S: Final = 45.0
_BACK_S: Final = 240.0
_VICTIM_S: Final = 20.0
_PARTS: Final = {"code server": "Code server", "webserver": "Dagster UI", "daemon": "Dagster daemon", "bot": "Bot"}
# How often each comes in one round: runs are many and live for seconds, PostgreSQL takes everything with it.
_ROUND: Final = (
    *("run",) * 5,
    *("backend",) * 2,
    *("fork server", "code server", "webserver", "daemon", "bot"),
    "postgres",
)
_BACKENDS: Final = b"""
select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
"""


@dataclass(frozen=True)
class Kill:
    """One kill: seconds since the beginning, what, which process, by which signal."""

    at_s: float
    what: str
    pid: int
    signal: str


class Killer:
    """Kills parts of one stack.

    Args:
        up: the stack.
        seed: of order and pauses.

    Attributes:
        kills: what was killed, in order.
        missed: how often there was nothing of the kind to kill.
    """

    def __init__(self, up: Any, seed: int) -> None:
        self._up = up
        self._chance = random.Random(f"{seed}/kills")  # noqa: S311 - what dies, not a secret
        self._began = time.monotonic()
        self._last: dict[str, float] = {}
        self.kills: list[Kill] = []
        self.missed = 0

    async def storm(self, seconds: float, pause_s: float) -> None:
        """Kill something of every kind, in rounds, for so long."""
        until = time.monotonic() + seconds
        order: list[str] = []
        while time.monotonic() < until:
            if not order:
                order = self._chance.sample(_ROUND, len(_ROUND))
            await asyncio.sleep(min(self._chance.uniform(0.4, 1.6) * pause_s, max(0.0, until - time.monotonic())))
            if time.monotonic() < until:
                await self._next(order)

    async def drizzle(self, seconds: float, pause_s: float) -> None:
        """Kill run processes alone, so that everything else lives long enough to show a leak."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(min(self._chance.uniform(0.4, 1.6) * pause_s, max(0.0, until - time.monotonic())))
            if time.monotonic() < until:
                await self._kill("run")

    async def _next(self, order: list[str]) -> None:
        """Kill the first of `order` that has had its breather."""
        now = time.monotonic()
        rested = [what for what in order if what == "run" or now - self._last.get(_part(what), 0.0) > BREATHER_S]
        if rested:
            order.remove(rested[0])
            await self._kill(rested[0])

    async def _kill(self, what: str) -> None:
        await asyncio.to_thread(self._up.wait_for, lambda: self._up.state.get("ready", False), _BACK_S)
        number = signal.SIGKILL
        if what == "postgres" and self._chance.random() < 0.5:
            number = signal.SIGQUIT
        deadline = time.monotonic() + _VICTIM_S
        while (pid := await asyncio.to_thread(self._victim, what)) is None:
            if time.monotonic() > deadline:
                self.missed += 1
                return
            await asyncio.sleep(0.1)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            self._last[_part(what)] = time.monotonic()
            self.kills.append(Kill(round(time.monotonic() - self._began, 1), what, pid, number.name))
            print(time.strftime("%X"), self.kills[-1], file=sys.stderr, flush=True)  # noqa: T201 - to follow it
        if what == "postgres":
            await asyncio.to_thread(self._up.wait_for, lambda: not self._up.state.get("ready", False), _BACK_S)
            await asyncio.to_thread(self._up.wait_for, lambda: self._up.state.get("ready", False), _BACK_S)

    def _victim(self, what: str) -> int | None:
        """Return a living process of the kind."""
        if what in _PARTS:
            pid = self._up.state.get("processes", {}).get(_PARTS[what])
            return pid if pid and psutil.pid_exists(pid) else None
        if what == "postgres":
            return postmaster(self._up.home)
        if what == "backend":
            return self._backend()
        servers = fork_servers(self._up.state)
        if what == "fork server":
            return servers[0].pid if servers else None
        runs = [run.pid for server in servers for run in children(server)]
        return self._chance.choice(runs) if runs else None

    def _backend(self) -> int | None:
        with contextlib.suppress(psycopg.Error), connect(self._up.state["database_url"], None) as session:
            pids = sorted(row["pid"] for row in session.execute(_BACKENDS))
            return self._chance.choice(pids) if pids else None
        return None

    def log(self) -> list[dict[str, Any]]:
        return [asdict(kill) for kill in self.kills]


def postmaster(home: Path) -> int | None:
    """Return the process id of the embedded server."""
    with contextlib.suppress(OSError, ValueError):
        return int((home / "postgres" / "cluster" / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
    return None


def fork_servers(state: dict[str, Any]) -> list[psutil.Process]:
    """Return the processes that runs are forked from: one, or two while one is being replaced."""
    with contextlib.suppress(psutil.Error, KeyError):
        server = psutil.Process(state["processes"]["Code server"])
        return [child for child in children(server) if not _is_tracker(child)]
    return []


def children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return process.children()
    return []


def _is_tracker(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "resource_tracker" in " ".join(process.cmdline())
    return True


def _part(what: str) -> str:
    """Who has to start again: with the fork server's death runs end, with a backend's every connection."""
    return {"backend": "postgres", "fork server": "code server"}.get(what, what)
