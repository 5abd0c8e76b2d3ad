"""Whatever is typed, nothing breaks and nothing leaves its place: `python -m carousel_pipeline.rendering.fuzz --strings 10000`.

Strings come by script and by nastiness: bombs of marks, joiners, long words, newlines, bidi controls, markup; every deck in
another style and ratio. The same seed tries the same strings. Every slide is laid out and drawn; what counts as outside is
measured on the outlines, with the hang that punctuation, swashes and accents are allowed, and on the drawn pixels.
"""

import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import get_args

import click
import numpy as np

from carousel_pipeline.rendering.brand import Brand
from carousel_pipeline.rendering.breaks import hyphenations
from carousel_pipeline.rendering.draw import draw_slide
from carousel_pipeline.rendering.layout import layout_deck
from carousel_pipeline.rendering.scene import SlideLayout
from carousel_pipeline.rendering.style import load_styles
from carousel_pipeline.rendering.typeset import OVERHANG
from carousel_pipeline.requests import Deck, Ratio, Slide

SEED = 20261123
_PER_DECK = 9
_AA = 4.5
_LANGUAGES = ("en", "ru", "ar", "zh", "th", "hi", "de", "he")
_RANGES = (
    (0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F),
    (0x4E00, 0x9FFF), (0x3040, 0x30FF), (0x1F300, 0x1FAFF), (0x300, 0x36F), (0x2000, 0x206F), (0xFE00, 0xFE0F),
    (0x1D400, 0x1D7FF), (0xAC00, 0xD7A3), (0x0, 0x1F), (0xFB50, 0xFDFF), (0xE0000, 0xE007F),
)  # fmt: skip
_BOMBS = (
    "ﷺﷺ", "a\u0301\u0301\u0301", "W", "👩‍👩‍👧‍👦", "\u202e", "\n- ", "**==", "ก็็็็", "\u200d", "Ж", "\u202b", "क्ष्", "https://x.y/",
    "١٢٣", "«", "Åŷ", "🇺🇦", "1️⃣", "﷽", "…",
)  # fmt: skip


@dataclass(slots=True)
class Findings:
    """What a run found.

    Attributes:
        failures: what was wrong, with style, ratio, slide and text; at most one per slide.
        slide_ms: processor time of laying out and drawing each slide.
    """

    strings: int = 0
    slides: int = 0
    failures: list[str] = field(default_factory=list)
    slide_ms: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float | int | list[str]]:
        """Return the figures of the run."""
        median, late = (round(float(np.percentile(self.slide_ms, share)), 2) for share in (50, 99))
        return {
            "strings": self.strings, "slides": self.slides, "failures": len(self.failures), "cpu_ms_p50": median,
            "cpu_ms_p99": late, "cpu_ms_max": round(max(self.slide_ms), 2), "first_failures": self.failures[:5],
        }  # fmt: skip


def nasty_text(pick: random.Random, most: int) -> str:
    """Return a string of at most `most` characters."""
    kind = pick.random()
    if kind < 0.35:  # shares of the three kinds
        low, high = pick.choice(_RANGES)
        return "".join(
            chr(pick.randint(low, high)) if pick.random() > 0.15 else " "  # one in seven is a space
            for _ in range(pick.randint(1, most))
        )
    if kind < 0.7:  # as above
        letters = (chr(pick.randint(*pick.choice(_RANGES))) for _ in range(pick.randint(1, most)))
        return "".join(letter if pick.random() > 0.25 else pick.choice(" \n-*=") for letter in letters)
    return (pick.choice(_BOMBS) * most)[: pick.randint(1, most)]


def fuzz(strings: int, seed: int = SEED) -> Findings:
    """Lay out and draw so many strings; return what was found instead of stopping at the first."""
    pick = random.Random(seed)  # noqa: S311  # a test's dice
    styles = list(load_styles().values())
    ratios = get_args(Ratio)
    found = Findings()
    number = 0
    for language in _LANGUAGES:
        hyphenations("warming", language)  # a dictionary loads once per process, in up to half a second
    while found.strings < strings:
        # In turn, so that every style meets every ratio.
        style, ratio = styles[number % len(styles)], ratios[number // len(styles) % len(ratios)]
        number += 1
        deck, brand = _deck(pick), Brand(handle=nasty_text(pick, 40))
        found.strings += _PER_DECK
        started = time.process_time()
        try:
            layout = layout_deck(deck, style, ratio, brand)
        except Exception as error:  # noqa: BLE001  # any exception is a finding
            found.failures.append(f"{style.id} {ratio}: {error!r} at {deck.model_dump_json()}")
            continue
        share = (time.process_time() - started) * 1000 / len(layout.slides)
        for slide in layout.slides:
            found.slides += 1
            started = time.process_time()
            problems = list(_problems(slide))
            found.slide_ms.append(share + (time.process_time() - started) * 1000)
            if problems:
                copy = deck.slides[slide.position - 1]
                found.failures.append(f"{style.id} {ratio} {slide.position}: {problems[0]}: {copy.model_dump_json()}")
    return found


def _deck(pick: random.Random) -> Deck:
    roles = ("cover", "body", "body", "last")
    slides = tuple(
        Slide.model_validate({"role": role, "heading": nasty_text(pick, 200), "body": nasty_text(pick, most)})
        for role, most in zip(roles, (300, 700, 700, 400), strict=True)
    )
    return Deck(language=pick.choice(_LANGUAGES), slides=slides)


def _problems(slide: SlideLayout) -> Iterator[str]:
    left, top, right, bottom = slide.safe
    for text in slide.texts:
        if 0 in {glyph for run in text.runs for glyph in run.glyphs}:
            yield f"{text.name} asks for glyph 0"
        hang = OVERHANG * text.size + 1
        over = max(left - text.ink[0], top - text.ink[1], text.ink[2] - right, text.ink[3] - bottom)
        if over > hang:
            yield f"{text.name} reaches {over:.1f} px, {over / text.size:.2f} em, over the safe area"
        if text.ink[0] < 0 or text.ink[1] < 0 or text.ink[2] > slide.width or text.ink[3] > slide.height:
            yield f"{text.name} leaves the slide"
    try:
        _, contrast, inside = draw_slide(slide, None)
    except Exception as error:  # noqa: BLE001  # any exception is a finding
        yield repr(error)
        return
    if not inside:
        yield "drawn outside"
    if contrast < _AA:
        yield f"contrast {contrast:.2f}"


@click.command()
@click.option("--strings", default=10_000, show_default=True, help="How many texts: headings, bodies and handles.")
@click.option("--seed", default=SEED, show_default=True, help="Another seed tries other strings.")
def main(strings: int, seed: int) -> None:
    """Fuzz the renderer; print the figures as JSON; fail when anything was found."""
    found = fuzz(strings, seed)
    click.echo(json.dumps(found.summary(), ensure_ascii=False))
    sys.exit(1 if found.failures else 0)


if __name__ == "__main__":
    main()
