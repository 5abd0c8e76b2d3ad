"""What Telegram says about Stars: updates and the list of transactions, as types.

Parsed from plain JSON and not through a client library: one transaction of a kind that a later Telegram invents must not make a
whole page unreadable, for then nobody would be credited any more.

What stays true: a payment is named by its charge id; a refund has the id of its payment, so the direction is part of the name;
the payload counts only as the name of an order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from carousel_pipeline.errors import PermanentError

XTR: Final = "XTR"
PAGE: Final = 100
"""Transactions Telegram returns at once, at most."""


class TransactionsError(PermanentError):
    """Telegram's list is not what its documentation says; reading on could pass payments over."""


@dataclass(frozen=True, slots=True)
class StarsPaid:
    """Somebody paid.

    Attributes:
        tg_user_id: who paid; not always who ordered.
        order: the order that the invoice named; None when the payload is none of ours.
        charge: Telegram's id of the payment.
        stars: how many.
        paid_at: by Telegram's clock.
        until: end of the paid month of a subscription.
    """

    tg_user_id: int
    order: UUID | None
    charge: str
    stars: int
    paid_at: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StarsReturned:
    """Stars went back to whoever paid: our refund, or their store's or Telegram's decision."""

    tg_user_id: int
    charge: str
    stars: int


@dataclass(frozen=True, slots=True)
class SubscriptionChanged:
    """A subscriber stopped or resumed a monthly plan, or the next month could not be paid."""

    tg_user_id: int
    order: UUID | None
    state: Literal["active", "canceled", "failed"]


@dataclass(frozen=True, slots=True)
class Transaction:
    """One row of the list.

    Attributes:
        event: what it means for us; None for what is no business of the books (a withdrawal, an advertisement, a gift).
        at: by Telegram's clock.
    """

    event: StarsPaid | StarsReturned | None
    at: datetime


def order_of(payload: object) -> UUID | None:
    """Return the order that a payload names, None when it is none of ours."""
    try:
        return UUID(payload) if isinstance(payload, str) else None
    except ValueError:
        return None


def read_update(update: Mapping[str, Any]) -> StarsPaid | StarsReturned | SubscriptionChanged | None:
    """Return what an update says about money, None when it says nothing.

    Raises:
        KeyError: it claims to and lacks what it must have.
        ValueError: as above.
        TypeError: as above.
    """
    if (changed := update.get("subscription")) is not None:
        state = changed["state"]
        if state not in {"active", "canceled", "failed"}:
            raise ValueError("a subscription in a state that is not known")
        return SubscriptionChanged(int(changed["user"]["id"]), order_of(changed["invoice_payload"]), state)
    message = update.get("message") or {}
    if (paid := message.get("successful_payment")) is not None and paid["currency"] == XTR:
        until = paid.get("subscription_expiration_date")
        return StarsPaid(
            tg_user_id=int(message["from"]["id"]),
            order=order_of(paid["invoice_payload"]),
            charge=_name(paid["telegram_payment_charge_id"]),
            stars=int(paid["total_amount"]),
            paid_at=_when(message["date"]),
            until=None if until is None else _when(until),
        )
    if (returned := message.get("refunded_payment")) is not None and returned["currency"] == XTR:
        # The message may come from the bot; the private chat it stands in is the payer's.
        charge = _name(returned["telegram_payment_charge_id"])
        return StarsReturned(int(message["chat"]["id"]), charge, int(returned["total_amount"]))
    return None


def read_transactions(rows: Sequence[Mapping[str, Any]]) -> list[Transaction]:
    """Return one page of `getStarTransactions`, oldest first as Telegram lists them.

    Raises:
        TransactionsError: a row lacks what it must have, or the page runs backwards in time.
    """
    try:
        page = [_read_row(row) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise TransactionsError(f"a transaction could not be read ({type(error).__name__})") from None
    if page and page[0].at > page[-1].at:
        raise TransactionsError("transactions come newest first: counting from the start would pass new ones over")
    return page


def _read_row(row: Mapping[str, Any]) -> Transaction:
    at = _when(row["date"])
    for side in ("source", "receiver"):
        partner = row.get(side) or {}
        if partner.get("type") != "user" or partner.get("transaction_type", "invoice_payment") != "invoice_payment":
            continue
        user, charge, stars = int(partner["user"]["id"]), _name(row["id"]), int(row["amount"])
        if side == "receiver":
            return Transaction(StarsReturned(user, charge, stars), at)
        return Transaction(StarsPaid(user, order_of(partner.get("invoice_payload")), charge, stars, at), at)
    return Transaction(None, at)


def _name(charge: object) -> str:
    if not isinstance(charge, str) or not charge:
        raise ValueError("a payment without an id")
    return charge


def _when(seconds: object) -> datetime:
    if not isinstance(seconds, int):
        raise TypeError("a time that is not a number")
    return datetime.fromtimestamp(seconds, UTC)
