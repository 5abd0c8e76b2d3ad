"""Chats, members, chat actions and files."""

from typing import Any, Final

from carousel_pipeline.local.telegram.files import MAX_DOWNLOAD
from carousel_pipeline.local.telegram.methods.registry import Call, method
from carousel_pipeline.local.telegram.refusals import bad_request

_ACTIONS: Final = frozenset(
    {
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    }
)


@method("sendChatAction")
async def send_chat_action(call: Call) -> bool:
    """Show "typing…" and its kin for five seconds."""
    action = call.arguments.text("action").lower()
    if action not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    chat_id = call.world.reachable(call.arguments.text("chat_id"))
    call.world.events.publish(chat_id, "chat_action", action=action)
    return True


@method("getChat")
async def get_chat(call: Call) -> dict[str, Any]:
    """Return a chat in full."""
    chat_id = call.world.known(call.arguments.text("chat_id"))
    row = call.world.chat(chat_id) or {}
    gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
    full = {
        **call.world.chat_object(row),
        "accent_color_id": chat_id % 7,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts, True),
    }
    pinned = call.world.message(chat_id, row["pinned"]) if row["pinned"] else None
    return {**full, "pinned_message": pinned} if pinned else full


@method("getChatMember")
async def get_chat_member(call: Call) -> dict[str, Any]:
    """Return a member of a private chat: the user or the bot."""
    chat_id = call.world.known(call.arguments.text("chat_id"))
    row = call.world.chat(chat_id) or {}
    bot = call.world.bot()
    user_id = call.arguments.integer("user_id")
    if user_id not in {chat_id, bot["id"]}:
        raise bad_request("member not found")
    return {"status": "member", "user": bot if user_id == bot["id"] else row["user"]}


@method("getChatMemberCount")
async def get_chat_member_count(call: Call) -> int:
    """Return how many are in a private chat."""
    call.world.known(call.arguments.text("chat_id"))
    return 2


@method("getFile")
async def get_file(call: Call) -> dict[str, Any]:
    """Return where a file can be downloaded."""
    file_id = call.arguments.text("file_id")
    if not file_id:
        raise bad_request("file_id is not specified")
    row = call.world.files.describe(file_id)
    path = await call.world.files.path(file_id)
    if row is None or path is None:
        raise bad_request("invalid file_id")
    size = path.stat().st_size
    if size > MAX_DOWNLOAD:
        raise bad_request("file is too big")
    folder = "photos" if row["kind"] == "photo" else "documents"
    unique = row["unique"] + (file_id[-1] if row["kind"] == "photo" else "")
    return {"file_id": file_id, "file_unique_id": unique, "file_size": size, "file_path": f"{folder}/{file_id}"}
