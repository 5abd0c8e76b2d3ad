"""The clock that settles what Dagster could not: requests past their deadline get their credits back while Dagster is down.

One replica sweeps at a time: it leads while its connection holds the lock, so a crashed leader is replaced at the next tick.
A request that cannot be settled never keeps the others waiting: it is named in the log and tried again at the next tick.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

import psycopg
from psycopg_pool import PoolTimeout

from bot.store import Pool, Store
from carousel_pipeline.database import query

_log = logging.getLogger(__name__)
_EVERY_S: Final = 10.0
_LOCK: Final = MappingProxyType({"key": "bot:sweeper"})
_PAGE: Final = 200
_OUTLINE_AGE: Final = timedelta(minutes=3)
_FORGET_EVERY: Final = 360


async def sweep_for_ever(pool: Pool, store: Store, every_s: float = _EVERY_S) -> None:
    """Settle what is overdue, again and again, whenever no other replica is doing it.

    Args:
        pool: where the connection that holds the leader's lock comes from.
        store: the sweep functions.
        every_s: seconds between two looks.
    """
    for tick in itertools.count():
        try:
            async with _leading(pool) as leads:
                if leads:
                    await sweep(store)
                    if tick % _FORGET_EVERY == 0:
                        await store.inbox_forget()
        except (psycopg.Error, PoolTimeout) as error:
            _log.warning("not swept: %s", type(error).__name__)
        await asyncio.sleep(every_s)


@asynccontextmanager
async def _leading(pool: Pool) -> AsyncIterator[bool]:
    async with pool.connection() as connection:
        row = await (await connection.execute(query("bot.lead"), _LOCK)).fetchone()
        leads = bool(row and row["leads"])
        try:
            yield leads
        finally:
            if leads:
                await connection.execute(query("bot.unlock"), _LOCK)


async def sweep(store: Store) -> None:
    """Settle what is overdue now."""
    after: UUID | None = None
    while page := await store.due(_PAGE, after):
        for request in page:
            await _settle(store, request)
        after = page[-1]
    if failed := await store.fail_stale_outlines(_OUTLINE_AGE):
        _log.info("%s outlines took too long", failed)


async def _settle(store: Store, request: UUID) -> None:
    try:
        verdict = await store.settle_due(request)
    except PoolTimeout:  # not about this request: the database is away
        raise
    except psycopg.Error as error:
        _log.error("overdue request %s is not settled: %s", request, error.sqlstate or type(error).__name__)
    else:
        _log.info("overdue request %s: %s", request, verdict)
