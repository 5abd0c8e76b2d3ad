"""A story as one small SVG: each chapter on a scale of its own, bars under bars, the legend telling each colour's share.

It stands on a card of its own, so that it reads on any page, and follows the reader's light or dark. It needs no script and no
font, and one made of the same story is the same, byte for byte.
"""

import math
from collections.abc import Iterator
from html import escape
from typing import Final

from carousel_pipeline.timeline.story import Bar, Chapter, Row, Timeline
from carousel_pipeline.timeline.words import duration, shares_of

WIDTH: Final = 920
_PAD: Final = 20
_LEFT: Final = 150
_RIGHT: Final = WIDTH - 70
_ROW: Final = 20
_LANE: Final = 12
_LEAST: Final = 2.0
_LETTER: Final = 6.2
_TICKS: Final = 6
_STYLE: Final = """
text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1d2430}
.c{fill:#fff;stroke:#d5dae3}.h{font-weight:600;font-size:14px}.m{fill:#5d6878;font-size:11px}.g{stroke:#e6e9ef}.n{fill:#fff;font-size:9px}
.telegram{fill:#0b76b7}.provider{fill:#7a3fc4}.work{fill:#1d7f4e}.dagster{fill:#c2540a}.bot{fill:#66758a}.other{fill:#b3bbc7}
.good{fill:#17693f}
.open{opacity:.45}.x{fill:none;stroke:#d0312d;stroke-width:2}.e{stroke:#d0312d;stroke-dasharray:3 3}.red{fill:#c0241f}
@media(prefers-color-scheme:dark){text{fill:#e8ecf3}.c{fill:#171b22;stroke:#343c49}.m{fill:#a3aebf}.g{stroke:#2a313c}.n{fill:#0f1217}
.telegram{fill:#4db2ec}.provider{fill:#b48af0}.work{fill:#4cc38a}.dagster{fill:#f59a4c}.bot{fill:#94a3b8}.other{fill:#566072}
.good{fill:#6fd6a2}.x{stroke:#ff6b66}.e{stroke:#ff6b66}.red{fill:#ff8a85}}
"""


def svg_of(story: Timeline) -> str:
    """Return the picture; of an empty story, a card that says so."""
    y = float(_PAD)
    parts: list[str] = []
    for chapter in story.chapters:
        parts += _chapter(chapter, y)
        y += _height(chapter)
    if not parts:
        parts, y = [_text(_PAD, y + 14, "nothing is known of this request's time", "m")], y + 24
    height = math.ceil(y + _PAD - 12)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">'
    card = f'<rect class="c" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>'
    return "".join([head, f"<style>{_STYLE.strip()}</style>", card, *parts, "</svg>"])


def _height(chapter: Chapter) -> float:
    return (22 if chapter.pause_s is not None else 0) + 48 + _deep(chapter) + 34


def _deep(chapter: Chapter) -> float:
    return sum(_tall(row) + _gap(row, number) for number, row in enumerate(chapter.rows))


def _gap(row: Row, number: int) -> int:
    """Return the air above a row: none between a step and its parts."""
    return 0 if row.depth or not number else 4


def _tall(row: Row) -> int:
    return _LANE if row.depth else _ROW


def _chapter(chapter: Chapter, y: float) -> Iterator[str]:
    if chapter.pause_s is not None:
        yield _text(_PAD, y + 8, f"⋯ {duration(chapter.pause_s)} {chapter.pause}", "m")
        y += 22
    yield _text(_PAD, y + 13, f"{chapter.title}: {duration(chapter.took_s)}", "h")
    if chapter.outcome:
        yield _text(WIDTH - _PAD, y + 13, chapter.outcome, "good" if chapter.well else "red", "end")
    x = float(_PAD)
    for kind, words in shares_of(chapter):
        yield f'<rect class="{kind}" x="{x:.1f}" y="{y + 25:.1f}" width="9" height="9" rx="2"/>'
        yield _text(x + 14, y + 33, words, "m")
        x += 30 + len(words) * _LETTER
    top = y + 48
    bottom = top + _deep(chapter)
    end = max([chapter.took_s, *(bar.end_s for row in chapter.rows for bar in row.bars)]) or 1.0
    for tick in _ticks(end):
        at = _x(tick, end)
        yield f'<line class="g" x1="{at:.1f}" y1="{top - 4:.1f}" x2="{at:.1f}" y2="{bottom + 2:.1f}"/>'
        yield _text(at, bottom + 14, f"{tick:g} s", "m", "middle")
    for number, row in enumerate(chapter.rows):
        top += _gap(row, number)
        yield from _row(row, top, end)
        top += _tall(row)


def _row(row: Row, y: float, end: float) -> Iterator[str]:
    tall = _tall(row)
    small = bool(row.depth)
    if row.label:
        yield _text(_PAD + (14 if small else 0), y + tall / 2 + 4, row.label, "m" if small else "")
    for bar in row.bars:
        x, wide = _x(bar.start_s, end), max(_LEAST, _x(bar.end_s, end) - _x(bar.start_s, end))
        high = tall - (3 if small else 5)
        shape = f'x="{x:.1f}" y="{y + 1.5:.1f}" width="{wide:.1f}" height="{high}" rx="{1 if wide < 6 else 2}"'
        title = f"<title>{escape(_told(bar))}</title>"
        yield f'<rect class="{bar.kind}{" open" if bar.open else ""}" {shape}>{title}</rect>'
        if bar.failed or bar.open:
            yield f'<rect class="x{" e" if bar.open else ""}" {shape}/>'
        number = bar.label.rpartition(" ")[2]
        if small and number.isdigit() and wide >= 12:
            yield _text(x + wide / 2, y + 1.5 + high / 2 + 3.2, number, "n", "middle")
    last = row.bars[-1]
    if not small:
        spent = sum(bar.end_s - bar.start_s for bar in row.bars)
        failed = any(bar.failed or bar.open for bar in row.bars)
        yield _text(_x(last.end_s, end) + 7, y + tall / 2 + 3, f"{spent:.2f} s", "m red" if failed else "m")


def _told(bar: Bar) -> str:
    note = f" ({bar.note})" if bar.note else ""
    return f"{bar.label}{note}: {bar.start_s:.2f} s + {bar.end_s - bar.start_s:.2f} s"


def _x(seconds: float, end: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * min(seconds / end, 1.0)


def _ticks(end: float) -> list[float]:
    """Return round numbers from zero to the end, a handful."""
    rough = end / _TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in (1, 2, 5, 10) if nice * power >= rough)
    return [round(number * step, 9) for number in range(int(end / step) + 1)]


def _text(x: float, y: float, words: str, style: str = "", anchor: str = "") -> str:
    attributes = (f' class="{style}"' if style else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(words)}</text>'
