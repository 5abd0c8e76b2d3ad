"""Reports of payments, one after the other from the ledger's inbox into the books.

What stays true: a report is tried until it is entered or a human has to look at it; a report that cannot be read is a dead letter
at once, loudly, and reconciliation books the payment all the same. Of a YooKassa notification only the id is used: the payment is
asked for here, apart from the webhook, which has long said 200 (a webhook that waited for the provider hung with it).
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import psycopg
from psycopg_pool import PoolTimeout

from bot.errors import postpone
from bot.worker import Worker
from carousel_pipeline.errors import TransientError
from carousel_pipeline.payments import StarsPaid, StarsReturned, SubscriptionChanged, read_update
from carousel_pipeline.payments.books import Books, Letter
from carousel_pipeline.payments.yookassa import YooKassa, YooKassaRefusedError

_log = logging.getLogger(__name__)
_LEASE: Final = timedelta(seconds=30)  # what runs longer is done twice, which changes nothing
_PARALLEL: Final = 8
_ATTEMPTS: Final = 60
_READABLE: Final = (KeyError, TypeError, ValueError)


class UnfinishedError(TransientError):
    """The provider's books do not say yet what its notification said."""


class Till:
    """The worker.

    Args:
        books: where reports are and where they go.
        yookassa: the ruble provider, when it is switched on.
    """

    def __init__(self, books: Books, yookassa: YooKassa | None) -> None:
        self._books = books
        self._yookassa = yookassa
        self._worker = Worker("the ledger's inbox", self._claim, self._enter, parallel=_PARALLEL)

    def hint(self) -> None:
        """Hear that a report was stored."""
        self._worker.hint()

    async def run(self) -> None:
        """Work for ever."""
        await self._worker.run()

    async def drain(self) -> None:
        """Wait for what was begun."""
        await self._worker.drain()

    async def _claim(self, limit: int) -> Sequence[Letter]:
        return await self._books.claim(limit, _LEASE)

    async def _enter(self, letter: Letter) -> None:
        try:
            await (self._telegram(letter) if letter.source == "tg_update" else self._rubles(letter))
            await self._books.done(letter.id)
        except (psycopg.OperationalError, PoolTimeout) as error:
            # It comes back by itself when its lease is over.
            _log.warning("report %s: %s", letter.id, type(error).__name__)
        except TransientError as error:
            await self._give_back(letter, error, max(postpone(letter.attempts), _wish(error)), _ATTEMPTS)
        except _READABLE as error:
            _log.error("report %s cannot be read (%s)", letter.id, type(error).__name__)
            await self._give_back(letter, error, timedelta(), 1)
        except Exception as error:  # noqa: BLE001 (one report must not end the worker)
            _log.exception("report %s, try %s", letter.id, letter.attempts)
            await self._give_back(letter, error, postpone(letter.attempts), _ATTEMPTS)

    async def _telegram(self, letter: Letter) -> None:
        match read_update(letter.body):
            case StarsPaid() as paid:
                credited = await self._books.stars_paid(paid, "notice")
                if credited.verdict == "unmatched":
                    _log.error("report %s: a payment fits no order; see pay.unmatched", letter.id)
            case StarsReturned() as returned:
                _log.info("report %s: Stars went back (%s)", letter.id, await self._books.stars_returned(returned))
            case SubscriptionChanged() as change:
                await self._books.subscription_changed(change)
            case None:
                _log.info("report %s is about no money of ours", letter.id)

    async def _rubles(self, letter: Letter) -> None:
        if self._yookassa is None:
            raise UnfinishedError("rubles are switched off")
        try:
            payment = await self._yookassa.payment(letter.body["payment"])
        except YooKassaRefusedError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            _log.error("report %s names a payment that the provider does not know", letter.id)
            return
        if letter.body["event"] == "payment.succeeded" and payment.status in {"pending", "waiting_for_capture"}:
            raise UnfinishedError("the payment is not finished at the provider")
        if payment.status in {"succeeded", "canceled"}:
            verdict = await self._books.rub_settle(payment, "notice")
            _log.log(logging.ERROR if verdict == "unmatched" else logging.INFO, "report %s: %s", letter.id, verdict)

    async def _give_back(self, letter: Letter, error: Exception, retry_in: timedelta, attempts: int) -> None:
        try:
            if await self._books.failed(letter.id, type(error).__name__, retry_in, attempts):
                _log.error("report %s is a dead letter: %s", letter.id, type(error).__name__)
        except (psycopg.OperationalError, PoolTimeout) as lost:
            _log.warning("report %s: %s", letter.id, type(lost).__name__)


def _wish(error: TransientError) -> timedelta:
    return timedelta(seconds=error.retry_after_s or 0)
