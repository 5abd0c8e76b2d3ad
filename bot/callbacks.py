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
    TONES = "tones"
    STRUCTURES = "kinds"
    LANGUAGES = "langs"
    WORDS = "words"
    PICTURES = "paint"
    SLIDES = "slides"
    TEXT = "text"
    PICTURE = "pic"
    BACK = "back"
    DISCARD = "discard"
    CANCEL = "cancel"
    FILES = "files"
    PDF = "pdf"
    ZIP = "zip"
    CAPTION = "caption"
    SHOW = "show"
    UNDO = "undo"
    UNFOLD = "unfold"
    RETRY = "retry"
    GOT = "got"
    RESEND = "resend"
    KEPT = "kept"
    ALBUM = "album"


class Press(CallbackData, prefix="r"):
    """A button of one request. `price` is what the button showed, so a stale price is never held (C12)."""

    act: Act
    id: UUID
    price: int = 0


class SlideAct(StrEnum):
    """What a press does to one slide of a request."""

    OPEN = "open"
    TEXT = "text"
    PICTURE = "pic"
    REPAINT = "new"
    DESCRIBE = "ask"
    MOVE = "move"
    ADD = "add"
    REMOVE = "del"


class SlidePress(CallbackData, prefix="e"):
    """A button of one slide, counted from 1."""

    act: SlideAct
    id: UUID
    slide: int


class MoveSlide(CallbackData, prefix="p"):
    """A new place for a slide, both counted from 1."""

    id: UUID
    slide: int
    to: int


class PickStyle(CallbackData, prefix="s"):
    """A style for a request."""

    id: UUID
    style: str


class LookStyle(CallbackData, prefix="v"):
    """A style to look at before it is taken; the id of nothing (all zeros) belongs to no request."""

    id: UUID
    style: str


class OwnStyle(CallbackData, prefix="o"):
    """The style of a person's next carousels."""

    style: str


class PickSize(CallbackData, prefix="z"):
    """A ratio; `x` stands for the colon, which separates the fields."""

    id: UUID
    size: str


class PickCount(CallbackData, prefix="n"):
    """A number of slides for a new outline of the same source; 0 lets the text decide."""

    id: UUID
    count: int


class PickTone(CallbackData, prefix="t"):
    """A tone for a new outline of the same source."""

    id: UUID
    tone: str


class PickWords(CallbackData, prefix="w"):
    """What to do with the person's words in a new outline."""

    id: UUID
    words: str


class PickPictures(CallbackData, prefix="i"):
    """One picture a slide, or one for all."""

    id: UUID
    mode: str


class PickStructure(CallbackData, prefix="u"):
    """A way to tell it for a new outline of the same source; empty lets the text decide."""

    id: UUID
    structure: str


class PickTongue(CallbackData, prefix="g"):
    """A language of the slides; empty keeps the text's own."""

    id: UUID
    language: str


class Part(StrEnum):
    """Which part of a slide the awaited text is for."""

    BOTH = "both"
    HEADING = "heading"
    BODY = "body"
    NONE = "none"


class PickPart(CallbackData, prefix="m"):
    """A part of the slide whose text is awaited; `none` stops waiting."""

    part: Part


class BrandAct(StrEnum):
    """What a press does to a person's brand."""

    HANDLE = "handle"
    LOGO = "logo"
    ACCENT = "accent"
    NO_HANDLE = "xhandle"
    NO_LOGO = "xlogo"
    NO_ACCENT = "xaccent"


class BrandPress(CallbackData, prefix="b"):
    """A button of the brand."""

    act: BrandAct


class PickAccent(CallbackData, prefix="a"):
    """A colour for the brand, as six hexadecimal digits."""

    colour: str


class HistoryPage(CallbackData, prefix="h"):
    """The page of the history after a carousel."""

    after: UUID


class PickLanguage(CallbackData, prefix="l"):
    """A language of the interface."""

    locale: str
