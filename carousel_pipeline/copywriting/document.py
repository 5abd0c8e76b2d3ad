"""A text as an editor sees it: headings, paragraphs, list items, verse, and sentences in them.

Only marks are taken away here, never words: links' addresses, emphasis that a slide cannot show, list bullets. With `verbatim` not
even those of the user's own punctuation.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import regex

from carousel_pipeline.copywriting.language import Language

Kind = Literal["heading", "paragraph", "item", "verse"]


@dataclass(frozen=True, slots=True)
class Block:
    """One block of text.

    Attributes:
        kind: what it is.
        text: one line; verse keeps its lines.
        ordered: whether an item carried a number.
    """

    kind: Kind
    text: str
    ordered: bool = False


_FENCE = regex.compile(r"^\s*(?:```|~~~)")
_RULE = regex.compile(r"^\s*(?:[-*_=—–•·]\s*){3,}$")
_HASHES = regex.compile(r"^\s{0,3}#{1,6}\s+(?P<text>.*?)\s*#*$")
_ALL_BOLD = regex.compile(r"^\s*\*\*(?P<text>[^*]+)\*\*\s*:?\s*$")
_BULLET = regex.compile(
    r"^\s*(?:(?P<bullet>[-*+•·▪◦‣⁃●○■□➤➜→✓✔]|(?=\p{Extended_Pictographic})\X)\s*|(?P<dash>[–—])\s+"
    r"|(?P<number>\(?\d{1,2}[.)]|[①-⑳]|\d\uFE0F?\u20E3)\s+)(?P<text>\S.*)$"
)
_QUOTE = regex.compile(r"^\s*>+\s?")
_TABLE = regex.compile(r"^\s*\|(?P<cells>.+)\|\s*$")
_TABLE_RULE = regex.compile(r"^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$")
_END = regex.compile(r"""[.!?…。！？؟۔।]["'»”’)\]]*$""")
_SOFT_END = regex.compile(r"[,;:，；：、–—-]$")

_IMAGE = regex.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = regex.compile(r"\[([^\]]+)\]\([^)\s]+\)")
_URL = regex.compile(r"(?:https?://|www\.)[^\s<>()«»]+[^\s<>()«».,;:!?…]", regex.IGNORECASE)
_UNDERLINED = regex.compile(r"(?<!\w)__(?=\S)(.+?)(?<=\S)__(?!\w)")
_ITALIC = regex.compile(r"(?<![\w*])[*_](?=\S)([^*_]+?)(?<=\S)[*_](?![\w*])")
_STRUCK = regex.compile(r"~~(?=\S)(.+?)(?<=\S)~~")
_HOLLOW = regex.compile(r"\(\s*\)|\[\s*\]")
_SPACE = regex.compile(r"[^\S\n]+")

_HEADING_WORDS = 10
_HEADING_CHARACTERS = 90
_VERSE_LINES = 3
_VERSE_WIDTH = 48


def tidy(line: str, *, verbatim: bool = False) -> str:
    """Return `line` without marks that a slide cannot show; `**bold**` and `==marker==` stay."""
    text = line
    if not verbatim:
        text = _LINK.sub(r"\1", _IMAGE.sub("", text))
        text = _HOLLOW.sub("", _URL.sub("", text))
        text = _STRUCK.sub(r"\1", _UNDERLINED.sub(r"**\1**", text)).replace("`", "")
        text = _ITALIC.sub(r"\1", text)
    return _SPACE.sub(" ", text).strip()


def parse(source: str, language: Language, *, verbatim: bool = False) -> list[Block]:
    """Return the blocks of `source` in order."""
    lines = [line for line in source.split("\n") if not _FENCE.match(line)]
    chunks = [list(chunk) for blank, chunk in itertools.groupby(lines, key=lambda line: not line.strip()) if not blank]
    pictographs = sum(bool(regex.match(r"\s*\p{Extended_Pictographic}", line)) for line in lines)
    reader = _Reader(language, verbatim=verbatim, pictures_mark_items=pictographs > 1)
    blocks: list[Block] = []
    for number, chunk in enumerate(chunks):
        blocks.extend(reader.read(chunk, first=number == 0, last=number == len(chunks) - 1))
    return [block for block in blocks if regex.search(r"[\p{L}\p{N}]", block.text)]


@dataclass(frozen=True)
class _Reader:
    language: Language
    verbatim: bool
    pictures_mark_items: bool

    def read(self, chunk: list[str], *, first: bool, last: bool) -> Iterator[Block]:
        lines = [_QUOTE.sub("", line) for line in chunk]
        if len(lines) == 2 and regex.fullmatch(r"\s*(?:=+|-+)\s*", lines[1]):  # noqa: PLR2004 - a title and its underline
            yield Block("heading", self._tidy(lines[0]))
            return
        lines = [line for line in lines if not _RULE.match(line) and not _TABLE_RULE.match(line)]
        dashes = sum(bool(regex.match(r"\s*[–—]\s", line)) for line in lines)
        speech = dashes > 0 and any(
            regex.search(r"[.!?…]\s*$", line) for line in lines if regex.match(r"\s*[–—]\s", line)
        )
        if _is_verse(lines) and not any(self._item(line, speech=speech) for line in lines):
            yield Block("verse", "\n".join(self._tidy(line) for line in lines))
            return
        lines = _unwrapped(lines)
        opened: Block | None = None
        for number, line in enumerate(lines):
            block = self._block(line, speech=speech, after=opened)
            if block is None:
                continue
            rest = len(lines) - number - 1
            if block.kind == "paragraph" and self._is_heading(
                block.text, first=first and number == 0, rest=lines[number + 1 :], last=last
            ):
                block = Block("heading", block.text)
            if opened and block.kind == "paragraph" and opened.kind == "item" and line[:1].isspace():
                opened = Block("item", f"{opened.text} {block.text}", opened.ordered)
                continue
            if opened:
                yield opened
            opened = block
            del rest
        if opened:
            yield opened

    def _tidy(self, line: str) -> str:
        return tidy(line, verbatim=self.verbatim)

    def _item(self, line: str, *, speech: bool) -> regex.Match[str] | None:
        match = _BULLET.match(line)
        if match is None or (match["dash"] and speech):
            return None
        bullet = match["bullet"]
        if bullet and not bullet.isascii() and regex.match(r"\p{Extended_Pictographic}", bullet):
            return match if self.pictures_mark_items else None
        if bullet and not regex.match(r"\s*\S\s", line):
            return None
        return match

    def _block(self, line: str, *, speech: bool, after: Block | None) -> Block | None:
        del after
        if hashes := _HASHES.match(line):
            return Block("heading", self._tidy(hashes["text"])) if hashes["text"] else None
        if bold := _ALL_BOLD.match(line):
            return Block("heading", self._tidy(bold["text"]).rstrip(":"))
        if item := self._item(line, speech=speech):
            return Block("item", self._tidy(item["text"]), ordered=item["number"] is not None)
        if table := _TABLE.match(line):
            return Block(
                "item", self._tidy(" — ".join(cell.strip() for cell in table["cells"].split("|") if cell.strip()))
            )
        text = self._tidy(line)
        return Block("paragraph", text) if text else None

    def _is_heading(self, text: str, *, first: bool, rest: list[str], last: bool) -> bool:
        if len(text) > _HEADING_CHARACTERS or len(text.split()) > _HEADING_WORDS or text[:1] in "—–":
            return False
        if rest:
            # A line atop of its paragraph, or a lead-in atop of its list.
            follows = rest[0]
            if text.endswith(":"):
                return self._item(follows, speech=False) is not None
            return (
                not _END.search(text)
                and not _SOFT_END.search(text)
                and (first or len(follows) > 2 * len(text))
                and follows[:1] == follows[:1].upper()
            )
        if last:
            return False
        return text.endswith(("?", ":")) or (not _END.search(text) and not _SOFT_END.search(text))


def _is_verse(lines: list[str]) -> bool:
    if len(lines) < _VERSE_LINES or max(map(len, lines)) > _VERSE_WIDTH:
        return False
    stops = sum(bool(_END.search(line.rstrip())) for line in lines)
    commas = sum(bool(_SOFT_END.search(line.rstrip())) for line in lines)
    return commas > 0 and stops < len(lines) * 0.7


def _unwrapped(lines: list[str]) -> list[str]:
    """Join lines that were broken by a width, not by the writer: the next one goes on in lower case."""
    joined: list[str] = []
    for line in lines:
        previous = joined[-1] if joined else ""
        if previous and line[:1].islower() and not _END.search(previous.rstrip()) and not _BULLET.match(line):
            joined[-1] = f"{previous.rstrip()} {line.strip()}"
        else:
            joined.append(line)
    return joined


_BREAK = regex.compile(r"""(?:[.!?…؟۔।]+["'»”’)\]]*\s+|[。！？]+[」』”）]*\s*|\n)""")
_INITIAL = regex.compile(r"(?:^|[\s(«\"“])\p{Lu}\.$")
_WORDS = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}'’\-]*")
_WIDE = regex.compile(r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]")


def sentences(text: str, language: Language) -> list[str]:
    """Return the sentences of `text`; abbreviations, initials and decimal numbers end none."""
    found: list[str] = []
    start = 0
    for match in _BREAK.finditer(text):
        before = text[start : match.end()].rstrip()
        if _goes_on(before, text[match.end() :], language):
            continue
        if before:
            found.append(before)
        start = match.end()
    if rest := text[start:].strip():
        found.append(rest)
    return found


def _goes_on(before: str, after: str, language: Language) -> bool:
    if not after or before.endswith(("。", "！", "？")):
        return False
    opening = after.lstrip("«\"“'(—–- ")[:1]
    if opening.islower():
        return True
    if not before.endswith("."):
        return False
    last = before.rsplit(None, 1)[-1].lower().lstrip("«\"“'(")
    return (
        last in language.abbreviations
        or _INITIAL.search(before) is not None
        or regex.fullmatch(r"\d{1,2}\.", last) is not None
    )


def words(text: str) -> list[str]:
    """Return the words of `text`, without punctuation."""
    found: list[str] = _WORDS.findall(text)
    return found


def weight_of(text: str) -> float:
    """Return how long `text` reads, in words; scripts without spaces count about two characters a word."""
    wide = len(_WIDE.findall(text))
    return len(_WORDS.findall(_WIDE.sub(" ", text))) + wide / 1.8
