"""Photos, documents, albums and invoices."""

import secrets
from typing import Any, Final

from carousel_pipeline.local.telegram import entities
from carousel_pipeline.local.telegram.methods.messages import caption_fields, caption_of, reply_fields, send
from carousel_pipeline.local.telegram.methods.registry import Call, method
from carousel_pipeline.local.telegram.refusals import bad_request
from carousel_pipeline.local.telegram.state import Message

_MIN_ALBUM: Final = 2
_MAX_ALBUM: Final = 10
_MAX_PAYLOAD: Final = 128
_MAX_TITLE: Final = 32
_MAX_DESCRIPTION: Final = 255
_STARS: Final = "XTR"


@method("sendPhoto")
async def send_photo(call: Call) -> Message:
    """Send one photo, uploaded or by file id."""
    caption = caption_of(call.arguments)
    sizes = await call.world.files.photo(call.arguments.media("photo", "photo"))
    return send(call, call.target(), {"photo": sizes, **caption})


@method("sendDocument")
async def send_document(call: Call) -> Message:
    """Send one file, uploaded or by file id; its bytes and its name stay as they are."""
    caption = caption_of(call.arguments)
    document = call.world.files.document(call.arguments.media("document", "document"))
    return send(call, call.target(), {"document": document, **caption})


async def input_media(call: Call, item: Any, *, position: int = 0) -> dict[str, Any]:
    """Return the message content that an InputMedia object describes.

    Args:
        call: the call it came with.
        item: the InputMedia object.
        position: place in an album from 1, named in the refusals of Telegram's servers; 0 outside albums.

    Raises:
        RefusedError: it cannot be read or sent.
    """
    if not isinstance(item, dict):
        raise bad_request("can't parse InputMedia: expected an Object")
    kind = item.get("type")
    if kind not in {"photo", "document"}:
        raise bad_request(f'can\'t parse InputMedia: type "{kind}" is unsupported')
    source = call.arguments.attached(str(item.get("media") or ""))
    if not source:
        raise bad_request("can't parse InputMedia: media not found")
    explicit = item.get("caption_entities")
    if explicit is not None and not isinstance(explicit, list):
        raise bad_request("expected an Array of MessageEntity")
    fields = caption_fields(str(item.get("caption") or ""), str(item.get("parse_mode") or ""), explicit)
    if item.get("show_caption_above_media"):
        fields["show_caption_above_media"] = True
    if kind == "document":
        return {"document": call.world.files.document(source), **fields}
    if item.get("has_spoiler"):
        fields["has_media_spoiler"] = True
    frame = f'failed to send message #{position} with the error message "{{}}"' if position else "{}"
    return {"photo": await call.world.files.photo(source, frame=frame), **fields}


@method("sendMediaGroup")
async def send_media_group(call: Call) -> list[Message]:
    """Send an album of 2-10 photos or 2-10 documents.

    The documented minimum of two is enforced, although today's servers send a lone item as a plain message: a bot that relies on
    that leaves the documented API.
    """
    items = call.arguments.array("media", "InputMedia")
    if not items:
        raise bad_request("there are no messages to send")
    if len(items) > _MAX_ALBUM:
        raise bad_request("too many messages to send as an album")
    if len(items) < _MIN_ALBUM:
        raise bad_request("not enough messages to send as an album")
    contents = [await input_media(call, item, position=number) for number, item in enumerate(items, start=1)]
    if len({"document" in content for content in contents}) > 1:
        raise bad_request("document can't be mixed with other media types")
    if len({"show_caption_above_media" in content for content in contents if "photo" in content}) > 1:
        raise bad_request("parameter show_caption_above_media must be the same for all messages")
    chat_id = call.target(len(contents))
    group = {"media_group_id": str(secrets.randbelow(10**17) + 10**16), **reply_fields(call, chat_id)}
    if call.arguments.flag("protect_content"):
        group["has_protected_content"] = True
    hidden = call.fault if call.fault is not None and call.fault.kind == "hidden_flood" else None
    arriving = contents if hidden is None else contents[: hidden.sent]
    sent = [call.world.add_message(chat_id, {**content, **group}) for content in arriving]
    if hidden is not None:
        call.sent = sent
        wait = f"Too Many Requests: retry after {hidden.retry_after}"
        raise bad_request(f'failed to send message #{len(sent) + 1} with the error message "{wait}"')
    return sent


@method("sendInvoice")
async def send_invoice(call: Call) -> Message:
    """Send an invoice. What a payment needs later stands in the table `invoices` under CHAT/MESSAGE."""
    arguments = call.arguments
    title, description = arguments.text("title").strip(), arguments.text("description").strip()
    payload, currency = arguments.text("payload"), arguments.text("currency").upper()
    prices = arguments.array("prices", "labeled prices")
    if not 1 <= entities.utf16_length(title) <= _MAX_TITLE:
        raise bad_request("INVOICE_TITLE_INVALID" if title else "title is empty")
    if not 1 <= entities.utf16_length(description) <= _MAX_DESCRIPTION:
        raise bad_request("INVOICE_DESCRIPTION_INVALID" if description else "description is empty")
    if not 1 <= len(payload.encode()) <= _MAX_PAYLOAD:
        raise bad_request("INVOICE_PAYLOAD_INVALID")
    if not prices:
        raise bad_request("there must be at least one price")
    if currency != _STARS:
        # Digital goods are sold for Stars alone; this server plays no card provider.
        raise bad_request("CURRENCY_INVALID" if arguments.text("provider_token") else "PAYMENT_PROVIDER_INVALID")
    amounts = [price.get("amount") if isinstance(price, dict) else None for price in prices]
    if len(prices) != 1 or not isinstance(amounts[0], int) or amounts[0] < 1:
        raise bad_request("STARS_INVOICE_INVALID")
    invoice = {
        "title": title,
        "description": description,
        "start_parameter": arguments.text("start_parameter"),
        "currency": currency,
        "total_amount": amounts[0],
    }
    chat_id = call.target()
    message = send(call, chat_id, {"invoice": invoice}, invoice=True)
    if "reply_markup" not in message:
        pay = {"inline_keyboard": [[{"text": f"Pay {amounts[0]} XTR", "pay": True}]]}
        message = call.world.replace_message({**message, "reply_markup": pay}, stamp=False)
    details = {"payload": payload, "prices": prices, "subscription_period": arguments.integer("subscription_period")}
    call.world.journal.put("invoices", f"{chat_id}/{message['message_id']}", details)
    return message
