"""From a writer's string to clean, attributed paragraphs: hygiene, markup, typographic glue. Pure.

What must stay true: nothing a fuzzer can type survives as something that cannot be drawn (controls, bidi overrides, orphan marks,
zalgo towers, invisible fillers: fuzzing the prototype found a crash or an overflow in each), and whatever had to be replaced is
reported. Glue never changes a text's length, so the attributes of its characters stay aligned.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag
from functools import lru_cache
from typing import Literal

import regex

MAX_CHARACTERS = 4_000
MISSING = "\u25a1"
NBSP = "\u00a0"

_PLAIN = regex.compile(
    r"[\p{Latin}\p{Cyrillic}\p{Greek}\p{Han}\p{Hiragana}\p{Katakana}0-9 \n!-/:-@\[-`{-~«»„“”‘’—–…№·•×\u00a0]*",  # noqa: RUF001  # real quotation marks
    regex.V0,
)
_NEWLINES = regex.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACES = regex.compile(r"[^\S\n\u00a0\u202f\u2007]+")
_AROUND_NEWLINE = regex.compile(r" *\n\s*")
# Controls, bidi controls, zero-width space, joiners of words, fillers, object replacement, interlinear annotation.
_INVISIBLE = regex.compile(
    r"[\x00-\x09\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\u2060-\u2064\ufeff\u115f\u1160\u3164\uffa0\ufff9-\ufffc]"
)
_ORPHAN_MARKS = regex.compile(r"(?<![\p{L}\p{N}\p{P}\p{S}\p{M}\u200d\ufe0f])\p{M}+")
_ZALGO = regex.compile(r"(\p{M}{2})\p{Mn}+")
GRAPHEME = regex.compile(r"\X")
# Joiners and selectors need no glyph of their own.
IGNORABLE = frozenset((0x200C, 0x200D, 0xFE0E, 0xFE0F, 0x00AD))


def graphemes(text: str) -> list[str]:
    """Return the user-perceived characters of `text`."""
    return GRAPHEME.findall(text)


@dataclass(frozen=True, slots=True)
class Clean:
    """A drawable text and the graphemes that no face has, in order of appearance."""

    text: str
    missing: tuple[str, ...]


def sanitize(text: str, drawable: Callable[[str], bool]) -> Clean:
    """Return `text` as it can be drawn.

    Args:
        text: anything.
        drawable: whether some face has glyphs for a grapheme.

    A grapheme without glyphs is folded (NFKC), then stripped of its marks, then shown as a box; the last two are reported.
    """
    text = unicodedata.normalize("NFC", text[:MAX_CHARACTERS].replace("\t", " "))
    text = _SPACES.sub(" ", _NEWLINES.sub("\n", text))
    text = _AROUND_NEWLINE.sub("\n", text).strip(" \n")
    if _PLAIN.fullmatch(text):
        # One character is one grapheme here; most texts end at this line.
        if all(character in "\n " or drawable(character) for character in set(text)):
            return Clean(text, ())
    else:
        text = _INVISIBLE.sub("", text)
        text = _ORPHAN_MARKS.sub("", text)
        text = _ZALGO.sub(r"\1", text)
    missing: dict[str, None] = {}
    kept = [_drawn_as(grapheme, drawable, missing) for grapheme in graphemes(text)]
    return Clean(_AROUND_NEWLINE.sub("\n", _SPACES.sub(" ", "".join(kept))).strip(" \n"), tuple(missing))


def _drawn_as(grapheme: str, drawable: Callable[[str], bool], missing: dict[str, None]) -> str:
    if grapheme in {"\n", " "} or drawable(grapheme):
        return "" if all(ord(character) in IGNORABLE for character in grapheme) else grapheme
    visible = "".join(
        character
        for character in grapheme
        if ord(character) in IGNORABLE or unicodedata.category(character) not in {"Cc", "Cs", "Co"}
    )
    if not visible or all(ord(character) in IGNORABLE for character in visible):
        return ""
    if drawable(visible):
        return visible
    folded = unicodedata.normalize("NFKC", visible)
    if folded != visible and all(part.isspace() or drawable(part) for part in graphemes(folded)):
        return folded
    missing[visible] = None
    return visible[0] if drawable(visible[0]) else MISSING


class Emphasis(IntFlag):
    """What markup asked of a character."""

    NONE = 0
    BOLD = 1
    MARK = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph or list item.

    Attributes:
        kind: `text`, `bullet` or `number`.
        label: the number as written, with its dot, for `number`; the emoji that a `bullet` starts with, in place of the style's.
        text: without markup.
        emphasis: one value per character of `text`.
    """

    kind: Literal["text", "bullet", "number"]
    label: str
    text: str
    emphasis: tuple[Emphasis, ...]


_PICTOGRAM = (
    r"(?:\p{Regional_Indicator}{2}|[0-9#*]\uFE0F?\u20E3"
    r"|\p{Extended_Pictographic}[\p{M}\p{Emoji_Modifier}\p{Extended_Pictographic}\u200d]*)"
)
_BULLET = regex.compile(r"[-*•–]\s+(?=\S)")
# Not of plain signs such as a copyright's.
_SIGN_BULLET = regex.compile(rf"(?P<sign>(?=\p{{Emoji_Presentation}}|.\uFE0F|[0-9#*]\u20E3){_PICTOGRAM}) *(?=\S)")
_NUMBER = regex.compile(r"(\d{1,2})[.)]\s+(?=\S)")
_MARKUP = regex.compile(
    r"\*\*(?=\S)(?P<bold>.+?)(?<=\S)\*\*|==(?=\S)(?P<mark>.+?)(?<=\S)==|(?<![\w*])\*(?=[^\s*])(?P<slanted>[^*]+?)(?<=\S)\*(?![\w*])"
)


def parse(text: str) -> tuple[Paragraph, ...]:
    """Return the paragraphs of clean `text`; markup that does not match up is kept as it is."""
    return tuple(_paragraph(line) for line in text.split("\n") if line.strip())


def _paragraph(line: str) -> Paragraph:
    kind: Literal["text", "bullet", "number"] = "text"
    label = ""
    if match := _BULLET.match(line):
        kind, line = "bullet", line[match.end() :]
        if sign := _SIGN_BULLET.match(line):
            label, line = sign["sign"], line[sign.end() :]
    elif match := _NUMBER.match(line):
        kind, label, line = "number", f"{match[1]}.", line[match.end() :]
    text, emphasis = _emphasised(line, Emphasis.NONE)
    return Paragraph(kind, label, text, emphasis)


def _emphasised(line: str, outer: Emphasis) -> tuple[str, tuple[Emphasis, ...]]:
    texts: list[str] = []
    flags: list[Emphasis] = []

    def add(text: str, emphasis: tuple[Emphasis, ...]) -> None:
        texts.append(text)
        flags.extend(emphasis)

    at = 0
    for match in _MARKUP.finditer(line):
        add(line[at : match.start()], (outer,) * (match.start() - at))
        # No face is slanted, so what a writer put in italics is bold.
        flag = Emphasis.MARK if match["mark"] else Emphasis.BOLD
        add(*_emphasised(match["mark"] or match["bold"] or match["slanted"], outer | flag))
        at = match.end()
    add(line[at:], (outer,) * (len(line) - at))
    return "".join(texts), tuple(flags)


def without_markup(text: str) -> str:
    """Return `text` as it reads aloud."""
    return "\n".join(paragraph.text for paragraph in parse(text))


_SHORT_WORD = regex.compile(
    r"(?<=^|[\s\u00a0(«„“\"])(?!(?:бы|ли|же|б|ж|it|us|me|up) )"  # noqa: RUF001  # Cyrillic; they lean on what stands before them
    r"(?:\p{L}{1,2}|для|или|при|под|над|без|про|как|что|чем|ибо|изо|обо|ото|the|and|for|not|but|nor|via|per|our|its) (?=\S)",  # noqa: RUF001  # as above
    regex.IGNORECASE,
)
_PARTICLE = regex.compile(r"(?<=\p{L}) (?=(?:бы|ли|же|б|ж)(?!\p{L}))", regex.IGNORECASE)  # noqa: RUF001  # Cyrillic
_DASH = regex.compile(r" (?=[—–] )")
_NUMBER_AND_UNIT = regex.compile(r"(?<=\d) (?=\d{3}(?!\d)|%|°|[₽$€£₴₸]|\p{L}{1,8}(?!\p{L}))")
_SIGN_AND_NUMBER = regex.compile(r"(?<=[№§$€£]) (?=\d)")
# A sign that ends a sentence or opens a paragraph never stands on a line of its own.
_SIGN_AT_END = regex.compile(rf"(?<=\S) (?={_PICTOGRAM}+(?:[\s.,!?…]|$))")
_SIGN_AT_START = regex.compile(rf"^{_PICTOGRAM} (?=\S)")
_INITIALS = regex.compile(r"(?<=(?:^|[\s\u00a0])\p{Lu}\.) (?=\p{Lu})")


# Too long to be tied to what they introduce, which would make headings small, yet no line should end on them.
_INTRODUCING = frozenset((
    "хотя", "если", "чтобы", "чтоб", "когда", "пока", "либо", "зато", "лишь", "даже", "ведь", "потому", "через", "перед",
    "между", "после", "около", "ради", "кроме", "вместо", "среди", "из-за", "из-под",
    "with", "from", "into", "onto", "over", "than", "that", "when", "while", "because", "until", "about", "after", "before",
    "under", "between", "without",
))  # fmt: skip


@lru_cache(maxsize=8192)
def introduces(unit: str) -> bool:
    """Return whether what ends with this word leans on what follows: a conjunction, a preposition."""
    return unit.rpartition(NBSP)[2].lower().lstrip('(«„“"') in _INTRODUCING


@lru_cache(maxsize=2048)
def glue(text: str) -> str:
    """Return `text` with no-break spaces where a line must not end: after short words, before dashes, inside numbers.

    Chains of short words stay breakable: at most two spaces in a row are glued.
    """
    glued = text
    for pattern in (_SHORT_WORD, _PARTICLE, _DASH, _NUMBER_AND_UNIT, _SIGN_AND_NUMBER, _INITIALS):
        glued = _glued(pattern, glued)
    glued = _CHAIN.sub(lambda match: match[1] + " ", glued)
    return _glued(_SIGN_AT_START, _glued(_SIGN_AT_END, glued))


def _glued(pattern: regex.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: match[0].replace(" ", NBSP), text)


_CHAIN = regex.compile(r"((?:[^\s\u00a0]+\u00a0){2}[^\s\u00a0]+)\u00a0")
