"""What an operator's button may say; typed and at most 64 bytes like every other (M7), and heard from operators only."""

from enum import StrEnum
from uuid import UUID

from aiogram.filters.callback_data import CallbackData


class Deed(StrEnum):
    """What is decided about a person or a request, with a reason."""

    GIVE = "give"
    BAN = "ban"
    UNBAN = "unban"
    REFUND = "refund"


class Panel(CallbackData, prefix="hp"):
    """Today's figures once more, or the beginning of a broadcast."""

    broadcast: bool = False


class ShowPerson(CallbackData, prefix="hw"):
    """A person by Telegram id."""

    tg: int


class ShowRequest(CallbackData, prefix="hr"):
    """A request."""

    id: UUID


class DecidePerson(CallbackData, prefix="hd"):
    """The beginning of a decision about a person."""

    deed: Deed
    tg: int


class DecideRequest(CallbackData, prefix="hq"):
    """The beginning of a decision about a request."""

    deed: Deed
    id: UUID


class Tell(CallbackData, prefix="ht"):
    """Who hears a broadcast."""

    id: int
    audience: str


class StopTelling(CallbackData, prefix="hs"):
    """The end of a broadcast, or of its draft."""

    id: int
