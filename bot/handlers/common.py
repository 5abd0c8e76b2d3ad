"""What handlers of buttons share: whose request it is, and how a press is answered."""

from uuid import UUID

from aiogram.types import CallbackQuery, InlineKeyboardMarkup

from bot import views
from bot.editor import Said
from bot.models import Card
from bot.store import Store
from bot.texts import Html, Texts


async def mine(store: Store, tg: int, request: UUID) -> Card | None:
    """Return a request if it is this person's: a button acts on its owner's request only (m32)."""
    card = await store.card(request)
    return card if card and card.tg_user_id == tg else None


async def changeable(callback: CallbackQuery, request: UUID, t: Texts, store: Store) -> Card | None:
    """Return this person's request if something can be changed about it; else say that the button has had its day."""
    card = await mine(store, callback.from_user.id, request)
    if card is not None and card.version is not None:
        return card
    await expired(callback, t)
    return None


async def expired(callback: CallbackQuery, t: Texts) -> None:
    """Say that a button has had its day."""
    await callback.answer(t("alert.gone"), show_alert=True)


async def tell(callback: CallbackQuery, said: Said) -> None:
    """Answer a press."""
    await callback.answer(views.plain(said.text) if said.text else None, show_alert=said.alert)


async def swap(callback: CallbackQuery, markup: InlineKeyboardMarkup, toast: Html | None = None) -> None:
    """Put other buttons under the message that was pressed."""
    await callback.answer(views.plain(toast) if toast else None)
    if callback.message is not None and callback.bot is not None:
        await callback.bot.edit_message_reply_markup(
            chat_id=callback.message.chat.id, message_id=callback.message.message_id, reply_markup=markup
        )


def key_of(callback: CallbackQuery) -> str:
    """Return what makes a redelivered press the same wish."""
    return f"press:{callback.id}"
