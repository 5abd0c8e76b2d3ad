"""The users' side of paying, under /sim; the wallet that a person opens in a real Telegram.

    GET  /sim/chats/{chat}/invoice?message_id=N | link=URL -> {title, description, amount, currency, monthly, paid}
    POST /sim/chats/{chat}/pay {message_id | link, patience_s=10, again=false} -> {status: paid | refused | timeout, text, charge}
    GET  /sim/charges -> {charges}; the truth about who paid what, and what became of the update about it
    POST /sim/charges/{charge}/reverse {silent=false}: the buyer's store takes the money back
    POST /sim/charges/{charge}/renew: the next month of a subscription is paid
    POST /sim/charges/{charge}/subscription {state}: the subscriber stops or resumes it, or the payment failed

Faults of updates (see faults.py) are armed for `update:pre_checkout_query`, `update:successful_payment` and
`update:refunded_payment`.
"""

from typing import Any, Final

from aiohttp import web

from carousel_pipeline.local.telegram.control import ControlError, Handler, answering_errors, read_object
from carousel_pipeline.local.telegram.stars import CHARGES, CHECKOUT_S, LINK, Stars
from carousel_pipeline.local.telegram.state import World

_STATES: Final = frozenset({"active", "canceled", "failed"})


class Till:
    """The routes.

    Args:
        world: users and chats.
        stars: their money.
    """

    def __init__(self, world: World, stars: Stars) -> None:
        self._world = world
        self._stars = stars

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add all routes; before the control API's own, which end with a catch-all."""
        routes: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/sim/chats/{chat}/invoice", self._invoice),
            ("POST", "/sim/chats/{chat}/pay", self._pay),
            ("GET", "/sim/charges", self._charges),
            ("POST", "/sim/charges/{charge}/reverse", self._reverse),
            ("POST", "/sim/charges/{charge}/renew", self._renew),
            ("POST", "/sim/charges/{charge}/subscription", self._subscription),
        )
        for http_method, path, handler in routes:
            router.add_route(http_method, path, answering_errors(handler))

    def _who(self, request: web.Request) -> int:
        name = request.match_info["chat"]
        if not name.isdecimal() or self._world.chat(int(name)) is None:
            raise ControlError(404, "unknown_chat", f"there is no chat {name}; POST /sim/users makes one")
        return int(name)

    def _named(self, chat_id: int, message_id: Any, link: Any) -> tuple[str, dict[str, Any]]:
        name = link.removeprefix(LINK) if isinstance(link, str) and link else f"{chat_id}:{message_id}"
        invoice = self._stars.invoice(name)
        if invoice is None:
            raise ControlError(404, "unknown_invoice", "there is no such invoice: name its message_id or its link")
        return name, invoice

    async def _invoice(self, request: web.Request) -> web.Response:
        _, invoice = self._named(self._who(request), request.query.get("message_id"), request.query.get("link"))
        shown = {key: invoice[key] for key in ("title", "description", "amount", "currency")}
        shown |= {"monthly": "subscription_period" in invoice, "paid": "paid" in invoice}
        return web.json_response(shown)

    async def _pay(self, request: web.Request) -> web.Response:
        chat_id, sent = self._who(request), await read_object(request)
        name, invoice = self._named(chat_id, sent.get("message_id"), sent.get("link"))
        if "paid" in invoice and not sent.get("again"):
            raise ControlError(409, "already_paid", "this invoice is paid; `again` pays it once more")
        outcome = await self._stars.pay(chat_id, name, float(sent.get("patience_s") or CHECKOUT_S))
        return web.json_response({"status": outcome.status, "text": outcome.text, "charge": outcome.charge})

    async def _charges(self, _request: web.Request) -> web.Response:
        return web.json_response({"charges": self._stars.charges()})

    def _charge(self, request: web.Request) -> tuple[str, dict[str, Any]]:
        name = request.match_info["charge"]
        charge = self._world.journal.table(CHARGES).get(name)
        if charge is None:
            raise ControlError(404, "unknown_charge", "there is no such payment; GET /sim/charges lists them")
        return name, charge

    async def _reverse(self, request: web.Request) -> web.Response:
        name, charge = self._charge(request)
        if charge["refunded"]:
            raise ControlError(409, "already_refunded", "this payment was given back")
        self._stars.give_back(name, silent=bool((await read_object(request)).get("silent")))
        return web.json_response({"reversed": name})

    async def _renew(self, request: web.Request) -> web.Response:
        name, charge = self._charge(request)
        if not charge["subscription"] or charge.get("canceled"):
            raise ControlError(409, "not_subscribed", "this payment began no subscription, or it was stopped")
        return web.json_response({"charge": self._stars.book(charge["user_id"], charge["invoice"], renews=name)})

    async def _subscription(self, request: web.Request) -> web.Response:
        name, charge = self._charge(request)
        state = (await read_object(request)).get("state")
        if state not in _STATES or not charge["subscription"]:
            raise ControlError(400, "bad_state", f"a subscription is {', '.join(sorted(_STATES))}")
        self._world.journal.put(CHARGES, name, {**charge, "canceled": state == "canceled"})
        user = self._world.journal.table("chats")[str(charge["user_id"])]["user"]
        change = {"user": user, "invoice_payload": charge["payload"], "state": state}
        self._world.updates.add("subscription", change, charge["user_id"])
        return web.json_response({"state": state})
