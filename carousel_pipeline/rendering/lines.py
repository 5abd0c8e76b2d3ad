"""One block of text prepared once in em and then broken at any size by arithmetic: wrap, balance, hyphenate, cut. Pure.

What must stay true: no line is wider than the measure, and no setting has more lines than it needs; among those with the fewest,
the most even one is taken, without a lone word at the end. A unit that is too wide is parted at a no-break space, then with a
hyphen, then between graphemes (m15); a single grapheme that is still too wide shrinks its line.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

import regex

from carousel_pipeline.rendering import bidi
from carousel_pipeline.rendering.breaks import hyphenations, opportunities
from carousel_pipeline.rendering.fonts import Shaped, Voice, shape, voice
from carousel_pipeline.rendering.style import Font
from carousel_pipeline.rendering.text import GRAPHEME, NBSP, Emphasis, Paragraph, glue, graphemes, introduces

ELLIPSIS = "…"
_CAP = 0.74
_DESCENT = 0.24
_TALL = 1.0
# Scripts without capitals fill the line; what is elegantly tight in Latin collides in them.
_CROWDED = regex.compile(r"[\p{Arabic}\p{Hebrew}\p{Devanagari}\p{Thai}\p{Han}\p{Hiragana}\p{Katakana}]")
_CROWDED_LEADING = 1.14
_WIDOW = 0.3
_LONE_WORD = 0.5
_LONE = 0.45
# So many spaces inside of it make what never parts a phrase, which may stand alone.
_PHRASE = 2
# A pause is a good place to end a line, but not a line as short as that, which is a hole in a paragraph.
_SHORT = 0.3
_HOLE = 0.8
# Width of a word that a pause cuts off from what it belongs to, at a line's end or start, and what that costs.
_STRAY_WIDTH = 2.6
_STRAY = 0.1
# What it costs to part a highlight, which then looks like two.
_PARTED_MARK = 0.2
_MANY = 90
_ENDING = 3
_TOGETHER = 8
# How much raggedness it is worth to end a line where the voice pauses.
_PAUSES = MappingProxyType(dict.fromkeys(".!?…。！？", 0.08) | dict.fromkeys(",;:—–，、；：،؛", 0.05))  # noqa: RUF001  # real punctuation
MARK_SIDE = 0.1
"""How far, in em, a highlighter's box reaches over its words; the same is added to the gap before and after it."""
# No letter is this narrow on average; longer rests need no shaping to know that they do not fit.
_NARROWEST = 0.18
# Bullets that point at their text, for text at their left.
_FROM_RIGHT = str.maketrans("→›>»▸▶", "←‹<«◂◀")  # noqa: RUF001  # pointers
# Shares of their own width by which signs at a line's ends may stand outside the column.
_OPENING = MappingProxyType(dict.fromkeys('«„“"‘‹', 0.5) | dict.fromkeys("(—–", 0.25))  # noqa: RUF001  # quotation marks
_CLOSING = MappingProxyType(dict.fromkeys('»”"’›.,-', 0.5) | dict.fromkeys(":;…)—–", 0.25))  # noqa: RUF001  # quotation marks


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of one emphasis and one level, shaped; `gap` is the empty em before it."""

    text: str
    emphasis: Emphasis
    level: int
    shaped: Shaped
    gap: float = 0.0


@dataclass(frozen=True, slots=True)
class Unit:
    """What a line break never parts unless it must.

    Attributes:
        space: width of the space that follows, dropped at a line's end.
        space_emphasis: emphasis of that space.
    """

    pieces: tuple[Piece, ...]
    width: float
    space: float
    space_emphasis: Emphasis
    level: int

    @property
    def text(self) -> str:
        """The unit's characters."""
        return "".join(piece.text for piece in self.pieces)

    @property
    def length(self) -> int:
        """Number of characters, a space after them counted."""
        return len(self.text) + bool(self.space)


@dataclass(frozen=True, slots=True)
class Line:
    """A broken line; `item` is the index of its paragraph, `first` whether it starts one, `squeeze` what cannot be parted."""

    units: tuple[Unit, ...]
    item: int
    first: bool
    width: float
    squeeze: float = 1.0


@dataclass(frozen=True, slots=True)
class Item:
    """A paragraph ready to be broken.

    Attributes:
        base: 0 or 1, the paragraph's embedding level.
        indent: em kept free at the start of every line, for a list's marker.
        marker: shaped marker, or None.
    """

    units: tuple[Unit, ...]
    base: Literal[0, 1]
    indent: float
    marker: Shaped | None


@dataclass(frozen=True, slots=True)
class _Setting:
    """How a block is shaped; `voices` are those of each `Emphasis`, in the order of its values."""

    voices: tuple[Voice, ...]
    language: str
    phrases: bool

    def shape(self, text: str, emphasis: Emphasis, level: int) -> Shaped:
        return shape(text, self.voices[emphasis], "rtl" if level % 2 else "ltr", self.language)


@dataclass(frozen=True)
class Block:
    """A text in one font, ready for any size and measure.

    Attributes:
        top: em from the first baseline up to what counts as the block's top (cap height, or the ink of tall scripts).
        bottom: em from the last baseline down.
        least_leading: pitch below which lines of tall scripts would touch.
        widest: width of the widest unit with its indent.
        space: width of a space.
    """

    items: tuple[Item, ...]
    setting: _Setting
    top: float
    bottom: float
    least_leading: float
    widest: float
    space: float
    _parted: dict[tuple[int, float], tuple[Unit, ...]] = field(default_factory=dict, compare=False, repr=False)

    def wrap(self, measure: float, shape: Literal["quick", "ragged", "even"]) -> list[Line]:
        """Return the lines of the block in a measure of so many em.

        `quick` only tells how many there are; `ragged` lets the last one be short, `even` makes all of a length.
        """
        lines: list[Line] = []
        for index, item in enumerate(self.items):
            units = self._fitting(item.units, measure - item.indent)
            broken = (
                _greedy(units, measure - item.indent)
                if shape == "quick"
                else _arranged(units, measure - item.indent, even=shape == "even")
            )
            for number, line in enumerate(broken):
                width = _width(line)
                squeeze = min(1.0, (measure - item.indent) / width) if width > 0 else 1.0
                lines.append(Line(tuple(line), index, number == 0, width * squeeze, squeeze))
        return lines

    def parts_words(self, measure: float) -> bool:
        """Return whether some unit is too wide for the measure and would be parted."""
        return self.widest > measure + 1e-9

    def _fitting(self, units: tuple[Unit, ...], measure: float) -> list[Unit]:
        fitting: list[Unit] = []
        for unit in units:
            if unit.width <= measure:
                fitting.append(unit)
                continue
            key = (id(unit), round(measure, 4))
            if key not in self._parted:
                self._parted[key] = tuple(_part(unit, measure, self.setting))
            fitting.extend(self._parted[key])
        return fitting

    def cut(self, lines: Sequence[Line], keep: int, measure: float) -> tuple[list[Line], int]:
        """Return the first `keep` lines, the last one ending in an ellipsis, and how many characters were lost."""
        if len(lines) <= keep:
            return list(lines), 0
        kept = list(lines[:keep])
        lost = sum(unit.length for line in lines[keep:] for unit in line.units)
        last = kept[-1]
        room = measure - self.items[last.item].indent
        units = list(last.units)
        while units:
            ended = _with_ellipsis(units[-1], self.setting)
            if _width([*units[:-1], ended]) <= room:
                units[-1] = ended
                break
            dropped = units.pop()
            lost += dropped.length
            if not units:
                shorter = _shortened(dropped, room, self.setting)
                lost -= max(0, len(shorter.text) - 1)
                units = [shorter]
                break
        width = _width(units)
        squeeze = min(1.0, room / width) if width > 0 else 1.0
        kept[-1] = Line(tuple(units), last.item, last.first, width * squeeze, squeeze)
        return kept, lost


def _width(units: Sequence[Unit]) -> float:
    return sum(unit.width + unit.space for unit in units[:-1]) + (units[-1].width if units else 0.0)


def _greedy(units: Sequence[Unit], measure: float) -> list[list[Unit]]:
    lines: list[list[Unit]] = [[]]
    width = 0.0
    space = 0.0
    for unit in units:
        if lines[-1] and width + space + unit.width > measure + 1e-6:
            lines.append([])
            width = space = 0.0
        width += space + unit.width
        space = unit.space
        lines[-1].append(unit)
    return lines


def _arranged(  # noqa: C901  # one loop, the hottest of a layout
    units: Sequence[Unit], measure: float, *, even: bool
) -> list[list[Unit]]:
    """Return the most even of all settings with the fewest lines: best ways to end a line at each unit, one after the other."""
    count = len(units)
    if count < 2:  # nothing to choose
        return [list(units)]
    if count > _MANY and not even:
        # Lines of single characters come out even anyway; only how the paragraph ends is worth the search.
        lines = _greedy(units, measure)
        ending = [unit for line in lines[-_ENDING:] for unit in line]
        return [*lines[:-_ENDING], *_arranged(ending, measure, even=False)] if len(ending) < count else lines
    extents = [(unit.width, unit.space) for unit in units]
    limit = measure + 1e-6
    texts = [unit.text for unit in units]
    senses = [0.0, *(_PAUSES.get(text[-1:], 0.0) for text in texts)]
    strays = _strays(units, texts, senses, even=even)
    # For each number of units set: lines, raggedness, and where the last of these lines starts.
    best: list[tuple[int, float, int]] = [(0, 0.0, 0)]
    for end in range(1, count + 1):
        last = end == count
        width = extents[end - 1][0]
        found = (count + 1, 0.0, 0)
        for start in range(end - 1, -1, -1):
            if start < end - 1:
                width += extents[start][0] + extents[start][1]
                if width > limit:
                    break
            so_far, ragged, _ = best[start]
            slack = 1 - width / measure if even or not last else max(0.0, _WIDOW - width / measure)
            cost = ragged + slack * slack
            if not last:
                cost += strays[end]
                if even or slack < _SHORT:
                    cost -= senses[end]
                else:
                    cost += _HOLE * (slack - _SHORT)
            elif start == end - 1 and width < measure * _LONE and texts[start].count(NBSP) < _PHRASE:
                cost += _LONE_WORD
            found = min(found, (so_far + 1, cost, start))
        best.append(found)
    broken: list[list[Unit]] = []
    end = count
    while end:
        start = best[end][2]
        broken.append(list(units[start:end]))
        end = start
    return broken[::-1]


def _strays(units: Sequence[Unit], texts: Sequence[str], senses: Sequence[float], *, even: bool) -> list[float]:
    """Return what it costs to end a line after so many units: a word that leans on the next belongs to the other line.

    So does, where lines are even, a short word alone beyond a pause; and a highlight stays in one piece.
    """
    stray = [even and unit.width <= _STRAY_WIDTH for unit in units]
    costs = [0.0] * (len(units) + 1)
    for end in range(1, len(units)):
        alone = end > 1 and (
            (stray[end - 1] and senses[end - 1] and not senses[end])
            or (stray[end] and senses[end + 1] and not senses[end])
        )
        if alone or introduces(texts[end - 1]):
            costs[end] = _STRAY
        if _marked(units[end - 1].space_emphasis):
            costs[end] += _PARTED_MARK
    return costs


def ends_astray(line: Line) -> bool:
    """Return whether a line ends with a short word that a pause cuts off from what follows, where it belongs."""
    *before, last = line.units
    ended = bool(before) and before[-1].text[-1:] in _PAUSES
    return ended and last.width <= _STRAY_WIDTH and last.text[-1:] not in _PAUSES


def prepare(
    paragraphs: Sequence[Paragraph], font: Font, language: str, bullet: str, indent: float, *, phrases: bool = False
) -> Block:
    """Return the block of clean paragraphs in a font; cached, so styles and sizes may be tried freely.

    With `phrases`, Chinese and Japanese lines end between phrases rather than anywhere.
    """
    regular, bold = voice(font, bold=False), voice(font, bold=True)
    setting = _Setting((regular, bold, regular, bold), language, phrases)
    return _prepare(tuple(paragraphs), setting, bullet, indent)


# A block holds a thousand objects: more of them would make every full garbage collection a pause of a third of a second.
@lru_cache(maxsize=64)
def _prepare(paragraphs: tuple[Paragraph, ...], setting: _Setting, bullet: str, indent: float) -> Block:
    items = tuple(_item(paragraph, setting, bullet, indent) for paragraph in paragraphs)
    # One edge for all items of a list, though "2." is wider than "1.".
    common = max(item.indent for item in items) if items else 0.0
    items = tuple(replace(item, indent=common) if item.marker else item for item in items)
    inks = [piece.shaped.ink for item in items for unit in item.units for piece in unit.pieces]
    ink_top = max((ink[3] for ink in inks), default=_CAP)
    ink_bottom = max((-ink[1] for ink in inks), default=0.0)
    crowded = any(_CROWDED.search(paragraph.text) for paragraph in paragraphs)
    return Block(
        items,
        setting,
        top=max(_CAP, ink_top - 0.06) if crowded or ink_top > _TALL else _CAP,
        bottom=max(_DESCENT, ink_bottom),
        least_leading=min(1.9, max(_CROWDED_LEADING, ink_top + ink_bottom + 0.04))
        if crowded or ink_top > _TALL
        else 0.0,
        widest=max((unit.width + item.indent for item in items for unit in item.units), default=0.0),
        space=setting.shape(" ", Emphasis.NONE, 0).advance,
    )


def forget() -> None:
    """Drop every prepared block, so that a benchmark measures work instead of memory."""
    _prepare.cache_clear()


def _item(paragraph: Paragraph, setting: _Setting, bullet: str, indent: float) -> Item:
    base = bidi.base_level(paragraph.text)
    units = tuple(_units(glue(paragraph.text), paragraph.emphasis, base, setting))
    if paragraph.kind == "text":
        return Item(units, base, 0.0, None)
    marker = setting.shape(paragraph.label or (bullet.translate(_FROM_RIGHT) if base else bullet), Emphasis.BOLD, 0)
    return Item(units, base, max(indent, marker.advance + 0.3), marker)


def _units(text: str, emphasis: Sequence[Emphasis], base: Literal[0, 1], setting: _Setting) -> Iterable[Unit]:
    levels = bidi.levels(text, base)
    space = setting.shape(" ", Emphasis.NONE, 0).advance
    start = 0
    for end in opportunities(text, phrases=setting.phrases):
        if end < len(text) and text[end - 1] != " " and _short_emphasis(emphasis, end):
            continue
        stop = start + len(text[start:end].rstrip(" "))
        gap = space * (end - stop)
        if stop > 0 and end < len(text) and _marked(emphasis[stop - 1]) != _marked(emphasis[end]):
            gap += MARK_SIDE
        following = emphasis[stop] if stop < end else Emphasis.NONE
        yield _unit(text, start, stop, emphasis, levels, base, setting, gap, following)
        start = end


def _short_emphasis(emphasis: Sequence[Emphasis], at: int) -> bool:
    """Return whether an offset lies inside a few emphasised signs; parted, they would look like two highlights."""
    kind = emphasis[at]
    if not kind or emphasis[at - 1] != kind:
        return False
    start, end = at - 1, at + 1
    while start > 0 and emphasis[start - 1] == kind:
        start -= 1
    while end < len(emphasis) and emphasis[end] == kind:
        end += 1
    return end - start <= _TOGETHER


def _marked(emphasis: Emphasis) -> bool:
    return emphasis >= Emphasis.MARK  # the highest bit; an enum's "&" takes ten times as long


def _unit(
    text: str, start: int, stop: int, emphasis: Sequence[Emphasis], levels: Sequence[int] | None, base: int, setting: _Setting,
    space: float, space_emphasis: Emphasis,
) -> Unit:  # fmt: skip
    pieces: list[Piece] = []
    at = start
    while at < stop:
        end = at + 1
        while end < stop and emphasis[end] == emphasis[at] and (levels is None or levels[end] == levels[at]):
            end += 1
        level = levels[at] if levels else base
        gap = MARK_SIDE if at > start and _marked(emphasis[at]) != _marked(emphasis[at - 1]) else 0.0
        pieces.append(Piece(text[at:end], emphasis[at], level, setting.shape(text[at:end], emphasis[at], level), gap))
        at = end
    return Unit(tuple(pieces), _extent(pieces), space, space_emphasis, base)


def _extent(pieces: Sequence[Piece]) -> float:
    return sum(piece.gap + piece.shaped.advance for piece in pieces)


def _sliced(unit: Unit, start: int, stop: int, setting: _Setting, tail: str = "", space: float = 0.0) -> Unit:
    pieces: list[Piece] = []
    at = 0
    for piece in unit.pieces:
        text = piece.text[max(0, start - at) : max(0, stop - at)]
        at += len(piece.text)
        if text:
            shaped = setting.shape(text, piece.emphasis, piece.level)
            pieces.append(Piece(text, piece.emphasis, piece.level, shaped, piece.gap if pieces else 0.0))
    if tail:
        last = pieces.pop() if pieces else Piece("", Emphasis.NONE, unit.level, setting.shape("", Emphasis.NONE, 0))
        tail = last.text + tail
        pieces.append(replace(last, text=tail, shaped=setting.shape(tail, last.emphasis, last.level)))
    return Unit(tuple(pieces), _extent(pieces), space, unit.space_emphasis, unit.level)


def _part(unit: Unit, measure: float, setting: _Setting) -> Iterable[Unit]:
    """Yield `unit` in parts no wider than the measure, where that is possible at all."""
    text = unit.text
    if NBSP in text:
        start = 0
        for word in text.split(NBSP):
            stop = start + len(word)
            last = stop == len(text)
            part = _sliced(
                unit, start, stop, setting, space=unit.space if last else setting.shape(" ", Emphasis.NONE, 0).advance
            )
            yield from (part,) if part.width <= measure else _part(part, measure, setting)
            start = stop + 1
        return
    offsets = hyphenations(text, setting.language)
    start = 0
    while start < len(text):
        if len(text) - start <= measure / _NARROWEST:
            rest = _sliced(unit, start, len(text), setting, space=unit.space)
            if rest.width <= measure:
                yield rest
                return
        part = _widest_part(unit, start, measure, setting)
        stop = start + len(part.text)
        for offset in reversed(offsets[bisect_right(offsets, start) : bisect_right(offsets, stop)]):
            hyphenated = _sliced(unit, start, offset, setting, "-")
            if hyphenated.width <= measure:
                part, stop = hyphenated, offset
                break
        yield replace(part, space=unit.space) if stop == len(text) else part
        start = stop


def _widest_part(unit: Unit, start: int, measure: float, setting: _Setting) -> Unit:
    """Return as many whole graphemes as fit, one at least.

    Graphemes measured alone (and remembered) give the count almost exactly; shaping the part together settles it.
    """
    clusters: list[str] = []
    width = 0.0
    for match in GRAPHEME.finditer(unit.text[start:]):
        width += setting.shape(match[0], unit.pieces[0].emphasis, unit.pieces[0].level).advance
        if width > measure and clusters:
            break
        clusters.append(match[0])
    while True:
        part = _sliced(unit, start, start + sum(map(len, clusters)), setting)
        if part.width <= measure or len(clusters) == 1:
            return part
        clusters.pop()


def _with_ellipsis(unit: Unit, setting: _Setting) -> Unit:
    text = unit.text
    return _sliced(unit, 0, len(text.rstrip(".,;:!?—–-…")), setting, ELLIPSIS)


def _shortened(unit: Unit, room: float, setting: _Setting) -> Unit:
    clusters = graphemes(unit.text)
    for count in range(len(clusters) - 1, 0, -1):
        shorter = _sliced(unit, 0, len("".join(clusters[:count])), setting, ELLIPSIS)
        if shorter.width <= room:
            return shorter
    return _sliced(unit, 0, 0, setting, ELLIPSIS)


def hang(line: Line) -> tuple[float, float]:
    """Return how far, in em, punctuation may hang out of the line at its left and at its right end."""
    if not line.units or not line.units[0].pieces or not line.units[-1].pieces:
        return 0.0, 0.0
    first, last = line.units[0].pieces[0], line.units[-1].pieces[-1]
    if line.units[0].level:
        # Read from the right: what opens the line stands at its right end, in glyphs from left to right like all others.
        return 0.0, _share(_OPENING, first.text[:1]) * _last_width(first) if first.level % 2 else 0.0
    left = _share(_OPENING, first.text[:1]) * _first_width(first) if not first.level else 0.0
    right = _share(_CLOSING, last.text[-1:]) * _last_width(last) if not last.level else 0.0
    return left, right


def _share(shares: Mapping[str, float], character: str) -> float:
    return shares.get(character, 0.0)


def _first_width(piece: Piece) -> float:
    runs = piece.shaped.runs
    if len(piece.text) < 2 or not runs or not runs[0].xs:  # a sign alone stays inside; some runs have no ink
        return 0.0
    return runs[0].xs[1] if len(runs[0].xs) > 1 else runs[0].advance


def _last_width(piece: Piece) -> float:
    runs = piece.shaped.runs
    if len(piece.text) < 2 or not runs or not runs[-1].xs:  # as above
        return 0.0
    return runs[-1].advance - runs[-1].xs[-1]
