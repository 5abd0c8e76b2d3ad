"""The Telegram album: one photo goes as a photo, two to ten as a media group with one caption on the first item (C13).

What Telegram has already is sent by its file id. What it refuses in one form is tried in the next: the bytes instead of the id,
the pictures encoded lighter, and at last as files, which take five times as much; never the same bytes twice.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.exceptions import AiogramError
from aiogram.methods import Response, SendDocument, SendMediaGroup, SendPhoto
from aiogram.types import BufferedInputFile, InputMediaDocument, InputMediaPhoto, Message

from carousel_pipeline.delivery.outcome import Arrived, Outcome, Refused, Unknown, WaitAndResend, read_failure
from carousel_pipeline.errors import CarouselError
from carousel_pipeline.lean import build

SEND_TIMEOUT_S = 60.0
PATIENCE_S = 180.0

Form = Literal["known", "photo", "lighter", "document"]
_NEXT: Final[Mapping[tuple[Form, str], Form]] = MappingProxyType(
    {
        ("known", "unknown_file"): "photo",
        ("known", "too_large"): "lighter",
        ("photo", "too_large"): "lighter",
        ("lighter", "too_large"): "document",
    }
)


@dataclass(frozen=True, slots=True)
class Page:
    """One slide to send.

    Attributes:
        read: returns the JPEG; asked only when the bytes are sent.
        file_id: Telegram's id of the same picture, sent as a photo before.
    """

    read: Callable[[], bytes]
    file_id: str | None = None


def telegram_bot(token: str, api_url: str | None) -> Bot:
    """Return a Telegram client for `api_url`, or for api.telegram.org; close its session when done (M21)."""
    api = PRODUCTION if api_url is None else TelegramAPIServer.from_base(api_url)
    return Bot(token, session=AiohttpSession(api=api, timeout=SEND_TIMEOUT_S))


@functools.cache
def warm() -> tuple[type, ...]:
    """Build the types that an album is sent and answered with, and keep those of answers, which pydantic would forget."""
    methods = (SendMediaGroup, SendPhoto, SendDocument)
    answers = tuple(Response[method.__returning__] for method in methods)  # type: ignore[name-defined]  # known at run time
    # The answers are made of messages: built first, and once.
    build((Message, InputMediaPhoto, InputMediaDocument, *methods, *answers))
    return answers


async def send_album(
    bot: Bot,
    chat_id: int,
    pages: Sequence[Page],
    caption: str,
    *,
    may_send: Callable[[], bool],
    patience_s: float = PATIENCE_S,
) -> Outcome:
    """Send `pages` to a chat until they arrived, were refused in every form, are in doubt, or `patience_s` is used up.

    Args:
        bot: an open client.
        chat_id: where to.
        pages: one to ten slides.
        caption: plain text of at most 1,024 characters, shown under the album; may be empty.
        may_send: asked before every attempt, so that a fenced-off run stops sending.
        patience_s: how long certain non-deliveries are tried again.
    """
    give_up_at = time.monotonic() + patience_s
    form: Form = "known" if any(page.file_id for page in pages) else "photo"
    while True:
        if not may_send():
            return Refused("fenced")
        outcome = await _attempt(bot, chat_id, pages, caption, form)
        if isinstance(outcome, Refused) and (form, outcome.reason) in _NEXT:
            form = _NEXT[form, outcome.reason]
            continue
        if not isinstance(outcome, WaitAndResend):
            return outcome
        if time.monotonic() + outcome.seconds > give_up_at:
            return Refused(outcome.reason)
        await asyncio.sleep(outcome.seconds)


async def _attempt(bot: Bot, chat_id: int, pages: Sequence[Page], caption: str, form: Form) -> Outcome:
    try:
        files = [_file(page, number, form) for number, page in enumerate(pages, 1)]
    except CarouselError:
        # Nothing has left yet, so this is certain.
        return Refused("not_stored")
    item = InputMediaDocument if form == "document" else InputMediaPhoto
    try:
        if len(files) > 1:
            media = [
                item(media=file, caption=caption or None if number == 0 else None, parse_mode=None)
                for number, file in enumerate(files)
            ]
            messages = await bot.send_media_group(chat_id, list(media))
        elif form == "document":
            messages = [await bot.send_document(chat_id, files[0], caption=caption or None, parse_mode=None)]
        else:
            messages = [await bot.send_photo(chat_id, files[0], caption=caption or None, parse_mode=None)]
    except AiogramError as error:
        return read_failure(error)
    return _arrived(messages, len(files))


def _file(page: Page, number: int, form: Form) -> BufferedInputFile | str:
    if form == "known" and page.file_id:
        return page.file_id
    data = page.read()
    if form == "lighter":
        from carousel_pipeline.delivery.package import lighter  # noqa: PLC0415 - Pillow: only for what was refused

        data = lighter(data)
    return BufferedInputFile(data, filename=f"{number:02}.jpg")


def _arrived(messages: Sequence[Message], expected: int) -> Outcome:
    """A 200 with fewer messages than slides is not an arrival; it has not been seen, but C3 was believing a 200."""
    photos = [message.photo[-1].file_id for message in messages if message.photo]
    documents = [message.document.file_id for message in messages if message.document]
    if expected not in {len(photos), len(documents)}:
        return Unknown("incomplete_answer")
    ids = tuple(message.message_id for message in messages)
    return Arrived(ids, tuple(photos), "photo") if photos else Arrived(ids, tuple(documents), "document")
