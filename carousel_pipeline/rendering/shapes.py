"""Drawing what is neither text nor picture: anti-aliased rectangles, circles, glows, dots.

Masks are cached by their size.
"""

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from carousel_pipeline.rendering.scene import Box, Shape

_OVERSAMPLE = 4
_BIG = 700
_SHADOW = 80


def paint(image: Image.Image, shape: Shape) -> None:
    """Draw one shape on an RGB image, clipped to it."""
    left, top = math.floor(shape.box[0]), math.floor(shape.box[1])
    width, height = max(1, math.ceil(shape.box[2]) - left), max(1, math.ceil(shape.box[3]) - top)
    if shape.shape == "rect" and not shape.radius and not shape.stroke and not shape.angle and shape.opacity >= 1:
        image.paste(shape.fill, (left, top, left + width, top + height))
        return
    mask, offset = _mask(shape, width, height)
    if shape.opacity < 1:
        mask = mask.point(_faded(shape.opacity))
    image.paste(shape.fill, (left - offset, top - offset), mask)


@lru_cache(maxsize=256)
def _faded(opacity: float) -> list[int]:
    return [round(value * opacity) for value in range(256)]


def _mask(shape: Shape, width: int, height: int) -> tuple[Image.Image, int]:
    if shape.shape == "glow":
        return glow(width, height), 0
    if shape.shape == "dots":
        return _dots(width, height, round(shape.step), max(1, round(shape.radius))), 0
    mask = outline(shape.shape, width, height, round(shape.radius), round(shape.stroke))
    if shape.angle:
        turned = mask.rotate(shape.angle, Image.Resampling.BICUBIC, expand=True)
        return turned, (turned.width - width) // 2
    return mask, 0


@lru_cache(maxsize=128)
def outline(shape: str, width: int, height: int, radius: int, stroke: int) -> Image.Image:
    """Return an anti-aliased mask of a filled or stroked outline."""
    scale = 2 if max(width, height) > _BIG else _OVERSAMPLE
    big = Image.new("L", (width * scale, height * scale), 0)
    draw = ImageDraw.Draw(big)
    box = (0, 0, width * scale - 1, height * scale - 1)
    fill, edge, line = (None, 255, stroke * scale) if stroke else (255, None, 0)
    if shape in {"ellipse", "disc"}:
        draw.ellipse(box, fill=fill, outline=edge, width=line or 1)
    elif shape == "arch":
        draw.rounded_rectangle(
            (0, 0, box[2], box[3] + width * scale), radius=width * scale // 2, fill=fill, outline=edge, width=line or 1
        )
    elif shape == "spark":
        _spark(draw, width * scale, height * scale)
    elif shape == "wave":
        _wave(draw, width * scale, height * scale)
    elif shape == "window":
        _window(draw, height * scale, radius * scale)
    else:
        draw.rounded_rectangle(
            box, radius=min(radius * scale, box[2] // 2, box[3] // 2), fill=fill, outline=edge, width=line or 1
        )
    return big.reduce(scale)


def _spark(draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """A four-pointed star with hollow sides."""
    points = []
    for index in range(64):
        angle = index / 64 * 2 * math.pi
        x, y = abs(math.cos(angle)) ** 3, abs(math.sin(angle)) ** 3
        points.append(
            (width / 2 * (1 + math.copysign(x, math.cos(angle))), height / 2 * (1 + math.copysign(y, math.sin(angle))))
        )
    draw.polygon(points, fill=255)


def _wave(draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """A slow wave; everything under it is filled."""
    crest = [(x, height * 0.35 * (1 + math.sin(x / width * 2.4 * math.pi + 0.6)) / 1.0) for x in range(0, width + 8, 8)]
    draw.polygon([*crest, (width, height), (0, height)], fill=255)


def _window(draw: ImageDraw.ImageDraw, height: int, radius: int) -> None:
    """The three buttons of a window's title bar."""
    size = radius * 2 or height // 3
    for index in range(3):
        left = index * size * 1.7
        draw.ellipse((left, (height - size) / 2, left + size, (height + size) / 2), fill=255)


@lru_cache(maxsize=32)
def glow(width: int, height: int) -> Image.Image:
    """Return a soft round light."""
    side = 256
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    distance = np.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    light = np.clip(1 - distance, 0, 1) ** 2
    return Image.fromarray((light * 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)


@lru_cache(maxsize=16)
def _dots(width: int, height: int, step: int, radius: int) -> Image.Image:
    tile = Image.new("L", (step, step), 0)
    tile.paste(outline("ellipse", radius * 2, radius * 2, 0, 0), ((step - radius * 2) // 2, (step - radius * 2) // 2))
    pattern = np.tile(np.asarray(tile), (height // step + 1, width // step + 1))
    return Image.fromarray(np.ascontiguousarray(pattern[:height, :width]))


@lru_cache(maxsize=64)
def shadow(width: int, height: int, radius: int, strength: float) -> tuple[Image.Image, int]:
    """Return the mask of a soft shadow of a rounded rectangle, and by how much it is larger on each side."""
    eighth = _SHADOW // 8
    small = Image.new("L", (width // 8 + 2 * eighth, height // 8 + 2 * eighth), 0)
    draw = ImageDraw.Draw(small)
    draw.rounded_rectangle(
        (eighth, eighth, small.width - eighth, small.height - eighth), radius=radius // 8, fill=round(255 * strength)
    )
    soft = small.filter(ImageFilter.GaussianBlur(eighth * 0.4))
    return soft.resize((width + 2 * _SHADOW, height + 2 * _SHADOW), Image.Resampling.BICUBIC), _SHADOW


def blurred(image: Image.Image, box: Box, radius: float) -> Image.Image:
    """Return the part of an image inside a box, softly blurred, at an eighth of its size; shrinking makes any radius cheap."""
    left, top, right, bottom = (round(value) for value in box)
    return image.crop((left, top, right, bottom)).reduce(8).filter(ImageFilter.GaussianBlur(radius / 8))
