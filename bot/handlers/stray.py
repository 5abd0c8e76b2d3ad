"""Everything else gets a helpful answer too (m33): pictures, stickers, voices, buttons that mean nothing any more."""

from types import MappingProxyType

from aiogram import F, Router
from aiogram.enums import ChatType, ContentType
from aiogram.fsm.context import FSMContext
from aiogram.types import Message

from bot.handlers.common import expired
from bot.texts import Texts

_FAMILIES = MappingProxyType(
    {
        ContentType.PHOTO: "photo",
        ContentType.STICKER: "sticker",
        ContentType.VOICE: "voice",
        ContentType.AUDIO: "voice",
        ContentType.VIDEO: "video",
        ContentType.VIDEO_NOTE: "video",
        ContentType.ANIMATION: "video",
    }
)
# What Telegram says about the chat itself needs no answer.
_SERVICE = F.content_type.in_(
    {ContentType.PINNED_MESSAGE, ContentType.MESSAGE_AUTO_DELETE_TIMER_CHANGED, ContentType.WRITE_ACCESS_ALLOWED}
)


def setup() -> Router:
    """Return the router of what nobody else took."""
    router = Router(name="stray")
    router.message.register(unsupported, F.chat.type == ChatType.PRIVATE, ~_SERVICE)
    router.callback_query.register(expired)
    return router


async def unsupported(message: Message, t: Texts, state: FSMContext) -> None:
    """Say what can be sent instead; once for all pictures of an album, and not at all when one of them had words."""
    if message.media_group_id:
        if (await state.get_data()).get("album") == message.media_group_id:
            return
        await state.update_data(album=message.media_group_id)
    await message.answer(t.pick("unsupported", _FAMILIES.get(ContentType(message.content_type), "other")))
