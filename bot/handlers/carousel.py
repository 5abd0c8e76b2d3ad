"""Buttons of a carousel that is being made or was made: cancel, files, and the answer to "did it arrive?"."""

from aiogram import F, Router
from aiogram.types import CallbackQuery

from bot.callbacks import Act, Press
from bot.files import FileSender
from bot.handlers.outline import expired, mine
from bot.stage import Stage
from bot.store import Store
from bot.texts import Texts
from bot.views import Screen


def setup() -> Router:
    """Return the router of a carousel's buttons."""
    router = Router(name="carousel")
    router.callback_query.register(cancel, Press.filter(F.act == Act.CANCEL))
    router.callback_query.register(files, Press.filter(F.act == Act.FILES))
    router.callback_query.register(resolve, Press.filter(F.act.in_({Act.GOT, Act.RESEND})))
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


async def files(callback: CallbackQuery, callback_data: Press, t: Texts, store: Store, file_sender: FileSender) -> None:
    """Send the slides as documents, in full quality."""
    card = await mine(store, callback.from_user.id, callback_data.id)
    if card is None or card.money != "delivered":
        await expired(callback, t)
        return
    await callback.answer(t("alert.sending_files"))
    file_sender.send_soon(card)


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
