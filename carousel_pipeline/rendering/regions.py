"""Where a slide's picture and its text may stand, in every ratio. Pure.

Upright slides stack them; wide slides put them side by side, so a style is designed once. Picture and text never share area
unless the style lays text over the picture. A deck read from the right is the mirror image of one read from the left.
"""

from carousel_pipeline.rendering.canvas import Canvas
from carousel_pipeline.rendering.furniture import Bars
from carousel_pipeline.rendering.scene import Box, mirrored
from carousel_pipeline.rendering.style import RoleStyle, Style

_WIDER = 24
_WIDE_COLUMN = 0.56
_TALLEST = 0.62
_RISE = 0.6


def safe_area(style: Style, canvas: Canvas) -> Box:
    """Return the part of a slide that text may use."""
    margin = style.margin
    return margin, margin + canvas.top, canvas.width - margin, canvas.height - margin - canvas.bottom


def regions(
    role: RoleStyle, canvas: Canvas, safe: Box, bars: Bars, extra: int = 0, *, from_right: bool = False
) -> tuple[Box, Box]:
    """Return where the picture, `extra` pixels higher than its share, and where the text may stand."""
    picture, column = _regions(role, canvas, safe, bars, extra)
    return (mirrored(picture, canvas.width), mirrored(column, canvas.width)) if from_right else (picture, column)


def _regions(role: RoleStyle, canvas: Canvas, safe: Box, bars: Bars, extra: int) -> tuple[Box, Box]:
    frame = role.picture
    left, top, right, bottom = safe
    inner = (left, top + bars.top, right, bottom - bars.bottom)
    pad = role.scrim.padding if role.scrim.kind != "veil" and frame.place == "full" else 0
    if frame.place == "full":
        column = min(role.column, (right - left) * _WIDE_COLUMN if canvas.wide else right - left)
        start = {"start": left, "centre": (left + right - column) / 2, "end": right - column}[role.align]
        region: Box = (frame.inset, frame.inset, canvas.width - frame.inset, canvas.height - frame.inset)
        return region, (start + pad, inner[1] + pad, start + column - pad, inner[3] - pad)
    if canvas.wide:
        area = _words_area(role, canvas, safe)
        width = min(role.column, area[2] - area[0])
        return _beside(role, canvas, safe), (area[0], inner[1], area[0] + width, inner[3])
    first = frame.place != "bottom"
    # Platforms lay their bars over the top of a story: no place for words, but a picture may begin there.
    rise = round(canvas.top * _RISE) if not bars.top else 0
    return _stacked(role, canvas, inner, extra, rise, first=first)


def _stacked(role: RoleStyle, canvas: Canvas, inner: Box, extra: int, rise: int, *, first: bool) -> tuple[Box, Box]:
    frame = role.picture
    left, top, right, bottom = inner
    usable = canvas.height - canvas.top - canvas.bottom
    extent = min(round(usable * frame.share) + extra, max(round(usable * frame.share), round(usable * _TALLEST)))
    if frame.place in {"band", "bottom"}:
        region: Box = (
            (frame.inset, frame.inset, canvas.width - frame.inset, canvas.top + frame.inset + extent)
            if first
            else (
                frame.inset,
                canvas.height - canvas.bottom - extent - frame.inset,
                canvas.width - frame.inset,
                canvas.height - frame.inset,
            )
        )
    else:
        width: float = right - left
        high = extent + rise
        if frame.place == "disc":
            width = high = min(high, int(width))
        elif frame.place == "arch":
            width = min(width, round(high * 0.84))
        start = {"start": left, "centre": (left + right - width) / 2, "end": right - width}[role.align]
        region = (start, top + extent - high, start + width, top + extent)
    column_width = min(role.column, right - left)
    start = {"start": left, "centre": (left + right - column_width) / 2, "end": right - column_width}[role.align]
    if first:
        return region, (start, max(top, region[3] + frame.gap), start + column_width, bottom)
    return region, (start, top, start + column_width, min(bottom, region[1] - frame.gap))


def words_area(role: RoleStyle, canvas: Canvas, safe: Box, *, from_right: bool = False) -> Box:
    """Return where words, also the small fixed ones, may stand: on a wide slide the side beside its picture."""
    area = _words_area(role, canvas, safe)
    return mirrored(area, canvas.width) if from_right else area


def _words_area(role: RoleStyle, canvas: Canvas, safe: Box) -> Box:
    if not canvas.wide or role.picture.place == "full":
        return safe
    picture = _beside(role, canvas, safe)
    gap = role.picture.gap + _WIDER
    if role.picture.place == "bottom":
        return max(safe[0], picture[2] + gap), safe[1], safe[2], safe[3]
    return safe[0], safe[1], min(safe[2], picture[0] - gap), safe[3]


def _beside(role: RoleStyle, canvas: Canvas, safe: Box) -> Box:
    """Return where the picture of a wide slide stands."""
    frame = role.picture
    extent: float = round(canvas.width * min(0.5, max(0.36, frame.share)))
    if frame.place == "band":
        return canvas.width - extent, frame.inset, canvas.width - frame.inset, canvas.height - frame.inset
    if frame.place == "bottom":
        return frame.inset, frame.inset, extent, canvas.height - frame.inset
    tall = safe[3] - safe[1]
    if frame.place == "disc":
        width = high = min(extent, tall)
    else:
        width, high = (min(extent, tall * 0.84) if frame.place == "arch" else extent), tall
    middle = (safe[1] + safe[3]) / 2
    return safe[2] - width, middle - high / 2, safe[2], middle + high / 2
