"""What a button about money may say; see `bot.callbacks`. Whose pack it is, and whether there is one, is checked at its use."""

from enum import StrEnum
from uuid import UUID

from aiogram.filters.callback_data import CallbackData


class Way(StrEnum):
    """How a pack is paid."""

    STARS = "s"
    RUBLES = "r"
    MONTHLY = "m"


class Agree(CallbackData, prefix="agree"):
    """The person agrees to the terms of this version."""

    version: int


class BuyPack(CallbackData, prefix="buy"):
    """A pack to be paid in some way."""

    what: str
    way: Way


class ReturnPack(CallbackData, prefix="back"):
    """A pack to be returned; `sure` after the question whether it shall be."""

    number: int
    sure: bool = False


class StopMonthly(CallbackData, prefix="stop"):
    """A monthly plan that shall not go on."""

    order: UUID
