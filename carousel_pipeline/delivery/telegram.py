"""The Telegram album: one photo goes as a photo, two to ten as a media group with one caption on the first item (C13)."""

import asyncio
import time
from collections.abc import Callable, Sequence

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.exceptions import AiogramError
from aiogram.types import BufferedInputFile, InputMediaPhoto, Message

from carousel_pipeline.delivery.outcome import Arrived, Outcome, Refused, Unknown, WaitAndResend, read_failure

SEND_TIMEOUT_S = 60.0
PATIENCE_S = 180.0


def telegram_bot(token: str, api_url: str | None) -> Bot:
    """Return a Telegram client for `api_url`, or for api.telegram.org; close its session when done (M21)."""
    api = PRODUCTION if api_url is None else TelegramAPIServer.from_base(api_url)
    return Bot(token, session=AiohttpSession(api=api, timeout=SEND_TIMEOUT_S))


async def send_album(
    bot: Bot,
    chat_id: int,
    slides: Sequence[bytes],
    caption: str,
    *,
    may_send: Callable[[], bool],
    patience_s: float = PATIENCE_S,
) -> Outcome:
    """Send `slides` (JPEG) to a chat until they arrived, were refused, are in doubt, or `patience_s` is used up.

    Args:
        bot: an open client.
        chat_id: where to.
        slides: one to ten JPEGs.
        caption: plain text of at most 1,024 characters, shown under the album; may be empty.
        may_send: asked before every attempt, so that a fenced-off run stops sending.
        patience_s: how long certain non-deliveries are tried again.
    """
    give_up_at = time.monotonic() + patience_s
    while True:
        if not may_send():
            return Refused("fenced")
        outcome = await _attempt(bot, chat_id, slides, caption)
        if not isinstance(outcome, WaitAndResend):
            return outcome
        if time.monotonic() + outcome.seconds > give_up_at:
            return Refused(outcome.reason)
        await asyncio.sleep(outcome.seconds)


async def _attempt(bot: Bot, chat_id: int, slides: Sequence[bytes], caption: str) -> Outcome:
    files = [BufferedInputFile(data, filename=f"{number:02}.jpg") for number, data in enumerate(slides, 1)]
    try:
        if len(files) == 1:
            messages = [await bot.send_photo(chat_id, files[0], caption=caption or None, parse_mode=None)]
        else:
            media = [
                InputMediaPhoto(media=file, caption=caption or None if number == 0 else None, parse_mode=None)
                for number, file in enumerate(files)
            ]
            messages = await bot.send_media_group(chat_id, list(media))
    except AiogramError as error:
        return read_failure(error)
    return _arrived(messages, len(files))


def _arrived(messages: Sequence[Message], expected: int) -> Outcome:
    """A 200 with fewer messages than slides is not an arrival; it has not been seen, but C3 was believing a 200."""
    files = [message.photo[-1].file_id for message in messages if message.photo]
    if len(files) != expected:
        return Unknown("incomplete_answer")
    return Arrived(tuple(message.message_id for message in messages), tuple(files))
