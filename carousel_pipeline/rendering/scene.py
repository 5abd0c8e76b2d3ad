"""What layout hands to drawing: every box, size, colour and glyph of a slide, without a pixel.

It is JSON-serialisable, so it is tested as text.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels, y downwards."""


@dataclass(frozen=True, slots=True)
class LayoutWarning:
    """Something the copy should change.

    Attributes:
        kind: `truncated` text was cut, `missing` characters have no glyph, `shrunk` smaller than the deck's size.
        field: `heading` or `body`.
        characters: how many characters are too many, for `truncated`; else 0.
        detail: the missing characters, for `missing`; else empty.
    """

    kind: Literal["truncated", "missing", "shrunk"]
    field: Literal["heading", "body"]
    characters: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class GlyphRun:
    """Glyphs of one face and colour on one baseline; offsets in pixels from (x, y), y downwards; `bounds` is around their ink."""

    face: str
    size: float
    x: float
    y: float
    glyphs: tuple[int, ...]
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    ink: Literal["text", "accent", "mark"]
    bounds: Box


@dataclass(frozen=True, slots=True)
class TextBox:
    """A set text.

    Attributes:
        box: all ink stays inside it.
        ink: exact bounds of the outlines.
        colour, accent, mark_ink: colours of the three inks.
        over_picture: whether picture pixels may be under it.
        lines: the text of each line in logical order.
        marks: highlighter boxes, drawn in `mark_fill` under the glyphs.
    """

    name: str
    box: Box
    ink: Box
    size: int
    colour: str
    accent: str
    mark_ink: str
    mark_fill: str
    over_picture: bool
    lines: tuple[str, ...]
    marks: tuple[Box, ...]
    runs: tuple[GlyphRun, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """Something drawn that is neither text nor picture.

    Attributes:
        otherwise: fill of a mark on the picture where that stands out better from it.
    """

    shape: str
    box: Box
    fill: str
    opacity: float = 1.0
    radius: float = 0.0
    stroke: float = 0.0
    step: float = 60.0
    angle: float = 0.0
    otherwise: str | None = None


@dataclass(frozen=True, slots=True)
class PicturePlace:
    """Where the picture goes and what happens to it."""

    box: Box
    mask: Literal["none", "round", "disc", "arch"]
    radius: float
    treatment: Literal["none", "duotone", "mono"]
    dark: str
    light: str


@dataclass(frozen=True, slots=True)
class ScrimPlace:
    """What stands between the picture and one group of texts.

    Attributes:
        kind: as in a style; `shade` is a small text's own: where dark ink will do it is no veil at all, else one of its size.
        box: the texts it serves, or the card itself.
        axis: direction in which a veil fades.
    """

    kind: Literal["veil", "card", "glass", "shade"]
    box: Box
    axis: Literal["x", "y"]
    fill: str
    opacity: float
    fade: float
    radius: float
    outline: str | None
    shadow: float
    texts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Daylight:
    """The colours that replace those over the picture when the picture turns out to be light."""

    ink: str
    accent: str
    veil: str


@dataclass(frozen=True, slots=True)
class SlideLayout:
    """One slide, ready to draw."""

    position: int
    width: int
    height: int
    safe: Box
    ground: str
    ground_end: str
    picture: PicturePlace
    back: tuple[Shape, ...]
    under: tuple[Shape, ...]
    scrims: tuple[ScrimPlace, ...]
    furniture: tuple[Shape, ...]
    texts: tuple[TextBox, ...]
    over: tuple[Shape, ...]
    warnings: tuple[LayoutWarning, ...]
    daylight: Daylight | None = None
    logo: Box | None = None


@dataclass(frozen=True, slots=True)
class DeckLayout:
    """A whole deck, ready to draw."""

    style: str
    style_version: int
    ratio: str
    slides: tuple[SlideLayout, ...]

    @property
    def warnings(self) -> dict[int, tuple[LayoutWarning, ...]]:
        """Warnings by slide position, for the slides that have any."""
        return {slide.position: slide.warnings for slide in self.slides if slide.warnings}

    def as_dict(self) -> dict[str, Any]:
        """Return the layout as JSON types, lengths rounded to hundredths."""
        rounded: dict[str, Any] = json.loads(
            json.dumps(dataclasses.asdict(self)), parse_float=lambda text: round(float(text), 2)
        )
        return rounded


def union(boxes: list[Box]) -> Box:
    """Return the smallest box around at least one box."""
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)


def mirrored(box: Box, width: float) -> Box:
    """Return the box as a mirror shows it on a slide of that width."""
    return width - box[2], box[1], width - box[0], box[3]


def overlap(first: Box, second: Box) -> bool:
    """Return whether two boxes share area."""
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
