"""The slide while it is drawn: one block of memory that Pillow and numpy both write to.

Copying a slide between the two costs as much as drawing its text, and there were four such copies. A pixel is four bytes, so that
numpy moves it as one number: a mask's solid part is one masked copy, and only its edges, a few per cent, are blended.

What must stay true: `image` and `rgbx` are the same memory; blending rounds exactly as Pillow does, so it does not matter which
of the two paints.
"""

from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.Image import core  # type: ignore[attr-defined]  # not exported, but the only way to map RGB

from carousel_pipeline.rendering.colour import Pixels, Rgb

Mask = npt.NDArray[np.uint8]
_OPAQUE = 255
_SOFT = 0.25
_FACTOR = 8
_HALF = 128
QUAD = 4
"""Pixels that letters are painted by at once."""
_Quad = np.dtype((np.void, 4 * QUAD))


class Surface:
    """An RGB picture that may be changed in place.

    Attributes:
        image: for Pillow.
        rgbx: for numpy, uint8 (height, width, 4); the fourth byte is 255 and means nothing.
        packed: the same as one uint32 per pixel.
    """

    def __init__(self, width: int, height: int) -> None:
        self.rgbx: Pixels = np.empty((height, width, 4), np.uint8)
        self.packed = self.rgbx.view(np.uint32)[..., 0]
        # What Image.frombuffer does for other modes; Pillow keeps RGB in four bytes too.
        mapped = core.map_buffer(self.rgbx, (width, height), "raw", 0, ("RGB", 0, 1))
        self.image = Image.new("RGB", (0, 0))._new(mapped)  # noqa: SLF001  # as above

    @classmethod
    def of(cls, image: Image.Image) -> "Surface":
        """Return a surface with a copy of an RGB image."""
        surface = cls(*image.size)
        surface.image.paste(image, (0, 0))
        return surface

    @classmethod
    def filled(cls, width: int, height: int, colour: Rgb) -> "Surface":
        """Return a surface of one colour."""
        surface = cls(width, height)
        surface.packed[...] = _number(colour)
        return surface

    def paint(self, colour: Rgb, left: int, top: int, mask: Mask) -> None:
        """Paint a colour through a mask whose corner is at (left, top); what lies outside the surface is left out."""
        target, mask = self._under(left, top, mask)
        soft = _soft(mask)
        if np.count_nonzero(soft) > mask.size * _SOFT:
            # Soft all over: Pillow's plain loop is faster.
            self.image.paste(colour, (max(0, left), max(0, top)), Image.fromarray(np.ascontiguousarray(mask)))
            return
        number = _number(colour)
        np.copyto(target, number, where=mask == _OPAQUE)
        edges = np.flatnonzero(soft)
        self._blend(edges, max(0, left), max(0, top), mask, np.full(edges.size, number))

    def stamp(self, colour: Rgb, left: int, top: int, mask: Mask) -> None:
        """Paint a colour through a mask of letters: mostly empty, so only those four pixels are blended that have some ink.

        `left` and the widths of mask and surface are multiples of `QUAD`, and the mask is contiguous.
        """
        height, width = mask.shape
        if min(left, top) < 0 or left + width > self.packed.shape[1] or top + height > self.packed.shape[0]:
            self.paint(colour, left, top, mask)
            return
        inked = mask.view(np.uint32)
        at = np.flatnonzero(inked != 0)
        shares = inked.reshape(-1)[at].view(np.uint8)
        row, across = self.packed.shape[1] // QUAD, width // QUAD
        at += at // across * (row - across) + (top * row + left // QUAD)
        quads = self.rgbx.reshape(-1, 4 * QUAD).view(_Quad)[:, 0]
        mixed = quads[at].view(np.uint8).astype(np.uint16)
        mixed *= _lanes()[_OPAQUE - shares].view(np.uint16)
        whole = mixed.view(np.uint64)
        whole += _weighted(colour)[shares]
        _rounded(mixed)
        quads[at] = mixed.astype(np.uint8).view(_Quad)

    def place(self, source: "Surface", left: int, top: int, mask: Mask | None = None) -> None:
        """Paint another surface, or the part of it that a mask of its size shows, with its corner at (left, top)."""
        if mask is None:
            self.image.paste(source.image, (left, top))
            return
        shown = source.packed[max(0, -top) :, max(0, -left) :]
        target, mask = self._under(left, top, mask)
        shown = shown[: mask.shape[0], : mask.shape[1]]
        np.copyto(target, shown, where=mask == _OPAQUE)
        edges = np.flatnonzero(_soft(mask))
        self._blend(edges, max(0, left), max(0, top), mask, shown[np.divmod(edges, mask.shape[1])])

    def _blend(
        self, edges: npt.NDArray[np.intp], left: int, top: int, mask: Mask, over: npt.NDArray[np.uint32]
    ) -> None:
        """Blend one pixel of `over` into each of the pixels under the mask's `edges`; rounded as Pillow rounds."""
        if not edges.size:
            return
        rows = edges // mask.shape[1]
        width = self.packed.shape[1]
        at = edges + rows * (width - mask.shape[1]) + (top * width + left)
        flat = self.packed.reshape(-1)
        # Multiplying by this copies a byte into all four of a pixel.
        share = np.ascontiguousarray(mask).reshape(-1)[edges].astype(np.uint32) * np.uint32(0x01010101)
        weight = share.view(np.uint8).astype(np.uint16)
        mixed = flat[at].view(np.uint8).astype(np.uint16)
        mixed *= np.uint16(_OPAQUE) - weight
        weight *= over.view(np.uint8)
        mixed += weight
        mixed += np.uint16(_HALF)
        _rounded(mixed)
        flat[at] = mixed.astype(np.uint8).view(np.uint32)

    def rectangle(self, colour: Rgb, box: tuple[int, int, int, int]) -> None:
        """Fill a rectangle, clipped to the surface."""
        left, top, right, bottom = (max(0, value) for value in box)
        self.packed[top:bottom, left:right] = _number(colour)

    def thinned(self, box: tuple[float, float, float, float], step: int) -> Pixels:
        """Return every `step`-th pixel in x and y inside a box, as (n, 4)."""
        left, top, right, bottom = (max(0, round(value)) for value in box)
        part = self.packed[top:bottom:step, left:right:step]
        return np.ascontiguousarray(part).view(np.uint8).reshape(-1, 4)

    def _under(self, left: int, top: int, mask: Mask) -> tuple[npt.NDArray[np.uint32], Mask]:
        """Return the pixels under a mask and the part of the mask that lies on the surface."""
        mask = mask[max(0, -top) :, max(0, -left) :]
        left, top = max(0, left), max(0, top)
        target = self.packed[top : top + mask.shape[0], left : left + mask.shape[1]]
        return target, mask[: target.shape[0], : target.shape[1]]


def _number(colour: Rgb) -> np.uint32:
    packed: np.uint32 = np.array([*colour, _OPAQUE], np.uint8).view(np.uint32)[0]
    return packed


def _rounded(sums: npt.NDArray[np.uint16]) -> None:
    """Divide weighted sums plus a half by 255, in place and as Pillow does."""
    sums += sums >> np.uint16(8)
    sums >>= np.uint16(8)


@cache
def _lanes() -> npt.NDArray[np.uint64]:
    """Return each 8-bit value in four lanes of 16 bits, so that a pixel's channels are weighted by one look-up."""
    return np.arange(_OPAQUE + 1, dtype=np.uint64) * np.uint64(0x0001000100010001)


@lru_cache(maxsize=64)
def _weighted(colour: Rgb) -> npt.NDArray[np.uint64]:
    """Return a colour times each 8-bit value, plus a half, in four lanes of 16 bits."""
    shares = np.arange(_OPAQUE + 1, dtype=np.uint16)[:, None]
    return (shares * np.array([*colour, _OPAQUE], np.uint16) + np.uint16(_HALF)).view(np.uint64)[:, 0]


def _soft(mask: Mask) -> npt.NDArray[np.bool_]:
    """Return where a mask is neither empty nor opaque."""
    return (mask - np.uint8(1)) < np.uint8(_OPAQUE - 1)


def enlarged(small: Pixels, width: int, height: int) -> Surface:
    """Return (h, w, 4) pixels eight times as large, cut to a size; linear between them, so no value lies outside theirs."""
    wide = _stretched(small.swapaxes(0, 1))[:width].swapaxes(0, 1)
    surface = Surface(width, height)
    surface.rgbx[...] = _stretched(np.ascontiguousarray(wide))[:height]
    return surface


def _stretched(pixels: Pixels) -> Pixels:
    """Return the rows, and seven between each two."""
    count = len(pixels)
    padded = np.concatenate([pixels[:1], pixels, pixels[-1:]]).astype(np.uint16)
    rows = np.empty((count, _FACTOR, *pixels.shape[1:]), np.uint8)
    for phase in range(_FACTOR):
        # Where the phase's middle lies between the middles of two rows, in sixteenths.
        along = 2 * phase + 1 - _FACTOR
        first, share = (0, along + 2 * _FACTOR) if along < 0 else (1, along)
        mixed = padded[first : first + count] * np.uint16(2 * _FACTOR - share)
        mixed += padded[first + 1 : first + 1 + count] * np.uint16(share)
        mixed += np.uint16(_FACTOR)
        mixed >>= np.uint16(4)
        rows[:, phase] = mixed
    return rows.reshape(count * _FACTOR, *pixels.shape[1:])
