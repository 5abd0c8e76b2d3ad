"""What belongs to a person: their carousels, their brand, the style of their next ones."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiogram import Bot, F, Router
from aiogram.enums import ChatType
from aiogram.exceptions import TelegramBadRequest
from aiogram.filters import Command
from aiogram.fsm.context import FSMContext
from aiogram.types import CallbackQuery, Document, Message, PhotoSize, User

from bot import keyboards, personal_views
from bot.callbacks import BrandAct, BrandPress, HistoryPage, OwnStyle, PickAccent
from bot.files import FileSender
from bot.gallery import NOBODY, Gallery
from bot.handlers.common import expired
from bot.handlers.slides import ANSWER, Answers
from bot.library import Library
from bot.stage import Stage
from bot.styles import Styles
from bot.texts import Texts
from bot.views import Screen
from bot.waiting import Awaits, What, ask
from carousel_pipeline.requests import Options

_PAGE: Final = 6
_HANDLE: Final = re.compile(r"[^\s\x00-\x1f]{1,40}(?: [^\s\x00-\x1f]{1,40}){0,3}")
_LONGEST_HANDLE: Final = 40
_COLOUR: Final = re.compile(r"#?([0-9a-fA-F]{6})")
_LOGO_BYTES: Final = 2_000_000
_SIGNS: Final = (
    (b"\x89PNG\r\n\x1a\n", "png", "image/png"),
    (b"\xff\xd8\xff", "jpg", "image/jpeg"),
    (b"RIFF", "webp", "image/webp"),
)
_DROPPED: Final = MappingProxyType(
    {BrandAct.NO_HANDLE: "handle", BrandAct.NO_LOGO: "logo_key", BrandAct.NO_ACCENT: "accent"}
)
_ASKED: Final[Mapping[BrandAct, What]] = MappingProxyType(
    {
        BrandAct.HANDLE: "handle",
        BrandAct.LOGO: "logo",
        BrandAct.ACCENT: "accent",
    }
)


def setup() -> Router:
    """Return the router of a person's own things."""
    router = Router(name="personal")
    router.message.filter(F.chat.type == ChatType.PRIVATE)
    router.message.register(show_history, Command("history"))
    router.message.register(show_brand, Command("brand"))
    router.message.register(show_styles, Command("styles"))
    router.message.register(take_handle, Awaits("handle"), ANSWER)
    router.message.register(take_accent, Awaits("accent"), ANSWER)
    router.message.register(take_logo, Awaits("logo"), F.photo | F.document)
    router.callback_query.register(turn_history, HistoryPage.filter())
    router.callback_query.register(change_brand, BrandPress.filter())
    router.callback_query.register(pick_accent, PickAccent.filter())
    router.callback_query.register(keep_style, OwnStyle.filter())
    return router


async def show_history(message: Message, event_from_user: User, t: Texts, library: Library, styles: Styles) -> None:
    """List what was made, newest first."""
    page = await library.history(event_from_user.id, _PAGE + 1)
    screen = personal_views.history(t, page[:_PAGE], styles, more=len(page) > _PAGE)
    await message.answer(screen.text, reply_markup=screen.keyboard)


async def turn_history(
    callback: CallbackQuery, callback_data: HistoryPage, t: Texts, library: Library, stage: Stage, styles: Styles
) -> None:
    """Show the next page."""
    page = await library.history(callback.from_user.id, _PAGE + 1, callback_data.after)
    if callback.message is None or not page:
        await expired(callback, t)
        return
    await callback.answer()
    screen = personal_views.history(t, page[:_PAGE], styles, more=len(page) > _PAGE)
    await stage.edit(callback.message.chat.id, callback.message.message_id, screen)


async def show_styles(message: Message, t: Texts, styles: Styles, gallery: Gallery, state: FSMContext) -> None:
    """Show the styles; the one that is taken is used for the next texts."""
    names = styles.named(t.locale)
    chosen = (await state.get_data()).get("style")
    style = chosen if isinstance(chosen, str) and chosen in styles else Options().style
    caption = t("gallery.caption", name=names[style], number=list(names).index(style) + 1, total=len(names))
    await gallery.show_style(message.chat.id, style, t.locale, caption, keyboards.gallery(t, NOBODY, names, style))


async def keep_style(
    callback: CallbackQuery, callback_data: OwnStyle, t: Texts, styles: Styles, state: FSMContext, bot: Bot
) -> None:
    """Use a style for the next texts."""
    if callback_data.style not in styles or callback.message is None:
        await expired(callback, t)
        return
    await state.update_data(style=callback_data.style)
    await callback.answer()
    await bot.edit_message_caption(
        chat_id=callback.message.chat.id,
        message_id=callback.message.message_id,
        caption=t("gallery.kept", name=styles.name(callback_data.style, t.locale)),
    )


async def show_brand(message: Message, user_id: int, t: Texts, library: Library) -> None:
    """Show what stands on every slide."""
    screen = personal_views.brand(t, await library.brand(user_id))
    await message.answer(screen.text, reply_markup=screen.keyboard)


async def change_brand(
    callback: CallbackQuery,
    callback_data: BrandPress,
    user_id: int,
    t: Texts,
    library: Library,
    stage: Stage,
    state: FSMContext,
    answers: Answers,
) -> None:
    """Ask for a part of the brand, or take one away."""
    if callback.message is None:
        await expired(callback, t)
        return
    chat = callback.message.chat.id
    await callback.answer()
    if part := _DROPPED.get(callback_data.act):
        await library.set_brand(user_id, **{part: None})
        await stage.edit(chat, callback.message.message_id, personal_views.brand(t, await library.brand(user_id)))
        return
    what = _ASKED[callback_data.act]
    await answers.close(state, chat)
    markup = keyboards.accents(t) if what == "accent" else keyboards.stop(t)
    await ask(state, what, await stage.say(chat, Screen(t.pick("brand_ask", what), markup)))


async def take_handle(
    message: Message, user_id: int, t: Texts, library: Library, state: FSMContext, answers: Answers
) -> None:
    """Take the line that stands on every slide."""
    handle = " ".join((message.text or "").split())
    if len(handle) > _LONGEST_HANDLE or not _HANDLE.fullmatch(handle):
        await message.answer(t("brand.bad_handle", limit=_LONGEST_HANDLE))
        return
    await library.set_brand(user_id, handle=handle)
    await answers.close(state, message.chat.id)
    await show_brand(message, user_id, t, library)


async def take_accent(
    message: Message, user_id: int, t: Texts, library: Library, state: FSMContext, answers: Answers
) -> None:
    """Take the brand's colour."""
    found = _COLOUR.fullmatch((message.text or "").strip())
    if found is None:
        await message.answer(t("brand.bad_accent"))
        return
    await library.set_brand(user_id, accent=f"#{found[1].lower()}")
    await answers.close(state, message.chat.id)
    await show_brand(message, user_id, t, library)


async def pick_accent(
    callback: CallbackQuery,
    callback_data: PickAccent,
    user_id: int,
    t: Texts,
    library: Library,
    stage: Stage,
    state: FSMContext,
    answers: Answers,
) -> None:
    """Take one of the colours that were offered."""
    if callback.message is None or callback_data.colour not in keyboards.ACCENTS:
        await expired(callback, t)
        return
    await callback.answer()
    await library.set_brand(user_id, accent=f"#{callback_data.colour}")
    chat = callback.message.chat.id
    await answers.close(state, chat)
    await stage.say(chat, personal_views.brand(t, await library.brand(user_id)))


async def take_logo(
    message: Message,
    user_id: int,
    t: Texts,
    library: Library,
    state: FSMContext,
    answers: Answers,
    file_sender: FileSender,
    bot: Bot,
) -> None:
    """Take the brand's logo: a PNG with a clear ground is best, a picture will do."""
    data = await _download(bot, message.document or (message.photo or [])[-1])
    kind = next(((ending, mime) for sign, ending, mime in _SIGNS if data.startswith(sign)), None)
    if kind is None or len(data) > _LOGO_BYTES:
        await message.answer(t("brand.bad_logo"))
        return
    key = await file_sender.keep(data, *kind)
    await library.set_brand(user_id, logo_key=key)
    await answers.close(state, message.chat.id)
    await show_brand(message, user_id, t, library)


async def _download(bot: Bot, file: Document | PhotoSize) -> bytes:
    """Return a file's bytes; nothing for one that is too large to be a logo or cannot be had."""
    if (file.file_size or 0) > _LOGO_BYTES:
        return b""
    try:
        data = await bot.download(file)
    except TelegramBadRequest:
        return b""
    return data.read() if data is not None else b""
