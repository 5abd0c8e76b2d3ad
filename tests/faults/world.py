"""One request from the tap to its end, with everybody who has a part in it: the user, the bot, Dagster, the sensors, the clock.

They take turns until the request is settled. Each is level-triggered and forgets everything between two turns, as their processes
do, so a kill may happen anywhere: whoever comes next knows what the database, Telegram and Dagster's list of runs know, no more.
"""

import asyncio
import json
import os
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Self, cast
from uuid import UUID

import psycopg

from bot.models import OutboxItem
from bot.outbox import Outbox
from bot.store import Pool, Store
from bot.sweeper import sweep
from carousel_pipeline.database import Row, async_connect, connect
from carousel_pipeline.errors import CarouselError
from carousel_pipeline.ledger.pipeline import PipelineLedger
from carousel_pipeline.sensors.settlement import settle

from ..remembered import DECK  # noqa: TID252 - tests are no package
from . import hooks
from .light_dagster import Run, Runs, Workshop, failures
from .plan import Case, Plan

PRICE: Final = len(DECK.slides)
_TURNS: Final = 14
_NESTED_TURNS: Final = 6
_TOPICS: Final = ("delivered", "notify_refund", "ask_user")

_TIME_PASSES: Final = b"""
with r as (update ledger.request set lease_until = least(lease_until, clock_timestamp() - interval '1 second'),
                  deadline = least(deadline, clock_timestamp() - interval '1 second')
            where id = %(id)s and state in ('reserved', 'running', 'rendered') returning 1)
update ledger.outbox set available_at = least(available_at, clock_timestamp()) where done_at is null and not dead
"""
_STATE: Final = b"""
select r.phase, l.state, exists (select 1 from ledger.outbox where done_at is null and not dead) as messages
  from carousel.request r left join ledger.request l on l.id = r.id where r.id = %s
"""


@dataclass(frozen=True)
class Place:
    """Where a case happens; the database is reached through the gate."""

    database_url: str
    telegram_url: str
    artifacts_url: str


@dataclass
class Story:
    """What is known outside the process that may be killed; kept by its parent, line by line."""

    chat: int
    request: UUID
    runs: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    points: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    over: bool = False

    def add(self, line: dict[str, Any]) -> None:
        """Take in one line of the process's report."""
        if (run := line.get("run")) is not None:
            self.runs = [known for known in self.runs if known["id"] != run["id"]] + [run]
        if (fault := line.get("fault")) is not None:
            self.faults.append(fault)
        if (point := line.get("point")) is not None:
            self.points.append(point)
        if (told := line.get("told")) is not None:
            self.told.append(told)
        if (answer := line.get("answer")) is not None:
            self.answers.append(answer)
        self.over = self.over or "over" in line


class World:
    """The processes of one life; after a kill the next life begins where the database and Dagster's runs are."""

    def __init__(self, place: Place, case: Case, story: Story, plan: Plan, report: int) -> None:
        self._url = place.database_url
        self._variant = case.variant
        self._chat = story.chat
        self._request = story.request
        self._report = report
        self._faults = hooks.Faults(plan, self._tell_fault, self._while_paused, place.telegram_url)
        if not case.point:
            self._faults.record = lambda point: self._tell(point=point)
        self._runs = Runs(lambda run: self._tell(run={"id": run.id, "tags": run.tags, "status": run.status}))
        self._runs.known = {run["id"]: Run(**run) for run in story.runs}
        self._workshop = Workshop(self._url, place.artifacts_url, self._faults.acting)
        self._reruns = 0
        self._observer: psycopg.Connection[Row] = connect(place.database_url, None)

    def play(self) -> None:
        """Take turns until everything is settled, or it is certain that it never will be."""
        hooks.present = self._faults
        try:
            self._take_turns()
        finally:
            hooks.present = None
            self._observer.close()

    def _take_turns(self) -> None:
        for run in self._runs.known.values():
            if run.status == "started":  # its process died with the life before
                self._runs.change(run, "failed")
        for _ in range(_TURNS):
            if self._over():
                self._tell(over=True)
                return
            self._turn()

    def _turn(self) -> None:
        before = self._state()
        self._bot()
        for run in list(self._runs.known.values()):
            if run.status == "queued":
                self._execute(run)
        if self._variant == "hurried":
            self._time_passes()
        if self._variant == "rerun" and self._reruns < 1:
            self._time_passes()
            self._rerun()
        if self._variant != "swept":
            self._settle()
        if self._state() == before:
            self._time_passes()
            self._bot_alone("sweeper", sweep)
            self._rerun()
        self._user_answers()

    # Who has a part in it

    def _bot(self) -> None:
        """The user's tap, repeated until it is answered; the dispatcher and whoever tells people."""

        async def work(store: Store) -> None:
            if self._state()["phase"] == "outlined":
                with self._faults.acting("bot"), suppress(psycopg.OperationalError):
                    assert await store.confirm(self._chat, self._request, PRICE) in {"confirmed", "already"}
            works: dict[str, Callable[[OutboxItem], Awaitable[None]]] = dict.fromkeys(_TOPICS, self._say)
            outbox = Outbox(store, {**works, "dispatch": self._dispatch}, lease=timedelta(minutes=2), parallel=1)
            with self._faults.acting("bot"), suppress(psycopg.OperationalError):
                while await outbox._worker._take():
                    await outbox.drain()
            await outbox.drain()

        self._with_store(work)

    def _bot_alone(self, who: str, work: Callable[[Store], Awaitable[object]]) -> None:
        async def alone(store: Store) -> None:
            with self._faults.acting(who), suppress(psycopg.OperationalError):
                await work(store)

        self._with_store(alone)

    def _with_store(self, work: Callable[[Store], Awaitable[None]]) -> None:
        async def session() -> None:
            async with _Connections(self._url) as connections:
                await work(Store(cast("Pool", connections)))

        asyncio.run(session())

    async def _dispatch(self, item: OutboxItem) -> None:
        self._runs.dispatch(UUID(item.payload["request_id"]), item.dedupe_key)

    async def _say(self, item: OutboxItem) -> None:
        self._tell(told=item.topic)

    def _execute(self, run: Run) -> None:
        self._runs.change(run, "started")
        ok = self._workshop.execute(run, self._request)
        if not run.over:  # a paused run may have been given up by Dagster meanwhile
            self._runs.change(run, "succeeded" if ok else "failed")

    def _rerun(self) -> None:
        """An operator runs failed partitions again, as long as the credits are still held."""
        if self._state()["state"] in {"reserved", "running", "rendered"} and self._reruns < 2:
            for run in list(failures(self._runs))[-1:]:
                self._reruns += 1
                self._execute(self._runs.rerun(self._request, run))

    def _settle(self) -> None:
        with (
            self._faults.acting("settle_holds"),
            suppress(CarouselError, psycopg.OperationalError),
            connect(self._url, "led_pipeline") as session,
        ):
            ledger = PipelineLedger(session)
            settle(ledger.open_holds(), ledger, cast("Any", self._runs))

    def _user_answers(self) -> None:
        """Asked whether the album arrived, the user looks and tells the truth."""
        if self._state()["state"] != "delivery_unknown":
            return
        got = bool(full_albums(self._faults.telegram_url, self._chat))
        self._tell(answer="got" if got else "again")

        async def answer(store: Store) -> None:
            await store.resolve(self._chat, self._request, got=got)

        self._bot_alone("user", answer)

    def _while_paused(self) -> None:
        """The others take a paused process for dead and go on without it."""
        for run in self._runs.known.values():
            if run.status == "started":
                self._runs.change(run, "failed")
        self._time_passes()
        for _ in range(_NESTED_TURNS):
            if self._over():
                return
            self._turn()

    def _time_passes(self) -> None:
        self._observer.execute(_TIME_PASSES, {"id": self._request})

    # What an onlooker knows

    def _state(self) -> Row:
        row = self._observer.execute(_STATE, [self._request]).fetchone()
        assert row is not None
        return row

    def _over(self) -> bool:
        state = self._state()
        waiting = any(run.status == "queued" for run in self._runs.known.values())
        return state["state"] in {"delivered", "released"} and not state["messages"] and not waiting

    def _tell_fault(self, point: str, kind: str) -> None:
        self._tell(fault=f"{point}:{kind}")

    def _tell(self, **line: Any) -> None:
        os.write(self._report, json.dumps(line).encode() + b"\n")


class _Connections:
    """The bot's pool in small: a connection is lent, and replaced when it is broken."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: psycopg.AsyncConnection[Row] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._idle is not None:
            await self._idle.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection[Row]]:
        lent, self._idle = self._idle, None
        if lent is None or lent.closed:
            lent = await async_connect(self._url, "led_bot")
        try:
            yield lent
        finally:
            if lent.closed or self._idle is not None:
                await lent.close()
            else:
                self._idle = lent


def calls(telegram_url: str, chat: int) -> list[dict[str, Any]]:
    """Return the albums that the local Telegram accepted for a chat, whole or in part, oldest first."""
    with urllib.request.urlopen(telegram_url + "/sim/log?limit=100000", timeout=20) as answer:
        found = json.loads(answer.read())["calls"]
    return [call for call in found if call["method"] == "sendMediaGroup" and call["params"]["chat_id"] == str(chat)]


def full_albums(telegram_url: str, chat: int) -> list[dict[str, Any]]:
    """As `calls`, without those of which only a part arrived."""
    return [call for call in calls(telegram_url, chat) if call["complete"] and len(call["result"]) == PRICE]
