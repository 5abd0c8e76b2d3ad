"""From picture bytes to pixels of exactly the wanted size: decode, crop around the middle, treat."""

import io
from functools import lru_cache

import numpy as np
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


def decode(picture: bytes, size: tuple[int, int]) -> Image.Image:
    """Return the picture in sRGB, scaled and cropped around its middle to `size`.

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
    left, top = (image.width - width) / 2, (image.height - height) / 2
    if abs(scale - 1) < 0.002:  # a crop without resampling stays sharp and costs nothing
        corner = round(left), round(top)
        return image.crop((*corner, corner[0] + size[0], corner[1] + size[1]))
    return image.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height), reducing_gap=2.0)


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


@lru_cache(maxsize=16)
def graded(size: tuple[int, int], first: Rgb, second: Rgb) -> Surface:
    """Return a quiet diagonal gradient, to be copied, not changed; dithered, as eight bits would band over a thousand pixels."""
    width, height = size
    along = np.linspace(0, 0.65, height, dtype=np.float32)[:, None] + np.linspace(0, 0.35, width, dtype=np.float32)
    noise = np.random.default_rng(1).random((height, width), np.float32)
    surface = Surface.filled(width, height, first)
    shade = np.empty_like(along)
    for channel, (start, end) in enumerate(zip(first, second, strict=True)):
        np.multiply(along, np.float32(end - start), out=shade)
        shade += np.float32(start)
        shade += noise
        surface.rgbx[..., channel] = np.minimum(shade, np.float32(255), out=shade)
    return surface
