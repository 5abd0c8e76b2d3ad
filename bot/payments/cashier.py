"""Money's own way in: questions before a payment are answered at once, reports of payments are stored before anybody hears so.

What stays true: `accept` returns when every report is in Postgres, and only then may the caller acknowledge; no throttle, ban or
age stands before it. A question is answered by one query, within Telegram's ten seconds or not at all: when the database is away
the answer is no, in words, for a yes could take money that nobody could book.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self
from uuid import UUID

import psycopg
from aiogram import Bot
from aiogram.exceptions import AiogramError
from psycopg_pool import PoolTimeout

from bot.payments.updates import essence
from bot.texts import locale_of, texts
from bot.views import plain
from carousel_pipeline.payments.books import Books, Checkout
from carousel_pipeline.payments.stars import XTR, order_of

_log = logging.getLogger(__name__)
_DECIDE_S: Final = 4.0
_SLOW_S: Final = 1.0


class Cashier(Protocol):
    """Where the ways in hand over what is about money."""

    async def accept(self, updates: Iterable[Mapping[str, Any]]) -> None:
        """Store reports, start answering questions.

        Raises:
            psycopg.OperationalError: something was not stored; do not acknowledge.
            psycopg_pool.PoolTimeout: as above.
        """


class Window:
    """The cashier of a bot.

    Args:
        bot: Telegram.
        books: where orders are looked up and reports are stored.
        stored: called when a report was stored.
    """

    def __init__(self, bot: Bot, books: Books, stored: Callable[[], None]) -> None:
        self._bot = bot
        self._books = books
        self._stored = stored
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, updates: Iterable[Mapping[str, Any]]) -> None:
        """Store reports, start answering questions; see `Cashier`."""
        for update in updates:
            if (query := update.get("pre_checkout_query")) is not None:
                try:
                    question = _Question.of(query)
                except (KeyError, TypeError, ValueError) as error:
                    _log.error("a checkout cannot be read (%s)", type(error).__name__)
                    continue
                task = asyncio.create_task(self._answer(question), name="checkout")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                await self._books.keep("tg_update", f"tg:{self._bot.id}:{update['update_id']}", essence(update))
        self._stored()

    async def drain(self) -> None:
        """Wait for the answers that were begun."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, question: "_Question") -> None:
        began = time.monotonic()
        checkout = await self._decide(question)
        ok = checkout.verdict == "ok"
        t = texts(checkout.locale or locale_of(question.language))
        words = None if ok else plain(t.pick("checkout", checkout.verdict))
        try:
            await self._bot.answer_pre_checkout_query(question.id, ok=ok, error_message=words)
        except AiogramError as error:
            # Nothing was taken then: without a yes in time Telegram cancels the payment.
            _log.warning("a checkout was not answered: %s", type(error).__name__)
        if (took := time.monotonic() - began) > _SLOW_S:
            _log.warning("a checkout took %.1f s", took)

    async def _decide(self, question: "_Question") -> Checkout:
        if question.order is None or question.currency != XTR:
            return Checkout("unknown", None)
        try:
            async with asyncio.timeout(_DECIDE_S):
                return await self._books.checkout(question.order, question.tg_user_id, question.stars)
        except (psycopg.Error, PoolTimeout, TimeoutError) as error:
            _log.warning("a checkout could not be looked up: %s", type(error).__name__)
            return Checkout("down", None)


@dataclass(frozen=True, slots=True)
class _Question:
    id: str
    tg_user_id: int
    language: str | None
    currency: str
    stars: int
    order: UUID | None

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> Self:
        payer = query["from"]
        return cls(
            str(query["id"]),
            int(payer["id"]),
            payer.get("language_code"),
            str(query["currency"]),
            int(query["total_amount"]),
            order_of(query["invoice_payload"]),
        )
