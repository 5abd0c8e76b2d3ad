"""Families with edges: drawn at full size with analytic antialiasing, because an enlarged edge looks like a mistake."""

from collections.abc import Callable

import numpy as np

from carousel_pipeline.imagery.colour import Floats, mix, oklab_to_srgb
from carousel_pipeline.imagery.scene import Curve, Field, Scene, column, lay, smooth

_LEVELS = 7
_DOTS = 36


def _sky(scene: Scene, *stops: Floats) -> Floats:
    rows = column(*stops, height=scene.height)
    return np.array(np.broadcast_to(rows[:, None, :], (scene.height, scene.width, 3)))


def waves(scene: Scene) -> Floats:
    """Long swells along the bottom, pale behind and rich in front."""
    palette, u = scene.palette, scene.across()
    canvas = _sky(scene, mix(palette.ground, palette.tint(1), 0.45), palette.ground, palette.ground, palette.ground)
    random = scene.random("waves")
    layers = 6
    for number in range(layers):
        near = number / (layers - 1)
        level, swing = scene.aspect * (0.47 + 0.46 * near), 0.12 * (1.1 - 0.5 * near)
        swell = Curve(random, 0.30 + 0.16 * (number % 3), 3, 0.42)(u)
        edge = np.asarray((level + swing * swell) * scene.width, dtype=np.float32)
        crest = palette.along(0.18 + 0.82 * near)
        foot = mix(crest, palette.along(0.05 + 0.8 * near), 0.5)
        foot[0] -= 0.03 if palette.dark else -0.02
        line = oklab_to_srgb(mix(crest, palette.ground, 0.5) + np.array([0.03, 0, 0], dtype=np.float32))
        start = (level - swing) * scene.width
        lay(
            canvas,
            edge - np.float32(2.5),
            np.broadcast_to(line, (scene.height, 3)),
            shadow=0.08,
            depth=scene.width * 0.04,
        )
        lay(canvas, edge, _from(start, crest, foot, scene.height, scene.width * 0.5))
    return canvas


def paper(scene: Scene) -> Floats:
    """Sheets of cut paper, stacked from the middle outwards, each throwing a soft shadow on the one below."""
    palette, u = scene.palette, scene.across()
    canvas = _sky(scene, palette.ground, palette.ground)
    random = scene.random("sheets")
    sheets = 4
    gather = {below: Curve(random, 0.21, 2, 0.5)(u) for below in (True, False)}
    for number in range(sheets):
        out = number / (sheets - 1)
        for below in (True, False):
            inset = scene.aspect * (0.42 - 0.32 * out) * (1 + 0.45 * gather[below] * (1 - 0.5 * out))
            curve = Curve(random, 0.34 + 0.13 * number, 3, 0.36)(u)
            depth = (inset + 0.10 * (1.1 - 0.55 * out) * curve - (0 if below else 0.05)) * scene.width
            edge = np.asarray(scene.height - depth if below else depth, dtype=np.float32)
            lab = palette.along(0.15 + 0.85 * out) if below else palette.along(0.05 + 0.62 * out)
            rows = np.broadcast_to(oklab_to_srgb(lab), (scene.height, 3))
            lay(canvas, edge, rows, below=below, shadow=0.34 if palette.dark else 0.20, depth=scene.width * 0.017)
    return canvas


def terrain(scene: Scene) -> Floats:
    """Ridges behind ridges in morning mist, under one low sun for the whole deck."""
    palette, u = scene.palette, scene.across()
    glow = mix(palette.ground, palette.tint(0), 0.65)
    canvas = _sky(scene, palette.ground, palette.ground, mix(palette.ground, palette.tint(1), 0.35), glow)
    random = scene.random("ridges")
    _sun(scene, canvas)
    ridges = 6
    for number in range(ridges):
        near = number / (ridges - 1)
        level, swing = scene.aspect * (0.54 + 0.37 * near), 0.15 - 0.05 * near
        edge = (level + swing * Curve(random, 0.5 + 0.3 * near, 7, 0.47)(u)) * scene.width
        top = mix(glow, palette.along(0.25 + 0.75 * near), 0.35 + 0.65 * near)
        # Darker with distance to the sun, and paler with it: a dark ridge of full chroma would look like paint.
        top = top * np.float32(1 - (0.30 if palette.dark else 0.10) * near)
        mist = mix(top, glow, 0.65 * (1 - near))
        start = (level - swing) * scene.width
        lay(canvas, edge, _from(start, top, mist, scene.height, scene.width * 0.36))
    return canvas


def contours(scene: Scene) -> Floats:
    """A map's contour lines, fine and even, bolder at the edges than where text stands."""
    palette = scene.palette
    small_u, small_v = scene.grid(6)
    field = Field(scene.random("heights"), 0.42, 6)(small_u, small_v)
    across = small_u[0, 1] - small_u[0, 0]
    down, along = np.gradient(field, across)
    slope = np.hypot(down, along) / np.float32(scene.width)
    # The enlargement smooths the field, so lines stay lines; levels a slide width apart in slope would be a stripe.
    both = scene.enlarge(np.stack([field * np.float32(_LEVELS), slope * np.float32(_LEVELS)], axis=-1))
    height, steep = both[..., 0], np.maximum(both[..., 1], np.float32(0.002))
    distance = np.abs(height - np.round(height)) / steep
    cover = np.clip(np.float32(1.6) - distance, 0, 1)
    middle = (np.arange(scene.height, dtype=np.float32) / scene.height - np.float32(0.5))[:, None]
    cover *= np.float32(0.25) + np.float32(0.75) * smooth(0.12, 0.48, np.abs(middle))
    canvas = scene.enlarge_lab(
        mix(np.broadcast_to(palette.ground, (*field.shape, 3)), palette.tint(1), np.clip(0.28 + 0.28 * field, 0, 1))
    )
    canvas += cover[..., None] * (oklab_to_srgb(mix(palette.tint(0), palette.accent, 0.35)) - canvas)
    return canvas


def dots(scene: Scene) -> Floats:
    """A halftone screen that swells towards the edges and dies away in the middle."""
    palette = scene.palette
    cell = scene.width / _DOTS
    u, v = scene.grid(8)
    swell = Field(scene.random("swell"), 0.5, 5)(u, v)
    edge = np.abs(v / scene.aspect - 0.5) * 2
    radius = np.clip(0.50 * smooth(0.25, 1.15, np.asarray(edge + 0.35 * swell, dtype=np.float32)) - 0.02, 0, 0.46)
    canvas = scene.enlarge_lab(
        mix(
            np.broadcast_to(palette.ground, (*swell.shape, 3)),
            palette.tint(1),
            np.clip(0.30 * edge + 0.15 * swell, 0, 1),
        )
    )
    full = scene.enlarge(radius[..., None])[..., 0] * np.float32(cell)
    x = (np.arange(scene.width, dtype=np.float32) + 0.5) % np.float32(cell) - np.float32(cell / 2)
    y = (np.arange(scene.height, dtype=np.float32) + 0.5) % np.float32(cell) - np.float32(cell / 2)
    cover = np.clip(full + np.float32(0.5) - np.hypot(x[None, :], y[:, None]), 0, 1) * (full > np.float32(0.5))
    rows = column(palette.tint(0), palette.tint(2), palette.tint(0), height=scene.height)
    canvas += cover[..., None] * (rows[:, None, :] - canvas)
    return canvas


def _sun(scene: Scene, canvas: Floats) -> None:
    random = scene.random("sun")
    at = (np.floor(random.random() * scene.total) + random.uniform(0.3, 0.75) - scene.index) * scene.width
    if not -scene.width < at < 2 * scene.width:
        return
    y, radius = scene.height * random.uniform(0.43, 0.49), scene.width * random.uniform(0.09, 0.13)
    columns = np.arange(scene.width, dtype=np.float32)[None, :] - np.float32(at)
    rows = np.arange(scene.height, dtype=np.float32)[:, None] - np.float32(y)
    distance = np.hypot(columns, rows)
    glow = mix(scene.palette.tint(0), scene.palette.accent, 0.45)
    # Text may stand on it: on a ground of middling lightness, where no ink has much to spare, it differs in hue alone.
    spare = np.float32(0.4) * abs(scene.palette.ground[0] - np.float32(0.55))
    glow[0] = np.clip(glow[0], scene.palette.tint(0)[0] - spare, scene.palette.tint(0)[0] + spare)
    light = oklab_to_srgb(glow)
    canvas += (0.35 * np.exp(-distance / (radius * 2.2)))[..., None] * (light - canvas)
    canvas += np.clip(radius - distance + 0.5, 0, 1)[..., None] * np.float32(0.75) * (light - canvas)


def _from(start: float, first: Floats, last: Floats, height: int, run: float) -> Floats:
    """Return row colours: `first` down to `start`, then easing into `last` over `run` pixels."""
    share = smooth(0, 1, (np.arange(height, dtype=np.float32) - np.float32(start)) / np.float32(run))
    return oklab_to_srgb(mix(np.broadcast_to(first, (height, 3)), last, share))


Shape = Callable[[Floats, Floats], Floats]


def _ring(x: Floats, y: Floats, *, radius: float, half: float) -> Floats:
    return np.asarray(np.abs(np.hypot(x, y) - np.float32(radius)) - np.float32(half), dtype=np.float32)


def _disc(x: Floats, y: Floats, *, radius: float) -> Floats:
    return np.asarray(np.hypot(x, y) - np.float32(radius), dtype=np.float32)


# Signed distances on a unit cell, x and y in 0..1; negative is inside.
_SHAPES: tuple[Shape, ...] = (
    lambda x, y: _disc(x, y, radius=1),
    lambda x, y: _disc(x - 0.5, y - 0.5, radius=0.5),
    lambda x, y: _disc(x - 0.5, y, radius=0.5),
    lambda x, y: _ring(x, y, radius=0.75, half=0.25),
    lambda x, y: _ring(x - 0.5, y - 0.5, radius=0.36, half=0.14),
    lambda x, y: np.asarray((x + y - 1) / np.float32(2**0.5), dtype=np.float32),
    lambda x, y: np.asarray(np.abs(y * 4 % 1 - 0.5) / 4 - 0.0625 + 0 * x, dtype=np.float32),
    lambda x, y: np.asarray(np.hypot(x * 3 % 1 - 0.5, y * 3 % 1 - 0.5) / 3 - 0.055, dtype=np.float32),
)
_COLUMNS = 4
_FILLED = 0.8


def geometry(scene: Scene) -> Floats:
    """Quarter circles, discs, stripes and dots on a Swiss grid that fills the picture.

    Its colours are the style's own, unsoftened: text stands beside it, in a frame's company, not on it.
    """
    columns = max(_COLUMNS, round(_COLUMNS * scene.width / min(scene.width, scene.height)))
    cell = scene.width / columns
    canvas = _sky(scene, scene.palette.ground, scene.palette.ground)
    rows = round(scene.height / cell)
    top = (scene.height - rows * cell) / 2
    for number in range(columns):
        place = scene.index * columns + number
        for row in range(-1, rows + 1):
            random = scene.random(f"cell {place} {row}")
            if random.random() < _FILLED:
                _stamp(scene, canvas, random, (top + row * cell, number * cell, cell))
    return canvas


def _stamp(scene: Scene, canvas: Floats, random: np.random.Generator, at: tuple[float, float, float]) -> None:
    """Draw one cell: a shape in a pure colour, at times on a field of a paler one."""
    top, left, cell = at
    first, before = max(0, round(top)), round(left)
    patch = canvas[first : max(first, round(top + cell)), before : round(left + cell)]
    y = ((np.arange(patch.shape[0], dtype=np.float32) + np.float32(first - top + 0.5)) / np.float32(cell))[:, None]
    x = ((np.arange(patch.shape[1], dtype=np.float32) + 0.5) / np.float32(cell))[None, :]
    flips = random.random(2) < 0.5
    x, y = (1 - x if flips[0] else x), (1 - y if flips[1] else y)
    order = random.permutation(len(scene.palette.pure))
    if random.random() < 0.45:
        patch[:] = oklab_to_srgb(mix(scene.palette.ground, scene.palette.tint(int(random.integers(4))), 0.5))
    colour = mix(scene.palette.pure[int(order[0])], scene.palette.ground, 0.06)
    distance = _SHAPES[int(random.integers(len(_SHAPES)))](x, y)
    cover = np.clip(np.float32(0.5) - distance * np.float32(cell), 0, 1)
    patch += np.broadcast_to(cover, patch.shape[:2])[..., None] * (oklab_to_srgb(colour) - patch)
