"""Pictures that the bot ships: how a style looks, and one example album. Uploaded once in a process's life, then known by id."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import FSInputFile, InlineKeyboardMarkup, InputMediaPhoto, Message

from bot.texts import Html
from carousel_pipeline.paths import resource

NOBODY: Final = UUID(int=0)
"""The id of nothing, for a gallery that belongs to no request."""


class Gallery:
    """Sends pictures from `assets_static`.

    Args:
        bot: who sends.
    """

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._known: dict[Path, str] = {}

    async def show_style(
        self, chat: int, style: str, locale: str, caption: Html, keyboard: InlineKeyboardMarkup
    ) -> None:
        """Send a style's picture; one without a picture is described by its words alone."""
        picture = _preview(style, locale)
        if picture is None:
            await self._bot.send_message(chat, caption, reply_markup=keyboard)
            return
        sent = await self._bot.send_photo(chat, self._file(picture), caption=caption, reply_markup=keyboard)
        self._learn([picture], [sent])

    async def turn(
        self, chat: int, message: int, style: str, locale: str, caption: Html, keyboard: InlineKeyboardMarkup
    ) -> None:
        """Show another style in the same message."""
        picture = _preview(style, locale)
        if picture is None:
            return
        media = InputMediaPhoto(media=self._file(picture), caption=caption)
        sent = await self._bot.edit_message_media(media, chat_id=chat, message_id=message, reply_markup=keyboard)
        if isinstance(sent, Message):
            self._learn([picture], [sent])

    async def example(self, chat: int, locale: str) -> None:
        """Send the album that shows what the bot makes; without it the words have to do."""
        pictures = sorted((resource("assets_static") / "examples" / locale).glob("*.jpg"))
        if len(pictures) < 2:
            return
        media = [InputMediaPhoto(media=self._file(picture)) for picture in pictures]
        try:
            self._learn(pictures, await self._bot.send_media_group(chat, list(media)))
        except TelegramBadRequest:
            # An id of an earlier upload may not be known any more; the next person gets an upload.
            for picture in pictures:
                self._known.pop(picture, None)

    def _file(self, picture: Path) -> FSInputFile | str:
        return self._known.get(picture) or FSInputFile(picture)

    def _learn(self, pictures: Sequence[Path], sent: Sequence[Message]) -> None:
        for picture, message in zip(pictures, sent, strict=False):
            if message.photo:
                self._known[picture] = message.photo[-1].file_id


def _preview(style: str, locale: str) -> Path | None:
    picture = resource("assets_static") / "styles" / "previews" / f"{style}_{locale}_1.jpg"
    return picture if picture.is_file() else None
