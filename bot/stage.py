"""The messages that show a request: at most one outline, progress and control message each, edited rather than repeated."""

import logging
from typing import Final, Literal

from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError

from bot.models import Card
from bot.store import Store
from bot.views import Screen

_log = logging.getLogger(__name__)
Kind = Literal["outline", "progress", "control"]
_LOST: Final = ("message to edit not found", "message can't be edited", "message_id_invalid")


class Stage:
    """Says things in chats and remembers which message shows what.

    Every method raises `TelegramForbiddenError` when the person blocked the bot.
    """

    def __init__(self, bot: Bot, store: Store) -> None:
        self._bot = bot
        self._store = store

    async def say(self, chat: int, screen: Screen) -> int:
        """Send a message and return its id."""
        message = await self._bot.send_message(chat, screen.text, reply_markup=screen.keyboard)
        return message.message_id

    async def edit(self, chat: int, message: int, screen: Screen) -> bool:
        """Make a message say something else; False when it is not there any more."""
        try:
            await self._bot.edit_message_text(screen.text, chat_id=chat, message_id=message, reply_markup=screen.inline)
        except TelegramBadRequest as error:
            if any(sign in error.message.lower() for sign in _LOST):
                return False
            raise
        return True

    async def show(self, card: Card, kind: Kind, screen: Screen) -> None:
        """Show `screen` in the request's message of this kind; a deleted one is replaced."""
        current = _message(card, kind)
        if current is None or not await self.edit(card.chat_id, current, screen):
            await self._store.message_put(card.id, kind, card.chat_id, await self.say(card.chat_id, screen))

    async def put_last(self, card: Card, kind: Kind, screen: Screen) -> None:
        """Show `screen` as the chat's last message; an earlier one of this kind is taken away."""
        await self.remove(card, kind)
        await self._store.message_put(card.id, kind, card.chat_id, await self.say(card.chat_id, screen))

    async def remove(self, card: Card, kind: Kind) -> None:
        """Take a message away; one that is gone already, or too old to delete, is simply forgotten."""
        current = _message(card, kind)
        if current is None:
            return
        await self.erase(card.chat_id, current)
        await self._store.message_drop(card.id, kind)

    async def erase(self, chat: int, message: int) -> None:
        """Delete a message if Telegram lets us."""
        try:
            await self._bot.delete_message(chat, message)
        except (TelegramBadRequest, TelegramForbiddenError) as error:
            _log.info("message not deleted: %s", type(error).__name__)


def _message(card: Card, kind: Kind) -> int | None:
    messages = {"outline": card.outline_message, "progress": card.progress_message, "control": card.control_message}
    return messages[kind]
