"""Where a slide's picture and its text may stand, in every ratio. Pure.

Upright slides stack them; wide slides put them side by side, so a style is designed once. Picture and text never share area
unless the style lays text over the picture.
"""

from carousel_pipeline.rendering.canvas import Canvas
from carousel_pipeline.rendering.furniture import Bars
from carousel_pipeline.rendering.scene import Box
from carousel_pipeline.rendering.style import RoleStyle, Style

_PICTURE_GAP = 60
_WIDE_COLUMN = 0.56
_TALLEST = 0.62


def safe_area(style: Style, canvas: Canvas) -> Box:
    """Return the part of a slide that text may use."""
    margin = style.margin
    return margin, margin + canvas.top, canvas.width - margin, canvas.height - margin - canvas.bottom


def regions(role: RoleStyle, canvas: Canvas, safe: Box, bars: Bars, extra: int = 0) -> tuple[Box, Box]:
    """Return where the picture, `extra` pixels higher than its share, and where the text may stand."""
    frame = role.picture
    left, top, right, bottom = safe
    inner = (left, top + bars.top, right, bottom - bars.bottom)
    pad = role.scrim.padding if role.scrim.kind != "veil" and frame.place == "full" else 0
    if frame.place == "full":
        column = min(role.column, (right - left) * _WIDE_COLUMN if canvas.wide else right - left)
        start = {"start": left, "centre": (left + right - column) / 2, "end": right - column}[role.align]
        region: Box = (frame.inset, frame.inset, canvas.width - frame.inset, canvas.height - frame.inset)
        return region, (start + pad, inner[1] + pad, start + column - pad, inner[3] - pad)
    first = frame.place != "bottom"
    if canvas.wide:
        return _side_by_side(role, canvas, safe, inner, first=first)
    return _stacked(role, canvas, inner, extra, first=first)


def _stacked(role: RoleStyle, canvas: Canvas, inner: Box, extra: int, *, first: bool) -> tuple[Box, Box]:
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
        if frame.place == "disc":
            extent = min(extent, int(width))
            width = extent
        elif frame.place == "arch":
            width = min(width, round(extent * 0.84))
        start = {"start": left, "centre": (left + right - width) / 2, "end": right - width}[role.align]
        region = (start, top, start + width, top + extent)
    column_width = min(role.column, right - left)
    start = {"start": left, "centre": (left + right - column_width) / 2, "end": right - column_width}[role.align]
    if first:
        return region, (start, max(top, region[3] + _PICTURE_GAP), start + column_width, bottom)
    return region, (start, top, start + column_width, min(bottom, region[1] - _PICTURE_GAP))


def _side_by_side(role: RoleStyle, canvas: Canvas, safe: Box, inner: Box, *, first: bool) -> tuple[Box, Box]:
    frame = role.picture
    extent = round(canvas.width * min(0.5, max(0.36, frame.share)))
    if frame.place in {"band", "bottom"}:
        region: Box = (
            (canvas.width - extent, frame.inset, canvas.width - frame.inset, canvas.height - frame.inset)
            if first
            else (frame.inset, frame.inset, extent, canvas.height - frame.inset)
        )
    else:
        tall = inner[3] - inner[1]
        width = (
            min(extent, tall)
            if frame.place == "disc"
            else min(extent, tall * 0.84)
            if frame.place == "arch"
            else extent
        )
        high = width if frame.place == "disc" else tall
        middle = (inner[1] + inner[3]) / 2
        region = (safe[2] - width, middle - high / 2, safe[2], middle + high / 2)
    if first:
        return region, (inner[0], inner[1], min(inner[0] + role.column, region[0] - _PICTURE_GAP), inner[3])
    return region, (max(region[2] + _PICTURE_GAP, inner[2] - role.column), inner[1], inner[2], inner[3])
