"""One connection that hears what the database announces, so nobody has to ask every moment.

A notification is a hint, never the only way to learn something: everybody who gets hints also looks by themselves now and then.
After a lost connection everybody is told to look, for what was announced meanwhile was not heard.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

import psycopg

from carousel_pipeline.database import async_connect, query

_log = logging.getLogger(__name__)
_AGAIN_S: Final = 2.0
_ALIVE_S: Final = 30.0


async def listen(url: str, hear: Mapping[str, Callable[[str], None]]) -> None:
    """Call `hear[channel](payload)` for every notification, for ever; an empty payload means "look for yourself"."""
    while True:
        try:
            async with await async_connect(url, "led_bot") as connection:
                for channel in hear:
                    await connection.execute(query(f"bot.listen_{channel}"))
                for look in hear.values():
                    look("")
                while True:
                    async for notice in connection.notifies(timeout=_ALIVE_S):
                        hear[notice.channel](notice.payload)
                    await connection.execute(query("bot.alive"))
        except (psycopg.OperationalError, OSError) as error:
            _log.warning("not listening: %s", type(error).__name__)
        await asyncio.sleep(_AGAIN_S)
