"""Broken lines to placed glyphs: alignment, bidi order, list markers, highlighter boxes, exact ink. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from carousel_pipeline.rendering import bidi
from carousel_pipeline.rendering.fonts import Run, Shaped
from carousel_pipeline.rendering.lines import MARK_SIDE, Block, Item, Line, Piece, hang
from carousel_pipeline.rendering.scene import Box, GlyphRun, TextBox, union
from carousel_pipeline.rendering.text import Emphasis

_MARK_TOP = 0.86
_MARK_BOTTOM = 0.25
_PEN_TOP = 0.44
_PEN_BOTTOM = 0.1
_SLACK = 2.0
OVERHANG = 0.3
"""How far, in em, ink may reach over its column or row: quotation marks and swashes hang, accents rise over capitals."""


@dataclass(frozen=True, slots=True)
class Inks:
    """The colours of one text."""

    text: str
    accent: str
    mark: str
    mark_fill: str
    pen: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """Where a text goes: left edge, width, top of the first line's capitals, alignment."""

    left: float
    top: float
    width: float
    align: Literal["start", "centre", "end"]


@dataclass(frozen=True, slots=True)
class Spacing:
    """Vertical rhythm of one text: pitch in pixels, extra pixels between paragraphs."""

    pitch: float
    paragraph: float


def spacing(block: Block, size: int, leading: float, paragraph_gap: float) -> Spacing:
    """Return the rhythm of a block at a size; tall scripts open it up."""
    return Spacing(round(size * max(leading, block.least_leading)), round(size * paragraph_gap))


def height(block: Block, lines: Sequence[Line], size: int, rhythm: Spacing) -> float:
    """Return the pixels from the first line's capitals to the last line's descent."""
    if not lines:
        return 0.0
    gaps = sum(1 for line in lines[1:] if line.first)
    return (block.top + block.bottom) * size + (len(lines) - 1) * rhythm.pitch + gaps * rhythm.paragraph


def typeset(
    name: str, block: Block, lines: Sequence[Line], size: int, rhythm: Spacing, column: Column, inks: Inks, *, over_picture: bool,
    accented: bool,
) -> TextBox:  # fmt: skip
    """Place broken lines in a column."""
    column = _list_column(block, lines, size, column)
    runs: list[GlyphRun] = []
    marks: list[Box] = []
    inked: list[Box] = []
    baseline = column.top + block.top * size
    highlight = (MARK_SIDE, *((_PEN_TOP, _PEN_BOTTOM) if inks.pen else _box_around(rhythm.pitch / size)))
    for index, line in enumerate(lines):
        if index:
            baseline += rhythm.pitch + (rhythm.paragraph if line.first else 0)
        _place_line(
            line,
            block.items[line.item],
            size,
            round(baseline),
            column,
            runs,
            marks,
            inked,
            highlight,
            accented=accented,
        )
    flow = (column.left, column.top, column.left + column.width, column.top + height(block, lines, size, rhythm))
    ink = union(inked) if inked else (flow[0], flow[1], flow[0], flow[1])
    box = union([flow, (ink[0] - _SLACK, ink[1] - _SLACK, ink[2] + _SLACK, ink[3] + _SLACK), *marks])
    texts = tuple(_text(line) for line in lines)
    return TextBox(
        name,
        box,
        ink,
        size,
        inks.text,
        inks.accent,
        inks.mark,
        inks.mark_fill,
        over_picture,
        texts,
        tuple(marks),
        tuple(runs),
    )


def _list_column(block: Block, lines: Sequence[Line], size: int, column: Column) -> Column:
    """A centred list reads badly: its lines start together, and the list as a whole is centred."""
    if column.align != "centre" or not any(item.marker for item in block.items):
        return column
    widest = max((line.width + block.items[line.item].indent for line in lines), default=0.0) * size
    return Column(column.left + (column.width - widest) / 2, column.top, widest, "start")


def _box_around(leading: float) -> tuple[float, float]:
    """Return how far a highlighter box reaches above and below the baseline, in em, without touching the next line's."""
    spare = max(0.0, _MARK_TOP + _MARK_BOTTOM - leading + 0.04)
    return _MARK_TOP - spare * 0.35, _MARK_BOTTOM - spare * 0.65


def _text(line: Line) -> str:
    return "".join(unit.text + (" " if unit.space else "") for unit in line.units).rstrip(" ")


def _start(line: Line, item: Item, size: float, column: Column) -> float:
    """Return the left edge of the line's own glyphs."""
    indent = item.indent * size
    width = line.width * size
    align = column.align
    left, right = (share * size for share in hang(line))
    if align == "start":
        align = "end" if item.base else "start"
    elif align == "end" and item.base:
        align = "start"
    if align == "centre":
        return column.left + (column.width - width + (indent if item.marker else right - left)) / 2
    if align == "end":
        return column.left + column.width - width - (indent if item.base else 0) + (0 if item.marker else right)
    return column.left + (indent if not item.base else 0) - (0 if item.marker else left)


def _place_line(
    line: Line, item: Item, size: int, baseline: float, column: Column, runs: list[GlyphRun], marks: list[Box], inked: list[Box],
    highlight: tuple[float, float, float], *, accented: bool,
) -> None:  # fmt: skip
    scaled = size * line.squeeze
    placed = len(runs)
    at = _start(line, item, size, column)
    if item.marker and line.first:
        gap = 0.36 * size
        width = item.marker.advance * size
        x = at + line.width * size + gap if item.base else at - max(item.indent * size, width + gap)
        _place_runs(item.marker.runs, x, baseline, size, "accent" if accented else "text", runs, inked)
    sequence = _visual(line)
    extents: list[tuple[float, float]] = []
    for piece, space, emphasis in sequence:
        if piece is None:
            if Emphasis.MARK in emphasis and extents:
                extents[-1] = (extents[-1][0], at + space * scaled)
            at += space * scaled
            continue
        if not piece.level % 2:
            at += piece.gap * scaled
        advance = piece.shaped.advance * scaled
        if Emphasis.MARK in piece.emphasis:
            if extents and abs(extents[-1][1] - at) < 0.01:  # touching, but for rounding
                extents[-1] = (extents[-1][0], at + advance)
            else:
                extents.append((at, at + advance))
        ink: Literal["text", "accent", "mark"] = "text"
        if Emphasis.MARK in piece.emphasis:
            ink = "mark"
        elif Emphasis.BOLD in piece.emphasis and accented:
            ink = "accent"
        _place_runs(piece.shaped.runs, at, baseline, scaled, ink, runs, inked)
        at += advance + (piece.gap * scaled if piece.level % 2 else 0)
    _kept_in(column, size * OVERHANG, runs, extents, inked, len(runs) - placed)
    side, top, bottom = (share * scaled for share in highlight)
    marks.extend((left - side, baseline - top, right + side, baseline + bottom) for left, right in extents)


def _kept_in(
    column: Column, hang: float, runs: list[GlyphRun], extents: list[tuple[float, float]], inked: list[Box], count: int
) -> None:
    """Move the last `count` runs, one line, where swashes or stacked marks would reach far out of the column."""
    if not count:
        return
    ink = union(inked[-count:])
    shift = max(0.0, column.left - hang - ink[0]) or min(0.0, column.left + column.width + hang - ink[2])
    if shift:
        inked[-count:] = [(box[0] + shift, box[1], box[2] + shift, box[3]) for box in inked[-count:]]
        runs[-count:] = [
            replace(run, x=run.x + shift, bounds=bounds)
            for run, bounds in zip(runs[-count:], inked[-count:], strict=True)
        ]
        extents[:] = [(left + shift, right + shift) for left, right in extents]


def _visual(line: Line) -> list[tuple[Piece | None, float, Emphasis]]:
    """Return pieces and spaces from left to right."""
    sequence: list[tuple[Piece | None, float, Emphasis]] = []
    levels: list[int] = []
    for index, unit in enumerate(line.units):
        for piece in unit.pieces:
            sequence.append((piece, 0.0, piece.emphasis))
            levels.append(piece.level)
        if unit.space and index < len(line.units) - 1:
            following = line.units[index + 1].pieces
            sequence.append((None, unit.space, unit.space_emphasis))
            before = unit.pieces[-1].level if unit.pieces else unit.level
            after = following[0].level if following else unit.level
            levels.append(min(before, after) if before != after else before)
    return [sequence[index] for index in bidi.visual_order(levels)] if any(levels) else sequence


def _place_runs(
    shaped: Sequence[Run], x: float, baseline: float, size: float, ink: Literal["text", "accent", "mark"], runs: list[GlyphRun],
    inked: list[Box],
) -> None:  # fmt: skip
    for run in shaped:
        if run.glyphs:
            xs = tuple(value * size for value in run.xs)
            ys = tuple(-value * size for value in run.ys)
            left, bottom, right, top = run.ink
            bounds = (x + left * size, baseline - top * size, x + right * size, baseline - bottom * size)
            runs.append(GlyphRun(run.face, size * run.scale, x, baseline, run.glyphs, xs, ys, ink, bounds))
            inked.append(bounds)
        x += run.advance * size


def one_line(
    name: str, shaped: Shaped, size: int, left: float, baseline: float, inks: Inks, text: str, *, over_picture: bool
) -> TextBox:
    """Place a single shaped line, such as a counter."""
    runs: list[GlyphRun] = []
    inked: list[Box] = []
    _place_runs(shaped.runs, left, baseline, size, "text", runs, inked)
    ink = union(inked) if inked else (left, baseline, left, baseline)
    box = (ink[0] - _SLACK, ink[1] - _SLACK, ink[2] + _SLACK, ink[3] + _SLACK)
    return TextBox(
        name, box, ink, size, inks.text, inks.accent, inks.mark, inks.mark_fill, over_picture, (text,), (), tuple(runs)
    )
