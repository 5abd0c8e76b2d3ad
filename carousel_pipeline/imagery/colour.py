"""Colours are mixed in OKLab, where equal steps look equal; mixing sRGB directly gives the grey, muddy middles of old gradients.

All functions take and return float32 arrays whose last axis is a colour: sRGB as 0..255, OKLab as (L, a, b) with L in 0..1.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=np.float32,
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=np.float32,
)
_FROM_LAB = np.linalg.inv(_TO_LAB).astype(np.float32)
_FROM_LMS = np.linalg.inv(_TO_LMS).astype(np.float32)

_DARK = 0.55
_INK_DISTANCE = 0.45
_GREY_CHROMA = 0.045
_YELLOW = (60.0, 120.0)
_YELLOW_CHROMA = 0.12
_FADED = 0.15
_PALEST_UNDER_WHITE = 0.54
_DEEPEST_UNDER_BLACK = 0.62
_LEAST_REACH = 0.06
_TINTS = 4


def hex_to_oklab(colour: str) -> Floats:
    """Return the OKLab triple of `#rrggbb`."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float32)
    return srgb_to_oklab(srgb)


def srgb_to_oklab(srgb: Floats) -> Floats:
    """Return OKLab for sRGB 0..255 of shape (..., 3)."""
    unit = srgb / np.float32(255)
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return np.asarray(np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T, dtype=np.float32)


def oklab_to_srgb(lab: Floats) -> Floats:
    """Return sRGB 0..255, clipped to the gamut, for OKLab of shape (..., 3)."""
    linear = np.clip((lab @ _FROM_LAB.T) ** 3 @ _FROM_LMS.T, 0, 1)
    unit = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** np.float32(1 / 2.4) - 0.055)
    return np.asarray(unit * np.float32(255), dtype=np.float32)


def mix(first: Floats, second: Floats, share: Floats | float) -> Floats:
    """Return the OKLab mixture with `share` (0..1, broadcast against the pixels) of `second`."""
    weight = np.asarray(share, dtype=np.float32)[..., None] if isinstance(share, np.ndarray) else np.float32(share)
    return np.asarray(first + (second - first) * weight, dtype=np.float32)


@dataclass(frozen=True)
class Palette:
    """A style's colours as a painter uses them, in OKLab.

    Attributes:
        ground: the background.
        accent: the style's accent, as it is.
        tints: four or more colours near the ground's lightness, so that text on any of them stays as readable as on the ground.
        pure: the style's own colours but the ground, as they are, for shapes that no text touches.
        dark: whether light text will stand on it.
    """

    ground: Floats
    accent: Floats
    tints: tuple[Floats, ...]
    pure: tuple[Floats, ...]
    dark: bool

    def tint(self, index: int) -> Floats:
        """Return a tint; indexes wrap around."""
        return self.tints[index % len(self.tints)]

    def along(self, share: float) -> Floats:
        """Return the colour at `share` (0..1) of the way through the ground and the first three tints."""
        stops = (self.ground, *self.tints[:3])
        at = min(max(share, 0.0), 1.0) * (len(stops) - 1)
        low = min(int(at), len(stops) - 2)
        return mix(stops[low], stops[low + 1], at - low)


def palette_of(colours: tuple[str, ...], reach: float = 0.26) -> Palette:
    """Return the palette of a style's hex colours, background first, accent last.

    Colours that can only be ink (grey and far from the background) do not become tints, nor do yellows that would have to be
    darkened to olive. `reach` is how far, in OKLab lightness, a tint may stray from the background.
    """
    labs = [hex_to_oklab(colour) for colour in colours]
    ground, accent = labs[0], labs[-1]
    dark = bool(ground[0] < _DARK)
    # White ink needs 4.5:1 on the palest tint of a dark ground, black ink on the deepest of a light one.
    reach = min(reach, max(_LEAST_REACH, _PALEST_UNDER_WHITE - ground[0] if dark else ground[0] - _DEEPEST_UNDER_BLACK))
    pure = labs[1:] or [accent]
    usable = [lab for lab in pure if not _is_ink(lab, ground)] or [accent]
    clean = [lab for lab in usable if not (dark and _is_yellow(lab) and lab[0] - ground[0] - reach > _FADED)] or usable
    tints = [_near(lab, ground, dark=dark, reach=reach) for lab in clean]
    if len(tints) == 1:
        tints += [_turned(tints[0], 0.4), _turned(tints[0], -0.35)]
    while len(tints) < _TINTS:
        tints.append(mix(ground, tints[len(tints) % len(clean)], 0.55))
    return Palette(ground=ground, accent=accent, tints=tuple(tints), pure=tuple(pure), dark=dark)


def _is_ink(lab: Floats, ground: Floats) -> bool:
    return bool(abs(lab[0] - ground[0]) > _INK_DISTANCE and np.hypot(lab[1], lab[2]) < _GREY_CHROMA)


def _is_yellow(lab: Floats) -> bool:
    hue = np.degrees(np.arctan2(lab[2], lab[1]))
    return bool(_YELLOW[0] < hue < _YELLOW[1] and np.hypot(lab[1], lab[2]) > _YELLOW_CHROMA)


def _near(lab: Floats, ground: Floats, *, dark: bool, reach: float) -> Floats:
    low, high = (0.02, reach) if dark else (-reach, -0.02)
    lightness = ground[0] + np.clip(lab[0] - ground[0], low, high)
    # A colour far lighter or darker than where it is put would glow or go dirty with its whole chroma.
    kept = 1.0 - 0.45 * min(1.0, abs(float(lab[0] - lightness)) / 0.5)
    return np.array([np.clip(lightness, 0, 1), lab[1] * kept, lab[2] * kept], dtype=np.float32)


def _turned(lab: Floats, radians: float) -> Floats:
    cos, sin = np.cos(radians), np.sin(radians)
    return np.array([lab[0], lab[1] * cos - lab[2] * sin, lab[1] * sin + lab[2] * cos], dtype=np.float32)
