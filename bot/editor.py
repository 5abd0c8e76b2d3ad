"""Carries a change out: opens it, shows what became of it, says what it cost. The one way from a wish to a new version.

What must stay true: a change is opened once, however often its update comes (its key is the press or the message); nothing is
shown as done before the database says so; a paid change names its price on the button that starts it.
"""

from dataclasses import dataclass
from typing import Final

import psycopg
from aiogram import Bot
from aiogram.enums import ChatAction

from bot import views
from bot.library import Library
from bot.models import Card
from bot.notices import Notices
from bot.progress import Board
from bot.refusals import NO_CREDITS, refusal
from bot.stage import Stage
from bot.store import Store
from bot.texts import Html, Texts
from carousel_pipeline.requests.change import Edit

_SLOW: Final = frozenset({"language"})


@dataclass(frozen=True)
class Said:
    """What to answer: a passing word, or an alert that waits to be read. `done` when a new version was opened."""

    text: Html | None = None
    alert: bool = False
    done: bool = False


class Editor:
    """Opens changes and shows them."""

    def __init__(self, bot: Bot, store: Store, library: Library, stage: Stage, board: Board, notices: Notices) -> None:
        self._bot = bot
        self._store = store
        self._library = library
        self._stage = stage
        self._board = board
        self._notices = notices

    async def apply(self, card: Card, edit: Edit, key: str, t: Texts, *, below: bool = False) -> Said:
        """Open `edit` of `card`.

        Args:
            card: the version to change.
            edit: the change.
            key: of the press or the message that asked for it.
            t: the person's words.
            below: show a changed outline as the chat's last message, because something was written after it.
        """
        try:
            changed = await self._library.open_edit(card.tg_user_id, card.id, edit, key)
        except psycopg.Error as error:
            if error.sqlstate == NO_CREDITS:
                available = (await self._store.balance(card.tg_user_id)).available
                return Said(t.count("credits.short_change", edit.price, available=available), alert=True)
            if (told := refusal(t, error)) is None:
                raise
            return Said(told, alert=True)
        child = await self._store.card(changed.request_id) if changed.request_id else None
        if child is None:
            return Said(t("alert.busy") if changed.verdict == "busy" else t("alert.gone"), alert=True)
        if child.phase == "outlined":
            await self._show_outline(child, below=below)
            return Said(done=True)
        if changed.verdict == "already":
            return Said(t("alert.already") if child.running else None, done=True)
        await self._follow(child, edit, t)
        return Said(t.count("edit.held", edit.price) if edit.price else t("edit.started"), done=True)

    async def _show_outline(self, child: Card, *, below: bool) -> None:
        if below:
            await self._notices.show_outline_last(child)
        else:
            await self._notices.show_outline(child)

    async def _follow(self, child: Card, edit: Edit, t: Texts) -> None:
        """A change that takes no time shows that something is coming; one that does shows how far it is."""
        if not edit.change.pictures and edit.kind not in _SLOW:
            await self._bot.send_chat_action(child.chat_id, ChatAction.UPLOAD_PHOTO)
            return
        await self._stage.show(child, "progress", views.progress(t, child, await self._store.queue(child.id)))
        self._board.follow(child.id)
