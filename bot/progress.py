"""One progress message per running carousel, edited as the work goes on.

Notifications are only a hint to look: what is shown comes from the database, at most once in two seconds per chat, and never
while something else waits to be said there. So a hundred reports in a second are one edit, and edits never queue up.
"""

import asyncio
import logging
from time import monotonic
from typing import Final
from uuid import UUID

import psycopg
from aiogram.exceptions import AiogramError
from psycopg_pool import PoolTimeout

from bot.models import Card
from bot.sender import Sender
from bot.stage import Stage
from bot.store import Store
from bot.texts import texts
from bot.views import Screen, progress

_log = logging.getLogger(__name__)
_SHORTEST_S: Final = 2.0
_LOOK_AGAIN_S: Final = 5.0


class Board:
    """Follows running requests until they end."""

    def __init__(self, store: Store, stage: Stage, sender: Sender) -> None:
        self._store = store
        self._stage = stage
        self._sender = sender
        self._followed: dict[UUID, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._edited: dict[int, float] = {}

    def follow(self, request: UUID) -> None:
        """Show a request's progress from now on."""
        if request not in self._followed:
            news = asyncio.Event()
            task = asyncio.create_task(self._follow(request, news), name=f"progress {request}")
            self._followed[request] = (task, news)
            task.add_done_callback(lambda _: self._followed.pop(request, None))

    def hint(self, payload: str) -> None:
        """Hear that something happened to the request named in a notification."""
        try:
            followed = self._followed.get(UUID(payload))
        except ValueError:
            return
        if followed:
            followed[1].set()

    async def resume(self) -> None:
        """Follow what an earlier process was following."""
        for request in await self._store.running_requests():
            self.follow(request)

    async def drain(self) -> None:
        """Stop following."""
        tasks = [task for task, _ in self._followed.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, request: UUID, news: asyncio.Event) -> None:
        shown: Screen | None = None
        while True:
            news.clear()
            try:
                card = await self._store.card(request)
                if card is None or not card.running:
                    return
                screen = await self._screen(card)
                if screen != shown and not self._sender.busy(card.chat_id):
                    await self._pace(card.chat_id)
                    card = await self._store.card(request)
                    if card is None or not card.running or card.progress_message is None:
                        return
                    screen = await self._screen(card)
                    # Never sent anew: the message is taken away when the album arrives, perhaps at this very moment.
                    if not await self._stage.edit(card.chat_id, card.progress_message, screen):
                        return
                    shown = screen
            except (psycopg.OperationalError, PoolTimeout, AiogramError) as error:
                _log.info("progress not shown: %s", type(error).__name__)
            await _either(news, _LOOK_AGAIN_S)

    async def _screen(self, card: Card) -> Screen:
        return progress(texts(card.locale or ""), card, await self._store.queue(card.id))

    async def _pace(self, chat: int) -> None:
        wait = self._edited.get(chat, 0.0) + _SHORTEST_S - monotonic()
        self._edited[chat] = monotonic() + max(0.0, wait)
        await asyncio.sleep(max(0.0, wait))
        if len(self._edited) > 2 * len(self._followed) + 100:
            horizon = monotonic() - _SHORTEST_S
            self._edited = {chat: at for chat, at in self._edited.items() if at > horizon}


async def _either(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return
