"""FSM state in Postgres, and the lock that keeps two updates of a chat apart."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiogram.fsm.storage.base import StorageKey

from bot.storage import AdvisoryLocks, PostgresStorage
from bot.store import Pool
from carousel_pipeline.database import async_pool

KEY = StorageKey(bot_id=1, chat_id=2, user_id=3)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with async_pool(database_url, "led_bot", max_size=4) as pool:
        yield pool


async def test_state_and_data_are_kept_apart(pool: Pool) -> None:
    storage = PostgresStorage(pool)
    assert await storage.get_state(KEY) is None
    assert await storage.get_data(KEY) == {}
    await storage.set_state(KEY, "waiting")
    await storage.set_data(KEY, {"a": 1})
    assert await storage.get_state(KEY) == "waiting"
    await storage.set_state(KEY, None)
    assert await storage.get_data(KEY) == {"a": 1}
    assert await storage.get_value(KEY, "a") == 1
    other = StorageKey(bot_id=1, chat_id=2, user_id=3, thread_id=7, business_connection_id="b", destiny="d")
    assert await storage.get_data(other) == {}
    await storage.close()


async def test_of_fifty_writers_at_once_every_one_counts(pool: Pool) -> None:
    storage = PostgresStorage(pool)
    await asyncio.gather(*(storage.update_data(KEY, {str(number): number}) for number in range(50)))
    assert len(await storage.get_data(KEY)) == 50


@pytest.mark.finding("C4")
async def test_a_chat_is_served_one_update_at_a_time_over_replicas(pool: Pool, database_url: str) -> None:
    inside = most = 0

    async def work(locks: AdvisoryLocks) -> None:
        nonlocal inside, most
        async with locks.hold("lane:1:2", patient=True):
            inside += 1
            most = max(most, inside)
            # What a handler does needs a connection of the other pool, never one of the locks'.
            async with pool.connection() as connection:
                await connection.execute(b"select pg_sleep(0.01)")
            inside -= 1

    async with (
        async_pool(database_url, "led_bot", max_size=3) as one,
        async_pool(database_url, "led_bot", max_size=3) as two,
    ):
        await asyncio.gather(*(work(AdvisoryLocks(locks)) for locks in (one, two) for _ in range(6)))
    assert most == 1


@pytest.mark.finding("C4")
async def test_a_crashing_handler_holds_no_lock(pool: Pool, database_url: str) -> None:
    async with async_pool(database_url, "led_bot", max_size=1) as locks:
        isolation = AdvisoryLocks(locks)
        for _ in range(2):
            with pytest.raises(RuntimeError):
                async with isolation.hold("lane:1:2", patient=True):
                    raise RuntimeError
        async with pool.connection() as connection:
            cursor = await connection.execute(
                b"select count(*) as n from pg_locks where locktype = 'advisory' and database ="
                b" (select oid from pg_database where datname = current_database())"
            )
            assert (await cursor.fetchone()) == {"n": 0}


@pytest.mark.finding("M21")
async def test_a_cancellation_that_comes_with_a_connection_is_not_lost(database_url: str) -> None:
    """Python 3.11's wait_for loses it; a bot that was told to stop then went on for ever. Every moment is tried."""
    async with async_pool(database_url, "led_bot", max_size=1) as pool:

        async def for_ever() -> None:
            while True:
                async with pool.connection():
                    await asyncio.sleep(0)
                await asyncio.sleep(60)

        for moment in range(40):
            async with pool.connection():
                task = asyncio.create_task(for_ever())
                await asyncio.sleep(0.002)
            for _ in range(moment):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task}, timeout=5)
            assert task.cancelled(), moment
