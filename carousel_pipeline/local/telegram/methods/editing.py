"""Editing and deleting messages, answering buttons, pinning."""

from collections.abc import Mapping
from typing import Any, Final

from carousel_pipeline.local.telegram import markup
from carousel_pipeline.local.telegram.methods.media import input_media
from carousel_pipeline.local.telegram.methods.messages import caption_of, message_ids, text_fields
from carousel_pipeline.local.telegram.methods.registry import Call, method
from carousel_pipeline.local.telegram.methods.rich import rich_fields
from carousel_pipeline.local.telegram.refusals import NOT_MODIFIED, bad_request
from carousel_pipeline.local.telegram.state import Message

_MAX_ANSWER: Final = 200
_TEXT: Final = ("text", "entities", "link_preview_options", "rich_message")
_CAPTION: Final = ("caption", "caption_entities", "show_caption_above_media", "has_media_spoiler")
_MEDIA: Final = ("photo", "document")


def _editable(call: Call) -> Message:
    message_id = call.arguments.integer("message_id")
    if "inline_message_id" in call.arguments.values or not message_id:
        raise bad_request("message identifier is not specified" if not message_id else "MESSAGE_ID_INVALID")
    chat_id = call.target()
    found = call.world.message(chat_id, message_id)
    if found is None:
        raise bad_request("message to edit not found")
    if not found["from"]["is_bot"]:
        raise bad_request("message can't be edited")
    return found


def _keyboard(call: Call, message: Message) -> dict[str, Any]:
    invoice = "invoice" in message
    wanted = markup.checked(
        call.arguments.parsed("reply_markup", "reply keyboard markup"), invoice=invoice, inline_only=True
    )
    return {"reply_markup": wanted} if wanted and wanted["inline_keyboard"] else {}


def _edit(call: Call, message: Message, drop: tuple[str, ...], content: Mapping[str, Any]) -> Message:
    """Replace the fields named in `drop` and the keyboard; an edit without a keyboard removes it, as at Telegram."""
    kept = {key: value for key, value in message.items() if key not in {*drop, "reply_markup", "edit_date"}}
    edited = {**kept, **content, **_keyboard(call, message)}
    if edited == {key: value for key, value in message.items() if key != "edit_date"}:
        raise bad_request(NOT_MODIFIED)
    return call.world.replace_message(edited)


@method("editMessageText")
async def edit_message_text(call: Call) -> Message:
    """Change a text message; a rich message may take the text's place."""
    rich = call.arguments.parsed("rich_message", "rich message")
    fields = await rich_fields(call, rich) if rich else text_fields(call.arguments)
    message = _editable(call)
    if "text" not in message and "rich_message" not in message:
        raise bad_request("there is no text in the message to edit")
    return _edit(call, message, _TEXT, fields)


@method("editMessageCaption")
async def edit_message_caption(call: Call) -> Message:
    """Change or remove a caption."""
    fields = caption_of(call.arguments)
    message = _editable(call)
    if not any(name in message for name in _MEDIA):
        raise bad_request("there is no caption in the message to edit")
    if message.get("has_media_spoiler"):
        fields["has_media_spoiler"] = True
    return _edit(call, message, _CAPTION, fields)


@method("editMessageReplyMarkup")
async def edit_message_reply_markup(call: Call) -> Message:
    """Change or remove the inline keyboard."""
    return _edit(call, _editable(call), (), {})


@method("editMessageMedia")
async def edit_message_media(call: Call) -> Message:
    """Put another photo or document in a message's place."""
    fields = await input_media(call, call.arguments.parsed("media", "media"))
    message = _editable(call)
    if "media_group_id" in message and ("document" in message) != ("document" in fields):
        raise bad_request("can't change media type in the album")
    if "invoice" in message:
        raise bad_request("message can't be edited")
    return _edit(call, message, (*_TEXT, *_CAPTION, *_MEDIA), fields)


@method("deleteMessage")
async def delete_message(call: Call) -> bool:
    """Delete a message of either side."""
    chat_id = call.world.reachable(call.arguments.text("chat_id"))
    message_id = call.arguments.integer("message_id")
    if not message_id:
        raise bad_request("message identifier is not specified")
    if call.world.message(chat_id, message_id) is None:
        raise bad_request("message to delete not found")
    call.world.delete_message(chat_id, message_id)
    return True


@method("deleteMessages")
async def delete_messages(call: Call) -> bool:
    """Delete up to 100 messages; those that are gone are skipped."""
    chat_id = call.world.reachable(call.arguments.text("chat_id"))
    for message_id in message_ids(call):
        if call.world.message(chat_id, message_id) is not None:
            call.world.delete_message(chat_id, message_id)
    return True


@method("answerCallbackQuery")
async def answer_callback_query(call: Call) -> bool:
    """End the waiting of a pressed button, with a toast or an alert when there is a text."""
    text = call.arguments.text("text")
    if len(text) > _MAX_ANSWER:
        raise bad_request("MESSAGE_TOO_LONG")
    answer = {"text": text, "show_alert": call.arguments.flag("show_alert"), "url": call.arguments.text("url")}
    call.world.answer_query(call.arguments.text("callback_query_id"), answer)
    return True


@method("pinChatMessage")
async def pin_chat_message(call: Call) -> bool:
    """Pin a message above the chat."""
    chat_id = call.target()
    message_id = call.arguments.integer("message_id")
    if call.world.message(chat_id, message_id) is None:
        raise bad_request("message to pin not found")
    call.world.change_chat(chat_id, pinned=message_id)
    return True


@method("unpinChatMessage")
async def unpin_chat_message(call: Call) -> bool:
    """Unpin the message above the chat."""
    chat_id = call.target()
    row = call.world.chat(chat_id)
    if row is None or row["pinned"] is None:
        raise bad_request("message to unpin not found")
    call.world.change_chat(chat_id, pinned=None)
    return True


@method("unpinAllChatMessages")
async def unpin_all_chat_messages(call: Call) -> bool:
    """Unpin everything."""
    call.world.change_chat(call.target(), pinned=None)
    return True
