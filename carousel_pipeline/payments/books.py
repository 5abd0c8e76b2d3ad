"""The books of payments: each method is one call of the SQL API, in autocommit, as role led_pay.

Whatever is reported may be reported again, by an update, a notification or a reconciliation, in any order and at the same time:
the verdict says what it was this time, and nothing is credited twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from carousel_pipeline.database import Row, query
from carousel_pipeline.payments.packs import TERMS_VERSION, Pack
from carousel_pipeline.payments.stars import StarsPaid, StarsReturned, SubscriptionChanged
from carousel_pipeline.payments.yookassa import RubPayment

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Row]]
FoundBy = Literal["notice", "reconciliation"]
CheckoutVerdict = Literal["ok", "unknown", "foreign", "used", "expired", "changed", "banned", "down"]
Paid = Literal["credited", "known", "unmatched"]
Returned = Literal["refunded", "charged_back", "known", "unmatched"]
RefundVerdict = Literal["begun", "already", "spent", "gone"]
PromoVerdict = Literal["credited", "used", "over", "unknown", "wait"]


@dataclass(frozen=True, slots=True)
class Checkout:
    """Whether an invoice may be paid now, and the language to say so in; `down` when nobody could look it up."""

    verdict: CheckoutVerdict
    locale: str | None


@dataclass(frozen=True, slots=True)
class Credited:
    """What a reported payment came to; `credits` is None when it fits no order of ours."""

    verdict: Paid
    credits: int | None


@dataclass(frozen=True, slots=True)
class RubOrder:
    """An order whose payment may be asked for, under a key that makes every repetition the same payment."""

    order_id: UUID
    idempotence_key: str


@dataclass(frozen=True, slots=True)
class Purchase:
    """A pack that was paid; `price` in Stars or kopecks, `number` ours."""

    number: int
    source: Literal["stars", "rub"]
    pack: str
    credits: int
    price: int
    paid_at: datetime
    state: Literal["unspent", "spent", "returning", "returned", "reversed"]


@dataclass(frozen=True, slots=True)
class Subscription:
    """A monthly plan, named by its first charge."""

    order_id: UUID
    charge: str
    credits: int
    stars: int
    paid_until: datetime
    state: Literal["active", "canceled", "failed"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What there is to tell a buyer about one payment; the Telegram id is None after an erasure."""

    tg_user_id: int | None
    user_id: int
    locale: str | None
    credits: int
    price: int
    available: int
    debt: int
    refund: Literal["pending", "done"] | None


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What became of a promo code."""

    verdict: PromoVerdict
    credits: int | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """A person's referral code, whom it brought, and what each friend is worth."""

    code: str
    friends: int
    rewarded: int
    reward: int


@dataclass(frozen=True, slots=True)
class Reward:
    """What a friend's first paid carousel brought to whoever invited them."""

    verdict: Literal["rewarded", "known", "capped", "gone"]
    tg_user_id: int | None
    user_id: int | None
    locale: str | None
    credits: int | None
    available: int | None


@dataclass(frozen=True, slots=True)
class Letter:
    """A claimed row of the ledger's inbox."""

    id: int
    source: Literal["tg_update", "yk_webhook", "tg_recon", "yk_recon"]
    body: Mapping[str, Any]
    attempts: int


@dataclass(frozen=True, slots=True)
class Health:
    """What waits for a human: payments without an order, refunds a provider does not take, letters nobody could read."""

    unmatched: int
    refunds_waiting: int
    letters_dead: int


class Books:
    """Named queries of `sql/queries/payments.sql` over a pool of role led_pay.

    Every method raises `psycopg.OperationalError` or `psycopg_pool.PoolTimeout` when the database is away: repeat the call.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def _rows(self, name: str, /, **values: Any) -> list[Row]:
        async with self._pool.connection() as connection:
            return await (await connection.execute(query(f"payments.{name}"), values)).fetchall()

    async def _one(self, name: str, /, **values: Any) -> Row:
        return (await self._rows(name, **values))[0]

    # Before paying

    async def agreed(self, tg: int) -> bool:
        """Return whether a person agreed to the present terms."""
        return (await self._one("agreed", tg=tg, version=TERMS_VERSION))["agreed"] is True

    async def agree(self, tg: int) -> None:
        """Keep that a person agrees to the present terms."""
        await self._rows("agree", tg=tg, version=TERMS_VERSION)

    async def open_star_order(self, tg: int, pack: Pack, *, monthly: bool = False) -> UUID | None:
        """Return the order that an invoice will name; None when the person has not agreed to the terms."""
        row = await self._one(
            "star_order_open",
            tg=tg, terms=TERMS_VERSION, pack=pack.id, credits=pack.credits, stars=pack.stars, monthly=monthly,
        )  # fmt: skip
        order: UUID | None = row["id"]
        return order

    async def checkout(self, order: UUID, tg: int, stars: int) -> Checkout:
        """Return whether `tg` may pay `stars` for an order now; one look at four rows by their keys."""
        return Checkout(**await self._one("checkout", order=order, tg=tg, stars=stars))

    async def open_rub_order(self, tg: int, pack: Pack) -> RubOrder | None:
        """Return a stored order and its key; None when the person has not agreed to the terms."""
        row = await self._one(
            "rub_order_open", tg=tg, terms=TERMS_VERSION, pack=pack.id, credits=pack.credits, kopecks=pack.kopecks
        )
        return None if row["order_id"] is None else RubOrder(**row)

    async def name_rub_order(self, order: UUID, payment: str) -> None:
        """Keep which payment the provider made for an order; another one can then not claim it."""
        await self._rows("rub_order_named", order=order, payment=payment)

    # Money that came, and money that went back

    async def stars_paid(self, paid: StarsPaid, found_by: FoundBy) -> Credited:
        """Credit a payment, once."""
        row = await self._one(
            "stars_paid",
            tg=paid.tg_user_id, order=paid.order, charge=paid.charge, stars=paid.stars, paid_at=paid.paid_at,
            found_by=found_by, until=paid.until,
        )  # fmt: skip
        return Credited(**row)

    async def stars_returned(self, returned: StarsReturned) -> Returned:
        """Take back what a payment brought, or what is left of it, once; a refund of ours is confirmed."""
        verdict: Returned = (
            await self._one("stars_returned", tg=returned.tg_user_id, charge=returned.charge, stars=returned.stars)
        )["verdict"]
        return verdict

    async def subscription_changed(self, change: SubscriptionChanged) -> None:
        """Keep a subscription's new state."""
        await self._rows("subscription_changed", tg=change.tg_user_id, order=change.order, state=change.state)

    async def cancel_subscription(self, tg: int, order: UUID) -> None:
        """Keep that a subscription was stopped here."""
        await self.subscription_changed(SubscriptionChanged(tg, order, "canceled"))

    async def rub_settle(self, payment: RubPayment, found_by: FoundBy) -> str:
        """Enter what the ruble provider's own books say: credited, known, canceled, returned or unmatched."""
        row = await self._one(
            "rub_settle",
            order=payment.order, payment=payment.id, status=payment.status, kopecks=payment.kopecks,
            returned=payment.returned_kopecks, paid_at=payment.paid_at, found_by=found_by,
        )  # fmt: skip
        return str(row["verdict"])

    async def rub_open_since(self) -> datetime | None:
        """Return when the oldest ruble order that may still be paid was made; None when there is none."""
        since: datetime | None = (await self._one("rub_open_since"))["since"]
        return since

    # What a buyer sees and asks for

    async def purchases(self, tg: int, limit: int) -> list[Purchase]:
        """Return a person's packs, newest first."""
        return [Purchase(**row) for row in await self._rows("purchases", tg=tg, limit=limit)]

    async def subscriptions(self, tg: int) -> list[Subscription]:
        """Return a person's monthly plans that are paid now."""
        return [Subscription(**row) for row in await self._rows("subscriptions", tg=tg)]

    async def begin_refund(self, tg: int, number: int) -> RefundVerdict:
        """Take an unspent pack's credits and promise its Stars, in one transaction."""
        verdict: RefundVerdict = (await self._one("refund_begin", tg=tg, number=number))["verdict"]
        return verdict

    async def ask_refunds_again(self) -> int:
        """Ask again for refunds that nobody confirmed for an hour; return how many."""
        return int((await self._one("refunds_again"))["again"])

    async def receipt(self, source: str, charge: str) -> Receipt | None:
        """Return what to tell about a payment."""
        rows = await self._rows("receipt", source=source, charge=charge)
        return Receipt(**rows[0]) if rows and rows[0]["user_id"] is not None else None

    async def redeem(self, tg: int, code: str) -> Redeemed:
        """Credit a promo code, once per person."""
        return Redeemed(**await self._one("promo_redeem", tg=tg, code=code))

    async def invitation(self, tg: int) -> Invitation:
        """Return a person's referral code, made on the first call."""
        return Invitation(**await self._one("referral_code", tg=tg))

    async def reward(self, user: int) -> Reward:
        """Credit whoever brought `user` (our id), once."""
        return Reward(**await self._one("referral_reward", user=user))

    # The inbox, and reading a provider's list

    async def keep(self, source: str, key: str, body: Mapping[str, Any]) -> bool:
        """Store a report before anything is done about it; False when it was known."""
        return (await self._one("inbox_put", source=source, key=key, body=Jsonb(dict(body))))["fresh"] is True

    async def claim(self, limit: int, lease: timedelta) -> list[Letter]:
        """Take stored reports; they come back after `lease` unless done."""
        return [Letter(**row) for row in await self._rows("inbox_claim", limit=limit, lease=lease)]

    async def done(self, letter: int) -> None:
        """Finish a report."""
        await self._rows("inbox_done", id=letter)

    async def failed(self, letter: int, error: str, retry_in: timedelta, attempts: int) -> bool:
        """Give a report back for later; True when it was the last of `attempts`, and a human has to look."""
        rows = await self._rows("inbox_failed", id=letter, error=error, retry_in=retry_in, attempts=attempts)
        return bool(rows and rows[0]["dead"])

    async def position(self, cursor: str) -> int:
        """Return how many transactions of a list are behind us."""
        return int((await self._one("cursor_at", name=cursor))["position"])

    async def move(self, cursor: str, position: int) -> None:
        """Note how many are; never backwards."""
        await self._rows("cursor_to", name=cursor, position=position)

    async def health(self) -> Health:
        """Return what waits for a human."""
        return Health(**await self._one("health"))
