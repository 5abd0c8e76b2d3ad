"""The small fixed things of a slide: counters, handles, progress, arrows, decoration. Pure.

They keep their corner on every slide of a deck, and in one read from the right the opposite corner. A corner row reserves its
height, so main text never meets it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from carousel_pipeline.rendering import bidi
from carousel_pipeline.rendering.fonts import Shaped, bidi_shape, voice
from carousel_pipeline.rendering.scene import Box, Shape, TextBox
from carousel_pipeline.rendering.style import Decor, Furniture, RoleStyle, Style
from carousel_pipeline.rendering.typeset import OVERHANG, Inks, one_line

_ROW_GAP = 64
_CHIP_SIDE = 0.85
_CHIP_HEIGHT = 2.0
_LOGO = 2.0
_LOGO_IN_CHIP = 1.4
_LOGO_GAP = 0.45
_WIDE_LOGO = 2.5
_ROOM = 24
_SWIPE = MappingProxyType(
    {
        "en": "swipe", "ru": "листай", "uk": "гортай", "de": "weiter", "fr": "suite", "es": "desliza", "it": "scorri",
        "pt": "deslize", "pl": "dalej", "ar": "اسحب", "he": "החליקו", "zh": "滑动", "hi": "स्वाइप", "th": "ปัด",
        "el": "σύρε", "tr": "kaydır", "nl": "veeg", "ja": "スワイプ", "be": "гартай", "kk": "сырғыт", "fa": "بکشید",  # noqa: RUF001  # Turkish
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bars:
    """The furniture of one slide.

    Attributes:
        top, bottom: pixels that it takes from the safe area, its gap included.
        chipped: names of texts that stand on a pill of their own.
        logo: where the brand's logo stands.
    """

    texts: tuple[TextBox, ...]
    shapes: tuple[Shape, ...]
    top: float
    bottom: float
    chipped: frozenset[str]
    logo: Box | None = None


@dataclass(slots=True)
class _Row:
    style: Style
    role: RoleStyle
    area: Box
    full_picture: bool
    from_right: bool
    texts: list[TextBox]
    shapes: list[Shape]
    chipped: set[str]
    logo: Box | None = None

    def ink(self, item: Furniture) -> str:
        colours = self.style.colours
        if item.chip:
            named = {
                "background": colours.text,
                "panel": colours.on_panel,
                "accent": colours.on_accent,
                "text": colours.background,
            }
            return named.get(item.chip, colours.text)
        if self.full_picture:
            return colours.on_picture
        ground = self.role.ground
        if ground == "accent":
            return colours.on_accent
        if ground == "panel":
            return colours.panel_accent if item.ink == "accent" else colours.on_panel
        found: str = getattr(colours, item.ink)
        return found

    def other_ink(self) -> str | None:
        """Return what a mark on the picture is drawn in where its own ink would drown."""
        return self.style.colours.veil if self.full_picture else None


def furnish(role: RoleStyle, style: Style, area: Box, position: int, total: int, language: str, handle: str,
    logo: float | None = None, *, from_right: bool = False,
) -> Bars:  # fmt: skip
    """Return a slide's furniture; what has nothing to say (a handle without a brand, a counter of one) is left out.

    A logo, told by its width / height, stands before the handle or in its place. `area` is where words may stand.
    """
    row = _Row(style, role, area, role.picture.place == "full", from_right, [], [], set())
    shown: list[tuple[Furniture, str, float | None]] = []
    for item in role.furniture:
        words = _words(item, position, total, language, handle)
        mark = logo if item.kind == "handle" else None
        if mark or words is not None:
            shown.append((item, words or "", mark))
    heights = {
        edge: max((_height(item, words, mark) for item, words, mark in shown if item.at.startswith(edge)), default=0.0)
        for edge in ("top", "bottom")
    }
    for item, words, mark in shown:
        # What stands in a row shares its middle: words beside a pill would hang from its upper edge.
        middle = area[1] + heights["top"] / 2 if item.at.startswith("top") else area[3] - heights["bottom"] / 2
        if words or mark:
            _place_text(row, item, words, language, middle, mark)
        else:
            _place_shape(row, item, position, total, middle)
    top, bottom = (heights[edge] + _ROW_GAP if heights[edge] else 0.0 for edge in ("top", "bottom"))
    return Bars(tuple(row.texts), tuple(row.shapes), top, bottom, frozenset(row.chipped), row.logo)


def _height(item: Furniture, words: str, logo: float | None) -> float:
    if not words and not logo:
        return item.size
    return item.size * _CHIP_HEIGHT if item.chip else max(item.size * 0.74, _logo_height(item, logo) if logo else 0.0)


def _logo_height(item: Furniture, logo: float) -> float:
    return item.size * (_LOGO_IN_CHIP if item.chip else _LOGO) / max(1.0, logo / _WIDE_LOGO)


def _words(item: Furniture, position: int, total: int, language: str, handle: str) -> str | None:
    """Return what the furniture says, an empty string for a drawn one, None for one that is left out."""
    if item.kind == "handle":
        return handle or None
    if item.kind == "label":
        return item.words or None
    if total == 1:
        return None
    if item.kind == "counter":
        return f"{position:02}/{total:02}"
    if item.kind == "swipe":
        if position == total:
            return None
        word = _SWIPE.get(language, "")
        return f"{word} ←" if word and bidi.base_level(word) else f"{word} →"
    return ""


def _horizontal(row: _Row, at: str, width: float) -> float:
    left, _, right, _ = row.area
    if at.endswith("right" if row.from_right else "left"):
        return left
    if at.endswith("left" if row.from_right else "right"):
        return right - width
    return (left + right - width) / 2


def _place_text(row: _Row, item: Furniture, words: str, language: str, middle: float, logo: float | None) -> None:
    shaped = _fitted(row, item, words.strip(), language)
    size = item.size
    side = size * _CHIP_SIDE if item.chip else 0.0
    mark_tall = _logo_height(item, logo) if logo else 0.0
    mark_wide = mark_tall * logo if logo else 0.0
    tall = _height(item, words, logo)
    before = mark_wide + (size * _LOGO_GAP if words else 0.0) if logo else 0.0
    width = before + shaped.advance * size + 2 * side
    left = _horizontal(row, item.at, width)
    top = middle - tall / 2
    if logo:
        start = left + width - side - mark_wide if row.from_right else left + side
        row.logo = (start, middle - mark_tall / 2, start + mark_wide, middle + mark_tall / 2)
    baseline = round(_within(middle + size * 0.365, shaped, size, row.area))
    if item.chip:
        fill: str = getattr(row.style.colours, item.chip)
        row.shapes.append(Shape("rect", (left, top, left + width, top + tall), fill, radius=tall / 2))
    if not words:
        return
    colour = row.ink(item)
    inks = Inks(colour, colour, colour, colour)
    name = f"{item.kind}_{item.at}"
    over = row.full_picture and not item.chip
    if item.chip:
        row.chipped.add(name)
    row.texts.append(
        one_line(
            name,
            shaped,
            size,
            left + side + (0.0 if row.from_right else before),
            baseline,
            inks,
            words.strip(),
            over_picture=over,
        )
    )


def _within(baseline: float, shaped: Shaped, size: int, safe: Box) -> float:
    """Return the baseline, moved where stacked marks would reach far out of the safe area."""
    hang = OVERHANG * size
    baseline += max(0.0, safe[1] - hang - (baseline - shaped.ink[3] * size))
    return baseline - max(0.0, baseline - shaped.ink[1] * size - safe[3] - hang)


def _fitted(row: _Row, item: Furniture, words: str, language: str) -> Shaped:
    """Return the words shaped, shortened to half the safe width."""
    speaker = voice(getattr(row.style.fonts, item.font), bold=False, tabular=item.kind == "counter")
    room = (row.area[2] - row.area[0]) * 0.5 / item.size
    shaped = bidi_shape(words, speaker, language)
    while shaped.advance > room and len(words) > 1:
        words = words[:-1].rstrip("…")
        shaped = bidi_shape(words + "…", speaker, language)
    return shaped


def _place_shape(row: _Row, item: Furniture, position: int, total: int, middle: float) -> None:
    size = item.size
    top = middle - size / 2
    if item.kind == "progress":
        width = row.area[2] - row.area[0] if item.at in {"top", "bottom"} else (row.area[2] - row.area[0]) * 0.3
        gap = max(6.0, size * 1.2)
        lengths = [(width - gap * (total - 1)) / total] * total
        shown, rest = position, 0.28
    else:
        gap = size * 1.1
        lengths = [size * 2.6 if index == position - 1 else float(size) for index in range(total)]
        width = sum(lengths) + gap * (total - 1)
        shown, rest = 0, 0.4
    at = _horizontal(row, item.at, width)
    order = range(total - 1, -1, -1) if row.from_right else range(total)
    for index in order:
        opacity = 1.0 if index < shown or index == position - 1 else rest
        box = (at, top, at + lengths[index], top + size)
        row.shapes.append(Shape("rect", box, row.ink(item), opacity, radius=size / 2, otherwise=row.other_ink()))
        at += lengths[index] + gap


def place_decor(
    decor: Sequence[Decor], style: Style, anchors: Mapping[str, Box], *, from_right: bool = False
) -> Mapping[str, tuple[Shape, ...]]:
    """Return the decoration by layer, in pixels; `anchors` are the boxes of slide, safe area and picture.

    An ornament of a picture stays whole where the picture stands near the slide's edge.
    """
    layers: dict[str, list[Shape]] = {"back": [], "under": [], "over": []}
    for drawn in decor:
        item = (
            drawn.model_copy(update={"left": drawn.right, "right": drawn.left, "angle": -drawn.angle})
            if from_right
            else drawn
        )
        fill: str = getattr(style.colours, item.fill)
        layers[item.layer].append(
            Shape(
                item.shape,
                _kept_inside(_decor_box(item, anchors[item.anchor]), anchors["slide"])
                if item.anchor == "picture" and item.width and item.height
                else _decor_box(item, anchors[item.anchor]),
                fill,
                item.opacity,
                item.radius,
                item.stroke,
                item.step,
                item.angle,
            )
        )
    return {layer: tuple(shapes) for layer, shapes in layers.items()}


def _decor_box(item: Decor, anchor: Box) -> Box:
    left, right = _extent(item.left, item.right, item.width, anchor[2] - anchor[0])
    top, bottom = _extent(item.top, item.bottom, item.height, anchor[3] - anchor[1])
    return anchor[0] + left, anchor[1] + top, anchor[0] + right, anchor[1] + bottom


def _kept_inside(box: Box, slide: Box) -> Box:
    across = max(slide[0] + _ROOM - box[0], 0.0) + min(slide[2] - _ROOM - box[2], 0.0)
    down = max(slide[1] + _ROOM - box[1], 0.0) + min(slide[3] - _ROOM - box[3], 0.0)
    return box[0] + across, box[1] + down, box[2] + across, box[3] + down


def _extent(start: int | None, end: int | None, length: int | None, whole: float) -> tuple[float, float]:
    """Resolve one axis as CSS does: two of the three decide, one missing side is 0."""
    if length is None:
        return start or 0, whole - (end or 0)
    if start is not None:
        return start, start + length
    if end is not None:
        return whole - end - length, whole - end
    return (whole - length) / 2, (whole + length) / 2
