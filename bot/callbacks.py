"""What a button may say. Typed, at most 64 bytes, parsed before a handler sees it (M7).

A parsed press is still only a wish: whose request it is, and whether the style exists, is checked where it is used (M6, m32).
"""

from enum import StrEnum
from uuid import UUID

from aiogram.filters.callback_data import CallbackData


class Act(StrEnum):
    """What a press does to the one request it names."""

    MAKE = "make"
    AGAIN = "again"
    STYLES = "styles"
    SIZES = "sizes"
    COUNTS = "counts"
    BACK = "back"
    DISCARD = "discard"
    CANCEL = "cancel"
    FILES = "files"
    RETRY = "retry"
    GOT = "got"
    RESEND = "resend"


class Press(CallbackData, prefix="r"):
    """A button of one request. `price` is what the button showed, so a stale price is never held (C12)."""

    act: Act
    id: UUID
    price: int = 0


class PickStyle(CallbackData, prefix="s"):
    """A style for a new outline of the same source."""

    id: UUID
    style: str


class PickSize(CallbackData, prefix="z"):
    """A ratio for a new outline of the same source; `x` stands for the colon, which separates the fields."""

    id: UUID
    size: str


class PickCount(CallbackData, prefix="n"):
    """A number of slides for a new outline of the same source; 0 lets the text decide."""

    id: UUID
    count: int


class PickLanguage(CallbackData, prefix="l"):
    """A language of the interface."""

    locale: str
