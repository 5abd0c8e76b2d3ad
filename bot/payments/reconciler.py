"""The clock that finds payments whose report was lost: at the start, every few minutes, and when somebody asks.

Replicas do not take turns: entering a payment twice changes nothing, and one more call every few minutes costs nothing.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import psycopg
from aiogram.exceptions import AiogramError
from psycopg_pool import PoolTimeout

from carousel_pipeline.errors import CarouselError
from carousel_pipeline.payments.books import Books
from carousel_pipeline.payments.reconcile import Fetch, reconcile_stars
from carousel_pipeline.payments.yookassa import YooKassa, YooKassaAnswerError, YooKassaRefusedError

_log = logging.getLogger(__name__)
EVERY_S: Final = 300.0
_RETURNS_WITHIN: Final = timedelta(days=2)
_RETURNS_AT_START: Final = timedelta(days=30)  # for as long as nobody may have looked
_FOUND: Final = ("credited", "charged_back", "refunded", "returned", "unmatched")


class Reconciler:
    """Compares providers' books with ours.

    Args:
        fetch: Telegram's list of transactions.
        cursor: under which name the position in it is kept.
        books: ours.
        yookassa: the ruble provider, when it is switched on.
        every_s: seconds between two looks.
    """

    def __init__(self, fetch: Fetch, cursor: str, books: Books, yookassa: YooKassa | None, every_s: float) -> None:
        self._fetch = fetch
        self._cursor = cursor
        self._books = books
        self._yookassa = yookassa
        self._every_s = every_s
        self._returns_within = _RETURNS_AT_START
        self._wanted = asyncio.Event()

    def now(self) -> None:
        """Look at once."""
        self._wanted.set()

    async def run(self) -> None:
        """Reconcile for ever."""
        while True:
            self._wanted.clear()
            await self._look("Stars", self._stars)
            await self._look("promised refunds", self._books.ask_refunds_again)
            if self._yookassa is not None:
                await self._look("rubles", partial(self._rubles, self._yookassa))
            try:
                async with asyncio.timeout(self._every_s):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def _look(self, what: str, look: Callable[[], Awaitable[object]]) -> None:
        """One provider that is away must not keep the other's payments from being found."""
        try:
            await look()
        except (CarouselError, AiogramError, psycopg.Error, PoolTimeout) as error:
            _log.warning("%s not reconciled (%s), again in %.0f s", what, type(error).__name__, self._every_s)

    async def _stars(self) -> None:
        _tell((await reconcile_stars(self._fetch, self._books, self._cursor)).verdicts)

    async def _rubles(self, yookassa: YooKassa) -> None:
        verdicts: Counter[str] = Counter()
        now = datetime.now(UTC)
        if (since := await self._books.rub_open_since()) is not None:
            async for payment in yookassa.payments(since):
                if payment.order is not None and payment.status in {"succeeded", "canceled"}:
                    verdicts[await self._books.rub_settle(payment, "reconciliation")] += 1
        async for payment_id in yookassa.refunded_payments(now - self._returns_within):
            try:
                payment = await yookassa.payment(payment_id)
            except (YooKassaRefusedError, YooKassaAnswerError) as error:
                _log.error("a returned payment cannot be looked at: %s", error)
                continue
            if payment.order is not None:
                verdicts[await self._books.rub_settle(payment, "reconciliation")] += 1
        self._returns_within = _RETURNS_WITHIN
        _tell(verdicts)


def _tell(verdicts: Mapping[str, int]) -> None:
    if found := {verdict: verdicts[verdict] for verdict in _FOUND if verdicts.get(verdict)}:
        _log.warning("reports of payments had been lost: %s", found)
