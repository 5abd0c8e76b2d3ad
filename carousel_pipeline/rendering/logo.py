"""A brand's logo: read once, fitted into its place, and on a plate of its own where it would not stand out.

What must stay true: the logo keeps its proportions and colours; 3:1 against what is behind it (WCAG 1.4.11), or a plate that
gives it.
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, UnidentifiedImageError

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.rendering import shapes
from carousel_pipeline.rendering.colour import BLACK, WHITE, Pixels, Rgb, luminance, luminance_of, ratio
from carousel_pipeline.rendering.scene import Box
from carousel_pipeline.rendering.surface import Surface

MAX_BYTES = 2_000_000
_MAX_PIXELS = 16_000_000
# Pillow would open forty kinds, PostScript among them.
_FORMATS = ("JPEG", "PNG", "WEBP")
_KEPT_SIDE = 512
_WIDEST = 4.0
_NON_TEXT = 3.0
_SOLID = 128
_STANDS_OUT = 0.75
_PLATE = 0.16
_CORNER = 0.2


@lru_cache(maxsize=16)
def read_logo(data: bytes) -> Image.Image:
    """Return a logo as RGBA without its transparent margins, at most 512 pixels wide and high.

    Raises:
        PermanentError: not a picture, too large, or nothing to be seen in it.
    """
    if len(data) > MAX_BYTES:
        raise PermanentError(f"the logo has {len(data)} bytes; at most {MAX_BYTES:,}")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
            if opened.width * opened.height > _MAX_PIXELS:
                raise PermanentError(f"the logo has {opened.width}x{opened.height} pixels; at most 16 megapixels")
            logo = opened.convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PermanentError(f"the logo cannot be read: {type(error).__name__}; send a PNG or JPEG") from error
    ink = logo.getbbox(alpha_only=True)
    if ink is None:
        raise PermanentError("the logo is fully transparent")
    logo = logo.crop(ink)
    logo.thumbnail((_KEPT_SIDE, _KEPT_SIDE), Image.Resampling.LANCZOS)
    return logo


def proportion(data: bytes) -> float:
    """Return width / height of a logo's place; extreme ones are fitted into less extreme places."""
    logo = read_logo(data)
    return min(_WIDEST, max(1 / _WIDEST, logo.width / logo.height))


def paint_logo(surface: Surface, box: Box, data: bytes) -> None:
    """Draw a logo into its box."""
    left, top, right, bottom = (round(value) for value in box)
    logo = read_logo(data)
    scale = min((right - left) / logo.width, (bottom - top) / logo.height)
    size = max(1, round(logo.width * scale)), max(1, round(logo.height * scale))
    shown = logo.resize(size, Image.Resampling.LANCZOS)
    left, top = left + (right - left - size[0]) // 2, top + (bottom - top - size[1]) // 2
    pixels = np.asarray(shown)
    solid = pixels[..., 3] >= _SOLID
    if solid.all():
        # A picture without transparency brings its own ground; round corners make it a mark.
        mark = Surface.of(shown.convert("RGB"))
        surface.place(mark, left, top, shapes.outline("round", *size, round(min(size) * _CORNER), 0))
        return
    behind = np.asarray(surface.image.crop((left, top, left + size[0], top + size[1])))
    if _visible(pixels[..., :3][solid], behind[solid]) < _STANDS_OUT:
        pad = max(2, round(min(size) * _PLATE))
        plate = shapes.outline("round", size[0] + 2 * pad, size[1] + 2 * pad, round(min(size) * _CORNER) + pad, 0)
        surface.paint(_plate_colour(pixels[..., :3][solid]), left - pad, top - pad, plate)
    surface.image.paste(shown, (left, top), shown)


def _visible(logo: Pixels, behind: Pixels) -> float:
    """Return the share of a logo's pixels that stand out from the ones behind them."""
    own, ground = luminance(logo), luminance(behind)
    return float(((np.maximum(own, ground) + 0.05) / (np.minimum(own, ground) + 0.05) >= _NON_TEXT).mean())


def _plate_colour(logo: Pixels) -> Rgb:
    average = float(luminance(logo).mean()) if logo.size else 0.0
    return max((WHITE, BLACK), key=lambda plate: ratio(luminance_of(plate), average))
