"""A delivered carousel once more, as documents, PDF or ZIP: the stored bytes under good names, uploaded once.

An upload takes seconds, so it is not waited for by the update that asked for it; a second tap meanwhile is the same sending.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final
from uuid import UUID

import psycopg
from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramBadRequest, TelegramForbiddenError
from aiogram.types import BufferedInputFile, InputMediaDocument, Message
from psycopg_pool import PoolTimeout

from bot.library import FileRole, Library
from bot.models import Card, StoredSlide
from bot.store import Store
from bot.texts import texts
from bot.views import words
from carousel_pipeline.artifacts import ArtifactStore, content_key
from carousel_pipeline.artifacts.store import ArtifactMissingError

_log = logging.getLogger(__name__)
_SUFFIXES: Final = MappingProxyType({"image/jpeg": "jpg", "image/png": "png"})
_LONGEST_SLUG: Final = 40


class FileSender:
    """Sends stored slides as files.

    Args:
        bot: who sends.
        store: who blocked the bot.
        library: which files, and what Telegram has of them already.
        artifacts: where the bytes are; it may block, so it is asked in a thread.
    """

    def __init__(self, bot: Bot, store: Store, library: Library, artifacts: ArtifactStore) -> None:
        self._bot = bot
        self._store = store
        self._library = library
        self._artifacts = artifacts
        self._sending: dict[tuple[UUID, FileRole], asyncio.Task[None]] = {}

    def send_soon(self, card: Card, role: FileRole) -> None:
        """Send a carousel's files, unless that is being done."""
        what = (card.id, role)
        if what not in self._sending:
            task = asyncio.create_task(self._send_or_say(card, role), name=f"{role} {card.id}")
            self._sending[what] = task
            task.add_done_callback(lambda _: self._sending.pop(what, None))

    async def keep(self, data: bytes, extension: str, content_type: str) -> str:
        """Store something that a person sent and return its key."""
        key = content_key(data, extension)
        await asyncio.to_thread(self._artifacts.put, key, data, content_type=content_type)
        return key

    async def drain(self) -> None:
        """Wait for what is being sent."""
        await asyncio.gather(*self._sending.values(), return_exceptions=True)

    async def _send_or_say(self, card: Card, role: FileRole) -> None:
        t = texts(card.locale or "")
        try:
            if not await self.send(card, role):
                await self._bot.send_message(card.chat_id, t("files.gone"))
        except TelegramForbiddenError:
            await self._store.set_blocked(card.user_id, blocked=True)
        except (AiogramError, psycopg.Error, PoolTimeout) as error:
            _log.warning("files not sent: %s", type(error).__name__)
            await self._bot.send_message(card.chat_id, t("files.failed"))

    async def send(self, card: Card, role: FileRole) -> bool:
        """Send a carousel's slides as documents, or its PDF or ZIP; False when it is not stored (any more)."""
        slides = await self._library.files(card.id, role)
        if not slides:
            return False
        if known := [slide.file_id for slide in slides if slide.file_id]:
            try:
                if len(known) == len(slides):
                    await self._send(card.chat_id, known)
                    return True
            except TelegramBadRequest:
                await self._library.files_drop(card.id, role)
        try:
            files = [
                BufferedInputFile(await asyncio.to_thread(self._artifacts.get, slide.key), file_name(card, slide, role))
                for slide in slides
            ]
        except ArtifactMissingError:
            return False
        sent = await self._send(card.chat_id, files)
        documents = [message.document.file_id for message in sent if message.document]
        if len(documents) == len(slides):
            positions = [slide.position for slide in slides]
            await self._library.files_put(card.id, role, list(zip(positions, documents, strict=True)))
        return True

    async def _send(self, chat: int, files: Sequence[str | BufferedInputFile]) -> list[Message]:
        if len(files) == 1:
            return [await self._bot.send_document(chat, files[0])]
        return await self._bot.send_media_group(chat, [InputMediaDocument(media=file) for file in files])


def file_name(card: Card, slide: StoredSlide, role: FileRole = "slide") -> str:
    """Return a name that sorts and tells: `01_five-habits.jpg`, `five-habits.pdf`."""
    heading = ""
    if card.deck is not None and slide.position <= len(card.deck.slides):
        heading = words(card.deck.slides[slide.position - 1].heading, 200)
    slug = "-".join(re.findall(r"\w+", heading.casefold()))[:_LONGEST_SLUG].strip("-_") or "slide"
    if role != "slide":
        return f"{slug}.{role}"
    return f"{slide.position:02}_{slug}.{_SUFFIXES.get(slide.content_type, 'bin')}"
