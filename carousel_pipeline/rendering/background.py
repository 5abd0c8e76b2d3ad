"""From picture bytes to pixels of exactly the wanted size: decode, crop around the middle, treat."""

import io
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.rendering.colour import WHITE, Rgb, mix, rgb
from carousel_pipeline.rendering.scene import PicturePlace
from carousel_pipeline.rendering.surface import Surface

MAX_PIXELS = 50_000_000
_DUOTONE_HIGHLIGHT = 0.7
_CUT = 0.01
_MOST_GAIN = 2.5
_MIDDLE = 128
_DOWN = 0.65
_BAND = 32
_GRAIN = 512


def load(picture: bytes, size: tuple[int, int], place: PicturePlace) -> Surface:
    """Return the picture, fitted to `size` and treated as the style wants it.

    Raises:
        PermanentError: not a picture, or one of more than 50 megapixels.
    """
    surface = Surface(*size)
    image = treat(decode(picture, size, surface), place)
    if image.im is not surface.image.im:
        surface.image.paste(image, (0, 0))
    return surface


def decode(picture: bytes, size: tuple[int, int], room: Surface | None = None) -> Image.Image:
    """Return the picture in sRGB, scaled and cropped around its middle to `size`.

    A picture of that very size is decoded straight into the `room`'s memory; it then is the room's image.

    Raises:
        PermanentError: not a picture, or one of more than 50 megapixels.
    """
    try:
        with Image.open(io.BytesIO(picture)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise PermanentError(
                    f"the picture has {opened.width}x{opened.height} pixels; at most {MAX_PIXELS // 1_000_000} megapixels"
                )
            opened.draft("RGB", size)
            opened.decodermaxblock = len(picture)
            if room is not None and (opened.mode, opened.size) == (room.image.mode, room.image.size):
                opened.im = room.image.im
            ImageOps.exif_transpose(opened, in_place=True)
            opened.load()
            image = opened if opened.mode == "RGB" else _opaque(opened)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PermanentError(f"the picture cannot be read: {type(error).__name__}") from error
    return fit(image, size)


def _opaque(image: Image.Image) -> Image.Image:
    if "A" in image.getbands() or "transparency" in image.info:
        layered = image.convert("RGBA")
        ground = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, layered).convert("RGB")
    return image.convert("RGB")


def fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return `image` scaled no more than needed and cropped around its middle to `size`."""
    if image.size == size:
        return image
    scale = max(size[0] / image.width, size[1] / image.height)
    width, height = size[0] / scale, size[1] / scale
    # Not below 0, where rounding may put it: Pillow refuses such a box.
    left, top = max(0.0, (image.width - width) / 2), max(0.0, (image.height - height) / 2)
    if abs(scale - 1) < 0.002:  # a crop without resampling stays sharp and costs nothing
        corner = round(left), round(top)
        return image.crop((*corner, corner[0] + size[0], corner[1] + size[1]))
    return image.resize(
        size,
        Image.Resampling.BICUBIC,
        box=(left, top, min(left + width, image.width), min(top + height, image.height)),
        reducing_gap=2.0,
    )


def treat(image: Image.Image, place: PicturePlace) -> Image.Image:
    """Return the picture as the style wants it."""
    if place.treatment == "none":
        return image
    grey = _spread(image.convert("L"))
    if place.treatment == "mono":
        return Image.merge("RGB", (grey, grey, grey))
    bright = mix(rgb(place.light), WHITE, _DUOTONE_HIGHLIGHT)
    return ImageOps.colorize(grey, place.dark, bright, mid=place.light, midpoint=150)


def _spread(grey: Image.Image) -> Image.Image:
    """Stretch a grey picture's tones over the whole range, but never so far that an almost flat one turns into grain."""
    tones = np.cumsum(grey.histogram()) / (grey.width * grey.height)
    low, high = int(np.searchsorted(tones, _CUT)), int(np.searchsorted(tones, 1 - _CUT))
    gain = min(255 / max(1, high - low), _MOST_GAIN)
    half = gain * (high - low) / 2
    # What does not fill the range comes halfway to a middle grey, so that a dark picture is still seen.
    middle = min(max((low + high) / 4 + _MIDDLE / 2, half), 255 - half)
    return grey.point([round(min(255.0, max(0.0, middle + (tone - (low + high) / 2) * gain))) for tone in range(256)])


def graded(size: tuple[int, int], first: Rgb, second: Rgb) -> Surface:
    """Return a quiet diagonal gradient, dithered, as eight bits would band over a thousand pixels."""
    width, height = size
    surface = Surface(width, height)
    start = np.array([*first, 255]) * 256
    way = np.array([*second, 255]) * 256 - start
    # In 256ths of a level, split so that neither part is negative: four channels are then added as one number, without a carry.
    falling = np.maximum(0, -way) * (1 - _DOWN)
    down = start - falling + np.linspace(0, _DOWN, height)[:, None] * way
    grain = np.tile(_grain(), -(-width // _GRAIN))[:, :width, None]
    across = falling + np.linspace(0, 1 - _DOWN, width)[:, None] * way + grain
    columns, rows = (_lanes(part) for part in (across, down))
    mixed = np.empty_like(columns)
    for top in range(0, height, _BAND):
        band = mixed[: min(_BAND, height - top)]
        np.add(columns[: len(band)], rows[top : top + _BAND], out=band)
        channels = band.view(np.uint16)
        channels >>= np.uint16(8)
        surface.rgbx[top : top + len(band)] = channels.reshape(len(band), width, 4)
    return surface


def _lanes(channels: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Return four channels as one number each, as a column where there is one per row."""
    packed = np.ascontiguousarray(channels.clip(0)).astype(np.uint16).view(np.uint64)
    return packed.reshape(len(channels), -1)


@cache
def _grain() -> npt.NDArray[np.int64]:
    """Return up to a level of noise, the same for every channel."""
    return np.random.default_rng(1).integers(0, 256, (_BAND, _GRAIN))
