"""Families with edges: drawn at full size with analytic antialiasing, because an enlarged edge looks like a mistake."""

from collections.abc import Callable

import numpy as np

from carousel_pipeline.imagery.colour import Floats, mix, oklab_to_srgb
from carousel_pipeline.imagery.scene import Curve, Scene, column, lay, smooth


def _sky(scene: Scene, *stops: Floats) -> Floats:
    rows = column(*stops, height=scene.height)
    return np.array(np.broadcast_to(rows[:, None, :], (scene.height, scene.width, 3)))


def waves(scene: Scene) -> Floats:
    """Long translucent swells along the bottom, one high thin crest above."""
    palette, u = scene.palette, scene.across()
    canvas = _sky(
        scene,
        mix(palette.ground, palette.tint(1), 0.55),
        palette.ground,
        palette.ground,
        mix(palette.ground, palette.tint(0), 0.35),
    )
    random = scene.random("waves")
    layers = 6
    for number in range(layers):
        near = number / (layers - 1)
        level = scene.aspect * (0.60 + 0.37 * near)
        swing = 0.085 * (1.15 - 0.6 * near)
        edge = (level + swing * Curve(random, 0.42 + 0.18 * number % 0.5, 3, 0.4)(u)) * scene.width
        crest = mix(palette.ground, palette.tint(number), 0.35 + 0.65 * near)
        crest[0] += 0.03 if palette.dark else 0.015
        foot = mix(palette.ground, palette.tint(number + 1), 0.25 + 0.55 * near)
        rows = _from(edge.min(), crest, foot, scene.height, scene.width * 0.55)
        line = oklab_to_srgb(crest + np.array([0.07, 0, 0], dtype=np.float32))
        lay(canvas, edge - 2.0, np.broadcast_to(line, (scene.height, 3)), shadow=0.10, depth=scene.width * 0.03)
        lay(canvas, edge, rows)
    return canvas


def paper(scene: Scene) -> Floats:
    """Sheets of cut paper, stacked from the middle outwards, each throwing a soft shadow on the one below."""
    palette, u = scene.palette, scene.across()
    deep = palette.shade(-0.015 if palette.dark else 0.0)
    canvas = _sky(scene, deep, deep)
    random = scene.random("sheets")
    sheets = 4
    for number in range(sheets):
        share = (number + 1) / sheets
        for below in (True, False):
            inset = scene.aspect * (0.31 - 0.265 * number / (sheets - 1))
            curve = Curve(random, 0.45 + 0.12 * number, 3, 0.38)
            depth = (inset + 0.085 * (1.2 - 0.6 * share) * curve(u)) * scene.width
            edge = scene.height - depth if below else depth
            lab = mix(palette.ground, palette.tint(number + (0 if below else 1)), 0.25 + 0.75 * share)
            rows = np.broadcast_to(oklab_to_srgb(lab), (scene.height, 3))
            lay(canvas, edge, rows, below=below, shadow=0.34 if palette.dark else 0.20, depth=scene.width * 0.017)
    return canvas


def terrain(scene: Scene) -> Floats:
    """Ridges behind ridges in morning mist, under one low sun for the whole deck."""
    palette, u = scene.palette, scene.across()
    glow = mix(palette.ground, palette.tint(0), 0.75)
    canvas = _sky(scene, palette.ground, palette.ground, mix(palette.ground, palette.tint(1), 0.5), glow)
    random = scene.random("ridges")
    _sun(scene, canvas)
    ridges = 6
    for number in range(ridges):
        near = number / (ridges - 1)
        level = scene.aspect * (0.63 + 0.30 * near)
        swing = 0.13 - 0.05 * near
        edge = (level + swing * Curve(random, 0.55 + 0.25 * near, 7, 0.47)(u)) * scene.width
        top = mix(glow, palette.tint(number // 2), 0.25 + 0.75 * near)
        top[0] -= (0.02 + 0.07 * near) if palette.dark else (0.01 + 0.09 * near)
        mist = mix(top, glow, 0.60 * (1 - near))
        lay(canvas, edge, _from(edge.min(), top, mist, scene.height, scene.width * 0.30))
    return canvas


def _sun(scene: Scene, canvas: Floats) -> None:
    random = scene.random("sun")
    at = (np.floor(random.random() * scene.total) + random.uniform(0.3, 0.75) - scene.index) * scene.width
    if not -scene.width < at < 2 * scene.width:
        return
    y, radius = scene.width * scene.aspect * random.uniform(0.50, 0.56), scene.width * random.uniform(0.09, 0.13)
    columns = np.arange(scene.width, dtype=np.float32)[None, :] - np.float32(at)
    rows = np.arange(scene.height, dtype=np.float32)[:, None] - np.float32(y)
    distance = np.hypot(columns, rows)
    light = oklab_to_srgb(mix(scene.palette.tint(0), scene.palette.accent, 0.45))
    canvas += (0.35 * np.exp(-distance / (radius * 2.2)))[..., None] * (light - canvas)
    canvas += np.clip(radius - distance + 0.5, 0, 1)[..., None] * np.float32(0.75) * (light - canvas)


def _from(start: float, first: Floats, last: Floats, height: int, run: float) -> Floats:
    """Return row colours: `first` down to `start`, then easing into `last` over `run` pixels."""
    share = smooth(0, 1, (np.arange(height, dtype=np.float32) - np.float32(start)) / np.float32(run))
    return oklab_to_srgb(mix(np.broadcast_to(first, (height, 3)), last, share))


Shape = Callable[[Floats, Floats], Floats]


def _shapes() -> tuple[Shape, ...]:
    """Signed distances on a unit cell, x and y in 0..1; negative is inside."""
    return (
        lambda x, y: np.hypot(x, y) - 1,
        lambda x, y: np.hypot(x - 0.5, y - 0.5) - 0.5,
        lambda x, y: np.maximum(np.hypot(x - 0.5, y) - 0.5, -y),
        lambda x, y: np.abs(np.hypot(x, y) - 0.75) - 0.25,
        lambda x, y: (x + y - 1) / np.float32(2**0.5),
        lambda x, y: np.abs(np.hypot(x - 0.5, y - 0.5) - 0.36) - 0.14,
        lambda x, y: np.maximum(np.abs((y * 4) % 1 - 0.5) / 4 - 0.0625, 0 * x),
        lambda x, y: np.hypot((x * 3) % 1 - 0.5, (y * 3) % 1 - 0.5) / 3 - 0.055,
    )


def geometry(scene: Scene) -> Floats:
    """Quarter circles, discs, stripes and dots on a Swiss grid, gathered at the bottom and one upper corner."""
    columns = 4
    cell = scene.width // columns
    canvas = _sky(scene, scene.palette.ground, scene.palette.ground)
    rows = -(-scene.height // cell)
    shapes = _shapes()
    for row in range(rows):
        for number in range(columns + (scene.width % columns > 0)):
            random = scene.random(f"cell {scene.index * columns + number} {row}")
            if random.random() < _crowd(row, rows, scene.index * columns + number, scene):
                _stamp(scene, canvas, random, shapes, (row * cell, number * cell, cell))
    return canvas


def _crowd(row: int, rows: int, place: int, scene: Scene) -> float:
    """Return how likely a cell is filled: always at the bottom, now and then at the top, never where text stands."""
    if row == rows - 1:
        return 0.92
    if row == rows - 2:
        return 0.35 + 0.3 * float(Curve(scene.random("skyline"), 0.16, 2)(np.array([place], dtype=np.float32))[0])
    return 0.4 if row == 0 else 0.0


def _stamp(
    scene: Scene, canvas: Floats, random: np.random.Generator, shapes: tuple[Shape, ...], at: tuple[int, int, int]
) -> None:
    top, left, cell = at
    patch = canvas[top : top + cell, left : left + cell]
    if not patch.size:
        return
    x = ((np.arange(patch.shape[1], dtype=np.float32) + 0.5) / cell)[None, :]
    y = ((np.arange(patch.shape[0], dtype=np.float32) + 0.5) / cell)[:, None]
    if random.random() < 0.5:  # noqa: PLR2004 - a fair coin
        x = 1 - x
    if random.random() < 0.5:  # noqa: PLR2004 - a fair coin
        y = 1 - y
    order = random.permutation(len(scene.palette.tints))
    if random.random() < 0.45:  # noqa: PLR2004 - a little under half of the cells carry a field of their own
        patch[:] = oklab_to_srgb(mix(scene.palette.ground, scene.palette.tint(int(order[0])), 0.45))
    colour = scene.palette.tint(int(order[1]))
    if random.random() < 0.16:  # noqa: PLR2004 - the accent stays rare
        colour = mix(colour, scene.palette.accent, 0.7)
    distance = shapes[int(random.integers(len(shapes)))](x, y)
    cover = np.clip(0.5 - np.asarray(distance, dtype=np.float32) * cell, 0, 1)
    cover = np.broadcast_to(cover, patch.shape[:2])[..., None]
    patch += cover * (oklab_to_srgb(colour) - patch)
