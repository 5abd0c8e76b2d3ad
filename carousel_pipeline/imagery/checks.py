"""Is what came back a picture that may be used? Pure functions of its pixels; the answer is a word for records, or nothing.

A model that was paid may still return an empty canvas, another shape, the same picture twice, or a thicket where text must stand.
Each is found before anything is drawn on it, asked for once more, and then stood in for.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

Window = tuple[float, float, float, float]
"""Left, top, right, bottom as shares of the picture's width and height."""

_FLAT = 2.0
_OFF_SHAPE = 1.25
_SIDE = 9
_SAME_BITS = 10
_SAME_COLOUR = 10.0
_THUMB = 4
# Detail that competes with letters is a few pixels wide at an eighth of the slide's size.
_EIGHTH = 8
_THICKET = 22.0


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a picture looks like from afar: which neighbours are lighter, and a handful of colours."""

    bits: int
    colours: tuple[int, ...]

    def text(self) -> str:
        """Return the fingerprint for records."""
        return f"{self.bits:x}:{bytes(self.colours).hex()}"

    @classmethod
    def of_text(cls, text: str) -> Self:
        """Return the fingerprint that `text` gave."""
        bits, _, colours = text.partition(":")
        return cls(int(bits, 16), tuple(bytes.fromhex(colours)))


def reduced(data: bytes) -> Image.Image:
    """Return an encoded picture at an eighth of its size: all that the checks look at, decoded once."""
    with Image.open(io.BytesIO(data)) as picture:
        size = max(2, picture.width // _EIGHTH), max(2, picture.height // _EIGHTH)
        picture.draft("RGB", size)
        return picture.convert("RGB").resize(size, Image.Resampling.BOX)


def blank(small: Image.Image) -> bool:
    """Whether a picture shows nothing: one colour all over."""
    return float(np.asarray(small, dtype=np.float32).reshape(-1, 3).std(axis=0).max()) < _FLAT


def wrong_shape(size: tuple[int, int], width: int, height: int) -> bool:
    """Whether a picture of `size` would lose more than a fifth of itself when it is cut to `width` x `height`'s shape."""
    asked, found = width / height, size[0] / size[1]
    return max(asked / found, found / asked) > _OFF_SHAPE


def fingerprint(small: Image.Image) -> Fingerprint:
    """Return the fingerprint of a reduced picture."""
    grey = np.asarray(small.resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.int16).sum(axis=2)
    signs = np.concatenate([(grey[:, 1:] > grey[:, :-1]).ravel(), (grey[1:] > grey[:-1]).ravel()])
    colours = np.asarray(small.resize((_THUMB, _THUMB), Image.Resampling.BOX)).ravel()
    return Fingerprint(int.from_bytes(np.packbits(signs).tobytes()), tuple(int(value) for value in colours))


def same(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether two pictures would look the same on two slides."""
    apart = sum(abs(a - b) for a, b in zip(one.colours, other.colours, strict=True)) / len(one.colours)
    return (one.bits ^ other.bits).bit_count() <= _SAME_BITS and apart <= _SAME_COLOUR


def busy(small: Image.Image, windows: Iterable[Window]) -> bool:
    """Whether letters would drown in one of the windows: text stands there, on the bare picture."""
    grey = np.asarray(small.convert("L"), dtype=np.float32)
    height, width = grey.shape
    return any(
        _detail(
            grey[
                round(top * height) : max(2, round(bottom * height)), round(left * width) : max(2, round(right * width))
            ]
        )
        > _THICKET
        for left, top, right, bottom in windows
    )


def fault(
    data: bytes,
    size: tuple[int, int],
    wanted: tuple[int, int],
    seen: Iterable[Fingerprint],
    windows: Iterable[Window] = (),
) -> str | None:
    """Return what is wrong with a picture, or None.

    Args:
        data: the picture at its final size.
        size: width and height of what came back.
        wanted: width and height of the slide.
        seen: the other pictures of the deck.
        windows: where text stands on the bare picture, without a veil or a card between.
    """
    if wrong_shape(size, *wanted):
        return "wrong_shape"
    small = reduced(data)
    if blank(small):
        return "blank"
    mine = fingerprint(small)
    if any(same(mine, other) for other in seen):
        return "duplicate"
    return "busy" if busy(small, windows) else None


def _detail(grey: npt.NDArray[np.float32]) -> float:
    if min(grey.shape) < 2:
        return 0.0
    return float((np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()) / 2)
