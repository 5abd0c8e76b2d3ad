"""A story as text for a terminal, as rows for a table, as values for JSON."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from carousel_pipeline.timeline.story import Bar, Chapter, Timeline

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "telegram": "Telegram",
        "provider": "providers",
        "work": "our own work",
        "dagster": "Dagster",
        "bot": "the bot",
        "other": "other",
    }
)
_WIDTH: Final = 40
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_MINUTE: Final = 60
_HOUR: Final = 3600


def as_text(story: Timeline) -> str:
    """Return lines with offset, duration, name and a bar; for a terminal of a hundred columns."""
    return "\n\n".join("\n".join(_lines(chapter)) for chapter in story.chapters)


def as_table(story: Timeline) -> list[dict[str, str | float]]:
    """Return one flat row for everything that happened, in the order of chapters and time."""
    return [
        {"chapter": chapter.title, "at s": round(start, 3), "took s": round(took, 3), "what": what, "note": note}
        for chapter in story.chapters
        for start, took, what, note in sorted(_happened(chapter))
    ]


def as_values(story: Timeline) -> list[dict[str, Any]]:
    """Return the chapters for `--json`, seconds in milliseconds' precision."""
    return [
        {
            "chapter": chapter.title,
            "began": chapter.began,
            "run_id": chapter.run_id or None,
            "pause_s": None if chapter.pause_s is None else round(chapter.pause_s, 3),
            "outcome": chapter.outcome or None,
            "took_s": round(chapter.took_s, 3),
            "shares_s": {kind: round(share, 3) for kind, share in chapter.shares.items()},
            "happened": [
                {"at_s": round(start, 3), "took_s": round(took, 3), "what": what, "note": note or None}
                for start, took, what, note in sorted(_happened(chapter))
            ],
        }
        for chapter in story.chapters
    ]


def duration(seconds: float) -> str:
    """Return a time as people say it: `0.41 s`, `3 min 12 s`, `2 h 5 min`."""
    if seconds < _MINUTE:
        return f"{seconds:.2f} s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE)} s"
    return f"{int(seconds // _HOUR)} h {int(seconds % _HOUR // _MINUTE)} min"


def shares_of(chapter: Chapter) -> list[tuple[str, str]]:
    """Return kind and words for every share that is worth a word."""
    return [(kind, f"{NAMES[kind]} {share:.2f} s") for kind, share in chapter.shares.items() if round(share, 2) > 0]


def note_of(bar: Bar) -> str:
    """Return what is to be said beside a bar's times."""
    return ", ".join(
        filter(None, (bar.note, "failed" if bar.failed and not bar.note else "", "did not end" if bar.open else ""))
    )


def _happened(chapter: Chapter) -> Iterator[tuple[float, float, str, str]]:
    for row in chapter.rows:
        for bar in row.bars:
            yield bar.start_s, bar.end_s - bar.start_s, bar.label, note_of(bar)
    for mark in chapter.marks:
        yield mark.at_s, 0.0, mark.label, ""


def _lines(chapter: Chapter) -> Iterator[str]:
    if chapter.pause_s is not None:
        yield f"… {duration(chapter.pause_s)} {chapter.pause}"
        yield ""
    ended = f", {chapter.outcome}" if chapter.outcome else ""
    yield f"{chapter.title}: {duration(chapter.took_s)}{ended}"
    if chapter.run_id:
        yield f"  run {chapter.run_id}"
    yield "  " + ", ".join(words for _, words in shares_of(chapter))
    end = max([chapter.took_s, *(bar.end_s for row in chapter.rows for bar in row.bars)]) or 1.0
    yield f"  {'at s':>8} {'took s':>8}"
    for row in chapter.rows:
        for bar in row.bars:
            what = f"{'  ' * row.depth}{bar.label}"
            line = f"  {bar.start_s:8.2f} {bar.end_s - bar.start_s:8.2f}  {what:<22}│{_drawn(bar, end)}│ {note_of(bar)}"
            yield line.rstrip()
    for mark in chapter.marks:
        yield f"  {mark.at_s:8.2f} {'':8}  {mark.label}"


def _drawn(bar: Bar, end: float) -> str:
    """Return the bar in eighths of a character; what is too short to see is seen all the same."""
    start, stop = (round(edge / end * _WIDTH * 8) for edge in (bar.start_s, bar.end_s))
    first = min(start // 8, _WIDTH - 1)
    last = max((stop - 1) // 8, first)
    eighths = stop - last * 8 if last > first else stop - start
    return f"{' ' * first}{'█' * (last - first)}{_EIGHTHS[max(1, min(8, eighths))]}".ljust(_WIDTH)
