"""Buttons under an outline: make it, another outline, discard. Its other choices are in `choices`, its slides in `slides`.

An outline is never edited: every other version is a request of its own with a parent, and the message goes on to it.
"""

from typing import Any

import psycopg
from aiogram import F, Router
from aiogram.types import CallbackQuery

from bot import views
from bot.callbacks import Act, Press
from bot.handlers.common import expired, mine
from bot.library import Library
from bot.models import Card
from bot.notices import Notices
from bot.progress import Board
from bot.refusals import NO_CREDITS, refusal
from bot.stage import Stage
from bot.store import Store
from bot.texts import Texts
from carousel_pipeline.requests import Options


class Reopener:
    """Asks the writer for another outline of the same source."""

    def __init__(self, store: Store, library: Library, stage: Stage, notices: Notices) -> None:
        self._store = store
        self._library = library
        self._stage = stage
        self._notices = notices

    async def reopen(self, callback: CallbackQuery, card: Card, choice: dict[str, Any], t: Texts) -> None:
        """Open a child of a request. An outline gives its message to the child; a carousel keeps its own."""
        if card.phase not in {"outlined", "failed", "confirmed"}:
            await expired(callback, t)
            return
        if busy := views.busy(t, await self._library.closed_providers(), views.WRITER):
            await callback.answer(views.plain(busy), show_alert=True)
            return
        options = Options.model_validate(card.options.model_dump() | choice)
        writing = views.Screen(t("outline.writing"))
        inherits = card.phase != "confirmed" and card.outline_message is not None
        message = card.outline_message
        # Before the child is opened: its outline may be ready at once, and must not be painted over.
        if message is None or not inherits or not await self._stage.edit(card.chat_id, message, writing):
            message = await self._stage.say(card.chat_id, writing)
        try:
            opened = await self._store.open_child(callback.from_user.id, card.id, options, message)
        except psycopg.Error as error:
            if (told := refusal(t, error)) is None:
                raise
            await callback.answer(views.plain(told), show_alert=True)
            if inherits:
                await self._notices.show_again(card)
            else:
                await self._stage.erase(card.chat_id, message)
            return
        await callback.answer()
        if not inherits and not opened.created:
            await self._stage.erase(card.chat_id, message)


def setup() -> Router:
    """Return the router of an outline's buttons."""
    router = Router(name="outline")
    register = router.callback_query.register
    register(make, Press.filter(F.act == Act.MAKE))
    register(again, Press.filter(F.act.in_({Act.AGAIN, Act.RETRY})))
    register(discard, Press.filter(F.act == Act.DISCARD))
    return router


async def make(
    callback: CallbackQuery,
    callback_data: Press,
    t: Texts,
    store: Store,
    library: Library,
    stage: Stage,
    board: Board,
    notices: Notices,
) -> None:
    """Hold the price and start; the second tap of two finds it started."""
    tg = callback.from_user.id
    if busy := views.busy(t, await library.closed_providers(), views.PAINTER):
        await callback.answer(views.plain(busy), show_alert=True)
        return
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


async def again(callback: CallbackQuery, callback_data: Press, t: Texts, store: Store, reopener: Reopener) -> None:
    """Ask for another outline of the same text with the same choices."""
    if card := await mine(store, callback.from_user.id, callback_data.id):
        await reopener.reopen(callback, card, {}, t)
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
