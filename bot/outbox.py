"""Work that was promised in a transaction and is done after it: runs to start, people to tell.

The database writes a row in the transaction that makes it true; this worker does it at least once. Each kind of work is written
so that a second time changes nothing a person would notice. What fails waits longer and longer; what fails for good is a dead
letter for the operator. A flood wait in one chat holds up nobody else: rows are worked on side by side.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import psycopg
from aiogram.exceptions import AiogramError, TelegramRetryAfter
from psycopg_pool import PoolTimeout

from bot.errors import postpone
from bot.logs import about
from bot.models import OutboxItem
from bot.store import Store
from bot.worker import Worker
from carousel_pipeline.errors import TransientError

_log = logging.getLogger(__name__)
Work = Callable[[OutboxItem], Awaitable[None]]

_ATTEMPTS: Final = 12


class Outbox:
    """A worker for some topics.

    Args:
        store: where the rows are.
        works: what to do for each topic.
        lease: longest time one piece of work may take before somebody else does it.
        parallel: how many rows at once.
    """

    def __init__(self, store: Store, works: Mapping[str, Work], *, lease: timedelta, parallel: int) -> None:
        self._store = store
        self._works = MappingProxyType(dict(works))
        self._lease = lease
        self._worker = Worker("outbox", self._claim, self._do, parallel=parallel)

    def hint(self, topic: str) -> None:
        """Hear that a row of `topic` was written; an empty one means that any may have been."""
        if not topic or topic in self._works:
            self._worker.hint()

    async def run(self) -> None:
        """Work for ever."""
        await self._worker.run()

    async def drain(self) -> None:
        """Wait for what was begun."""
        await self._worker.drain()

    async def _claim(self, limit: int) -> list[OutboxItem]:
        return await self._store.outbox_claim(list(self._works), limit, self._lease)

    async def _do(self, item: OutboxItem) -> None:
        with about("request", item.payload.get("request_id", "none")):
            await self._do_and_report(item)

    async def _do_and_report(self, item: OutboxItem) -> None:
        try:
            await self._works[item.topic](item)
            await self._store.outbox_done(item.id)
        except (psycopg.OperationalError, PoolTimeout) as error:
            # The row comes back by itself when its lease is over.
            _log.warning("outbox %s (%s): %s", item.id, item.topic, type(error).__name__)
        except (TransientError, AiogramError) as error:
            _log.warning("outbox %s (%s), try %s: %s", item.id, item.topic, item.attempts, type(error).__name__)
            await self._give_back(item, error)
        except Exception as error:  # noqa: BLE001 (one row must not end the worker)
            _log.exception("outbox %s (%s), try %s", item.id, item.topic, item.attempts)
            await self._give_back(item, error)

    async def _give_back(self, item: OutboxItem, error: Exception) -> None:
        retry_in = postpone(item.attempts)
        if isinstance(error, TelegramRetryAfter):
            retry_in = max(retry_in, timedelta(seconds=error.retry_after))
        try:
            await self._store.outbox_failed(item.id, type(error).__name__, retry_in, _ATTEMPTS)
        except (psycopg.OperationalError, PoolTimeout) as lost:
            _log.warning("outbox %s (%s): %s", item.id, item.topic, type(lost).__name__)
