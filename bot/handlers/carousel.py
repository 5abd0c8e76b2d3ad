"""Buttons of a carousel that is being made or was made: cancel, files, caption, slideshow, undo, and "did it arrive?"."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiogram import Bot, F, Router
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import (
    CallbackQuery,
    InputMediaDocument,
    InputMediaPhoto,
    InputRichBlockPhoto,
    InputRichBlockSlideshow,
    InputRichMessage,
)

from bot import views
from bot.callbacks import Act, Press
from bot.editor import Editor
from bot.files import FileSender
from bot.handlers.common import changeable, expired, key_of, mine, tell
from bot.library import FileRole, Library
from bot.notices import Notices
from bot.stage import Stage
from bot.store import Store
from bot.texts import Texts
from bot.views import Screen
from carousel_pipeline.requests.change import Change, Edit, undone

_ROLES: Final[Mapping[Act, FileRole]] = MappingProxyType({Act.FILES: "slide", Act.PDF: "pdf", Act.ZIP: "zip"})


def setup() -> Router:
    """Return the router of a carousel's buttons."""
    router = Router(name="carousel")
    register = router.callback_query.register
    register(cancel, Press.filter(F.act == Act.CANCEL))
    register(send_files, Press.filter(F.act.in_(set(_ROLES))))
    register(send_caption, Press.filter(F.act == Act.CAPTION))
    register(send_slideshow, Press.filter(F.act == Act.SHOW))
    register(send_album, Press.filter(F.act == Act.ALBUM))
    register(undo, Press.filter(F.act == Act.UNDO))
    register(send_kept, Press.filter(F.act == Act.KEPT))
    register(resolve, Press.filter(F.act.in_({Act.GOT, Act.RESEND})))
    return router


async def cancel(callback: CallbackQuery, callback_data: Press, t: Texts, store: Store) -> None:
    """Stop this very request, as long as nothing is being sent; the ledger tells the person what came back."""
    verdict = await store.cancel(callback.from_user.id, callback_data.id)
    if verdict == "cancelled":
        await callback.answer(t("cancel.asked"))
    elif verdict == "gone":
        await expired(callback, t)
    else:
        await callback.answer(t("alert.too_late"), show_alert=True)


async def send_files(
    callback: CallbackQuery, callback_data: Press, t: Texts, store: Store, file_sender: FileSender
) -> None:
    """Send the slides as documents in full quality, as one PDF, or as one ZIP."""
    card = await mine(store, callback.from_user.id, callback_data.id)
    if card is None or not card.made:
        await expired(callback, t)
        return
    await callback.answer(t("alert.sending_files"))
    file_sender.send_soon(card, _ROLES[callback_data.act])


async def send_caption(callback: CallbackQuery, callback_data: Press, t: Texts, store: Store, stage: Stage) -> None:
    """Send the post's text and its hashtags, each to be copied with one tap."""
    card = await mine(store, callback.from_user.id, callback_data.id)
    if card is None or not card.made:
        await expired(callback, t)
        return
    parts = views.caption(t, card)
    await callback.answer(None if parts else t("caption.none"))
    for part in parts:
        await stage.say(card.chat_id, Screen(part))


async def send_slideshow(
    callback: CallbackQuery, callback_data: Press, t: Texts, store: Store, library: Library, bot: Bot
) -> None:
    """Send the slides as one message to swipe through; an app too old for it keeps the album."""
    card = await mine(store, callback.from_user.id, callback_data.id)
    photos = [item.file_id for item in await library.album(card.id) if item.kind == "photo"] if card else []
    if card is None or not photos:
        await callback.answer(t("show.none"), show_alert=True)
        return
    await callback.answer()
    show = InputRichBlockSlideshow(blocks=[InputRichBlockPhoto(photo=InputMediaPhoto(media=photo)) for photo in photos])
    try:
        await bot.send_rich_message(card.chat_id, InputRichMessage(blocks=[show]))
    except TelegramBadRequest:
        await bot.send_message(card.chat_id, t("show.refused"))


async def send_album(
    callback: CallbackQuery,
    callback_data: Press,
    t: Texts,
    store: Store,
    library: Library,
    stage: Stage,
    notices: Notices,
    file_sender: FileSender,
    bot: Bot,
) -> None:
    """Send an album of the history again, at once, and its buttons below it."""
    card = await mine(store, callback.from_user.id, callback_data.id)
    if card is None or not card.made:
        await expired(callback, t)
        return
    await callback.answer()
    items = await library.album(card.id)
    try:
        if len(items) == 1 and items[0].kind == "photo":
            await bot.send_photo(card.chat_id, items[0].file_id)
        elif items:
            kind = InputMediaPhoto if items[0].kind == "photo" else InputMediaDocument
            await bot.send_media_group(card.chat_id, [kind(media=item.file_id) for item in items])
    except TelegramBadRequest:
        items = []
    if not items:
        # Telegram knows the pictures no more: the stored ones go as files.
        file_sender.send_soon(card, "slide")
    await stage.put_last(card, "control", await notices.control(card))


async def undo(
    callback: CallbackQuery, callback_data: Press, t: Texts, store: Store, library: Library, editor: Editor
) -> None:
    """Go back to the version before: its slides are stored, so nothing is made anew and nothing is charged."""
    card = await changeable(callback, callback_data.id, t, store)
    if card is None or card.version is None:
        return
    target = await library.undo_target(card.id)
    before = await mine(store, callback.from_user.id, target) if target else None
    if before is None or before.version is None:
        await callback.answer(t("alert.no_undo"), show_alert=True)
        return
    await tell(callback, await editor.apply(card, undone(card.version, before.version), key_of(callback), t))


async def send_kept(callback: CallbackQuery, callback_data: Press, t: Texts, store: Store, editor: Editor) -> None:
    """Deliver what was finished while its person was away, for the price it had."""
    card = await mine(store, callback.from_user.id, callback_data.id)
    if card is None or card.deck is None or card.money != "released" or callback_data.price != card.price:
        await expired(callback, t)
        return
    edit = Edit(kind="again", options=card.options, deck=card.deck, change=Change(base=card.id), quoted=card.price)
    await tell(callback, await editor.apply(card, edit, key_of(callback), t))


async def resolve(callback: CallbackQuery, callback_data: Press, t: Texts, store: Store, stage: Stage) -> None:
    """Take the word of the only one who can see the chat."""
    tg, got = callback.from_user.id, callback_data.act == Act.GOT
    card = await mine(store, tg, callback_data.id)
    if card is None or card.money != "delivery_unknown":
        await callback.answer(t("ask.settled"), show_alert=True)
        return
    if not got and card.control_message is not None:
        # The question becomes the answer and stays where it is; the album and its buttons come below.
        await stage.edit(card.chat_id, card.control_message, Screen(t("ask.resending")))
        await store.message_drop(card.id, "control")
    await store.resolve(tg, card.id, got=got)
    await callback.answer(t("ask.got") if got else None)
