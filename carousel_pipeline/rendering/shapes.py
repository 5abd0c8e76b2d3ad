"""Drawing what is neither text nor picture: anti-aliased rectangles, circles, glows, dots.

Masks are cached by their size.
"""

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from carousel_pipeline.rendering.colour import rgb
from carousel_pipeline.rendering.scene import Box, Shape
from carousel_pipeline.rendering.surface import Mask, Surface

_OVERSAMPLE = 4
_BIG = 700
_SHADOW = 80


def paint(surface: Surface, shape: Shape) -> None:
    """Draw one shape, clipped to the surface."""
    left, top = math.floor(shape.box[0]), math.floor(shape.box[1])
    width, height = max(1, math.ceil(shape.box[2]) - left), max(1, math.ceil(shape.box[3]) - top)
    if shape.shape == "rect" and not shape.radius and not shape.stroke and not shape.angle and shape.opacity >= 1:
        surface.rectangle(rgb(shape.fill), (left, top, left + width, top + height))
        return
    mask, offset = _mask(shape, width, height)
    surface.paint(rgb(shape.fill), left - offset, top - offset, mask)


def _mask(shape: Shape, width: int, height: int) -> tuple[Mask, int]:
    if shape.shape == "glow":
        return glow(width, height, shape.opacity), 0
    if shape.shape == "dots":
        return _dots(width, height, round(shape.step), max(1, round(shape.radius)), shape.opacity), 0
    mask = outline(shape.shape, width, height, round(shape.radius), round(shape.stroke), shape.opacity)
    if shape.angle:
        turned = np.asarray(Image.fromarray(mask).rotate(shape.angle, Image.Resampling.BICUBIC, expand=True))
        return turned, (turned.shape[1] - width) // 2
    return mask, 0


def _faded(mask: Image.Image, opacity: float) -> Mask:
    return np.asarray(mask if opacity >= 1 else mask.point([round(value * opacity) for value in range(256)]))


@lru_cache(maxsize=32)
def outline(shape: str, width: int, height: int, radius: int, stroke: int, opacity: float = 1.0) -> Mask:
    """Return an anti-aliased mask of a filled or stroked outline."""
    scale = 2 if max(width, height) > _BIG else _OVERSAMPLE
    if shape not in {"rect", "round"}:
        return _outline(shape, width, height, radius, stroke, opacity, scale)
    # Four corners, and between them a row and a column that repeat.
    corners = 2 * (radius + stroke) + 4
    mask = _outline(shape, min(width, corners), min(height, corners), radius, stroke, opacity, scale)
    for axis, length in enumerate((height, width)):
        times = np.ones(mask.shape[axis], np.intp)
        times[len(times) // 2] += length - len(times)
        mask = mask.repeat(times, axis)
    return mask


def _outline(shape: str, width: int, height: int, radius: int, stroke: int, opacity: float, scale: int) -> Mask:
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
    return _faded(big.reduce(scale), opacity)


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
def glow(width: int, height: int, opacity: float) -> Mask:
    """Return a soft round light."""
    side = 256
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    distance = np.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    light = np.clip(1 - distance, 0, 1) ** 2
    soft = Image.fromarray((light * 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return _faded(soft, opacity)


@lru_cache(maxsize=16)
def _dots(width: int, height: int, step: int, radius: int, opacity: float) -> Mask:
    tile = np.zeros((step, step), np.uint8)
    corner = max(0, (step - radius * 2) // 2)
    dot = outline("ellipse", radius * 2, radius * 2, 0, 0, opacity)[:step, :step]
    tile[corner : corner + dot.shape[0], corner : corner + dot.shape[1]] = dot
    return np.ascontiguousarray(np.tile(tile, (height // step + 1, width // step + 1))[:height, :width])


@lru_cache(maxsize=4)
def shadow(width: int, height: int, radius: int, strength: float) -> tuple[Mask, int]:
    """Return the mask of a soft shadow of a rounded rectangle, and by how much it is larger on each side."""
    eighth = _SHADOW // 8
    small = Image.new("L", (width // 8 + 2 * eighth, height // 8 + 2 * eighth), 0)
    draw = ImageDraw.Draw(small)
    draw.rounded_rectangle(
        (eighth, eighth, small.width - eighth, small.height - eighth), radius=radius // 8, fill=round(255 * strength)
    )
    soft = small.filter(ImageFilter.GaussianBlur(eighth * 0.4))
    grown = soft.resize((width + 2 * _SHADOW, height + 2 * _SHADOW), Image.Resampling.BICUBIC)
    return np.asarray(grown), _SHADOW


def blurred(image: Image.Image, box: Box, radius: float) -> Image.Image:
    """Return the part of an image inside a box, softly blurred, at an eighth of its size; shrinking makes any radius cheap."""
    left, top, right, bottom = (round(value) for value in box)
    return image.reduce(8, (left, top, right, bottom)).filter(ImageFilter.GaussianBlur(radius / 8))
