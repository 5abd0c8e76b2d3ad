"""How much veil a text needs over these very pixels, and laying it: the worst pixel under the text decides, not the average.

What must stay true: contrast of at least 4.5:1 under every glyph on any picture, with a veil of at most 0.54; black behind white
needs 0.537 on pure white, so that bound is enough for a veil that may darken towards black.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from carousel_pipeline.rendering.colour import (
    BLACK,
    TARGET,
    WHITE,
    Pixels,
    Rgb,
    contrast,
    luminance,
    luminance_of,
    mix,
    ratio,
)

MOST = 0.54
_WORST = 1200
_THINNED = 8
_LUMINANCE_OF_GREY = 0.18
_STEPS = 9
_BAND = 40


@dataclass(frozen=True, slots=True)
class Solution:
    """A veil that makes `ink` readable.

    Attributes:
        contrast: worst ratio reached.
    """

    veil: Rgb
    opacity: float
    ink: Rgb
    contrast: float


def worst_contrast(pixels: Pixels, ink: Rgb) -> float:
    """Return the lowest ratio of `ink` against pixels (n, 3 or 4)."""
    return worst_ratio(luminance(pixels), ink)


def worst_ratio(light: npt.NDArray[np.float32], ink: Rgb) -> float:
    """Return the lowest ratio of `ink` against luminances."""
    if not light.size:
        return 21.0
    own, low, high = luminance_of(ink), float(light.min()), float(light.max())
    if low <= own <= high:
        nearest = float(np.abs(light - own).min())
        return min((own + nearest + 0.05) / (own + 0.05), (own + 0.05) / (max(0.0, own - nearest) + 0.05))
    return ratio(low if own < low else high, own)


def blend(pixels: Pixels, veil: Rgb, opacity: float) -> Pixels:
    """Return pixels under a veil, in exactly the arithmetic that `lay` uses."""
    weight = round(opacity * 256)
    mixed = pixels.astype(np.uint16) * np.uint16(256 - weight)
    mixed += np.array([channel * weight + 128 for channel in (*veil, 255)[: pixels.shape[-1]]], np.uint16)
    return (mixed >> 8).astype(np.uint8)


def solve(pixels: Pixels, ink: Rgb, veil: Rgb, least: float = 0.0) -> Solution:
    """Return the lightest veil at which the worst of `pixels` (n, 3 or 4) reaches the target.

    Its tint and then the ink give way only if they must.
    """
    light_ink = luminance_of(ink) > _LUMINANCE_OF_GREY
    worst = _worst(pixels, brightest=light_ink)
    end = BLACK if light_ink else WHITE
    for tint in (veil, mix(veil, end, 0.6), end):
        if (opacity := _opacity(worst, ink, tint, least)) is not None:
            return Solution(tint, opacity, ink, worst_contrast(blend(worst, tint, opacity), ink))
    purest = WHITE if light_ink else BLACK
    opacity = _opacity(worst, purest, end, least) or MOST
    return Solution(end, opacity, purest, worst_contrast(blend(worst, end, opacity), purest))


def _worst(pixels: Pixels, *, brightest: bool) -> Pixels:
    """Return the few pixels that decide."""
    if len(pixels) <= _WORST:
        return pixels
    light = luminance(pixels)
    if not brightest:
        np.negative(light, out=light)
    # The limit is estimated from every eighth pixel: sorting all of them costs more than the rest of the search.
    few = _WORST // _THINNED
    limit = np.partition(light[::_THINNED], -few)[-few]
    found = np.flatnonzero(light >= limit)
    if len(found) > 2 * _WORST:
        found = found[np.argpartition(-light[found], _WORST)[:_WORST]]
    return pixels[found]


def _opacity(worst: Pixels, ink: Rgb, veil: Rgb, least: float) -> float | None:
    @cache
    def suffices(weight: int) -> bool:
        return worst_contrast(blend(worst, veil, weight / 256), ink) >= TARGET

    def reaches(opacity: float) -> bool:
        return suffices(round(opacity * 256))  # all that a blend sees of it

    if contrast(veil, ink) < TARGET or not reaches(MOST):
        return least if reaches(least) else None
    if reaches(least):
        return least
    low, high = least, MOST
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def profile(length: int, start: float, end: float, fade: float) -> npt.NDArray[np.float32]:
    """Return a veil's strength along one axis: 1 from `start` to `end`, easing to 0 over `fade` on both sides."""
    at = np.arange(length, dtype=np.float32)
    outside = np.maximum(np.maximum(start - at, at - end), 0) / max(fade, 1.0)
    inside = np.clip(1 - outside, 0, 1)
    eased: npt.NDArray[np.float32] = inside * inside * (3 - 2 * inside)
    return eased


def lay(
    pixels: Pixels, veil: Rgb, opacity: npt.NDArray[np.float32], across: npt.NDArray[np.float32] | None = None
) -> None:
    """Lay a veil over (height, width, 4) pixels in place; `opacity` per row, times the share of each column in `across`.

    Works in bands that stay in the processor's cache: 1.5 ms for a whole slide, where one pass over all of it takes 10.
    """
    height, width, _ = pixels.shape
    flat = pixels.reshape(height, width * 4)
    touched = np.flatnonzero(np.round(opacity * 256))
    if not len(touched):
        return
    # Under the text all rows are veiled alike: a band of them takes one row's numbers.
    full = np.flatnonzero(opacity == opacity.max())
    zones = pairwise((int(touched[0]), int(full[0]), int(full[-1]) + 1, int(touched[-1]) + 1))
    # Where the veil is even across, what it adds is the same for all pixels of a row: their four channels are one number.
    lanes = 4 if across is None else width * 4
    colour, half = np.tile(np.array([*veil, 255], np.uint16), lanes // 4), np.full(lanes, 128, np.uint16)
    shares = np.float32(256) if across is None else np.repeat(across * np.float32(256), 4)

    def weighed(rows: slice) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint64]]:
        weight = np.round(opacity[rows, None] * shares).astype(np.uint16)
        return np.uint16(256) - weight, (colour * weight + half).view(np.uint64)

    narrow = weighed(slice(None)) if across is None else None
    mixed = np.empty((_BAND, width * 4), np.uint16)
    for start, end in zones:
        for first in range(start, end, _BAND):
            last = min(first + _BAND, end)
            rows = slice(first, first + 1 if start == full[0] else last)
            kept, added = (narrow[0][rows], narrow[1][rows]) if narrow else weighed(rows)
            band = mixed[: last - first]
            band[...] = flat[first:last]  # widened apart: as part of the multiplication it would take twice as long
            band *= kept
            packed = band.view(np.uint64)
            packed += added
            band >>= np.uint16(8)
            flat[first:last] = band
