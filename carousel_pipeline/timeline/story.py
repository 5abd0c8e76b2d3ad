"""From facts to one story: chapters, each a wait of the person or an attempt to end it, with what was done in which time.

What stays true: nothing is invented. A bar stands between two known moments, what never ended says so, and what is not known
leaves a gap. Between chapters lies time in which nobody worked: the person thought, or the request rested until it was made
again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import Final, Literal

from carousel_pipeline.timeline.facts import Fact

Kind = Literal["telegram", "provider", "work", "dagster", "bot"]
# Where several go on at once, the time counts for the first of these.
KINDS: Final[tuple[Kind, ...]] = ("telegram", "provider", "work", "dagster", "bot")

CALLS: Final = "calls"
_STEPS: Final = ("copy", "images", "rendered_slides", "delivery_receipt")
_ASKS: Final = frozenset({"received", "opened", "dispatch_outline"})
_ORDERS: Final = frozenset({"confirmed", "dispatch"})
_HANDED: Final = frozenset({"dispatch", "dispatch_outline"})
_STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "running": "claimed",
        "rendered": "all slides stored",
        "delivered": "delivered and charged",
        "released": "credits given back",
        "delivery_unknown": "in doubt, the person is asked",
    }
)
_ENDS: Final[Mapping[str, bool]] = MappingProxyType(
    {"outline stored": True, "delivered and charged": True, "credits given back": False, "in doubt": False}
)
_MOMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {"opened": "request opened", "outlined": "outline stored", "confirmed": "confirmed", "run": "run started"}
)


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that took its time.

    Attributes:
        start_s: seconds since the chapter began.
        end_s: as above.
        note: which model, how it ended.
        failed: it did not work out.
        open: it never ended; `end_s` is then the next thing that is known.
    """

    label: str
    kind: Kind
    start_s: float
    end_s: float
    note: str = ""
    failed: bool = False
    open: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Bars that do not overlap, or only by a hair, and belong together; at depth 1 they are part of the row above."""

    label: str
    depth: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that changed something, in seconds since the chapter began."""

    label: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Chapter:
    """One wait, from its cause to its end.

    Attributes:
        title: `Outline`, `Carousel`, or one of them again.
        began: the moment that its seconds count from.
        run_id: of Dagster; empty while no run has begun.
        pause_s: how long nobody worked before; None for the first.
        outcome: the last state that it reached; empty while there is none.
        well: whether the outcome is what was asked for; None while nobody knows.
        took_s: until the outline or the album was there, else until the last thing that is known.
        shares: of `took_s`, in seconds; `other` is what nobody accounts for.
    """

    title: str
    began: datetime
    run_id: str
    pause_s: float | None
    pause: str
    outcome: str
    well: bool | None
    took_s: float
    rows: tuple[Row, ...]
    marks: tuple[Mark, ...]
    shares: Mapping[str, float]

    def bars(self, label: str) -> list[Bar]:
        """Return the bars with this label."""
        return [bar for row in self.rows for bar in row.bars if bar.label == label]

    @property
    def first_call_s(self) -> float | None:
        """When the first model was asked; None where none was."""
        return min((bar.start_s for row in self.rows if row.label == CALLS for bar in row.bars), default=None)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A request's whole story, oldest chapter first; empty where nothing is known."""

    chapters: tuple[Chapter, ...]


@dataclass(slots=True)
class _Draft:
    began: datetime
    outline: bool
    run_id: str = ""
    caused: bool = False
    facts: list[Fact] = field(default_factory=list)


def timeline(facts: Iterable[Fact]) -> Timeline:
    """Return the story that `facts` tell, in whatever order they come."""
    known = sorted(facts, key=lambda fact: fact.began)
    drafts = _drafts(known)
    _share_out(known, drafts)
    chapters: list[Chapter] = []
    ended: datetime | None = None
    for draft in drafts:
        if draft.outline and draft is not drafts[-1] and all(fact.name in _MOMENTS for fact in draft.facts):
            continue  # a change comes with its outline: nobody waited for one
        again = any(before.title.startswith(_name(draft)) for before in chapters)
        pause = "the person decided" if chapters and not again else "until it was made again"
        pause_s = None if ended is None else max(0.0, (draft.began - ended).total_seconds())
        title = f"{_name(draft)}{', again' if again else ''}"
        chapters.append(_chapter(draft, title, pause_s, pause if chapters else ""))
        ended = max((fact.ended or fact.began for fact in draft.facts), default=draft.began)
    return Timeline(tuple(chapters))


def _name(draft: _Draft) -> str:
    return "Outline" if draft.outline else "Carousel"


def _drafts(facts: Sequence[Fact]) -> list[_Draft]:
    """Open a chapter for what asks for work, and for every run that nothing known asked for."""
    drafts: list[_Draft] = []
    seen: set[str] = set()
    for fact in facts:
        last = drafts[-1] if drafts else None
        if fact.name in _ASKS and last is None:
            drafts.append(_Draft(fact.began, outline=True, caused=True))
        elif fact.name in _ORDERS or (fact.name, fact.detail, fact.run_id) == ("state", "reserved", ""):
            if last is None or last.outline or last.run_id:
                drafts.append(_Draft(fact.began, outline=False, caused=True))
        elif fact.run_id and fact.run_id not in seen:
            seen.add(fact.run_id)
            if last is None or last.run_id:
                last = _Draft(fact.began, outline=last is not None and last.outline)
                drafts.append(last)
            last.run_id = fact.run_id
    return drafts


def _share_out(facts: Iterable[Fact], drafts: Sequence[_Draft]) -> None:
    by_run = {draft.run_id: draft for draft in drafts if draft.run_id}
    for fact in facts:
        draft = by_run.get(fact.run_id)
        if draft is None:
            earlier = [draft for draft in drafts if draft.began <= fact.began]
            draft = earlier[-1] if earlier else drafts[0]
        draft.facts.append(fact)


def _chapter(draft: _Draft, title: str, pause_s: float | None, pause: str) -> Chapter:
    facts, zero = draft.facts, draft.began
    horizon = max((fact.ended or fact.began for fact in facts), default=zero)

    def seconds(moment: datetime) -> float:
        return max(0.0, (moment - zero).total_seconds())

    def bar(label: str, kind: Kind, fact: Fact, note: str = "", *, until: datetime = horizon) -> Bar:
        failed = fact.outcome not in {"", "ok", "repaired", "sent", "sending"}
        end = fact.ended or max(until, fact.began)
        return Bar(label, kind, seconds(fact.began), seconds(end), note, failed, fact.ended is None)

    steps = [fact for fact in facts if fact.name in _STEPS]
    after = dict(zip(range(len(steps)), steps[1:], strict=False))
    rows = [Row("text", 0, tuple(bar("text collected", "bot", fact) for fact in facts if fact.name == "received"))]
    rows.append(Row("Dagster", 0, tuple(_dagster(draft, steps, bar, seconds))))
    for name in dict.fromkeys([*(fact.name for fact in steps), "delivery_receipt"]):
        own = [
            bar(name, "work", fact, until=after[place].began if place in after else horizon)
            for place, fact in enumerate(steps)
            if fact.name == name
        ]
        rows.append(Row(name, 0, tuple(own)))
        rows += _parts(name, facts, bar)
    told = {"show_outline": "outline shown", "tell": "person told"}
    rows.append(
        Row("bot", 0, tuple(bar(told[fact.name], "bot", fact) for fact in facts if fact.name in told)),
    )
    rows = [row for row in rows if row.bars]
    took_s = _took(facts, seconds(horizon), seconds)
    marks = tuple(sorted(_marks(facts, seconds), key=lambda mark: mark.at_s))
    ends = [(mark.label, well) for mark in marks for end, well in _ENDS.items() if mark.label.startswith(end)]
    outcome, well = ends[-1] if ends else ("", None)
    return Chapter(
        title=title,
        began=zero,
        run_id=draft.run_id,
        pause_s=pause_s,
        pause=pause,
        outcome=outcome,
        well=well,
        took_s=took_s,
        rows=tuple(rows),
        marks=marks,
        shares=_shares(rows, took_s),
    )


def _dagster(
    draft: _Draft, steps: Sequence[Fact], bar: Callable[..., Bar], seconds: Callable[[datetime], float]
) -> list[Bar]:
    """What happens between the bot's word and our code, and between two pieces of our code."""
    handed = [fact for fact in draft.facts if fact.name in _HANDED]
    bars = [bar("handed to Dagster", "dagster", fact) for fact in handed]
    waits: list[tuple[str, datetime, datetime]] = []
    if steps:
        began = min((fact.ended or fact.began for fact in handed), default=draft.began)
        waits.append(("run starts", began, steps[0].began))
    for before, then in pairwise(steps):
        if before.ended is not None:
            label = "waits to try again" if before.name == then.name else "between steps"
            waits.append((label, before.ended, then.began))
    if steps and (last := steps[-1].ended) is not None:
        done = {fact.name: fact.began for fact in draft.facts if fact.name == "outlined" or fact.detail == "released"}
        waits += [("result stored" if name == "outlined" else "settled", last, moment) for name, moment in done.items()]
    bars += [
        Bar(label, "dagster", seconds(start), seconds(end))
        for label, start, end in waits
        if seconds(end) > seconds(start)
    ]
    return sorted(bars, key=lambda each: each.start_s)


def _parts(step: str, facts: Iterable[Fact], bar: Callable[..., Bar]) -> list[Row]:
    """What a step is made of; what went on at the same time stands in rows below one another."""
    calls, drawn, stored, sent = [], [], [], []
    for fact in facts:
        number = f" {fact.slide}" if fact.slide else ""
        match step, fact.name:
            case ("copy", "write") | ("images", "paint"):
                kind = "work" if fact.detail.startswith("offline ") else "provider"
                note = fact.detail if fact.outcome in {"", "ok"} else f"{fact.detail}, {fact.outcome}"
                calls.append(bar("picture" + number if step == "images" else "call", kind, fact, note))
            case ("rendered_slides", "slide"):
                drawn.append(bar("slide" + number, "work", fact))
            case ("images" | "rendered_slides", "stored") if (step == "images") == (fact.detail == "picture"):
                one = fact.detail + (number if fact.detail in {"picture", "slide"} else "")
                stored.append(bar(f"{one} stored", "work", fact))
            case ("delivery_receipt", "sending"):
                sent.append(bar("sending", "telegram", fact))
            case ("delivery_receipt", "delivery") if not any(each.name == "sending" for each in facts):
                sent.append(bar("sending", "telegram", fact, fact.outcome))
    rows = [*_lanes(CALLS, calls), *_lanes("drawn", drawn), *_lanes("sending", sent)]
    return [*rows, Row("stored", 1, tuple(stored))]


def _lanes(label: str, bars: Iterable[Bar]) -> list[Row]:
    lanes: list[list[Bar]] = []
    for bar in sorted(bars, key=lambda each: (each.start_s, each.end_s)):
        free = next((lane for lane in lanes if lane[-1].end_s <= bar.start_s), None)
        if free is None:
            lanes.append([bar])
        else:
            free.append(bar)
    return [Row("" if number else label, 1, tuple(lane)) for number, lane in enumerate(lanes)]


def _marks(facts: Iterable[Fact], seconds: Callable[[datetime], float]) -> list[Mark]:
    """The first time that a state was reached; a refund says why."""
    marks: dict[str, Mark] = {}
    for fact in facts:
        label = _STATES.get(fact.detail) if fact.name == "state" else _MOMENTS.get(fact.name)
        if label is not None:
            reason = f": {fact.outcome}" if fact.detail == "released" and fact.outcome else ""
            marks.setdefault(label, Mark(label + reason, seconds(fact.began)))
    return list(marks.values())


def _took(facts: Iterable[Fact], horizon: float, seconds: Callable[[datetime], float]) -> float:
    """When the person had it: the album accepted by Telegram, the outline in the chat."""
    facts = list(facts)
    arrived = any(fact.detail == "delivered" for fact in facts)
    ends = [
        seconds(fact.ended)
        for fact in facts
        if fact.ended and (fact.name == "show_outline" or (arrived and fact.name == "sending"))
    ]
    return max(ends, default=horizon)


def _shares(rows: Iterable[Row], took_s: float) -> Mapping[str, float]:
    bars = [bar for row in rows for bar in row.bars]
    edges = sorted({0.0, took_s, *(edge for bar in bars for edge in (bar.start_s, bar.end_s) if edge < took_s)})
    shares = dict.fromkeys((*KINDS, "other"), 0.0)
    for start, end in pairwise(edges):
        going_on = {bar.kind for bar in bars if bar.start_s <= start and bar.end_s >= end}
        shares[next((kind for kind in KINDS if kind in going_on), "other")] += end - start
    return MappingProxyType(shares)
