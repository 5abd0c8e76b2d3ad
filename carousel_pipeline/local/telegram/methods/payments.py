"""Invoices and Stars. Only Stars: what is sold in a chat with a bot like ours is digital."""

import secrets
from types import MappingProxyType
from typing import Any, Final

from carousel_pipeline.local.telegram.methods.messages import send
from carousel_pipeline.local.telegram.methods.registry import Call, method
from carousel_pipeline.local.telegram.numbers import whole
from carousel_pipeline.local.telegram.refusals import bad_request
from carousel_pipeline.local.telegram.stars import LINK, MONTH_S
from carousel_pipeline.local.telegram.state import Message

_MAX_PAGE: Final = 100
_MAX_STARS: Final = 100_000
_MAX_MONTHLY: Final = 10_000
_LENGTHS: Final = MappingProxyType({"title": 32, "description": 255})
_MAX_PAYLOAD: Final = 128


def _invoice(call: Call) -> dict[str, Any]:
    arguments = call.arguments
    for field, longest in _LENGTHS.items():
        if not 1 <= len(arguments.text(field)) <= longest:
            raise bad_request(f"{field.upper()}_INVALID")
    payload = arguments.text("payload")
    if not 1 <= len(payload.encode()) <= _MAX_PAYLOAD:
        raise bad_request("INVOICE_PAYLOAD_INVALID")
    if arguments.text("currency") != "XTR" or arguments.text("provider_token"):
        raise bad_request("CURRENCY_INVALID")
    prices = arguments.array("prices", "LabeledPrice") or []
    if len(prices) != 1 or not isinstance(prices[0], dict):
        raise bad_request("STARS_INVOICE_INVALID")
    amount = whole(prices[0].get("amount"))
    if not 1 <= amount <= _MAX_STARS:
        raise bad_request("CURRENCY_TOTAL_AMOUNT_INVALID")
    shown = {"title": arguments.text("title"), "description": arguments.text("description")}
    return {**shown, "payload": payload, "currency": "XTR", "amount": amount}


@method("sendInvoice")
async def send_invoice(call: Call) -> Message:
    """Send a bill with a pay button."""
    invoice = _invoice(call)
    shown = {key: invoice[key] for key in ("title", "description", "currency")}
    shown |= {"start_parameter": call.arguments.text("start_parameter"), "total_amount": invoice["amount"]}
    chat_id = call.target()
    message = send(call, chat_id, {"invoice": shown}, invoice=True)
    if "reply_markup" not in message:
        button = {"text": f"Pay XTR {invoice['amount']}", "pay": True}
        message = call.world.replace_message({**message, "reply_markup": {"inline_keyboard": [[button]]}}, stamp=False)
    call.stars.keep_invoice(f"{chat_id}:{message['message_id']}", invoice)
    return message


@method("createInvoiceLink")
async def create_invoice_link(call: Call) -> str:
    """Return a link that shows a bill, to whoever opens it."""
    invoice = _invoice(call)
    if period := call.arguments.integer("subscription_period"):
        if period != MONTH_S:
            raise bad_request("SUBSCRIPTION_PERIOD_INVALID")
        if invoice["amount"] > _MAX_MONTHLY:
            raise bad_request("STARS_AMOUNT_INVALID")
        invoice["subscription_period"] = period
    slug = secrets.token_urlsafe(12)
    call.stars.keep_invoice(slug, {**invoice, "link": True})
    return LINK + slug


@method("answerPreCheckoutQuery")
async def answer_pre_checkout_query(call: Call) -> bool:
    """Say whether a payment may go on; ten seconds after it was asked nobody listens any more."""
    arguments = call.arguments
    call.stars.answer(
        arguments.text("pre_checkout_query_id"), ok=arguments.flag("ok"), text=arguments.text("error_message")
    )
    return True


@method("refundStarPayment")
async def refund_star_payment(call: Call) -> bool:
    """Give a payment back."""
    call.stars.refund(call.arguments.integer("user_id"), call.arguments.text("telegram_payment_charge_id"))
    return True


@method("editUserStarSubscription")
async def edit_user_star_subscription(call: Call) -> bool:
    """Stop or resume a monthly payment."""
    call.stars.edit_subscription(
        call.arguments.integer("user_id"),
        call.arguments.text("telegram_payment_charge_id"),
        canceled=call.arguments.flag("is_canceled"),
    )
    return True


@method("getStarTransactions")
async def get_star_transactions(call: Call) -> dict[str, Any]:
    """Return a page of what was paid and given back, oldest first."""
    limit = call.arguments.integer("limit", _MAX_PAGE)
    if not 1 <= limit <= _MAX_PAGE:
        raise bad_request("LIMIT_INVALID")
    return {"transactions": call.stars.transactions(call.arguments.integer("offset"), limit)}


@method("getMyStarBalance")
async def get_my_star_balance(call: Call) -> dict[str, int]:
    """Return what was earned and not given back."""
    return {"amount": call.stars.balance()}
