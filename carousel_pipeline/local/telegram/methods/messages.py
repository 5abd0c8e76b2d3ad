"""sendMessage and what all sending methods share: text and caption limits, replies, keyboards; copies and forwards."""

import secrets
from collections.abc import Mapping
from typing import Any, Final

from carousel_pipeline.local.telegram import entities, markup
from carousel_pipeline.local.telegram.arguments import Arguments
from carousel_pipeline.local.telegram.methods.registry import Call, method
from carousel_pipeline.local.telegram.numbers import whole
from carousel_pipeline.local.telegram.refusals import bad_request
from carousel_pipeline.local.telegram.state import Message, World

MAX_TEXT: Final = 4096
MAX_CAPTION: Final = 1024
_MAX_MANY: Final = 100
_CONTENT: Final = (
    "text",
    "entities",
    "caption",
    "caption_entities",
    "photo",
    "document",
    "rich_message",
    "invoice",
    "link_preview_options",
    "show_caption_above_media",
    "has_media_spoiler",
)


def text_fields(arguments: Arguments) -> dict[str, Any]:
    """Return `text` and `entities` of a text message.

    Lengths are counted in UTF-16 units, the strictest reading of Telegram's "characters": what passes here passes there.

    Raises:
        RefusedError: empty, too long, or markup that does not parse.
    """
    raw = arguments.text("text")
    if not raw:
        raise bad_request("message text is empty")
    text, found = entities.formatted(raw, arguments.text("parse_mode"), arguments.array("entities", "MessageEntity"))
    if not text:
        raise bad_request("text must be non-empty")
    if entities.utf16_length(text) > MAX_TEXT:
        raise bad_request("message is too long")
    fields: dict[str, Any] = {"text": text}
    if found:
        fields["entities"] = found
    preview = arguments.mapping("link_preview_options", "link preview options")
    if preview:
        fields["link_preview_options"] = {key: value for key, value in preview.items() if value is not None}
    return fields


def caption_fields(raw: str, parse_mode: str, explicit: list[Any] | None) -> dict[str, Any]:
    """Return `caption` and `caption_entities`; nothing when the caption is empty.

    Raises:
        RefusedError: too long, or markup that does not parse.
    """
    caption, found = entities.formatted(raw, parse_mode, explicit)
    if entities.utf16_length(caption) > MAX_CAPTION:
        raise bad_request("message caption is too long")
    fields: dict[str, Any] = {"caption": caption} if caption else {}
    return {**fields, "caption_entities": found} if found else fields


def caption_of(arguments: Arguments) -> dict[str, Any]:
    """Return the caption fields of a call that sends one file."""
    explicit = arguments.array("caption_entities", "MessageEntity")
    fields = caption_fields(arguments.text("caption"), arguments.text("parse_mode"), explicit)
    for flag, name in (("show_caption_above_media", "show_caption_above_media"), ("has_spoiler", "has_media_spoiler")):
        if arguments.flag(flag):
            fields[name] = True
    return fields


def send(call: Call, chat_id: int, content: Mapping[str, Any], *, invoice: bool = False) -> Message:
    """Store a message of the bot with its reply, keyboard and protection.

    Raises:
        RefusedError: the message replied to is gone, or the keyboard is wrong.
    """
    arguments = call.arguments
    keyboard = markup.checked(arguments.parsed("reply_markup", "reply keyboard markup"), invoice=invoice)
    fields = {**content, **reply_fields(call, chat_id)}
    if arguments.flag("protect_content"):
        fields["has_protected_content"] = True
    if keyboard and "inline_keyboard" in keyboard:
        if keyboard["inline_keyboard"]:
            fields["reply_markup"] = keyboard
    elif keyboard:
        call.world.change_chat(chat_id, keyboard=None if keyboard.get("remove_keyboard") else keyboard)
    return call.world.add_message(chat_id, fields)


def reply_fields(call: Call, chat_id: int) -> dict[str, Any]:
    """Return `reply_to_message` when the call replies to something.

    Raises:
        RefusedError: the message replied to does not exist and must.
    """
    wanted = call.arguments.mapping("reply_parameters", "reply parameters") or {}
    message_id = whole(wanted.get("message_id")) or call.arguments.integer("reply_to_message_id")
    if wanted and not message_id:
        raise bad_request('can\'t find field "message_id"')
    if not message_id:
        return {}
    found = call.world.message(chat_id, message_id)
    if found is None:
        if wanted.get("allow_sending_without_reply") or call.arguments.flag("allow_sending_without_reply"):
            return {}
        raise bad_request("message to be replied not found")
    return {"reply_to_message": {key: value for key, value in found.items() if key != "reply_to_message"}}


@method("sendMessage")
async def send_message(call: Call) -> Message:
    """Send a text."""
    fields = text_fields(call.arguments)
    return send(call, call.target(), fields)


def _source(call: Call, message_id: int, what: str) -> Message:
    chat_id = call.world.known(call.arguments.text("from_chat_id"))
    found = call.world.message(chat_id, message_id)
    if found is None:
        raise bad_request(f"message to {what} not found")
    if found.get("has_protected_content"):
        raise bad_request(f"message can't be {'copied' if what == 'copy' else 'forwarded'}")
    return found


def _origin(world: World, message: Message) -> dict[str, Any]:
    if "forward_origin" in message:
        return dict(message["forward_origin"])
    bot_or_user = world.bot() if message["from"]["is_bot"] else message["from"]
    return {"type": "user", "sender_user": bot_or_user, "date": message["date"]}


def _carried(message: Message) -> dict[str, Any]:
    return {name: message[name] for name in _CONTENT if name in message}


@method("forwardMessage")
async def forward_message(call: Call) -> Message:
    """Forward one message with its author."""
    found = _source(call, call.arguments.integer("message_id"), "forward")
    content = {**_carried(found), "forward_origin": _origin(call.world, found)}
    return call.world.add_message(call.target(), content)


@method("copyMessage")
async def copy_message(call: Call) -> dict[str, int]:
    """Send a message again without its author, with another caption if one is given."""
    found = _source(call, call.arguments.integer("message_id"), "copy")
    if "invoice" in found:
        raise bad_request("message can't be copied")
    content = _carried(found)
    if "caption" in call.arguments.values and ("photo" in found or "document" in found):
        content = {key: value for key, value in content.items() if key not in {"caption", "caption_entities"}}
        content |= caption_of(call.arguments)
    return {"message_id": send(call, call.target(), content)["message_id"]}


def message_ids(call: Call) -> list[int]:
    """Return 1 to 100 message ids.

    Raises:
        RefusedError: none, or too many.
    """
    wanted = call.arguments.array("message_ids", "message identifiers")
    if not wanted:
        raise bad_request("message identifiers are not specified")
    if len(wanted) > _MAX_MANY:
        raise bad_request("too many message identifiers specified")
    return [whole(message_id) for message_id in wanted]


async def _repeat(call: Call, *, copy: bool) -> list[dict[str, int]]:
    chat_from = call.world.known(call.arguments.text("from_chat_id"))
    found = [message for number in message_ids(call) if (message := call.world.message(chat_from, number)) is not None]
    if not found:
        raise bad_request("there are no messages to forward")
    chat_id = call.target(len(found))
    groups: dict[str, str] = {}
    sent: list[dict[str, int]] = []
    for message in found:
        content = _carried(message)
        if copy and call.arguments.flag("remove_caption"):
            content = {key: value for key, value in content.items() if key not in {"caption", "caption_entities"}}
        if not copy:
            content["forward_origin"] = _origin(call.world, message)
        if group := message.get("media_group_id"):
            content["media_group_id"] = groups.setdefault(group, str(secrets.randbelow(10**17) + 10**16))
        sent.append({"message_id": call.world.add_message(chat_id, content)["message_id"]})
    return sent


@method("forwardMessages")
async def forward_messages(call: Call) -> list[dict[str, int]]:
    """Forward several messages; albums stay albums, missing ones are skipped."""
    return await _repeat(call, copy=False)


@method("copyMessages")
async def copy_messages(call: Call) -> list[dict[str, int]]:
    """Copy several messages; albums stay albums, missing ones are skipped."""
    return await _repeat(call, copy=True)
