"""sRGB arithmetic of WCAG 2.2: luminance, contrast, mixing. Pure."""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Rgb: TypeAlias = tuple[int, int, int]
Pixels = npt.NDArray[np.uint8]
Light = npt.NDArray[np.float32]

# After JPEG a ratio loses a few hundredths, so renderers aim above WCAG AA's 4.5.
AA = 4.5
TARGET = 4.55
_LINEAR_PART = 0.04045
WHITE: Rgb = (255, 255, 255)
BLACK: Rgb = (0, 0, 0)


@cache
def linear_light() -> Light:
    """Return the linear value of each 8-bit channel value."""
    values = np.arange(256) / 255
    return np.where(values <= _LINEAR_PART, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


@cache
def _weighted_light() -> tuple[Light, Light, Light]:
    """Return what each 8-bit value of red, green and blue adds to the luminance."""
    table = linear_light()
    return table * np.float32(0.2126), table * np.float32(0.7152), table * np.float32(0.0722)


@cache
def _paired_light() -> Light:
    """Return what red and green add together, for both as one little-endian number."""
    red, green, _ = _weighted_light()
    return (red[None, :] + green[:, None]).reshape(-1)


def luminance(pixels: Pixels) -> Light:
    """Return the relative luminance of uint8 pixels (…, 3 or 4)."""
    red, green, blue = _weighted_light()
    # "clip" never clips a byte; it spares numpy the check that would double the time.
    if pixels.shape[-1] == 4 and pixels.flags.c_contiguous:  # as surfaces keep them: a third of the look-ups saved
        light = np.take(_paired_light(), pixels.view("<u2")[..., 0], mode="clip")
    else:
        light = np.take(red, pixels[..., 0], mode="clip")
        light += np.take(green, pixels[..., 1], mode="clip")
    light += np.take(blue, pixels[..., 2], mode="clip")
    return light


@lru_cache(maxsize=1024)
def luminance_of(colour: Rgb) -> float:
    """Return the relative luminance of one colour."""
    return float(luminance(np.array(colour, np.uint8)[None])[0])


def ratio(first: float, second: float) -> float:
    """Return the contrast ratio of two luminances, 1 to 21."""
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)


def contrast(first: Rgb, second: Rgb) -> float:
    """Return the contrast ratio of two colours, 1 to 21."""
    return ratio(luminance_of(first), luminance_of(second))


def mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    """Return `first` with `share` (0 to 1) of `second`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def rgb(colour: str) -> Rgb:
    """Return the channels of `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def hex_of(colour: Rgb) -> str:
    """Return `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def readable(colour: Rgb, backgrounds: Sequence[Rgb], target: float = TARGET) -> Rgb:
    """Return `colour`, moved no further towards black or white than it takes to stand out from every background.

    When neither end suffices for all of them, the end with the better worst contrast is returned.
    """

    def worst(candidate: Rgb) -> float:
        return min((contrast(candidate, background) for background in backgrounds), default=21.0)

    if worst(colour) >= target:
        return colour
    end = max((WHITE, BLACK), key=worst)
    for step in range(1, 20):
        candidate = mix(colour, end, step / 20)
        if worst(candidate) >= target:
            return candidate
    return end
