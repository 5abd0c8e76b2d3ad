"""What a banned person may still do: everything that has to do with money already paid, and reading what was agreed."""

from typing import Final

from aiogram.types import Update

from bot.payments.callbacks import ReturnPack, StopMonthly

_COMMANDS: Final = ("/paysupport", "/terms", "/privacy")
_BUTTONS: Final = (ReturnPack.__prefix__, StopMonthly.__prefix__)


def open_to_all(update: Update) -> bool:
    """Whether an update is handled whoever sends it."""
    if update.my_chat_member is not None:
        return True
    if update.callback_query is not None:
        return (update.callback_query.data or "").partition(":")[0] in _BUTTONS
    message = update.message
    if message is None:
        return False
    paid = message.successful_payment is not None or message.refunded_payment is not None
    return paid or (message.text or "").split("@")[0].split(" ")[0] in _COMMANDS
