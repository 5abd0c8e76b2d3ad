"""Chat state in Postgres, and one update of a chat at a time over all replicas.

- `update_data` is one upsert: aiogram's default reads, merges and writes, and of fifty concurrent writers one survived.
- The lock that keeps two updates of a chat apart is a session lock on a pool of its own: a handler waiting for a lock never
  holds a connection that the lock's owner needs, and nothing stays in a transaction while a handler works (C4).
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from aiogram.fsm.state import State
from aiogram.fsm.storage.base import BaseEventIsolation, BaseStorage, StateType, StorageKey
from psycopg.types.json import Jsonb

from bot.store import Pool
from carousel_pipeline.database import query

_LOCK_TRIES: Final = 10


class PostgresStorage(BaseStorage):
    """FSM state and data in table `bot.fsm`, keyed by all six parts of `StorageKey`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def _run(self, name: str, key: StorageKey, **values: Any) -> dict[str, Any]:
        place = {
            "bot": key.bot_id,
            "chat": key.chat_id,
            "user": key.user_id,
            "thread": key.thread_id or 0,
            "business": key.business_connection_id or "",
            "destiny": key.destiny,
        }
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query(f"bot.{name}"), place | values)
            return (await cursor.fetchone() if cursor.description else None) or {}

    async def set_state(self, key: StorageKey, state: StateType = None) -> None:
        """Set the state and touch nothing else."""
        await self._run("fsm_set_state", key, state=state.state if isinstance(state, State) else state)

    async def get_state(self, key: StorageKey) -> str | None:
        """Return the state, None when there is none."""
        return (await self._run("fsm_get", key)).get("state")

    async def set_data(self, key: StorageKey, data: Mapping[str, Any]) -> None:
        """Replace the data and touch nothing else."""
        await self._run("fsm_set_data", key, data=Jsonb(dict(data)))

    async def get_data(self, key: StorageKey) -> dict[str, Any]:
        """Return the data, empty when there is none."""
        return dict((await self._run("fsm_get", key)).get("data") or {})

    async def update_data(self, key: StorageKey, data: Mapping[str, Any]) -> dict[str, Any]:
        """Merge `data` into what is there, in one statement, and return the result."""
        return dict((await self._run("fsm_update_data", key, data=Jsonb(dict(data))))["data"])

    async def close(self) -> None:
        """Do nothing: whoever opened the pool closes it."""


class AdvisoryLocks(BaseEventIsolation):
    """Event isolation over `pool`, which serves nothing else and has a connection for every update handled at once."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def lock(self, key: StorageKey) -> AsyncGenerator[None, None]:
        """Hold the chat's lock.

        Raises:
            psycopg.errors.LockNotAvailable: another replica has held it for too long; the update stays in the inbox.
        """
        name = {"key": f"bot:{key.bot_id}:{key.chat_id}:{key.user_id}:{key.thread_id or 0}"}
        async with self._pool.connection() as connection:
            await _acquire(connection, name)
            try:
                yield
            finally:
                await connection.execute(query("bot.unlock"), name)

    async def close(self) -> None:
        """Do nothing: whoever opened the pool closes it."""


async def _acquire(connection: psycopg.AsyncConnection[dict[str, Any]], name: dict[str, str]) -> None:
    for attempt in range(_LOCK_TRIES):
        try:
            await connection.execute(query("bot.lock"), name)
        except psycopg.errors.LockNotAvailable:
            if attempt == _LOCK_TRIES - 1:
                raise
        else:
            return
