"""The operators' room put together: what the rest of the bot needs of it, and nothing more."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import psycopg
from aiogram import Bot

from bot.house.books import House
from bot.house.broadcast import Broadcaster
from bot.stage import Stage
from bot.storage import AdvisoryLocks
from bot.store import Pool, Store
from carousel_pipeline.database import async_connect, async_pool
from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.settings import Settings

_CONNECTIONS = 2
_GRAPHQL = "/graphql"


@dataclass(frozen=True, slots=True)
class Room:
    """An open operators' room.

    Attributes:
        house: what operators may ask and do.
        broadcaster: tells everybody; goes on after a restart, whoever is an operator then.
    """

    house: House
    broadcaster: Broadcaster


@asynccontextmanager
async def open_house(
    bot: Bot, settings: Settings, store: Store, stage: Stage, pool: Pool, locks: AdvisoryLocks
) -> AsyncIterator[Room]:
    """Open the room; without operators no connection of their role is ever made.

    Raises:
        ConfigurationError: there are operators, and the database's login may not act for them.
    """
    database = settings.database_url.get_secret_value() if settings.database_url else ""
    operators = async_pool(database, "led_house", max_size=_CONNECTIONS)
    async with AsyncExitStack() as stack:
        if settings.admin_ids:
            await _check_role(database)
            await stack.enter_async_context(operators)
        dagster = (settings.dagster_graphql_url or "").removesuffix(_GRAPHQL)
        yield Room(House(settings.admin_ids, operators, dagster), Broadcaster(bot, store, stage, pool, locks))


async def _check_role(database: str) -> None:
    try:
        await (await async_connect(database, "led_house")).close()
    except psycopg.OperationalError as error:
        if "role" in str(error):
            raise ConfigurationError(
                "CAROUSEL_ADMIN_IDS is set, but the login of DATABASE_URL may not become led_house: grant it that role"
            ) from None
