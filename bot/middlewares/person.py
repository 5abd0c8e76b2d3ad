"""Who writes, and in which language to answer. Two first messages at once make one person: the database sees to it (C11)."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware
from aiogram.dispatcher.middlewares.user_context import EVENT_CONTEXT_KEY, EventContext
from aiogram.types import TelegramObject

from bot.store import Store
from bot.texts import locale_of, texts


class PersonMiddleware(BaseMiddleware):
    """Gives handlers `t`, the words of the person's language, and in private chats `user_id`, the person's id with us."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Find the person, then go on."""
        context: EventContext = data[EVENT_CONTEXT_KEY]
        user = context.user
        guess = locale_of(user.language_code if user else None)
        private = user is not None and not user.is_bot and (context.chat is None or context.chat.type == "private")
        locale = guess
        if user and private:
            person = await self._store.meet(user.id, guess)
            locale, data["user_id"] = person.locale, person.user_id
        data["t"] = texts(locale)
        return await handler(event, data)
