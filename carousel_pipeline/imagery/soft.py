"""Families without hard edges: painted small, enlarged, dithered. Nothing here has detail that the enlargement could lose."""

import numpy as np

from carousel_pipeline.imagery.colour import Floats, mix
from carousel_pipeline.imagery.scene import MARGIN, Curve, Field, Scene, smooth

_LIGHTS = 30
_FAINT_LIGHTS = 8


def mesh(scene: Scene) -> Floats:
    """A gradient mesh: pools of colour that drift across the deck."""
    u, v = scene.grid(8)
    warp = scene.random("warp")
    du, dv = Field(warp, 0.5, 4)(u, v), Field(warp, 0.5, 4)(u, v)
    x, y = u + 0.16 * du, v + 0.16 * dv
    ground = 0.14 + 0.14 * np.exp(-(((v / scene.aspect - 0.5) / 0.28) ** 2))
    total = np.broadcast_to(ground, x.shape).astype(np.float32)
    lab = total[..., None] * scene.palette.ground
    for cell in range(scene.index - 1, scene.index + 2):
        random = scene.random(f"pools {cell}")
        first = int(random.integers(len(scene.palette.tints)))
        for number, height in enumerate((0.08, 0.46, 0.95)):
            at_u = cell + random.uniform(0.05, 0.95)
            at_v = scene.aspect * (height + random.uniform(-0.08, 0.08))
            spread = random.uniform(0.30, 0.46)
            weight = np.exp(-((x - at_u) ** 2 + (y - at_v) ** 2) / (2 * spread**2)) * random.uniform(0.7, 1.3)
            if number == 1:
                weight *= 0.55
            lab += weight[..., None] * scene.palette.tint(first + number)
            total += weight
    return scene.enlarge_lab(np.asarray(lab / total[..., None], dtype=np.float32))


def silk(scene: Scene) -> Floats:
    """Folds of cloth that flow from slide to slide."""
    u, v = scene.grid(3)
    random = scene.random("folds")
    slow, fast = Field(random, 0.55, 4), Field(random, 1.3, 5)
    lean = random.uniform(0.35, 0.7) * random.choice((-1, 1))
    bend = slow(u, v)
    phase = 2 * np.pi * (1.15 * (v + lean * u) + 0.34 * bend + 0.10 * fast(u, v))
    light = 0.5 + 0.5 * np.sin(phase)
    sheen = smooth(0.72, 1.0, np.asarray(light, dtype=np.float32)) ** 2
    calm = np.asarray(0.78 + 0.22 * smooth(0.16, 0.50, np.abs(v / scene.aspect - 0.5)), dtype=np.float32)
    colour = mix(scene.palette.tint(0), scene.palette.tint(1), np.asarray(0.5 + 0.5 * bend, dtype=np.float32))
    lab = mix(
        np.broadcast_to(scene.palette.ground, colour.shape),
        colour,
        np.asarray((0.15 + 0.85 * light) * calm, dtype=np.float32),
    )
    lab[..., 0] += (0.055 * sheen - 0.03 * (1 - light)) * calm
    return scene.enlarge_lab(lab)


def rays(scene: Scene) -> Floats:
    """Light from one far source above the middle of the deck."""
    u, v = scene.grid(4)
    random = scene.random("rays")
    source_u = scene.total * random.uniform(0.35, 0.65)
    source_v = -0.55 - 0.18 * scene.total
    lean = np.asarray((u - source_u) / (v - source_v) * -source_v, dtype=np.float32)
    beam = 0.6 * Curve(random, 1.1, 3)(lean) + 0.4 * Curve(random, 3.4, 3)(lean)
    depth = v / scene.aspect
    fade = 1.1 * np.exp(-1.4 * depth) + 0.10 * depth
    strength = smooth(-0.35, 0.8, beam) * fade
    base = mix(
        np.broadcast_to(scene.palette.ground, (*beam.shape, 3)),
        scene.palette.tint(1),
        np.asarray(0.55 * np.exp(-2.4 * depth) + 0 * u),
    )
    lab = mix(base, scene.palette.tint(0), np.asarray(strength, dtype=np.float32))
    lab[..., 0] += 0.05 * np.asarray(strength * fade, dtype=np.float32)
    lab = mix(
        lab, scene.palette.tint(2), np.asarray(0.5 * smooth(0.72, 1.15, np.asarray(depth + 0 * u, dtype=np.float32)))
    )
    return scene.enlarge_lab(lab)


def bokeh(scene: Scene) -> Floats:
    """Lights out of focus, thick at the top and the bottom, sparse where text stands."""
    u, v = scene.grid(3)
    drift = Field(scene.random("drift"), 0.35, 4)(u, v)
    lab = mix(
        np.broadcast_to(scene.palette.ground, (*drift.shape, 3)),
        scene.palette.tint(1),
        np.asarray(0.35 + 0.3 * drift * (0.4 + np.abs(v / scene.aspect - 0.5)), dtype=np.float32),
    )
    lab = np.array(lab)
    for cell in range(scene.index - 1, scene.index + 2):
        random = scene.random(f"lights {cell}")
        for number in range(_LIGHTS):
            _light(scene, lab, random, cell, faint=number < _FAINT_LIGHTS)
    return scene.enlarge_lab(lab)


def _light(scene: Scene, lab: Floats, random: np.random.Generator, cell: int, *, faint: bool) -> None:
    side = random.integers(2)
    away = float(random.beta(1.1, 2.6)) * 0.62
    at_v = scene.aspect * (away if side else 1 - away)
    at_u = cell + random.random()
    radius = random.uniform(0.11, 0.19) if faint else random.uniform(0.02, 0.085)
    alpha = random.uniform(0.10, 0.22) if faint else random.uniform(0.16, 0.55) * (1 - away)
    colour = scene.palette.tint(int(random.integers(len(scene.palette.tints))))
    lift = random.uniform(0.02, 0.09) * (1 if scene.palette.dark else -0.35)
    blur = random.uniform(0.02, 0.12)
    height, width = lab.shape[:2]
    unit = width - 2 * MARGIN
    x, y, r = (at_u - scene.index) * unit + MARGIN, at_v * unit + MARGIN, radius * unit
    left, right = max(0, int(x - r) - 2), min(width, int(x + r) + 3)
    top, bottom = max(0, int(y - r) - 2), min(height, int(y + r) + 3)
    if left >= right or top >= bottom:
        return
    columns = np.arange(left, right, dtype=np.float32)[None, :] + 0.5 - np.float32(x)
    rows = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5 - np.float32(y)
    distance = np.hypot(columns, rows) / np.float32(r)
    softness = 2.5 / r + blur
    disc = 1 - smooth(1 - softness, 1, np.asarray(distance, dtype=np.float32))
    rim = 0.72 + 0.28 * smooth(0.55, 0.97, np.asarray(distance, dtype=np.float32))
    cover = np.asarray(disc * rim * alpha, dtype=np.float32)[..., None]
    patch = lab[top:bottom, left:right]
    target = colour + np.array([lift, 0, 0], dtype=np.float32)
    patch += cover * (target - patch)
