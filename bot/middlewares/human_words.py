"""A person never sees an exception and never waits for an answer that does not come.

An outage of the database, and Telegram's wish to be left alone for long, are let through: the update stays in the inbox and is
tried again. Everything else is logged without anybody's words in it and told in words that say what happens to the credits.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from aiogram import BaseMiddleware, Bot
from aiogram.enums import ChatType
from aiogram.exceptions import AiogramError, TelegramForbiddenError, TelegramRetryAfter
from aiogram.types import CallbackQuery, Message, PreCheckoutQuery, TelegramObject, Update
from psycopg_pool import PoolTimeout

from bot.refusals import refusal
from bot.texts import Html, Texts
from bot.views import plain

_log = logging.getLogger(__name__)


class HumanWordsMiddleware(BaseMiddleware):
    """Turns what a handler raises into an answer."""

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Handle the update.

        Raises:
            psycopg.OperationalError: the database is away; the update is not done.
            aiogram.exceptions.TelegramRetryAfter: nothing may be said in this chat for so long; the update is not done.
        """
        t: Texts = data["t"]
        try:
            return await handler(event, data)
        except TelegramForbiddenError:
            _log.info("a person blocked the bot")
        except (psycopg.OperationalError, PoolTimeout, TelegramRetryAfter):
            raise
        except psycopg.Error as error:
            if told := refusal(t, error):
                await answer(event, data["bot"], told)
            else:
                await self._unexpected(event, data, error)
        except Exception as error:  # noqa: BLE001 (the last net; nothing may reach a person as a traceback)
            await self._unexpected(event, data, error)
        return None

    async def _unexpected(self, event: TelegramObject, data: dict[str, Any], error: Exception) -> None:
        _log.error("a handler failed", exc_info=error)
        await answer(event, data["bot"], data["t"]("error.unexpected"))


async def answer(event: TelegramObject, bot: Bot, text: Html) -> None:
    """Tell the person who caused `event` something where only they see it; if Telegram will not, that is all."""
    inner = event.event if isinstance(event, Update) else event
    try:
        if isinstance(inner, CallbackQuery):
            await bot.answer_callback_query(inner.id, plain(text), show_alert=True)
        elif isinstance(inner, PreCheckoutQuery):
            await bot.answer_pre_checkout_query(inner.id, ok=False, error_message=plain(text))
        elif isinstance(inner, Message) and inner.chat.type == ChatType.PRIVATE:
            await bot.send_message(inner.chat.id, text)
    except AiogramError as error:
        _log.info("no answer possible: %s", type(error).__name__)
