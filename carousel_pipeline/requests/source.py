"""Is this text a source for a carousel? Decided once, before anything is stored or spent.

The bot asks before it opens a request, and `copy` asks again, because a request launched by hand in the Dagster UI must be
checked like any other (M22). Each refusal has a text in both languages in `bot/locales`.
"""

import unicodedata
from enum import StrEnum

import regex

MIN_LETTERS = 3
MAX_SOURCE = 20_000

_LINKS = regex.compile(r"(?:https?://|www\.|t\.me/)\S+|(?<!\S)[@#]\w+", regex.IGNORECASE)
_LETTER = regex.compile(r"\p{L}|\p{N}")
_CONTROL = regex.compile(r"[\p{Cc}\p{Cs}\p{Co}--\n\t]", regex.V1)


class SourceRefusal(StrEnum):
    """Why a text cannot become a carousel; the value is the key of the user's message."""

    EMPTY = "empty"
    ONLY_EMOJI = "only_emoji"
    ONLY_LINKS = "only_links"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"


class SourceError(ValueError):
    """A source text was refused before anything was spent.

    Attributes:
        refusal: why.
        length: characters counted, for the message.
    """

    def __init__(self, refusal: SourceRefusal, length: int) -> None:
        super().__init__(f"source text refused: {refusal.value} ({length} characters)")
        self.refusal = refusal
        self.length = length


def clean_source(text: str) -> str:
    """Return `text` in NFC without control characters, or raise `SourceError` when no carousel can come of it."""
    clean = _CONTROL.sub("", unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))).strip()
    if not clean:
        raise SourceError(SourceRefusal.EMPTY, 0)
    if len(clean) > MAX_SOURCE:
        raise SourceError(SourceRefusal.TOO_LONG, len(clean))
    without_links = _LINKS.sub("", clean)
    letters = len(_LETTER.findall(without_links))
    if letters == 0:
        raise SourceError(SourceRefusal.ONLY_LINKS if without_links != clean else SourceRefusal.ONLY_EMOJI, len(clean))
    if letters < MIN_LETTERS:
        raise SourceError(SourceRefusal.TOO_SHORT, len(clean))
    return clean
