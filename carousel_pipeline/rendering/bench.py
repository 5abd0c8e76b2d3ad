"""`carousel bench render`: what a slide costs, beside the floor of decoding and encoding, on one thread.

Pictures arrive as JPEG of the slide's size, as painters store them. Compare ratios, not milliseconds: machines differ. Ratios are
of processor time, which other programs on the machine stretch far less than the clock's; the processes that a yardstick starts
count for it.
"""

import io
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
from PIL import Image

from carousel_pipeline.rendering import fonts, lines
from carousel_pipeline.rendering.background import decode
from carousel_pipeline.rendering.canvas import canvas
from carousel_pipeline.rendering.draw import draw_slide, render_slide
from carousel_pipeline.rendering.encode import to_jpeg, to_png
from carousel_pipeline.rendering.layout import layout_deck
from carousel_pipeline.rendering.style import load_style
from carousel_pipeline.rendering.surface import Surface
from carousel_pipeline.rendering.yardsticks import Yardstick, chromium, skia
from carousel_pipeline.requests import Deck, Slide

SEED = 20261123
_RUNS = 40
_STYLE = "night"
_STARTS = 5
_FRESH = f"""
import time
from carousel_pipeline.rendering import layout_deck, load_style
from carousel_pipeline.requests import Deck
deck = Deck.model_validate({{"language": "en", "slides": [{{"role": "cover", "heading": "Ready **now**", "body": "To draw"}}]}})
layout_deck(deck, load_style("{_STYLE}"), "4:5")
print(time.process_time() * 1000)
"""
_HEADING = "Three habits that keep **small teams** shipping every week"
_BODY = (
    "Plans fail quietly: nobody notices until Friday. Write the week's one promise on Monday, show it to somebody who will ask, "
    "and cut the work until it fits the days you really have, not the days you wish for."
)


def bench_render() -> dict[str, Any]:
    """Return the figures of `carousel bench render --json`; times in ms as {"p50", "p95", "p99"} and processor time as "cpu"."""
    style, deck = load_style(_STYLE), _deck(10)
    size = canvas("4:5")
    photo = synthetic_photo(size)
    model_png = _png(synthetic_photo((1024, 1536)))
    slide = layout_deck(deck, style, "4:5").slides[0]
    body = layout_deck(deck, style, "4:5").slides[1]
    jpeg_ms = _measure(lambda: render_slide(slide, photo))
    floor_ms = _measure(lambda: to_jpeg(decode(photo, size, Surface(*size))))
    yardsticks = {name: _yardstick(start, photo) for name, start in (("skia", skia), ("chromium", chromium))}
    return {
        "machine": f"{platform.machine()} {platform.python_implementation()} {platform.python_version()}",
        "seed": SEED,
        "runs": _RUNS,
        "jpeg_ms": jpeg_ms,
        "jpeg_card_ms": _measure(lambda: render_slide(body, photo)),
        "png_ms": _measure(lambda: to_png(draw_slide(slide, photo)[0])),
        "layout_ms": _scaled(_measure(lambda: _cold_layout(deck)), 1 / len(deck.slides)),
        "deck_fit_ms": _measure(lambda: _cold_layout(deck)),
        "model_png_ms": _measure(lambda: render_slide(slide, model_png), runs=8),
        "start_ms": _start(),
        "floor_ms": floor_ms,
        "skia_ms": yardsticks["skia"],
        "chromium_ms": yardsticks["chromium"],
        "ratio_floor": _ratio(jpeg_ms, floor_ms),
        "ratio_skia": _ratio(jpeg_ms, yardsticks["skia"]),
        "ratio_chromium": _ratio(jpeg_ms, yardsticks["chromium"]),
    }


def _deck(count: int) -> Deck:
    roles = ["cover", *["body"] * (count - 2), "last"]
    # Every slide differs, or the caches of shaped words would be measured instead of the work.
    return Deck(
        language="en",
        slides=tuple(
            Slide.model_validate({"role": role, "heading": f"{_HEADING} {index}", "body": f"{_BODY} {index * 7919}."})
            for index, role in enumerate(roles)
        ),
    )


def _cold_layout(deck: Deck) -> None:
    """Lay a deck out as if no text of it had been seen before; the fonts stay loaded."""
    fonts.shape.cache_clear()
    lines.forget()
    layout_deck(deck, load_style(_STYLE), "4:5")


def _start() -> dict[str, float]:
    """Return what a fresh process pays before its first slide: imports, styles and the fonts of one."""
    used = [
        float(
            subprocess.run(  # noqa: S603  # a program of ours
                [sys.executable, "-c", _FRESH], capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(_STARTS)
    ]
    return {"cpu": round(float(np.median(used)), 1)}


def _measure(work: Callable[[], object], runs: int = _RUNS) -> dict[str, float]:
    work()
    clock: list[float] = []
    processor: list[float] = []
    elsewhere = _children_s()
    for _ in range(runs):
        start, used = time.perf_counter(), time.process_time()
        work()
        clock.append((time.perf_counter() - start) * 1000)
        processor.append((time.process_time() - used) * 1000)
    elsewhere = (_children_s() - elsewhere) * 1000 / runs
    p50, p95, p99 = (round(float(np.percentile(clock, share)), 3) for share in (50, 95, 99))
    return {"p50": p50, "p95": p95, "p99": p99, "cpu": round(float(np.median(processor)) + elsewhere, 3)}


def _children_s() -> float:
    """Return the processor time, in seconds, that running child processes have used."""
    used = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used += times.user + times.system
    return used


def _scaled(figures: dict[str, float], factor: float) -> dict[str, float]:
    return {name: round(value * factor, 3) for name, value in figures.items()}


def _yardstick(start: Callable[[], Yardstick | None], photo: bytes) -> dict[str, float] | None:
    yardstick = start()
    if yardstick is None:
        return None
    try:
        return _measure(lambda: yardstick.draw(photo, _HEADING.replace("**", ""), _BODY), runs=15)
    finally:
        yardstick.close()


def _ratio(ours: dict[str, float], theirs: dict[str, float] | None) -> float | None:
    return round(ours["cpu"] / theirs["cpu"], 3) if theirs else None


def synthetic_photo(size: tuple[int, int], seed: int = SEED) -> bytes:
    """Return a JPEG with a photo's statistics: 1/f noise in three related channels, plus grain; 280 KB at quality 92."""
    width, height = size
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    frequency[0, 0] = 1.0

    def noise(power: float) -> Any:
        field = np.fft.ifft2(np.fft.fft2(random.normal(size=(height, width))) / frequency**power).real
        return field / field.std()

    common = noise(1.7)
    channels = [
        118 + offset + 44 * common + 14 * noise(1.8) + random.normal(0, 2.2, (height, width)) for offset in (10, 0, -12)
    ]
    pixels = np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)
    return to_jpeg(Image.fromarray(pixels))


def _png(jpeg: bytes) -> bytes:
    stream = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).save(stream, "PNG")
    return stream.getvalue()
