"""A text as an editor sees it: headings, paragraphs, list items, verse, and sentences in them.

Only marks are taken away here, never words: links' addresses, emphasis that a slide cannot show, list bullets. With `verbatim`
addresses and emphasis stay too.
"""

import dataclasses
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
        chunk: number of the run of lines that no empty line parts.
    """

    kind: Kind
    text: str
    ordered: bool = False
    chunk: int = 0


_FENCE = regex.compile(r"^\s*(?:```|~~~)")
_RULE = regex.compile(r"^\s*(?:[-*_=—–•·]\s*){3,}$")
_HASHES = regex.compile(r"^\s{0,3}#{1,6}\s+(?P<text>.*?)\s*#*$")
_ALL_BOLD = regex.compile(r"^\s*\*\*(?P<text>[^*]+)\*\*\s*:?\s*$")
_BULLET = regex.compile(
    r"^\s*(?:[-*+•·▪◦‣\u2043●○■□➤➜→✓]\s+|(?P<picture>(?=\p{Extended_Pictographic})\X)\s*|(?P<dash>[–—])\s+"
    r"|(?P<number>\(?\d{1,2}[.)]|[①-⑳]|\d\uFE0F?\u20E3)\s+)(?P<text>\S.*)$"
)
_DASHED = regex.compile(r"^\s*[–—]\s")
_PICTURE = regex.compile(r"^\s*\p{Extended_Pictographic}")
_UNDERLINE = regex.compile(r"\s*(?:={2,}|-{2,})\s*")
_QUOTE = regex.compile(r"^\s*>+\s?")
_TABLE = regex.compile(r"^\s*\|(?P<cells>.+)\|\s*$")
_TABLE_RULE = regex.compile(r"^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$")
_END = regex.compile(r"""[.!?…。\uff01\uff1f؟\u06d4।]["'»”’)\]]*$""")
_SOFT_END = regex.compile(r"[,;:\uff0c\uff1b\uff1a、–—-]$")

_IMAGE = regex.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = regex.compile(r"(?<!\w)\[([^\]]+)\]\([^)\s]+\)(?!\w)")
_URL = regex.compile(r"(?<!\w)(?:https?://|www\.)[^\s<>()«»]+[^\s<>()«».,;:!?…]", regex.IGNORECASE)
_UNDERLINED = regex.compile(r"(?<!\w)__(?=\S)(.+?)(?<=\S)__(?!\w)")
_ITALIC = regex.compile(r"(?<![\w*])[*_](?=\S)([^*_]+?)(?<=\S)[*_](?![\w*])")
_STRUCK = regex.compile(r"(?<!\w)~~(?=\S)(.+?)(?<=\S)~~(?!\w)")
_TAGS = regex.compile(r"\s*(?:[#@][\p{L}\p{N}_.]+[\s,]*)+")
_HOLLOW = regex.compile(r"\(\s*\)|\[\s*\]")
_SPACE = regex.compile(r"[^\S\n]+")

_HEADING_WORDS = 10
_HEADING_CHARACTERS = 90
_VERSE_LINES = 3
_VERSE_WIDTH = 48
# How far to look for what keeps a sentence going: a quotation, an abbreviation.
_NEAR = 300


def without(text: str, *marks: str) -> str:
    """Return `text` without `marks`; what they alone kept apart stays apart, or two numbers would become one."""
    run = f"(?:{'|'.join(map(regex.escape, marks))})+"
    return regex.sub(run, "", regex.sub(rf"(?<=\w){run}(?=\w)", " ", text))


def places_to_break(text: str) -> list[int]:
    """Return where a line may break: at spaces, or, where a script has none, between graphemes but never inside a number."""
    spaces = [match.start() for match in regex.finditer(r"\s+", text) if match.start()]
    if spaces:
        return spaces
    ends = [match.end() for match in regex.finditer(r"\X", text)]
    return [at for at in ends[:-1] if not regex.match(r"[\d.,]{2}", text[at - 1 : at + 1])]


def tidy(line: str, *, verbatim: bool = False) -> str:
    """Return `line` without marks that a slide cannot show; `**bold**` and `==marker==` stay."""
    text = line
    if not verbatim:
        if _TAGS.fullmatch(text):
            return ""  # a post's tags and mentions are no part of its text
        text = _LINK.sub(r"\1", _IMAGE.sub(" ", text))
        bare = _URL.sub("", text)
        if bare != text and (bare.rstrip().endswith(":") or not bare.strip(" .,;:—–-")):
            return ""  # a label without its link says nothing
        text = _HOLLOW.sub(" ", bare)
        text = _STRUCK.sub(r"\1", _UNDERLINED.sub(r"**\1**", text))
        text = without(text, "`")
        text = _ITALIC.sub(r"\1", text)
    return _SPACE.sub(" ", text).strip()


def parse(source: str, language: Language, *, verbatim: bool = False) -> list[Block]:
    """Return the blocks of `source` in order."""
    lines = [line for line in source.split("\n") if not _FENCE.match(line)]
    chunks = [list(chunk) for blank, chunk in itertools.groupby(lines, key=lambda line: not line.strip()) if not blank]
    explicit = any(_HASHES.match(line) or _ALL_BOLD.match(line) for line in lines)
    reader = _Reader(language, verbatim=verbatim, explicit=explicit)
    blocks: list[Block] = []
    for number, chunk in enumerate(chunks):
        found = reader.read(chunk, first=number == 0, last=number == len(chunks) - 1)
        blocks.extend(dataclasses.replace(block, chunk=number) for block in found)
    return [block for block in blocks if regex.search(r"[\p{L}\p{N}]", block.text)]


@dataclass(frozen=True)
class _Reader:
    """Reads chunks of lines; `explicit` says that headings are marked, so that none need be guessed."""

    language: Language
    verbatim: bool
    explicit: bool

    def read(self, chunk: list[str], *, first: bool, last: bool) -> Iterator[Block]:
        """Yield the blocks of lines that no empty line parts."""
        lines = [_QUOTE.sub("", line) for line in chunk]
        if len(lines) == 2 and _UNDERLINE.fullmatch(lines[1]):
            yield Block("heading", self._tidy(lines[0]))
            return
        lines = [line for line in lines if not _RULE.match(line) and not _TABLE_RULE.match(line)]
        marks = self._marks(lines)
        if _is_verse(lines) and all(self._block(line, marks).kind == "paragraph" for line in lines):
            yield Block("verse", "\n".join(self._tidy(line) for line in lines))
            return
        opened: Block | None = None
        for number, line in enumerate(_unwrapped(lines)):
            block = self._block(line, marks)
            if not block.text:
                continue
            if opened and opened.kind == "item" and block.kind == "paragraph" and line[:1].isspace():
                opened = Block("item", f"{opened.text} {block.text}", opened.ordered)
                continue
            if block.kind == "paragraph" and self._is_heading(
                block.text, lines[number + 1 :], marks, first=first and not number, last=last
            ):
                block = Block("heading", block.text)
            if opened:
                yield opened
            opened = block
        if opened:
            yield opened

    def _tidy(self, line: str) -> str:
        return tidy(line, verbatim=self.verbatim)

    def _marks(self, lines: list[str]) -> frozenset[str]:
        """Return which of the doubtful marks begin list items here: dashes may be speech, a picture may be an ornament."""
        marks = set()
        dashed = [line for line in lines if _DASHED.match(line)]
        if dashed and not any(_END.search(line.rstrip()) for line in dashed):
            marks.add("dash")
        if sum(bool(_PICTURE.match(line)) for line in lines) > 1:
            marks.add("picture")
        return frozenset(marks)

    def _item(self, line: str, marks: frozenset[str]) -> regex.Match[str] | None:
        match = _BULLET.match(line)
        if match is None or (match["dash"] and "dash" not in marks) or (match["picture"] and "picture" not in marks):
            return None
        return match

    def _block(self, line: str, marks: frozenset[str]) -> Block:
        if hashes := _HASHES.match(line):
            return Block("heading", self._tidy(hashes["text"]))
        if bold := _ALL_BOLD.match(line):
            return Block("heading", self._tidy(bold["text"]))
        if item := self._item(line, marks):
            return Block("item", self._tidy(item["text"]), ordered=item["number"] is not None)
        if table := _TABLE.match(line):
            cells = (cell.strip() for cell in table["cells"].split("|"))
            return Block("item", self._tidy(" — ".join(cell for cell in cells if cell)))
        return Block("paragraph", self._tidy(line))

    def _is_heading(self, text: str, rest: list[str], marks: frozenset[str], *, first: bool, last: bool) -> bool:
        """Return whether a short line stands over what follows, in its own chunk (`rest`) or in the next."""
        if len(text) > _HEADING_CHARACTERS or len(text.split()) > _HEADING_WORDS or _DASHED.match(text):
            return False
        if (self.explicit and not first) or _CAPITAL_START.search(text):
            return False
        if rest and text.endswith(":"):
            return self._item(rest[0], marks) is not None
        if _SOFT_END.search(text) and not text.endswith(":"):
            return False
        if rest:
            over = first or len(rest[0]) > 2 * len(text)
            asks = text.endswith("?") and len(rest[0]) > len(text)
            return asks or (over and not _END.search(text) and not rest[0][:1].islower())
        return not last and (text.endswith(("?", ":")) or not _END.search(text))


def _is_verse(lines: list[str]) -> bool:
    if len(lines) < _VERSE_LINES or max(map(len, lines)) > _VERSE_WIDTH:
        return False
    stops = sum(bool(_END.search(line.rstrip())) for line in lines)
    commas = sum(line.rstrip().endswith((",", ";", "—", "–")) for line in lines)
    return stops < len(lines) * 0.7 and (commas > 0 or (stops == 1 and _END.search(lines[-1].rstrip()) is not None))


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


_BREAK = regex.compile(r"""(?:[.!?…؟\u06d4।]+["'»”’)\]]*\s+|[。\uff01\uff1f]+[」』”\uff09]*\s*|\n)""")
_SMALL_START = regex.compile(r"\p{L}{3}[.!?]+\s+\p{Ll}")
_CAPITAL_START = regex.compile(r"\p{L}{3}[.!?]+\s+\p{Lu}")
_INITIAL = regex.compile(r"(?:^|[\s(«\"“])\p{Lu}\.$")
_WORDS = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}'’\-]*")
_WIDE = regex.compile(r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]")


def sentences(text: str, language: Language) -> list[str]:
    """Return the sentences of `text`, each with a word in it; abbreviations, initials and decimal numbers end none."""
    found: list[str] = []
    start = 0
    # Who writes without capitals still ends sentences; elsewhere a small letter means that the sentence goes on.
    small = len(_SMALL_START.findall(text)) > len(_CAPITAL_START.findall(text))
    for match in _BREAK.finditer(text):
        before = text[start : match.end()].rstrip()
        if _WORDS.search(before) and not _goes_on(
            before[-_NEAR:], text[match.end() : match.end() + _NEAR], language, small=small
        ):
            found.append(before)
            start = match.end()
    rest = text[start:].strip()
    if found and not _WORDS.search(rest):
        found[-1] = f"{found[-1]} {rest}".rstrip()
    elif rest:
        found.append(rest)
    return found


def _goes_on(before: str, after: str, language: Language, *, small: bool) -> bool:
    if not after or before.endswith(("。", "\uff01", "\uff1f")):
        return False
    opening = after.lstrip("«\"“'(—–- ")[:1]
    if (opening.islower() and not small) or _inside_quotes(before, after):
        return True
    if not before.endswith("."):
        return False
    last = before.rsplit(None, 1)[-1].lower().lstrip("«\"“'(")
    return (
        last in language.abbreviations
        or _INITIAL.search(before) is not None
        or regex.fullmatch(r"\d{1,2}\.", last) is not None
    )


def _inside_quotes(before: str, after: str) -> bool:
    """Return whether a quotation that opened in `before` closes soon in `after`; one never closed binds nothing."""
    curved = any(before.count(a) > before.count(b) and b in after for a, b in ("«»", "“”", "„“"))
    return curved or (before.count('"') % 2 == 1 and '"' in after)


def words(text: str) -> list[str]:
    """Return the words of `text`, without punctuation."""
    found: list[str] = _WORDS.findall(text)
    return found


def weight_of(text: str) -> float:
    """Return how long `text` reads, in words; scripts without spaces count about two characters a word."""
    wide = len(_WIDE.findall(text))
    return len(_WORDS.findall(_WIDE.sub(" ", text))) + wide / 1.8
