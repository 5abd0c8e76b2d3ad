"""Play money: invoices, payments, refunds and the list of transactions, as Telegram keeps them.

What stays true: nobody pays unless the bot says yes within ten seconds; a payment has one charge id and one transaction, whatever
becomes of the update about it; a refund has the id of its payment. The list and the charges are the truth that a checker compares
a bot's books with. Everybody is rich: there are no purses, only prices.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from carousel_pipeline.local.telegram.faults import UPDATE, Fault
from carousel_pipeline.local.telegram.refusals import QUERY_TOO_OLD, bad_request
from carousel_pipeline.local.telegram.state import Message, World

CHECKOUT_S: Final = 10.0
MONTH_S: Final = 2_592_000
INVOICES: Final = "invoices"
CHARGES: Final = "charges"
TRANSACTIONS: Final = "transactions"
LINK: Final = "https://t.me/$"


@dataclass(frozen=True)
class Outcome:
    """How an attempt to pay ended.

    Attributes:
        status: paid, refused (the bot said no) or timeout (it said nothing in time).
        text: the bot's words when it refused.
        charge: the id of the payment.
    """

    status: str
    text: str = ""
    charge: str = ""


@dataclass
class _Checkout:
    chat_id: int
    answered: asyncio.Future[tuple[bool, str]]


class Stars:
    """The economy of one server.

    Args:
        world: users, chats and updates.
        fault_of: returns the fault armed for updates of a kind, counting it.
    """

    def __init__(self, world: World, fault_of: Callable[[str], Fault | None]) -> None:
        self._world = world
        self._fault_of = fault_of
        self._checkouts: dict[str, _Checkout] = {}

    # What the bot does

    def keep_invoice(self, name: str, invoice: Mapping[str, Any]) -> None:
        """Remember an invoice under the name of its message or link."""
        self._world.journal.put(INVOICES, name, dict(invoice))

    def answer(self, query_id: str, *, ok: bool, text: str) -> None:
        """Take the bot's word about a payment.

        Raises:
            RefusedError: unknown, answered before, or too late.
        """
        checkout = self._checkouts.pop(query_id, None)
        if checkout is None or checkout.answered.done():
            raise bad_request(QUERY_TOO_OLD)
        if not ok and not text:
            checkout.answered.set_result((False, ""))
            raise bad_request("error_message must be non-empty")
        checkout.answered.set_result((ok, text))

    def refund(self, user_id: int, charge_id: str) -> None:
        """Give a payment back.

        Raises:
            RefusedError: no such payment of this user, or given back before.
        """
        charge = self._world.journal.table(CHARGES).get(charge_id)
        if charge is None or charge["user_id"] != user_id:
            raise bad_request("CHARGE_NOT_FOUND")
        if charge["refunded"]:
            raise bad_request("CHARGE_ALREADY_REFUNDED")
        self.give_back(charge_id)

    def edit_subscription(self, user_id: int, charge_id: str, *, canceled: bool) -> None:
        """Stop or resume a subscription.

        Raises:
            RefusedError: there is no such subscription of this user.
        """
        charge = self._world.journal.table(CHARGES).get(charge_id)
        if charge is None or charge["user_id"] != user_id or not charge.get("subscription"):
            raise bad_request("SUBSCRIPTION_NOT_FOUND")
        self._world.journal.put(CHARGES, charge_id, {**charge, "canceled": canceled})

    def transactions(self, offset: int, limit: int) -> list[dict[str, Any]]:
        """Return a page of the list, oldest first."""
        rows = list(self._world.journal.table(TRANSACTIONS).values())
        return [row["transaction"] for row in rows[max(0, offset) : max(0, offset) + limit]]

    def balance(self) -> int:
        """Return what the bot has earned and not given back."""
        rows = self._world.journal.table(TRANSACTIONS).values()
        return sum(row["transaction"]["amount"] * (1 if "source" in row["transaction"] else -1) for row in rows)

    # What users do

    def invoice(self, name: str) -> dict[str, Any] | None:
        """Return an invoice by its message (`CHAT:MESSAGE`) or the part of its link after the `$`."""
        found = self._world.journal.table(INVOICES).get(name)
        return dict(found) if isinstance(found, dict) else None

    def charges(self) -> list[dict[str, Any]]:
        """Return all payments, oldest first."""
        return [{"id": name, **row} for name, row in self._world.journal.table(CHARGES).items()]

    async def pay(self, chat_id: int, name: str, patience_s: float = CHECKOUT_S) -> Outcome:
        """Ask the bot whether it takes the money, and pay when it does.

        Args:
            chat_id: who pays.
            name: of the invoice, which exists.
            patience_s: how long the bot may take; ten seconds at Telegram.
        """
        invoice = self._world.journal.table(INVOICES)[name]
        row = self._world.chat(chat_id)
        if row is None:
            raise KeyError(chat_id)
        query_id = str(secrets.randbelow(9 * 10**17) + 10**17)
        checkout = _Checkout(chat_id, asyncio.get_running_loop().create_future())
        self._checkouts[query_id] = checkout
        query = {"id": query_id, "from": row["user"], "currency": invoice["currency"]}
        query |= {"total_amount": invoice["amount"], "invoice_payload": invoice["payload"]}
        self._queue("pre_checkout_query", query, chat_id)
        try:
            async with asyncio.timeout(patience_s):
                agreed, text = await checkout.answered
        except TimeoutError:
            return Outcome("timeout")
        finally:
            self._checkouts.pop(query_id, None)
        if not agreed:
            return Outcome("refused", text)
        return Outcome("paid", charge=self.book(chat_id, name))

    def book(self, chat_id: int, name: str, *, renews: str | None = None) -> str:
        """Move the money of an invoice, tell everybody, and return the charge id.

        Args:
            chat_id: who pays.
            name: of the invoice.
            renews: the first charge of the subscription that this one goes on with.
        """
        invoice = self._world.journal.table(INVOICES)[name]
        charge_id = f"stx{secrets.token_urlsafe(48)}"
        period = invoice.get("subscription_period")
        now = int(time.time())
        user = self._world.journal.table("chats")[str(chat_id)]["user"]
        charge = {"user_id": chat_id, "invoice": name, "amount": invoice["amount"], "payload": invoice["payload"]}
        charge |= {"at": time.time(), "refunded": False, "subscription": bool(period), "renews": renews}
        partner = {"type": "user", "transaction_type": "invoice_payment", "user": user}
        partner |= {"invoice_payload": invoice["payload"], **({"subscription_period": period} if period else {})}
        self._list({"id": charge_id, "amount": invoice["amount"], "date": now, "source": partner})
        paid = {
            "currency": invoice["currency"],
            "total_amount": invoice["amount"],
            "invoice_payload": invoice["payload"],
        }
        paid |= {"telegram_payment_charge_id": charge_id, "provider_payment_charge_id": str(chat_id)}
        if period:
            paid |= {"subscription_expiration_date": now + period, "is_recurring": True}
            paid |= {} if renews else {"is_first_recurring": True}
        message = self._world.add_message(chat_id, {"successful_payment": paid}, from_bot=False)
        fate = self._queue("message", message, chat_id, "successful_payment")
        self._world.journal.put(CHARGES, charge_id, {**charge, "update": fate})
        if not invoice.get("link"):
            self._world.journal.put(INVOICES, name, {**invoice, "paid": charge_id})
        return charge_id

    def give_back(self, charge_id: str, *, silent: bool = False) -> None:
        """Return the money of a payment that was not returned yet; `silent`: the bot gets no update about it."""
        charge = self._world.journal.table(CHARGES)[charge_id]
        self._world.journal.put(CHARGES, charge_id, {**charge, "refunded": True})
        chat_id = charge["user_id"]
        user = self._world.journal.table("chats")[str(chat_id)]["user"]
        partner = {"type": "user", "transaction_type": "invoice_payment", "user": user}
        partner["invoice_payload"] = charge["payload"]
        self._list({"id": charge_id, "amount": charge["amount"], "date": int(time.time()), "receiver": partner})
        returned = {"currency": "XTR", "total_amount": charge["amount"], "invoice_payload": charge["payload"]}
        returned["telegram_payment_charge_id"] = charge_id
        message = self._world.add_message(chat_id, {"refunded_payment": returned})
        if not silent:
            self._queue("message", message, chat_id, "refunded_payment")

    def _list(self, transaction: Mapping[str, Any]) -> None:
        number = self._world.count("transaction")
        self._world.journal.put(TRANSACTIONS, str(number), {"transaction": dict(transaction)})

    def _queue(self, kind: str, content: Message, chat_id: int, what: str | None = None) -> str:
        fault = self._fault_of(f"{UPDATE}{what or kind}")
        fate = fault.kind if fault is not None else "sent"
        if fault is not None and fate == "late":
            loop = asyncio.get_running_loop()
            loop.call_later(fault.delay_s, self._world.updates.add, kind, content, chat_id)
            return fate
        for _ in range({"lose": 0, "duplicate": 2}.get(fate, 1)):
            self._world.updates.add(kind, content, chat_id)
        return fate
