"""From an error of the SQL API to the words for it. What has no words here is a bug or an outage, never the person's doing."""

from types import MappingProxyType
from typing import Final

import psycopg

from bot.texts import Html, Texts

TOO_MANY_OUTLINES: Final = "LC001"
OUTLINE_IN_WORK: Final = "LC002"
NO_CREDITS: Final = "LD007"
RESTRICTED: Final = "LD008"
TOO_MANY_CHANGES: Final = "LC004"
FORGOTTEN: Final = "LC005"
BEING_DELETED: Final = "LC006"

_WORDS: Final = MappingProxyType(
    {
        TOO_MANY_OUTLINES: "limit",
        OUTLINE_IN_WORK: "busy",
        RESTRICTED: "restricted",
        TOO_MANY_CHANGES: "changes",
        FORGOTTEN: "forgotten",
        BEING_DELETED: "again",
    }
)


def refusal(t: Texts, error: psycopg.Error) -> Html | None:
    """Return what to tell the person, None when the error is not a refusal."""
    word = _WORDS.get(error.sqlstate or "")
    return None if word is None else t.pick("refusal", word)
