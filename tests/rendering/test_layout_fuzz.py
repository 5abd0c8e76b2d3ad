"""Whatever is typed: no exception, no glyph 0, nothing outside. A short version; `FUZZ=5000` runs more.

Strings come by script and by nastiness: bombs of marks, joiners, long words, newlines, bidi controls, markup.
"""

import os
import random
from collections.abc import Callable
from typing import get_args

from carousel_pipeline.rendering import Brand, draw_slide, layout_deck, load_styles
from carousel_pipeline.requests import Deck, Ratio

_COUNT = int(os.environ.get("FUZZ", "70"))
_RANGES = (
    (0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F),
    (0x4E00, 0x9FFF), (0x3040, 0x30FF), (0x1F300, 0x1FAFF), (0x300, 0x36F), (0x2000, 0x206F), (0xFE00, 0xFE0F),
    (0x1D400, 0x1D7FF),
    (0xAC00, 0xD7A3), (0x0, 0x1F), (0xFB50, 0xFDFF), (0xE0000, 0xE007F),
)  # fmt: skip
_BOMBS = (
    "ﷺﷺ",
    "a\u0301\u0301\u0301",
    "W",
    "👩‍👩‍👧‍👦",
    "\u202e",
    "\n- ",
    "**==",
    "ก็็็็",
    "\u200d",
    "Ж",
    "\u202b",
    "क्ष्",
    "https://x.y/",
    "١٢٣",
)
_SLACK = 48


def _text(pick: random.Random, most: int) -> str:
    kind = pick.random()
    if kind < 0.35:
        low, high = pick.choice(_RANGES)
        return "".join(
            chr(pick.randint(low, high)) if pick.random() > 0.15 else " " for _ in range(pick.randint(1, most))
        )
    if kind < 0.7:
        letters = (chr(pick.randint(*pick.choice(_RANGES))) for _ in range(pick.randint(1, most)))
        return "".join(letter if pick.random() > 0.25 else pick.choice(" \n-*=") for letter in letters)
    bomb = pick.choice(_BOMBS)
    return (bomb * most)[: pick.randint(1, most)]


def test_nothing_a_person_can_type_leaves_its_box(make_deck: Callable[..., Deck], seed: int) -> None:
    pick = random.Random(seed)  # noqa: S311  # a test's own dice
    styles = list(load_styles().values())
    for index in range(_COUNT):
        copy = [(_text(pick, 200), _text(pick, most)) for most in (300, 700, 700, 400)]
        deck = make_deck(copy, pick.choice(["en", "ru", "ar", "zh", "th", "hi"]))
        style, ratio = pick.choice(styles), pick.choice(get_args(Ratio))
        layout = layout_deck(deck, style, ratio, Brand(handle=_text(pick, 40)))
        for slide in layout.slides:
            where = (style.id, ratio, slide.position, copy[slide.position - 1])
            for text in slide.texts:
                assert 0 not in {glyph for run in text.runs for glyph in run.glyphs}, where
                assert text.ink[0] >= slide.safe[0] - _SLACK, where
                assert text.ink[1] >= slide.safe[1] - _SLACK, where
                assert text.ink[2] <= slide.safe[2] + _SLACK, where
                assert text.ink[3] <= slide.safe[3] + _SLACK, where
            if index % 10 == 0:
                _, contrast, inside = draw_slide(slide, None)
                assert inside, where
                assert contrast >= 4.5, where
