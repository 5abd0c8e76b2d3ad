"""One text to many people: slowly, once each, going on after a restart, stopped at a word.

What stays true: a person is marked before the message leaves, so nobody hears it twice; what a crash caught in between is in
doubt and stays so. One replica tells at a time: it leads while it holds the lock. Half of Telegram's budget is left to those who
are in the middle of a conversation.
"""

import asyncio
import logging
from typing import Any, Final

import aiohttp
import psycopg
from aiogram import Bot
from aiogram.exceptions import (
    AiogramError,
    ClientDecodeError,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from psycopg_pool import PoolTimeout

from bot.house import views
from bot.house.models import BroadcastFigures, Recipient
from bot.stage import Stage
from bot.storage import AdvisoryLocks
from bot.store import Pool, Store
from bot.texts import texts
from bot.worker import heard
from carousel_pipeline.database import query

_log = logging.getLogger(__name__)
_A_SECOND: Final = 12
_SHOW_EVERY: Final = 3
_LOOK_AGAIN_S: Final = 5.0


class Broadcaster:
    """Tells the running broadcast.

    Args:
        bot: who tells.
        store: notes who blocked the bot.
        stage: shows the operator how far it is.
        pool: connections of role led_bot.
        locks: whoever holds the one named for this leads.
        round_s: seconds for each dozen people.
    """

    def __init__(
        self, bot: Bot, store: Store, stage: Stage, pool: Pool, locks: AdvisoryLocks, round_s: float = 1.0
    ) -> None:
        self._bot = bot
        self._store = store
        self._stage = stage
        self._pool = pool
        self._locks = locks
        self._round_s = round_s
        self._news = asyncio.Event()
        self._telling: set[asyncio.Task[None]] = set()

    def hint(self) -> None:
        """Hear that a broadcast begins."""
        self._news.set()

    async def run(self) -> None:
        """Tell whatever is to be told, for ever."""
        while True:
            self._news.clear()
            try:
                async with self._locks.hold("house:broadcast", patient=False) as leads:
                    if leads:
                        await self._tell_all()
            except (psycopg.OperationalError, PoolTimeout) as error:
                _log.warning("broadcasts wait: %s", type(error).__name__)
            await heard(self._news, _LOOK_AGAIN_S)

    async def drain(self) -> None:
        """Wait for those who are being told right now."""
        await asyncio.gather(*self._telling, return_exceptions=True)

    async def _tell_all(self) -> None:
        loop = asyncio.get_running_loop()
        rounds = 0
        while True:
            begin = loop.time()
            people = [Recipient.model_validate(row) for row in await self._rows("take", limit=_A_SECOND)]
            self._telling = {asyncio.create_task(self._tell(one), name="broadcast") for one in people}
            if self._telling:
                # Who was taken is told even when the process is asked to stop in this very moment.
                await asyncio.shield(asyncio.gather(*self._telling))
            looked = [BroadcastFigures.of(row) for row in await self._rows("look")]
            if looked and (rounds % _SHOW_EVERY == 0 or looked[0].state == "done"):
                await self._show(looked[0])
            if not people:
                return
            rounds += 1
            await asyncio.sleep(max(0.0, begin + self._round_s - loop.time()))

    async def _tell(self, one: Recipient) -> None:
        state = "sent"
        try:
            await self._bot.send_message(one.tg_user_id, one.body)
        except TelegramForbiddenError:
            state = "blocked"
        except TelegramRetryAfter:
            state = "waiting"
        except (TelegramNetworkError, TelegramServerError, ClientDecodeError) as error:
            state = "waiting" if isinstance(error.__cause__, aiohttp.ClientConnectorError) else "in_doubt"
        except AiogramError as error:
            _log.info("somebody could not be told: %s", type(error).__name__)
            state = "failed"
        try:
            await self._rows("mark", id=one.broadcast_id, user=one.user_id, state=state)
            if state == "blocked":
                await self._store.set_blocked(one.user_id, blocked=True)
        except (psycopg.OperationalError, PoolTimeout) as error:
            # The row stays as it was before the message left: in doubt.
            _log.warning("not noted who was told: %s", type(error).__name__)

    async def _show(self, figures: BroadcastFigures) -> None:
        if figures.chat_id is None or figures.message_id is None:
            return
        try:
            screen = views.telling(texts(figures.locale or ""), figures)
            await self._stage.edit(figures.chat_id, figures.message_id, screen)
        except AiogramError as error:
            _log.info("the operator was not shown how far it is: %s", type(error).__name__)

    async def _rows(self, name: str, **values: Any) -> list[dict[str, Any]]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query(f"house.{name}"), values)
            return await cursor.fetchall()
