"""Chat state in Postgres, and the locks that keep two updates of a person apart over all replicas.

- `update_data` is one upsert: aiogram's default reads, merges and writes, and of fifty concurrent writers one survived.
- A lock is a session lock on a pool of its own: a handler waiting for a lock never holds a connection that the lock's owner
  needs, and nothing stays in a transaction while a handler works (C4).
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from aiogram.fsm.state import State
from aiogram.fsm.storage.base import BaseStorage, StateType, StorageKey
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


class AdvisoryLocks:
    """Named locks over `pool`, which serves nothing else and has a connection for every lock held at once.

    A lock lives with its connection, so a process that crashes holds none (C4).
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def hold(self, name: str, *, patient: bool) -> AsyncGenerator[bool, None]:
        """Hold a lock; the value says whether it is held, which it always is for the patient.

        Raises:
            psycopg.errors.LockNotAvailable: another replica has held it for too long.
        """
        key = {"key": name}
        async with self._pool.connection() as connection:
            held = await _acquire(connection, key, tries=_LOCK_TRIES if patient else 0)
            try:
                yield held
            finally:
                if held:
                    await connection.execute(query("bot.unlock"), key)


async def _acquire(connection: psycopg.AsyncConnection[dict[str, Any]], key: dict[str, str], *, tries: int) -> bool:
    for attempt in range(1, tries + 1):
        try:
            await connection.execute(query("bot.lock"), key)
        except psycopg.errors.LockNotAvailable:
            if attempt == tries:
                raise
        else:
            return True
    row = await (await connection.execute(query("bot.lead"), key)).fetchone()
    return bool(row and row["leads"])
