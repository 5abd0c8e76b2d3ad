"""Everything that can become a carousel: a text, a forwarded post, a caption, a .txt or .md file."""

from aiogram import Bot, F, Router
from aiogram.enums import ChatType
from aiogram.exceptions import TelegramBadRequest
from aiogram.fsm.context import FSMContext
from aiogram.types import Document, Message, User

from bot.collector import Collector
from bot.documents import MAX_BYTES, DocumentError, read_text, readable
from bot.texts import Texts
from bot.views import number
from carousel_pipeline.requests import MAX_SOURCE


def setup() -> Router:
    """Return the router of sources."""
    router = Router(name="source")
    router.message.filter(F.chat.type == ChatType.PRIVATE)
    router.edited_message.filter(F.chat.type == ChatType.PRIVATE)
    router.message.register(unknown_command, F.text.startswith("/"))
    router.message.register(text, F.text)
    router.message.register(document, F.document, ~F.animation)
    router.message.register(caption, F.caption)
    router.edited_message.register(edited, F.text)
    return router


async def unknown_command(message: Message, t: Texts) -> None:
    """Answer a command that does not exist with those that do."""
    await message.answer(t("help.text"))


async def text(message: Message, event_from_user: User, collector: Collector) -> None:
    """Collect a text or a forwarded post."""
    await collector.add(message.chat.id, message.message_id, event_from_user.id, message.text or "")


async def caption(message: Message, event_from_user: User, collector: Collector, state: FSMContext) -> None:
    """Collect the words under a picture: that is how posts are forwarded."""
    if message.media_group_id:
        await state.update_data(album=message.media_group_id)
    await collector.add(message.chat.id, message.message_id, event_from_user.id, message.caption or "")


async def document(message: Message, event_from_user: User, bot: Bot, t: Texts, collector: Collector) -> None:
    """Collect the text of a file."""
    file = message.document
    if file is None:
        return
    try:
        with collector.holding(message.chat.id):
            body = await _download(bot, file)
    except DocumentError as error:
        limit = number(MAX_SOURCE)
        await message.answer(
            t.pick("refusal", error.reason) if error.reason != "file_size" else t("refusal.file_size", limit=limit)
        )
        return
    await collector.add(
        message.chat.id, message.message_id, event_from_user.id, f"{message.caption or ''}\n\n{body}".strip()
    )


async def edited(message: Message, t: Texts, collector: Collector) -> None:
    """Take a correction as long as the text is still being collected."""
    if not await collector.edit(message.chat.id, message.message_id, message.text or ""):
        await message.answer(t("edited.late"))


async def _download(bot: Bot, file: Document) -> str:
    if not readable(file.file_name, file.mime_type):
        raise DocumentError("file_kind")
    if (file.file_size or 0) > MAX_BYTES:
        raise DocumentError("file_size")
    try:
        data = await bot.download(file)
    except TelegramBadRequest:
        raise DocumentError("file_size") from None
    if data is None:
        raise DocumentError("file_text")
    return read_text(data.read())
