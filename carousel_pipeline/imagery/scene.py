"""What every family of backgrounds is painted with: coordinates that run on through the whole deck, smooth noise, soft edges.

One deck is one panorama. A pixel's `u` counts slides from the deck's left edge, so a wave that leaves one slide enters the next;
all randomness comes from the deck's seed, never from the slide's, or the seams would show.
"""

import hashlib
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from carousel_pipeline.imagery.colour import Floats, Palette, oklab_to_srgb

MARGIN = 2


def generator(*parts: str) -> np.random.Generator:
    """Return a generator that depends on `parts` alone."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest))


@dataclass(frozen=True)
class Scene:
    """One slide to paint.

    Attributes:
        width: pixels.
        height: pixels.
        index: 0-based slide number, of `total`.
        seed: the deck's seed.
        palette: the style's colours.
    """

    width: int
    height: int
    index: int
    total: int
    seed: str
    palette: Palette

    @property
    def cover(self) -> bool:
        """Whether this slide opens the deck; it may be a little louder."""
        return self.index == 0

    @property
    def aspect(self) -> float:
        """Height in slide widths."""
        return self.height / self.width

    def random(self, name: str) -> np.random.Generator:
        """Return the deck's generator for `name`, the same on every slide."""
        return generator(self.seed, name)

    def across(self) -> Floats:
        """Return `u`, in slide widths from the deck's left edge, for each column of pixels."""
        return np.asarray(self.index + (np.arange(self.width, dtype=np.float32) + 0.5) / self.width, dtype=np.float32)

    def grid(self, factor: int) -> tuple[Floats, Floats]:
        """Return (u, v) of a `factor` times smaller picture with `MARGIN` pixels around it; v counts slide widths downwards.

        Without the margin an enlargement invents its border, and two neighbours invent different ones.
        """
        width, height = max(2, round(self.width / factor)), max(2, round(self.height / factor))
        columns = np.arange(-MARGIN, width + MARGIN, dtype=np.float32) + np.float32(0.5)
        rows = np.arange(-MARGIN, height + MARGIN, dtype=np.float32) + np.float32(0.5)
        u = np.asarray(self.index + columns / width, dtype=np.float32)
        v = np.asarray(rows / height * self.aspect, dtype=np.float32)
        return u[None, :], v[:, None]

    def enlarge(self, small: Floats) -> Floats:
        """Return a small picture of (h, w, channels) with its margin at full size and without it.

        Nothing is rounded to eight bits here, so that no band appears before dithering.
        """
        box = (MARGIN, MARGIN, small.shape[1] - MARGIN, small.shape[0] - MARGIN)
        bicubic = Image.Resampling.BICUBIC
        channels = [
            np.asarray(
                Image.fromarray(np.ascontiguousarray(small[..., i])).resize((self.width, self.height), bicubic, box)
            )
            for i in range(small.shape[-1])
        ]
        return np.stack(channels, axis=-1)

    def enlarge_lab(self, lab: Floats) -> Floats:
        """Return a small OKLab picture with its margin as full-size sRGB floats."""
        return self.enlarge(oklab_to_srgb(lab))


class Curve:
    """A smooth endless line: a sum of sines whose amplitudes fall as their frequencies rise.

    Args:
        random: source of phases.
        pace: waves per slide width of the slowest sine.
        octaves: number of sines.
        fall: amplitude of each sine relative to the one before.
    """

    def __init__(self, random: np.random.Generator, pace: float, octaves: int = 3, fall: float = 0.45) -> None:
        steps = np.arange(octaves)
        self._speed = (2 * np.pi * pace * 1.9**steps * random.uniform(0.85, 1.15, octaves)).astype(np.float32)
        self._phase = random.uniform(0, 2 * np.pi, octaves).astype(np.float32)
        weights = fall**steps
        self._weight = (weights / weights.sum()).astype(np.float32)

    def __call__(self, u: Floats) -> Floats:
        """Return values in -1..1 of the shape of `u`."""
        angle = u[..., None] * self._speed + self._phase
        return np.asarray(np.sin(angle) @ self._weight, dtype=np.float32)


class Field:
    """Smooth endless noise over the plane: plane waves in random directions."""

    def __init__(self, random: np.random.Generator, pace: float, waves: int = 6) -> None:
        direction = random.uniform(0, 2 * np.pi, waves)
        speed = 2 * np.pi * pace * random.uniform(0.6, 1.5, waves)
        self._along = (np.cos(direction) * speed).astype(np.float32)
        self._down = (np.sin(direction) * speed).astype(np.float32)
        self._phase = random.uniform(0, 2 * np.pi, waves).astype(np.float32)

    def __call__(self, u: Floats, v: Floats) -> Floats:
        """Return values in about -1..1; `u` and `v` broadcast."""
        total: Floats | float = 0.0
        for along, down, phase in zip(self._along, self._down, self._phase, strict=True):
            total = total + np.sin(u * along + v * down + phase)
        return np.asarray(total / np.float32(len(self._phase) ** 0.5 * 1.4), dtype=np.float32)


def smooth(low: float, high: float, value: Floats) -> Floats:
    """Return the smoothstep of `value` between `low` and `high`."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def lay(
    canvas: Floats, edge: Floats, rows: Floats, *, below: bool = True, shadow: float = 0.0, depth: float = 0.0
) -> None:
    """Cover `canvas` in place below (or above) a curved edge, antialiased, with an optional soft shadow cast over the edge.

    Args:
        canvas: (h, w, 3) sRGB floats.
        edge: (w,) height of the edge in pixels from the top.
        rows: (h, 3) sRGB colour of the layer in each row.
        below: whether the layer lies under the edge or over it.
        shadow: darkness of the shadow, 0..1.
        depth: how far it falls, in pixels.
    """
    if not below:
        lay(canvas[::-1], canvas.shape[0] - edge, rows[::-1], shadow=shadow, depth=depth)
        return
    height = canvas.shape[0]
    reach = int(depth * 3) + 1
    top = int(np.clip(np.floor(edge.min()) - reach, 0, height))
    full = int(np.clip(np.ceil(edge.max()) + 1, top, height))
    if full > top:
        band = canvas[top:full]
        distance = (np.arange(top, full, dtype=np.float32)[:, None] + 0.5) - edge[None, :]
        distance /= np.sqrt(1 + np.gradient(edge) ** 2).astype(np.float32)[None, :]
        if shadow:
            band *= (1 - np.float32(shadow) * np.exp(np.minimum(distance, 0) / np.float32(depth)))[..., None]
        cover = np.clip(distance + 0.5, 0, 1)[..., None]
        band += cover * (rows[top:full, None, :] - band)
    canvas[full:] = rows[full:, None, :]


def column(*stops: Floats, height: int) -> Floats:
    """Return (height, 3) sRGB rows running through OKLab `stops` from top to bottom."""
    at = np.linspace(0, len(stops) - 1, height, dtype=np.float32)
    low = np.minimum(at.astype(int), len(stops) - 2)
    part = (at - low)[:, None]
    part = part * part * (3 - 2 * part)
    table = np.stack(stops)
    return oklab_to_srgb(np.asarray(table[low] * (1 - part) + table[low + 1] * part, dtype=np.float32))


@cache
def _grain(height: int, width: int) -> Floats:
    random = np.random.default_rng(20260101)
    dither = random.random((height, width, 1), dtype=np.float32) - random.random((height, width, 1), dtype=np.float32)
    film = random.standard_normal((height, width, 1), dtype=np.float32) * np.float32(0.9)
    return np.asarray(dither + film + np.float32(0.5), dtype=np.float32)


def warm() -> None:
    """Make the grain of the usual size: it is the same in every picture, and takes as long as half a picture."""
    _grain(1350, 1080)


def develop(canvas: Floats) -> Image.Image:
    """Return the picture in eight bits: dithered so that gradients do not band, with a breath of film grain. Changes `canvas`."""
    canvas += _grain(*canvas.shape[:2])
    np.clip(canvas, 0, 255, out=canvas)
    return Image.fromarray(canvas.astype(np.uint8))
