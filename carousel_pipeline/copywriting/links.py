"""Nothing that can be tapped, written to or paid to comes from a model: links, mentions, commands, addresses, numbers.

A hostile text may tell the model to add one, in pieces or in disguise. So what counts is the deck: whatever Telegram or a reader
would take for a link and the source does not contain is found here, and cut out where asking again did not help. Characters that
hide or turn text around are removed from everything a model wrote.
"""

import functools
import unicodedata
from collections.abc import Iterator

import regex

# What no reader sees but a program obeys: zero-width and bidirectional controls, tags, variation of nothing. Joiners of emoji and
# of Persian or Indic words stay.
_HIDDEN = regex.compile(r"[\p{Cc}\p{Cf}\p{Co}\p{Cs}--[\n\t\u200c\u200d]]", regex.V1)
_JOINERS = regex.compile(r"[\u200c\u200d]")
_TLD = (
    "com|net|org|info|biz|io|me|app|dev|ai|co|ru|su|рф|by|kz|ua|eu|uk|us|de|fr|xyz|link|site|online|shop|store|top|club|"
    "live|click|pro|vip|win|gg|ly|to|cc|tv|ws|page|website|space|fun|icu|bet|casino|cash|money|pay|finance|bank|example|"
    "test|invalid|onion|eth|ton"
)
# A dot as it is, with spaces on both sides, or in brackets, or said in words.
_DOT = r"(?:\.|\s\.\s|\s?(?:\[\.\]|\(\.\)|\[dot\]|\(dot\))\s?|\s(?:dot|точка)\s)"
_TAPPABLE = regex.compile(
    rf"""
      \[[^\]\n]*\]\([^)\n]*\)                                   # a Markdown link
    | <[a-z/!][^>\n]*>                                          # markup
    | \b[a-z][a-z0-9+.\-]{{1,15}}:\/\/\S+                       # any scheme
    | \b(?:tg|mailto|tel|bitcoin|ton|javascript|data):\S+
    | \bhxxps?\b\S*
    | [\p{{L}}\p{{N}}._%+\-]+@[\p{{L}}\p{{N}}\-]+(?:\.[\p{{L}}\p{{N}}\-]+)+   # an e-mail address
    | (?<![\p{{L}}\p{{N}}._])@\s?[a-z]\w{{2,}}                  # a mention
    | (?<![\p{{L}}\p{{N}}/.])/[a-z]\w{{2,31}}(?:@\w+)?\b(?!/)   # a command of a bot
    | \bwww\s?\.\s?\S+
    | \b[\p{{L}}\p{{N}}](?:[\p{{L}}\p{{N}}\-]*[\p{{L}}\p{{N}}])?
      (?:{_DOT}[\p{{L}}\p{{N}}\-]+)*?{_DOT}(?:{_TLD})\b(?:[/?\#:]\S*)?
    | (?<![\p{{L}}\p{{N}}])(?=[a-z0-9]*\d)(?=[a-z0-9]*[a-z])[a-z0-9]{{24,}}  # a wallet
    | \+?\d(?:[\s().\-]{{0,2}}\d){{8,}}                         # a telephone, card or account number
    """,
    regex.IGNORECASE | regex.VERBOSE,
)
# Cutting one thing may join its neighbours to another; a text made of nothing else is given up.
_ROUNDS = 5
_GAPS = regex.compile(r"[ \t]{2,}")
_LEFT_OVER = regex.compile(r"(?:\(\s*\)|\[\s*\]|«\s*»|[ \t]+(?=[,.!?;:]))")


def seen(text: str) -> str:
    """Return `text` as a reader sees it: compatibility forms made plain, hidden characters gone."""
    return _HIDDEN.sub("", text)


def foreign(text: str, source: str) -> list[str]:
    """Return what can be tapped or paid to in `text` and does not stand in `source`."""
    known = _known(source)
    return [found for found in _tappable(text) if _bare(found) not in known]


def without_foreign(text: str, source: str) -> str:
    """Return `text` without what `foreign` finds; may be empty."""
    if not foreign(text, source):
        return text
    plain = _plain(text)
    for _ in range(_ROUNDS):
        for thing in foreign(plain, source):
            plain = plain.replace(thing, " ")
        plain = _plain(plain)
        if not foreign(plain, source):
            return _GAPS.sub(" ", _LEFT_OVER.sub("", plain)).strip()
    return ""


def _tappable(text: str) -> Iterator[str]:
    for match in _TAPPABLE.finditer(_plain(text)):
        yield match[0]


@functools.lru_cache(maxsize=8)
def _known(source: str) -> str:
    """Return what every field of a deck is compared with."""
    return _bare(source)


def _plain(text: str) -> str:
    """Return `text` with full-width and other compatibility letters made plain, nothing hidden."""
    return _JOINERS.sub("", _HIDDEN.sub("", unicodedata.normalize("NFKC", text)))


def _bare(text: str) -> str:
    """Return what is compared: without case, spaces and closing punctuation."""
    return regex.sub(r"\s+", "", _plain(text)).casefold().rstrip(".,;:!?)]»”\"'")
