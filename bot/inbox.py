"""Between Telegram and the handlers: throttle, store, keep the order of each person, try again what nobody answered.

What stays true: `accept` returns when every wanted update is in Postgres, and only then may the caller acknowledge. An update
that a crash caught is handled after the restart, one that comes twice is handled once, and handlers are written so that a second
try changes nothing. Updates of one person are handled one after the other, in the order they were made, over all replicas:
whoever holds the person's lock takes the oldest one that is stored, whoever received it. (A lock around updates kept in memory
only kept them apart: the second of two could win it.)
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import psycopg
from aiogram.exceptions import TelegramRetryAfter
from psycopg_pool import PoolTimeout

from bot.payments.cashier import Cashier
from bot.payments.updates import KINDS as MONEY
from bot.payments.updates import is_money
from bot.storage import AdvisoryLocks
from bot.store import Store
from bot.throttle import Limit, Lockouts, Verdict

_log = logging.getLogger(__name__)
RawUpdate = dict[str, Any]
Handle = Callable[[RawUpdate, bool], Awaitable[None]]
Refuse = Callable[[RawUpdate], Awaitable[None]]

UNDERSTOOD: Final = frozenset({"message", "edited_message", "channel_post", "callback_query", "my_chat_member", *MONEY})
"""Kinds of updates that are asked for; a kind that a later Telegram invents is passed over."""
_ATTEMPTS: Final = 5
_LATE_EVERY_S: Final = 2.0
_IN_A_ROW: Final = 4
_PATIENCE: Final = timedelta(seconds=2)
_LARGEST_ID: Final = 2**62


class Inbox:
    """The way in for polling and webhook alike.

    Args:
        bot_id: whose updates these are; ids are unique per bot.
        store: where updates are kept.
        cashier: takes what is about money, before anything else here.
        locks: one lock a person.
        limit: how fast a person may be.
        handle: called with each update and whether its sender is banned; it must not fail for the update's sake.
        refuse: called with the first update of a rush that is too fast.
        ready_in: seconds until a person may be answered; nobody is served before, for that would keep others waiting.
        parallel: how many people are served at once.
    """

    def __init__(
        self,
        bot_id: int,
        store: Store,
        cashier: Cashier,
        locks: AdvisoryLocks,
        limit: Limit,
        handle: Handle,
        refuse: Refuse,
        ready_in: Callable[[int], float],
        parallel: int,
    ) -> None:
        self._bot_id = bot_id
        self._cashier = cashier
        self._store = store
        self._locks = locks
        self._limit = limit
        self._handle = handle
        self._refuse = refuse
        self._ready_in = ready_in
        self._free = asyncio.Semaphore(parallel)
        self._lockouts = Lockouts()
        self._served: set[int] = set()
        self._again: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    async def accept(self, updates: Iterable[RawUpdate]) -> None:
        """Store what is wanted, then start handling it.

        Raises:
            psycopg.OperationalError: nothing was stored; do not acknowledge.
            psycopg_pool.PoolTimeout: as above.
        """
        updates = list(updates)
        await self._cashier.accept(storable(update) for update in updates if is_money(update))
        knocking = [
            {"lane": lane_of(update), "essential": essential(update), "body": storable(update)}
            for update in updates
            if not UNDERSTOOD.isdisjoint(update) and not is_money(update)
        ]
        wanted = {
            knock["body"]["update_id"]: knock
            for knock in knocking
            if knock["essential"] or not self._lockouts.holds(knock["lane"])
        }
        if not wanted:
            return
        asked_at = self._lockouts.clock()
        for knocked in await self._store.inbox_put(self._bot_id, list(wanted.values()), self._limit):
            knock = wanted[knocked.id]
            match knocked.verdict:
                case Verdict.LET_IN:
                    self._wake(knock["lane"], patient=True)
                case Verdict.SAY_WAIT | Verdict.IGNORE:
                    self._lockouts.refused(knock["lane"], asked_at, knocked.wait_s)
                    if knocked.verdict is Verdict.SAY_WAIT:
                        self._start(self._refuse(knock["body"]), f"slower {knock['lane']}")
                case Verdict.KNOWN:
                    pass

    async def look_after_late(self) -> None:
        """For ever, take up updates that were stored and not answered: a process crashed then, or the database was away."""
        while True:
            try:
                for lane in await self._store.inbox_late(self._bot_id, _ATTEMPTS, 100):
                    self._wake(lane, patient=False)
            except (psycopg.OperationalError, PoolTimeout) as error:
                _log.warning("inbox not reachable: %s", type(error).__name__)
            await asyncio.sleep(_LATE_EVERY_S)

    async def idle(self) -> None:
        """Wait until everything that was taken up is handled."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def drain(self) -> None:
        """Finish the updates that are being handled; those behind them stay stored, for the next process."""
        self._stopping.set()
        await self.idle()

    def _start(self, work: Awaitable[None], name: str) -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wake(self, lane: int, *, patient: bool) -> None:
        if lane in self._served:
            self._again.add(lane)
            return
        self._served.add(lane)
        self._start(self._serve(lane, patient=patient), f"lane {lane}")

    async def _serve(self, lane: int, *, patient: bool) -> None:
        try:
            if (wait := self._ready_in(lane)) > 0:
                await self._rest(wait)
            async with self._free, self._locks.hold(f"lane:{self._bot_id}:{lane}", patient=patient) as held:
                # Not all at once: whoever sends a lot stands in line again like everybody.
                if held and not self._stopping.is_set() and await self._serve_some(lane):
                    self._again.add(lane)
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("lane %s waits: %s", lane, type(error).__name__)
        finally:
            self._served.discard(lane)
        if lane in self._again:
            self._again.discard(lane)
            if not self._stopping.is_set():
                self._wake(lane, patient=True)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _serve_some(self, lane: int) -> bool:
        done: int | None = None
        for _ in range(_IN_A_ROW):
            taken = await self._store.inbox_next(self._bot_id, lane, done, _ATTEMPTS)
            if taken is None or not await self._serve_one(taken.body, banned=taken.banned):
                return False
            done = taken.body["update_id"]
            if self._stopping.is_set() or self._ready_in(lane) > 0:
                break
        if done is not None:
            await self._store.inbox_done(self._bot_id, [done])
        return True

    async def _serve_one(self, update: RawUpdate, *, banned: bool) -> bool:
        """Handle one update; False when it stays in the inbox, and those behind it with it."""
        number, wait = update["update_id"], _PATIENCE
        try:
            await self._handle(update, banned)
        except TelegramRetryAfter as error:
            wait = timedelta(seconds=error.retry_after)
            _log.info("update %s waits %s: Telegram asked for it", number, wait)
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("update %s stays in the inbox: %s", number, type(error).__name__)
        except Exception:  # noqa: BLE001 (one update must not end its person's lane)
            # The handler's own net has spoken to the person already or could not; trying again would fail again.
            _log.exception("update %s failed", number)
            return True
        else:
            return True
        with suppress(psycopg.OperationalError, PoolTimeout):
            await self._store.inbox_postpone(self._bot_id, number, wait)
        return False


def _bodies(update: RawUpdate) -> Iterator[dict[str, Any]]:
    return (body for body in update.values() if isinstance(body, dict))


def lane_of(update: RawUpdate) -> int:
    """Return whose update this is: the sender's id, else the chat's; both are unique over Telegram."""
    for body in _bodies(update):
        message = body.get("message")
        for owner in (body.get("from"), (message if isinstance(message, dict) else body).get("chat")):
            if isinstance(owner, dict) and isinstance(owner.get("id"), int):
                return int(owner["id"])
    return 0


def essential(update: RawUpdate) -> bool:
    """Whether an update must come in whatever the pace: money that moved, and being blocked or added."""
    return "my_chat_member" in update or any(
        "successful_payment" in body or "refunded_payment" in body for body in _bodies(update)
    )


def well_formed(update: object) -> bool:
    """Whether this can be an update at all: an object with a number that Telegram could have given."""
    number = update.get("update_id") if isinstance(update, dict) else None
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < _LARGEST_ID


def storable(value: Any) -> Any:
    """Return an update without what no database stores: zero characters and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value
