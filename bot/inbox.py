"""Between Telegram and the handlers: throttle, store, keep the order of each chat, try again what nobody answered.

What stays true: `accept` returns when every wanted update is in Postgres, and only then may the caller acknowledge. An update
that a crash caught is handled after the restart, one that comes twice is handled once, and handlers are written so that a second
try changes nothing. Two updates of one chat are handled one after the other, in the order they were made.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg_pool import PoolTimeout

from bot.payments.cashier import Cashier
from bot.payments.updates import KINDS as MONEY
from bot.payments.updates import is_money
from bot.store import Store
from bot.throttle import Limiter, Verdict

_log = logging.getLogger(__name__)
RawUpdate = dict[str, Any]
Handle = Callable[[RawUpdate, bool], Awaitable[None]]

UNDERSTOOD: Final = frozenset({"message", "edited_message", "channel_post", "callback_query", "my_chat_member", *MONEY})
"""Kinds of updates that are asked for; a kind that a later Telegram invents is passed over."""
LEASE: Final = timedelta(seconds=60)
_ATTEMPTS: Final = 5
_RECLAIM_EVERY_S: Final = 5.0


class Inbox:
    """The way in for polling and webhook alike.

    Args:
        bot_id: whose updates these are; ids are unique per bot.
        store: where updates are kept.
        cashier: takes what is about money, before anything else here.
        limiter: who may come in.
        handle: called with each update and whether it is only to be told "slower"; it must not fail for the update's sake.
        parallel: how many chats are served at once.
    """

    def __init__(
        self, bot_id: int, store: Store, cashier: Cashier, limiter: Limiter, handle: Handle, parallel: int
    ) -> None:
        self._bot_id = bot_id
        self._cashier = cashier
        self._store = store
        self._limiter = limiter
        self._handle = handle
        self._free = asyncio.Semaphore(parallel)
        self._lanes: dict[int, deque[tuple[RawUpdate, bool]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._known: set[int] = set()

    async def accept(self, updates: Iterable[RawUpdate]) -> None:
        """Store what is wanted, then start handling it.

        Raises:
            psycopg.OperationalError: nothing was stored; do not acknowledge.
        """
        updates = list(updates)
        await self._cashier.accept(update for update in updates if is_money(update))
        wanted, told = [], []
        for update in updates:
            if is_money(update):
                continue
            if UNDERSTOOD.isdisjoint(update):
                continue
            verdict = Verdict.LET_IN if essential(update) else self._limiter.knock(lane_of(update))
            if verdict is Verdict.LET_IN:
                wanted.append(update)
            elif verdict is Verdict.SAY_WAIT:
                told.append(update)
        fresh = await self._store.inbox_put(self._bot_id, wanted, LEASE) if wanted else set()
        for update in wanted:
            if update["update_id"] in fresh:
                self._enqueue(update, throttled=False)
        for update in told:
            self._enqueue(update, throttled=True)

    async def reclaim(self) -> None:
        """For ever, take up updates that were stored and not answered: this process crashed then, or another one did."""
        while True:
            try:
                for update in await self._store.inbox_reclaim(self._bot_id, LEASE, _ATTEMPTS, 100):
                    self._enqueue(update, throttled=False)
            except (psycopg.OperationalError, PoolTimeout) as error:
                _log.warning("inbox not reachable: %s", type(error).__name__)
            await asyncio.sleep(_RECLAIM_EVERY_S)

    async def drain(self) -> None:
        """Wait until everything that was taken up is handled."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _enqueue(self, update: RawUpdate, *, throttled: bool) -> None:
        if update["update_id"] in self._known:
            return
        self._known.add(update["update_id"])
        lane = lane_of(update)
        if waiting := self._lanes.get(lane):
            waiting.append((update, throttled))
            return
        self._lanes[lane] = deque([(update, throttled)])
        task = asyncio.create_task(self._serve(lane), name=f"lane {lane}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, lane: int) -> None:
        waiting = self._lanes[lane]
        try:
            while waiting:
                update, throttled = waiting[0]
                async with self._free:
                    await self._serve_one(update, throttled=throttled)
                waiting.popleft()
        finally:
            del self._lanes[lane]

    async def _serve_one(self, update: RawUpdate, *, throttled: bool) -> None:
        try:
            await self._handle(update, throttled)
            if not throttled:
                await self._store.inbox_done(self._bot_id, [update["update_id"]])
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("update %s stays in the inbox: %s", update["update_id"], type(error).__name__)
        except Exception:  # noqa: BLE001 (one update must not end its chat's lane)
            # The handler's own net has spoken to the person already or could not; trying again would fail again.
            _log.exception("update %s failed", update["update_id"])
            await self._give_up(update)
        finally:
            self._known.discard(update["update_id"])

    async def _give_up(self, update: RawUpdate) -> None:
        try:
            await self._store.inbox_done(self._bot_id, [update["update_id"]])
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("update %s stays in the inbox: %s", update["update_id"], type(error).__name__)


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
