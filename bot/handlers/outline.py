"""Buttons under an outline: make it, try again, another style, size or number of slides, discard.

Every other version is a request of its own with a parent; an outline is never edited. Its message goes on to the new request.
"""

from typing import Any
from uuid import UUID

import psycopg
from aiogram import F, Router
from aiogram.fsm.context import FSMContext
from aiogram.types import CallbackQuery, InlineKeyboardMarkup

from bot import keyboards, views
from bot.callbacks import Act, PickCount, PickSize, PickStyle, Press
from bot.models import Card
from bot.notices import Notices
from bot.progress import Board
from bot.refusals import NO_CREDITS, refusal
from bot.stage import Stage
from bot.store import Store
from bot.styles import Styles
from bot.texts import Html, Texts
from carousel_pipeline.requests import MAX_SLIDES, MIN_SLIDES, Options


def setup() -> Router:
    """Return the router of an outline's buttons."""
    router = Router(name="outline")
    register = router.callback_query.register
    register(make, Press.filter(F.act == Act.MAKE))
    register(again, Press.filter(F.act.in_({Act.AGAIN, Act.RETRY})))
    register(choose, Press.filter(F.act.in_({Act.STYLES, Act.SIZES, Act.COUNTS, Act.BACK})))
    register(discard, Press.filter(F.act == Act.DISCARD))
    register(pick_style, PickStyle.filter())
    register(pick_size, PickSize.filter())
    register(pick_count, PickCount.filter())
    return router


async def make(
    callback: CallbackQuery, callback_data: Press, t: Texts, store: Store, stage: Stage, board: Board, notices: Notices
) -> None:
    """Hold the price and start; the second tap of two finds it started."""
    tg = callback.from_user.id
    try:
        verdict = await store.confirm(tg, callback_data.id, callback_data.price)
    except psycopg.Error as error:
        if error.sqlstate != NO_CREDITS:
            raise
        short = views.no_credits(t, callback_data.price, (await store.balance(tg)).available)
        await callback.answer(views.plain(short), show_alert=True)
        if card := await mine(store, tg, callback_data.id):
            await notices.show_outline(card)
        return
    card = await mine(store, tg, callback_data.id)
    if verdict == "confirmed" or (verdict == "already" and card and card.running):
        await callback.answer(None if verdict == "confirmed" else t("alert.already"))
        if card and card.progress_message is None:
            await stage.show(card, "progress", views.progress(t, card, await store.queue(card.id)))
            await notices.show_settled(card)
        board.follow(callback_data.id)
    elif verdict == "price_changed" and card:
        await callback.answer(t("alert.price"), show_alert=True)
        await notices.show_outline(card)
    elif verdict == "not_ready":
        await callback.answer(t("alert.not_ready"), show_alert=True)
    else:
        await expired(callback, t)


async def again(
    callback: CallbackQuery, callback_data: Press, t: Texts, store: Store, stage: Stage, notices: Notices
) -> None:
    """Ask for another outline of the same text with the same choices."""
    if card := await mine(store, callback.from_user.id, callback_data.id):
        await reopen(callback, card, {}, t, store, stage, notices)
    else:
        await expired(callback, t)


async def choose(callback: CallbackQuery, callback_data: Press, t: Texts, store: Store, styles: Styles) -> None:
    """Put a chooser under the outline, or the outline's own buttons back."""
    card = await mine(store, callback.from_user.id, callback_data.id)
    if card is None or card.phase != "outlined":
        await expired(callback, t)
        return
    toast: Html | None
    markup: InlineKeyboardMarkup
    match callback_data.act:
        case Act.STYLES:
            toast, markup = t("choose.style"), keyboards.styles(t, card, styles.named(t.locale))
        case Act.SIZES:
            toast, markup = t("choose.size"), keyboards.sizes(t, card)
        case Act.COUNTS:
            toast, markup = t("choose.count"), keyboards.counts(t, card)
        case _:
            toast, markup = None, keyboards.outline(t, card)
    await callback.answer(views.plain(toast) if toast else None)
    if callback.message is not None and callback.bot is not None:
        await callback.bot.edit_message_reply_markup(
            chat_id=callback.message.chat.id, message_id=callback.message.message_id, reply_markup=markup
        )


async def pick_style(
    callback: CallbackQuery,
    callback_data: PickStyle,
    t: Texts,
    store: Store,
    stage: Stage,
    notices: Notices,
    styles: Styles,
    state: FSMContext,
) -> None:
    """Outline the text in another style; a style that does not exist is refused (M6)."""
    if callback_data.style in styles:
        await picked(callback, callback_data.id, {"style": callback_data.style}, t, store, stage, notices, state)
    else:
        await expired(callback, t)


async def pick_size(
    callback: CallbackQuery,
    callback_data: PickSize,
    t: Texts,
    store: Store,
    stage: Stage,
    notices: Notices,
    state: FSMContext,
) -> None:
    """Outline the text in another size; a size that does not exist is refused (M6)."""
    size = callback_data.size.replace("x", ":")
    if size in keyboards.SIZES:
        await picked(callback, callback_data.id, {"ratio": size}, t, store, stage, notices, state)
    else:
        await expired(callback, t)


async def pick_count(
    callback: CallbackQuery,
    callback_data: PickCount,
    t: Texts,
    store: Store,
    stage: Stage,
    notices: Notices,
    state: FSMContext,
) -> None:
    """Outline the text in another number of slides; one that cannot be is refused (M6)."""
    count = callback_data.count
    if count == 0 or MIN_SLIDES <= count <= MAX_SLIDES:
        await picked(callback, callback_data.id, {"slides": count or None}, t, store, stage, notices, state)
    else:
        await expired(callback, t)


async def discard(callback: CallbackQuery, callback_data: Press, t: Texts, store: Store, notices: Notices) -> None:
    """Give an outline up."""
    tg = callback.from_user.id
    card = await mine(store, tg, callback_data.id)
    if card and await store.discard(tg, card.id):
        await callback.answer()
        await notices.show_discarded(card)
    else:
        await expired(callback, t)


async def picked(
    callback: CallbackQuery,
    request: UUID,
    choice: dict[str, Any],
    t: Texts,
    store: Store,
    stage: Stage,
    notices: Notices,
    state: FSMContext,
) -> None:
    """Make a choice for this text and remember it for the next ones; the number of slides belongs to one text only."""
    card = await mine(store, callback.from_user.id, request)
    if card is None or card.phase != "outlined":
        await expired(callback, t)
        return
    if "slides" not in choice:
        await state.update_data(choice)
    await reopen(callback, card, choice, t, store, stage, notices)


async def reopen(
    callback: CallbackQuery, card: Card, choice: dict[str, Any], t: Texts, store: Store, stage: Stage, notices: Notices
) -> None:
    """Open a child of a request. An outline gives its message to the child; a carousel keeps its own."""
    tg = callback.from_user.id
    if card.phase not in {"outlined", "failed", "confirmed"}:
        await expired(callback, t)
        return
    options = Options.model_validate(card.options.model_dump() | choice)
    writing = views.Screen(t("outline.writing"))
    inherits = card.phase != "confirmed" and card.outline_message is not None
    message = card.outline_message
    # Before the child is opened: its outline may be ready at once, and must not be painted over.
    if message is None or not inherits or not await stage.edit(card.chat_id, message, writing):
        message = await stage.say(card.chat_id, writing)
    try:
        opened = await store.open_child(tg, card.id, options, message)
    except psycopg.Error as error:
        if (told := refusal(t, error)) is None:
            raise
        await callback.answer(views.plain(told), show_alert=True)
        if inherits:
            await notices.show_again(card)
        else:
            await stage.erase(card.chat_id, message)
        return
    await callback.answer()
    if not inherits and not opened.created:
        await stage.erase(card.chat_id, message)


async def mine(store: Store, tg: int, request: UUID) -> Card | None:
    """Return a request if it is this person's: a button acts on its owner's request only (m32)."""
    card = await store.card(request)
    return card if card and card.tg_user_id == tg else None


async def expired(callback: CallbackQuery, t: Texts) -> None:
    """Say that a button has had its day."""
    await callback.answer(t("alert.gone"), show_alert=True)
