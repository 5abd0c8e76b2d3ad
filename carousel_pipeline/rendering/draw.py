"""A placed slide and a picture to pixels: picture, decoration, scrims, highlighter, glyphs, in this order.

What must stay true: the worst pixel under every text reaches 4.5:1, measured on the pixels that are really there; all ink lies in
its box; the same input gives the same bytes. Glyphs come from HarfBuzz' own rasteriser: no hinting, no system fonts.
"""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import uharfbuzz as hb  # type: ignore[import-untyped]  # the library ships no types
from PIL import Image

from carousel_pipeline.rendering import background, shapes
from carousel_pipeline.rendering.colour import (
    AA,
    BLACK,
    TARGET,
    Pixels,
    Rgb,
    luminance,
    luminance_of,
    ratio,
    readable,
    rgb,
)
from carousel_pipeline.rendering.encode import to_jpeg
from carousel_pipeline.rendering.fonts import face
from carousel_pipeline.rendering.logo import paint_logo
from carousel_pipeline.rendering.scene import (
    Box,
    GlyphRun,
    LayoutWarning,
    ScrimPlace,
    Shape,
    SlideLayout,
    TextBox,
    union,
)
from carousel_pipeline.rendering.scrim import Solution, blend, lay, profile, solve, worst_ratio
from carousel_pipeline.rendering.surface import QUAD, Surface, enlarged

_GLASS_BLUR = 26.0
_SAMPLE = 2
_GLANCE = 16
_EMOJI_PAD = 4
_MARK_RADIUS = 0.16
_RESCUE_FADE = 60.0
_NEAR = 0.2
_LIGHT = 0.38
_FAR = 10_000.0


@dataclass(frozen=True, slots=True)
class RenderedSlide:
    """A finished slide.

    Attributes:
        jpeg: sRGB, quality 95, 4:4:4, `width` x `height`.
        contrast: worst ratio measured under any text.
        ink_inside: whether every drawn pixel of text lay inside its box and the slide.
    """

    position: int
    jpeg: bytes
    width: int
    height: int
    warnings: tuple[LayoutWarning, ...]
    contrast: float
    ink_inside: bool


def render_slide(layout: SlideLayout, picture: bytes | None, logo: bytes | None = None) -> RenderedSlide:
    """Draw one slide and encode it.

    Args:
        layout: from `layout_deck`.
        picture: any image file, fitted to its place; None draws the style's own backdrop.
        logo: of the brand that the layout was made for.

    Raises:
        PermanentError: the picture or the logo cannot be read.
    """
    image, contrast, inside = draw_slide(layout, picture, logo)
    return RenderedSlide(
        layout.position, to_jpeg(image), layout.width, layout.height, layout.warnings, contrast, inside
    )


def draw_slide(
    layout: SlideLayout, picture: bytes | None, logo: bytes | None = None
) -> tuple[Image.Image, float, bool]:
    """Return the drawn RGB image, the worst contrast under text, and whether all ink stayed inside."""
    surface = _with_picture(layout, picture)
    for shape in layout.under:
        shapes.paint(surface, shape)
    layout = _by_day(layout, surface)
    inks = {index: rgb(text.colour) for index, text in enumerate(layout.texts)}
    _scrims(surface, layout, inks)
    for shape in _marked(surface, layout.furniture):
        shapes.paint(surface, shape)
    worst, accents = _checked(surface, layout, inks)
    if logo and layout.logo:
        paint_logo(surface, layout.logo, logo)
    inside = True
    for index, text in enumerate(layout.texts):
        inside &= _draw_text(surface, text, inks[index], accents[index])
    for shape in layout.over:
        shapes.paint(surface, shape)
    return surface.image, worst, inside


def _scrims(surface: Surface, layout: SlideLayout, inks: dict[int, Rgb]) -> None:
    """Lay what stands between picture and texts, cards first."""
    for scrim in layout.scrims:
        if scrim.kind in {"card", "glass"}:
            _card(surface, scrim, inks)
    for scrim in layout.scrims:
        if scrim.kind == "veil":
            _veil(surface, scrim, layout, inks)
        elif scrim.kind == "shade":
            _shade(surface, scrim, layout.texts[scrim.texts[0]], inks)


def _by_day(layout: SlideLayout, surface: Surface) -> SlideLayout:
    """Return the layout in its daylight colours when it has some and the picture under its main text is light."""
    day = layout.daylight
    main = [scrim for scrim in layout.scrims if scrim.kind != "shade"]
    if day is None or not main:
        return layout
    if float(luminance(surface.thinned(main[0].box, _GLANCE)).mean()) < _LIGHT:
        return layout
    night = {text.colour for text in layout.texts if text.over_picture}
    return replace(
        layout,
        texts=tuple(
            replace(text, colour=day.ink, accent=day.accent) if text.over_picture else text for text in layout.texts
        ),
        scrims=tuple(replace(scrim, fill=day.veil) for scrim in layout.scrims),
        furniture=tuple(
            replace(shape, fill=day.ink, otherwise=day.veil if shape.otherwise else None)
            if shape.fill in night
            else shape
            for shape in layout.furniture
        ),
    )


def _checked(surface: Surface, layout: SlideLayout, inks: dict[int, Rgb]) -> tuple[float, dict[int, Rgb]]:
    """Measure what lies under each text now; change inks, and as a last resort the ground, until all of it is readable."""
    accents: dict[int, Rgb] = {}
    worst = 21.0
    for index, text in enumerate(layout.texts):
        ground = surface.thinned(text.ink, _SAMPLE)
        light = luminance(ground)
        reached = worst_ratio(light, inks[index])
        if reached < AA:
            inks[index] = readable(inks[index], _extremes(ground))
            reached = worst_ratio(light, inks[index])
        if reached < AA:
            # Decoration of both kinds, dark and light, under one text: no ink suits both.
            found = solve(ground, inks[index], rgb(layout.ground))
            strength = profile(layout.height, text.box[1], text.box[3], _RESCUE_FADE) * np.float32(found.opacity)
            lay(surface.rgbx, found.veil, strength)
            inks[index], reached = found.ink, found.contrast
        accented = [surface.thinned(run.bounds, _SAMPLE) for run in text.runs if run.ink == "accent"]
        kept = accented and worst_ratio(luminance(np.concatenate(accented)), rgb(text.accent)) >= AA
        accents[index] = rgb(text.accent) if kept else inks[index]
        worst = min(worst, reached)
    return worst, accents


def _extremes(ground: Pixels) -> list[Rgb]:
    """Return the darkest and the lightest pixel."""
    order = ground.astype(np.uint16).sum(axis=1)
    picked = ground[[int(order.argmin()), int(order.argmax())], :3]
    return [(int(red), int(green), int(blue)) for red, green, blue in picked]


def _with_picture(layout: SlideLayout, picture: bytes | None) -> Surface:
    place = layout.picture
    left, top, right, bottom = (round(value) for value in place.box)
    size = right - left, bottom - top
    if picture is None:
        shown = background.graded(size, rgb(place.dark), rgb(place.light))
    else:
        shown = background.load(picture, size, place)
    surface = shown
    if size != (layout.width, layout.height) or place.mask != "none" or picture is None:
        surface = _ground(layout)
        for shape in layout.back:
            shapes.paint(surface, shape)
        mask = None if place.mask == "none" else shapes.outline(place.mask, *size, round(place.radius), 0)
        surface.place(shown, left, top, mask)
    return surface


def _ground(layout: SlideLayout) -> Surface:
    size, first, end = (layout.width, layout.height), rgb(layout.ground), rgb(layout.ground_end)
    return Surface.filled(*size, first) if first == end else background.graded(size, first, end)


def _veil(surface: Surface, scrim: ScrimPlace, layout: SlideLayout, inks: dict[int, Rgb]) -> None:
    served = [layout.texts[index] for index in scrim.texts]
    found = solve(
        np.concatenate([surface.thinned(text.ink, _SAMPLE) for text in served]),
        inks[scrim.texts[0]],
        rgb(scrim.fill),
        scrim.opacity,
    )
    found = _with_accent(surface, served, found)
    for index in scrim.texts:
        inks[index] = found.ink
    height, width, _ = surface.rgbx.shape
    left, top, right, bottom = (max(0, round(value)) for value in layout.picture.box)
    rows = _reach(height, scrim.box[1], scrim.box[3], scrim.fade) * np.float32(found.opacity)
    # On a wide slide the veil ends beside the text, too: across the whole height it would be a grey wall.
    across = _reach(width, scrim.box[0], scrim.box[2], scrim.fade)[left:right] if scrim.axis == "x" else None
    # Beside a picture that ends, a veil over the whole width would soil the ground.
    lay(surface.rgbx[top:bottom, left:right], found.veil, rows[top:bottom], across)


def _shade(surface: Surface, scrim: ScrimPlace, text: TextBox, inks: dict[int, Rgb]) -> None:
    """Make a small text readable: in the other ink on a light picture, else over a veil that ends around it."""
    (index,) = scrim.texts
    ground = surface.thinned(text.ink, _SAMPLE)
    light = luminance(ground)
    inks_here = [inks[index], rgb(scrim.fill)]
    for ink in inks_here:
        if worst_ratio(light, ink) >= TARGET:
            inks[index] = ink
            return
    # Spots of both kinds: the ink that suits most of them, and a veil for the rest.
    ink = _standing_out(light, inks_here)
    found = solve(ground, ink, inks_here[1 - inks_here.index(ink)])
    inks[index] = found.ink
    height, width, _ = surface.rgbx.shape
    left, right = max(0, round(scrim.box[0] - scrim.fade)), min(width, round(scrim.box[2] + scrim.fade))
    rows = profile(height, scrim.box[1], scrim.box[3], scrim.fade) * np.float32(found.opacity)
    across = profile(right - left, scrim.box[0] - left, scrim.box[2] - left, scrim.fade)
    lay(surface.rgbx[:, left:right], found.veil, rows, across)


def _standing_out(light: npt.NDArray[np.float32], inks: Sequence[Rgb]) -> Rgb:
    """Return the ink, of one and its opposite, that stands out better from most of the ground."""
    mean = float(light.mean())
    return max(inks, key=lambda ink: ratio(luminance_of(ink), mean))


def _marked(surface: Surface, furniture: Sequence[Shape]) -> Sequence[Shape]:
    """Return the furniture with its marks on the picture in the better of their two colours, the same for all."""
    marks = [shape for shape in furniture if shape.otherwise]
    if not marks:
        return furniture
    own, other = rgb(marks[0].fill), rgb(marks[0].otherwise or marks[0].fill)
    light = luminance(surface.thinned(union([shape.box for shape in marks]), _SAMPLE))
    if _standing_out(light, (own, other)) == own:
        return furniture
    return [replace(shape, fill=shape.otherwise) if shape.otherwise else shape for shape in furniture]


def _reach(length: int, start: float, end: float, fade: float) -> npt.NDArray[np.float32]:
    """Return the profile of a veil that near an edge runs out of the slide; ending short of it would show as a stripe."""
    start, end = (-_FAR if start < length * _NEAR else start), (end + _FAR if end > length * (1 - _NEAR) else end)
    return profile(length, start, end, fade)


def _with_accent(surface: Surface, texts: Sequence[TextBox], found: Solution) -> Solution:
    """Return the solution, veiled more where that keeps the style's accent readable too."""
    boxes = [(run.bounds, text.accent) for text in texts for run in text.runs if run.ink == "accent"]
    if not boxes:
        return found
    accent = rgb(boxes[0][1])
    deeper = solve(
        np.concatenate([surface.thinned(box, _SAMPLE) for box, _ in boxes]), accent, found.veil, found.opacity
    )
    same_side = (luminance_of(accent) > luminance_of(found.veil)) == (
        luminance_of(found.ink) > luminance_of(found.veil)
    )
    return replace(found, veil=deeper.veil, opacity=deeper.opacity) if deeper.ink == accent and same_side else found


def _card(surface: Surface, scrim: ScrimPlace, inks: dict[int, Rgb]) -> None:
    left, top, right, bottom = (round(value) for value in scrim.box)
    size = right - left, bottom - top
    mask = shapes.outline("round", *size, round(scrim.radius), 0)
    if scrim.shadow:
        _shadow(surface, scrim, left, top, *size)
    if scrim.kind == "card":
        surface.paint(rgb(scrim.fill), left, top, mask)
    else:
        glass = np.asarray(shapes.blurred(surface.image, scrim.box, _GLASS_BLUR).convert("RGBX"))
        ink = inks[scrim.texts[0]]
        found = solve(glass.reshape(-1, 4), ink, rgb(scrim.fill), scrim.opacity)
        for index in scrim.texts:
            inks[index] = found.ink
        # Tinted while small: nothing between two readable pixels is less readable than both.
        surface.place(enlarged(blend(glass, found.veil, found.opacity), *size), left, top, mask)
    if scrim.outline:
        surface.paint(rgb(scrim.outline), left, top, shapes.outline("round", *size, round(scrim.radius), 3))


def _shadow(surface: Surface, scrim: ScrimPlace, left: int, top: int, width: int, height: int) -> None:
    mask, margin = shapes.shadow(width, height, round(scrim.radius), scrim.shadow)
    drop = margin // 3
    parts = [(0, 0, mask.shape[1], mask.shape[0])]
    # Glass lets its shadow through; what a card covers anyway need not be darkened.
    if scrim.kind == "card" and min(width, height) > 2 * scrim.radius:
        side = margin + math.ceil(scrim.radius)
        first, last = side - drop, mask.shape[0] - side - drop
        parts = [
            (0, 0, mask.shape[1], first), (0, last, mask.shape[1], mask.shape[0]),
            (0, first, side, last), (mask.shape[1] - side, first, mask.shape[1], last),
        ]  # fmt: skip
    for x, y, end, below in parts:
        surface.paint(BLACK, left - margin + x, top - margin + drop + y, mask[y:below, x:end])


class _Rasterisers(threading.local):
    """HarfBuzz rasterisers keep state, so each thread has its own."""

    def __init__(self) -> None:
        self.outlines = hb.RasterDraw()
        self.colours = hb.RasterPaint()


_rasterisers = _Rasterisers()


def _draw_text(surface: Surface, text: TextBox, ink: Rgb, accent: Rgb) -> bool:
    """Draw one text; return whether its ink stayed inside its box and the slide."""
    for mark in text.marks:
        shapes.paint(surface, Shape("rect", mark, text.mark_fill, radius=(mark[3] - mark[1]) * _MARK_RADIUS))
    inside = True
    colours = {"text": ink, "accent": accent, "mark": rgb(text.mark_ink)}
    plain = [run for run in text.runs if not face(run.face).colour]
    # A line at a time: a mask around a whole text is mostly empty.
    for (name, _), runs in groupby(sorted(plain, key=_line), key=_line):
        inside &= _draw_runs(surface, list(runs), text, colours[name])
    for run in text.runs:
        if face(run.face).colour:
            inside &= _draw_emoji(surface.image, run, text)
    return inside


def _line(run: GlyphRun) -> tuple[str, float]:
    return run.ink, run.y


def _draw_runs(surface: Surface, runs: Sequence[GlyphRun], text: TextBox, colour: Rgb) -> bool:
    box = union([run.bounds for run in runs])
    left, top = _aligned(int(box[0]) - 2), int(box[1]) - 2
    width, height = -_aligned(left - int(box[2]) - 3), int(box[3]) + 3 - top  # rounded up
    raster = _rasterisers.outlines
    raster.clear()
    raster.extents = hb.RasterExtents(0, 0, width, height, 0)
    for run in runs:
        found = face(run.face)
        scale = run.size / found.upem
        font = found.font
        x, y = run.x - left, run.y - top
        for glyph, dx, dy in zip(run.glyphs, run.xs, run.ys, strict=True):
            raster.transform = (scale, 0.0, 0.0, -scale, x + dx, y + dy)
            raster.draw_glyph(font, glyph)
    drawn = raster.render()
    extents = drawn.extents
    size = extents.width, extents.height
    pixels = drawn.buffer  # a copy each time it is asked for
    ink = Image.frombuffer("L", size, pixels, "raw", "L", extents.stride, 1).getbbox()
    if ink is not None:
        mask = np.frombuffer(pixels, np.uint8).reshape(extents.height, extents.stride)
        surface.stamp(colour, left, top + ink[1], mask[ink[1] : ink[3]])
    return _contains(text.box, ink, left, top, surface.image)


def _aligned(at: int) -> int:
    """Return the last place not right of `at` where letters may be stamped."""
    return at // QUAD * QUAD


def _contains(box: Box, ink: tuple[int, int, int, int] | None, left: int, top: int, image: Image.Image) -> bool:
    if ink is None:
        return True
    x0, y0, x1, y1 = ink[0] + left, ink[1] + top, ink[2] + left, ink[3] + top
    return (
        x0 >= max(0, int(box[0])) and y0 >= max(0, int(box[1]))
        and x1 <= min(image.width, box[2] + 1) and y1 <= min(image.height, box[3] + 1)
    )  # fmt: skip


def _draw_emoji(image: Image.Image, run: GlyphRun, text: TextBox) -> bool:
    inside = True
    for glyph, dx, dy in zip(run.glyphs, run.xs, run.ys, strict=True):
        found = _emoji(run.face, glyph, run.size)
        if found is None:
            continue
        picture, (offset_x, offset_y) = found
        left, top = round(run.x + dx) + offset_x, round(run.y + dy) + offset_y
        image.paste(picture, (left, top), picture)
        inside &= _contains(text.box, picture.getbbox(alpha_only=True), left, top, image)
    return inside


@lru_cache(maxsize=256)
def _emoji(name: str, glyph: int, size: float) -> tuple[Image.Image, tuple[int, int]] | None:
    """Return a colour glyph as RGBA and where it lies relative to its origin."""
    found = face(name)
    ink = found.ink(glyph)
    if ink is None:
        return None
    left, top = int(ink[0] * size) - _EMOJI_PAD, int(-ink[3] * size) - _EMOJI_PAD
    width, height = int(ink[2] * size) + _EMOJI_PAD - left, int(-ink[1] * size) + _EMOJI_PAD - top
    raster = _rasterisers.colours
    raster.clear()
    scale = size / found.upem
    raster.transform = (scale, 0.0, 0.0, -scale, -left, -top)
    raster.extents = hb.RasterExtents(0, 0, width, height, 0)
    if not raster.paint_glyph_or_fail(found.font, glyph):
        raster.clear()
        return None
    return _straight(raster.render()), (left, top)


def _straight(drawn: Any) -> Image.Image:
    """Return HarfBuzz' premultiplied BGRA as straight RGBA."""
    size = drawn.extents.width, drawn.extents.height
    return Image.frombuffer("RGBa", size, drawn.buffer, "raw", "BGRa", drawn.extents.stride, 1).convert("RGBA")
