"""A client for the few calls of the YooKassa API that we need, and what its answers mean.

Not the vendor's SDK: that one has no network timeout, makes a random idempotence key per call, so that a retry is a second
payment, shows a 502 as a JSON error and logs the Authorization header.

What stays true: a payment is created under a key that was stored before; an answer that did not come, or came as 5xx, means
"unknown" and is repeated with the same key; a payment is believed only when fetched from here, and only for our shop; no error
carries a secret, an address with one, or a body.
"""

import asyncio
import base64
import logging
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal
from uuid import UUID

import aiohttp

from carousel_pipeline.errors import PermanentError, TransientError

_log = logging.getLogger(__name__)

API: Final = "https://api.yookassa.ru"
RUB: Final = "RUB"
TIMEOUT: Final = aiohttp.ClientTimeout(total=35, connect=5, sock_read=32)
_TRIES: Final = 3
_PAGE: Final = 100
_ID: Final = re.compile(r"[A-Za-z0-9-]{8,64}")
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

Status = Literal["pending", "waiting_for_capture", "succeeded", "canceled"]


class YooKassaRefusedError(PermanentError):
    """The provider refused a call; `code` is its own word for why (`invalid_request`, `invalid_credentials`, `forbidden` …)."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"YooKassa refused: {code} ({status})")
        self.status = status
        self.code = code


class YooKassaUnavailableError(TransientError):
    """No answer, or none that says what happened: the outcome is unknown, and the same call may be repeated."""


class YooKassaAnswerError(PermanentError):
    """An answer that is not what the API's documentation says."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Who sells.

    Attributes:
        id: the shop's number at the provider.
        secret: its key; never shown.
        tax_system: code of the tax system for receipts, None where the shop's profile has only one.
        vat_code: code of the VAT rate on receipts (1: without VAT).
    """

    id: str
    secret: str
    tax_system: int | None = None
    vat_code: int = 1

    def __repr__(self) -> str:
        return f"Shop({self.id})"


@dataclass(frozen=True, slots=True)
class RubPayment:
    """A payment as the provider's own books have it.

    Attributes:
        id: the provider's.
        status: where it stands.
        order: ours, from the payment's metadata; None when it names none.
        kopecks: the sum; None when it is not in rubles, which no order of ours is.
        returned_kopecks: how much of it went back.
        paid_at: when it was captured, else when it was made.
        confirmation_url: where the buyer confirms it, while that is needed.
    """

    id: str
    status: Status
    order: UUID | None
    kopecks: int | None
    returned_kopecks: int
    paid_at: datetime
    confirmation_url: str | None = None


class YooKassa:
    """The API over one session.

    Args:
        http: an open session; closed by whoever opened it.
        shop: who sells.
        api: where the API is.
        timeout: of one call; the provider itself gives up after 30 seconds.
        pause_s: seconds before the second try; the third waits four times as long.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        shop: Shop,
        api: str = API,
        *,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
        pause_s: float = 0.5,
    ) -> None:
        self._http = http
        self._shop = shop
        self._api = api.rstrip("/")
        self._timeout = timeout
        self._pause_s = pause_s
        self._login = {"Authorization": "Basic " + base64.b64encode(f"{shop.id}:{shop.secret}".encode()).decode()}

    async def create(
        self, *, order: UUID, key: str, kopecks: int, description: str, email: str, return_url: str
    ) -> RubPayment:
        """Ask for a payment; the same `key` gives the same payment, however often it is asked for within a day.

        Args:
            order: comes back in the payment's metadata.
            key: at most 64 characters, stored before.
            kopecks: the sum.
            description: what is bought, for the receipt and the payment page; at most 128 characters.
            email: where the receipt goes; kept by the provider, not by us.
            return_url: where the buyer is sent afterwards.

        Raises:
            YooKassaRefusedError: it will not.
            YooKassaUnavailableError: unknown; the same call may be repeated.
            YooKassaAnswerError: the answer is no payment of our shop.
        """
        amount = {"value": f"{kopecks // 100}.{kopecks % 100:02}", "currency": RUB}
        item = {
            "description": description[:128],
            "quantity": "1.00",
            "amount": amount,
            "vat_code": self._shop.vat_code,
            "payment_mode": "full_prepayment",
            "payment_subject": "service",
        }
        receipt: dict[str, Any] = {"customer": {"email": email}, "items": [item]}
        if self._shop.tax_system is not None:
            receipt["tax_system_code"] = self._shop.tax_system
        body = {
            "amount": amount,
            "capture": True,
            "confirmation": {"type": "redirect", "return_url": return_url},
            "description": description[:128],
            "metadata": {"order": str(order)},
            "receipt": receipt,
        }
        return self._payment(await self._call("POST", "/v3/payments", json=body, headers={"Idempotence-Key": key}))

    async def payment(self, payment_id: str) -> RubPayment:
        """Return a payment.

        Raises:
            YooKassaRefusedError: there is none of this shop.
            YooKassaUnavailableError: ask again.
            YooKassaAnswerError: the answer is no payment of our shop.
        """
        if not _ID.fullmatch(payment_id):
            raise YooKassaRefusedError(404, "not_found")
        found = self._payment(await self._call("GET", f"/v3/payments/{payment_id}"))
        if found.id != payment_id:
            raise YooKassaAnswerError("YooKassa answered with another payment")
        return found

    async def payments(self, since: datetime) -> AsyncIterator[RubPayment]:
        """Yield the shop's payments made since then, page by page; one that cannot be read is said and left out.

        Raises:
            YooKassaRefusedError: it will not.
            YooKassaUnavailableError: ask again.
            YooKassaAnswerError: the answer is no list of payments.
        """
        query: dict[str, str | int] = {"created_at.gte": _stamp(since), "limit": _PAGE}
        async for item in self._list("/v3/payments", query):
            try:
                payment = self._payment(item)
            except YooKassaAnswerError as error:
                _log.error("%s: it hides no other one", error)
                continue
            yield payment

    async def refunded_payments(self, since: datetime) -> AsyncIterator[str]:
        """Yield the ids of payments of which something went back since then.

        Raises:
            YooKassaRefusedError: it will not.
            YooKassaUnavailableError: ask again.
            YooKassaAnswerError: the answer is no list of refunds.
        """
        query: dict[str, str | int] = {"created_at.gte": _stamp(since), "limit": _PAGE, "status": "succeeded"}
        async for item in self._list("/v3/refunds", query):
            payment = item.get("payment_id")
            if not isinstance(payment, str):
                raise YooKassaAnswerError("a refund names no payment")
            yield payment

    async def _list(self, path: str, query: dict[str, str | int]) -> AsyncIterator[Mapping[str, Any]]:
        while True:
            page = await self._call("GET", path, params=query)
            items = page.get("items")
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise YooKassaAnswerError("YooKassa answered with no list")
            for item in items:
                yield item
            after = page.get("next_cursor")
            if not isinstance(after, str) or not after:
                return
            query = {**query, "cursor": after}

    async def _call(self, method: str, path: str, **arguments: Any) -> Mapping[str, Any]:
        for attempt in range(1, _TRIES + 1):
            try:
                return await self._once(method, path, **arguments)
            except YooKassaUnavailableError as error:
                if attempt == _TRIES:
                    raise
                await asyncio.sleep(min(5.0, error.retry_after_s or self._pause_s * 4 ** (attempt - 1)))
        raise AssertionError("unreachable")  # pragma: no cover

    async def _once(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **arguments: Any
    ) -> Mapping[str, Any]:
        try:
            async with self._http.request(
                method,
                self._api + path,
                headers={**self._login, **(headers or {})},
                timeout=self._timeout,
                allow_redirects=False,
                **arguments,
            ) as answer:
                status, asked = answer.status, answer.headers.get("Retry-After", "")
                body = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise YooKassaUnavailableError(f"YooKassa does not answer ({type(error).__name__})") from None
        except ValueError:
            # A gateway's page instead of JSON: whatever was done, this does not say it.
            raise YooKassaUnavailableError("YooKassa's answer is not JSON") from None
        if status in _BUSY:
            wait = float(asked) if asked.isdigit() else None
            raise YooKassaUnavailableError(f"YooKassa answered {status}", retry_after_s=wait)
        if not isinstance(body, dict):
            raise YooKassaAnswerError(f"YooKassa answered {status} with no object")
        if status != 200:
            code = body.get("code")
            raise YooKassaRefusedError(status, code if isinstance(code, str) and code.isidentifier() else "unknown")
        return body

    def _payment(self, raw: Mapping[str, Any]) -> RubPayment:
        try:
            return read_payment(raw, self._shop.id)
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise YooKassaAnswerError(f"a payment could not be read ({type(error).__name__})") from None


def read_payment(raw: Mapping[str, Any], shop_id: str) -> RubPayment:
    """Return the payment that an answer describes (n12).

    Raises:
        KeyError: it lacks what a payment must have.
        TypeError: as above.
        ValueError: as above, or it is another shop's, or succeeded without being paid.
        InvalidOperation: a sum that is no number.
    """
    status = raw["status"]
    if status not in {"pending", "waiting_for_capture", "succeeded", "canceled"}:
        raise ValueError("a status that is not known")
    if str(raw["recipient"]["account_id"]) != shop_id:
        raise ValueError("another shop's payment")
    if status == "succeeded" and raw["paid"] is not True:
        raise ValueError("succeeded and not paid")
    metadata = raw.get("metadata") or {}
    order = metadata.get("order")
    returned = raw.get("refunded_amount")
    confirmation = raw.get("confirmation") or {}
    return RubPayment(
        id=str(raw["id"]),
        status=status,
        order=_order(order),
        kopecks=_kopecks(raw["amount"]),
        returned_kopecks=(_kopecks(returned) or 0) if returned else 0,
        paid_at=datetime.fromisoformat(raw.get("captured_at") or raw["created_at"]),
        confirmation_url=confirmation.get("confirmation_url"),
    )


def _order(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _kopecks(amount: Mapping[str, Any]) -> int | None:
    if amount["currency"] != RUB:
        return None
    kopecks = Decimal(str(amount["value"])) * 100
    if kopecks != kopecks.to_integral_value() or kopecks < 0:
        raise ValueError("a sum in parts of a kopeck")
    return int(kopecks)


def _stamp(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds")
