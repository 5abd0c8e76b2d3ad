"""Several messages within a short pause are one text: Telegram cuts long texts, people forward threads.

What was collected lies in Postgres, so a restart in the middle of the pause loses nothing. The request's key is the first
message, so collecting the same messages twice opens one request.
"""

import asyncio
import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from aiogram.exceptions import AiogramError, TelegramForbiddenError
from aiogram.fsm.storage.base import BaseStorage, StorageKey
from psycopg_pool import PoolTimeout
from pydantic import ValidationError

from bot.library import Library
from bot.refusals import refusal
from bot.stage import Stage
from bot.store import Store
from bot.styles import Styles
from bot.texts import Texts, texts
from bot.views import WRITER, Screen, busy, source_refusal
from carousel_pipeline.requests import Options, SourceError, clean_source

_log = logging.getLogger(__name__)
PREFERENCES: Final = ("style", "ratio", "slides")
_HOLD_S: Final = 30.0
_RETRY_S: Final = 3.0
_CUT_BY_TELEGRAM: Final = 3_500


class Collector:
    """Joins texts and opens requests.

    Args:
        bot_id: for the key of the chat's state.
        store: where texts wait.
        library: whether the writer is away.
        stage: says what happens.
        storage: the person's last choices.
        styles: a preferred style that no longer exists is not used.
        pause_s: how long to wait for another message.
    """

    def __init__(
        self,
        bot_id: int,
        store: Store,
        library: Library,
        stage: Stage,
        storage: BaseStorage,
        styles: Styles,
        pause_s: float,
    ) -> None:
        self._bot_id = bot_id
        self._store = store
        self._library = library
        self._stage = stage
        self._storage = storage
        self._styles = styles
        self._pause_s = pause_s
        self._timers: dict[int, asyncio.Task[None]] = {}
        self._at_work: set[asyncio.Task[None]] = set()
        self._placeholders: dict[int, int] = {}
        self._taken: set[int] = set()

    async def add(self, chat: int, message: int, tg: int, body: str) -> None:
        """Take one message; the pause starts anew."""
        await self._store.draft_put(chat, message, tg, body)
        self._wait(chat, self._pause_s)

    @contextmanager
    def holding(self, chat: int) -> Iterator[None]:
        """Put the pause off while more is coming, such as a file that is being downloaded."""
        if chat in self._timers:
            self._wait(chat, _HOLD_S)
        try:
            yield
        finally:
            if chat in self._timers:
                self._wait(chat, self._pause_s)

    async def edit(self, chat: int, message: int, body: str) -> bool:
        """Replace the text of a message that still waits; False when its pause is over and it is being made a source."""
        return chat not in self._taken and await self._store.draft_edit(chat, message, body)

    async def forget(self, chat: int) -> bool:
        """Drop what waits in a chat; False when nothing does."""
        if timer := self._timers.pop(chat, None):
            timer.cancel()
        drafts = await self._store.draft_take(chat)
        await self._store.draft_drop(chat, [draft.message_id for draft in drafts])
        return bool(drafts)

    async def resume(self) -> None:
        """Take up what an earlier process was collecting."""
        for chat in await self._store.draft_chats():
            self._wait(chat, self._pause_s)

    async def drain(self) -> None:
        """Stop waiting, finish what has begun; what was collected stays stored."""
        timers = list(self._timers.values())
        for timer in timers:
            timer.cancel()
        await asyncio.gather(*timers, *self._at_work, return_exceptions=True)

    def _wait(self, chat: int, seconds: float) -> None:
        if timer := self._timers.get(chat):
            timer.cancel()
        self._timers[chat] = asyncio.create_task(self._after(chat, seconds), name=f"collect {chat}")

    async def _after(self, chat: int, seconds: float) -> None:
        await asyncio.sleep(seconds)
        # From here on a new message starts a timer of its own instead of cutting this one off in the middle.
        task = self._timers.pop(chat)
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)
        self._taken.add(chat)
        try:
            await self._flush(chat)
        except TelegramForbiddenError:
            await self.forget(chat)
        except (psycopg.OperationalError, PoolTimeout, AiogramError) as error:
            _log.warning("a collected text waits %.0f s more: %s", _RETRY_S, type(error).__name__)
            if chat not in self._timers:
                self._wait(chat, _RETRY_S)
        finally:
            self._taken.discard(chat)

    async def _flush(self, chat: int) -> None:
        drafts = await self._store.draft_take(chat)
        if not drafts:
            return
        tg = drafts[0].tg_user_id
        t = texts((await self._store.meet(tg, "en")).locale)
        try:
            source = clean_source(join_texts([draft.body for draft in drafts]))
        except SourceError as error:
            await self._stage.say(chat, Screen(source_refusal(t, error)))
        else:
            if away := busy(t, await self._library.closed_providers(), WRITER):
                await self._stage.say(chat, Screen(away))
            else:
                await self._open(t, chat, tg, f"tg:{chat}:{drafts[0].message_id}", source)
        await self._store.draft_drop(chat, [draft.message_id for draft in drafts])

    async def _open(self, t: Texts, chat: int, tg: int, key: str, source: str) -> None:
        if chat not in self._placeholders:
            self._placeholders[chat] = await self._stage.say(chat, Screen(t("outline.writing")))
        message = self._placeholders[chat]
        options = await self._preferred(chat, tg)
        try:
            opened = await self._store.open_request(tg, chat, key, source, options, message)
        except psycopg.Error as error:
            if (told := refusal(t, error)) is None:
                raise
            await self._stage.edit(chat, message, Screen(told))
        else:
            if not opened.created:
                await self._stage.erase(chat, message)
        del self._placeholders[chat]

    async def _preferred(self, chat: int, tg: int) -> Options:
        key = StorageKey(bot_id=self._bot_id, chat_id=chat, user_id=tg)
        data = await self._storage.get_data(key)
        chosen = {name: data[name] for name in PREFERENCES if name in data}
        if chosen.get("style") not in self._styles:
            chosen.pop("style", None)
        try:
            return Options.model_validate(chosen)
        except ValidationError:
            return Options()


def join_texts(bodies: list[str]) -> str:
    """Return one text; what Telegram cut is put together without a seam, separate messages become paragraphs."""
    joined = bodies[0]
    for before, body in itertools.pairwise(bodies):
        cut = len(before) >= _CUT_BY_TELEGRAM and not before.rstrip().endswith((".", "!", "?", "…"))
        joined += (" " if cut else "\n\n") + body
    return joined
