"""The plan behind a text: its title, its ideas in order, its last word. Decides what kind of text it is, changes no word."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import regex

from carousel_pipeline.copywriting.document import Block, weight_of
from carousel_pipeline.copywriting.language import Cue, Language
from carousel_pipeline.copywriting.phrasing import plain
from carousel_pipeline.copywriting.ranking import Sentence, rank
from carousel_pipeline.requests import Structure

_FEW_ITEMS = 3
_FEW_HEADINGS = 2
_FEW_PAIRS = 2
_WISHED = 0.4


@dataclass(frozen=True, slots=True)
class Idea:
    """One thing to say.

    Attributes:
        sentences: what the text says about it, in order.
        heading: the user's own heading, or None.
        points: list items that belong to it.
        item: whether it was a list item itself.
    """

    sentences: tuple[Sentence, ...]
    heading: str | None = None
    points: tuple[str, ...] = ()
    item: bool = False

    @property
    def length(self) -> float:
        """How long it reads, in words."""
        return sum(weight_of(sentence.text) for sentence in self.sentences) + sum(map(weight_of, self.points))


@dataclass(frozen=True, slots=True)
class Outline:
    """The plan of a text.

    Attributes:
        title: the user's own title, or None.
        lede: what is said before the first idea.
        ideas: in the text's order.
        close: what is said after the last idea.
        structure: what kind of text it is.
        verse: whether it is a poem, whose lines stay lines.
    """

    title: str | None
    lede: tuple[Sentence, ...]
    ideas: tuple[Idea, ...]
    close: tuple[Sentence, ...]
    structure: Structure
    verse: bool = False


@dataclass
class _Part:
    """A block with its ranked sentences."""

    kind: str
    text: str
    ordered: bool
    sentences: tuple[Sentence, ...]


def outline(blocks: Sequence[Block], language: Language, wish: Structure | None = None) -> Outline:
    """Return the plan of a parsed text; sentences that suit the wished structure weigh more in it."""
    parts = _parts(blocks, language, wish)
    title = None
    if len(parts) > 1 and parts[0].kind == "heading":
        title, parts = parts[0].text.rstrip(" :"), parts[1:]
    for plan in (_pairs, _items, _sections):
        if found := plan(title, parts, language):
            return found
    return _prose(title, parts, language, wish)


_SUITS: Mapping[Structure, tuple[Cue, ...]] = MappingProxyType(
    {
        "problem_proof": ("problem", "proof"),
        "before_after": ("before", "after"),
        "how_to": ("step",),
        "story": ("story",),
        "myth_fact": ("myth", "fact"),
        "case": ("proof", "after"),
    }
)


def _suits(said: Sentence, language: Language, wish: Structure) -> bool:
    """Return whether a sentence is what the wished structure is made of."""
    if (wish == "questions" and "?" in said.text) or (wish == "case" and said.counted):
        return True
    return any(language.hears(cue, said.text) for cue in _SUITS.get(wish, ()))


def _parts(blocks: Sequence[Block], language: Language, wish: Structure | None) -> list[_Part]:
    parts = []
    for block, ranked in zip(blocks, rank(blocks, language), strict=True):
        said = (
            dataclasses.replace(s, weight=s.weight + _WISHED) if wish and _suits(s, language, wish) else s
            for s in ranked
        )
        parts.append(_Part(block.kind, block.text, block.ordered, tuple(said)))
    return parts


_LABEL = r"^(?:\*\*)?\s*(?:{words})(?:\s*(?:№\s*)?\d{{1,2}})?\s*(?:\*\*)?\s*[:.—–-]\s*(?:\*\*)?\s*"


def _label(language: Language, cue: Cue) -> regex.Pattern[str]:
    words = "|".join(regex.escape(word) for word in language.cues.get(cue, ())) or r"(?!)"
    return regex.compile(_LABEL.format(words=words), regex.IGNORECASE)


def _pairs(title: str | None, parts: list[_Part], language: Language) -> Outline | None:
    """Myths with their facts, questions with their answers, each named as such by the writer."""
    kinds: tuple[tuple[Structure, Cue, Cue], ...] = (("myth_fact", "myth", "fact"), ("questions", "question", "answer"))
    for structure, one, other in kinds:
        first, second = _label(language, one), _label(language, other)
        flat = [sentence for part in parts for sentence in part.sentences]
        if sum(bool(first.match(s.text)) for s in flat) < _FEW_PAIRS or not any(second.match(s.text) for s in flat):
            continue
        lede: list[Sentence] = []
        pairs: list[tuple[str, list[Sentence]]] = []
        for sentence in flat:
            if first.match(sentence.text):
                pairs.append((sentence.text if structure == "myth_fact" else first.sub("", sentence.text), []))
            elif pairs:
                label = second.match(sentence.text)
                bold = f"**{plain(label[0]).strip()}** " if label and structure == "myth_fact" else ""
                text = bold + second.sub("", sentence.text)
                pairs[-1][1].append(dataclasses.replace(sentence, text=text))
            else:
                lede.append(sentence)
        ideas = tuple(Idea(tuple(rest), heading=heading) for heading, rest in pairs)
        return Outline(title, tuple(lede), ideas, (), structure)
    return None


def _items(title: str | None, parts: list[_Part], language: Language) -> Outline | None:
    """A list with its introduction and its last word; a paragraph under an item belongs to it."""
    places = [number for number, part in enumerate(parts) if part.kind == "item"]
    headings = sum(part.kind == "heading" for part in parts)
    share = sum(len(parts[place].text) for place in places) / max(1, sum(len(part.text) for part in parts))
    if len(places) < _FEW_ITEMS or headings > 1 or (share < 0.35 and not _explained(places)):
        return None
    ideas: list[Idea] = []
    for place, following in zip(places, [*places[1:], None], strict=True):
        own = parts[place].sentences
        if following is not None:
            own += tuple(s for part in parts[place + 1 : following] for s in part.sentences)
        elif _explained(places) and place + 1 < len(parts):
            own += parts[place + 1].sentences
        ideas.append(Idea(own, item=True))
    tail = places[-1] + (2 if _explained(places) else 1)
    before = parts[: places[0]]
    lede = tuple(s for part in before for s in part.sentences)
    if title is None and lede and before[-1].kind == "heading":
        title, lede = before[-1].text.rstrip(" :"), tuple(s for part in before[:-1] for s in part.sentences)
    ordered = sum(parts[place].ordered for place in places) > len(places) / 2
    guide = (ordered and (language.hears("step", title or "") or not title)) or language.hears(
        "step", parts[places[0]].text
    )
    close = tuple(s for part in parts[tail:] for s in part.sentences)
    return Outline(title, lede, tuple(ideas), close, "how_to" if guide else "list")


def _explained(places: list[int]) -> bool:
    """Return whether most items are followed by a paragraph of their own."""
    gaps = [b - a > 1 for a, b in itertools.pairwise(places)]
    return bool(gaps) and sum(gaps) > len(gaps) / 2


def _sections(title: str | None, parts: list[_Part], language: Language) -> Outline | None:
    """One idea under each of the user's headings."""
    places = [number for number, part in enumerate(parts) if part.kind == "heading"]
    if len(places) < _FEW_HEADINGS:
        return None
    lede = tuple(s for part in parts[: places[0]] for s in part.sentences)
    ideas: list[Idea] = []
    for place, following in zip(places, [*places[1:], len(parts)], strict=True):
        inside = parts[place + 1 : following]
        said = tuple(s for part in inside if part.kind != "item" for s in part.sentences)
        points = tuple(part.text for part in inside if part.kind == "item")
        if said or points:
            ideas.append(Idea(said, heading=_unnumbered(parts[place].text), points=points))
    if len(ideas) < _FEW_HEADINGS:
        return None
    close: tuple[Sentence, ...] = ()
    if len(ideas) > _FEW_HEADINGS and language.hears("conclusion", ideas[-1].heading or "") and not ideas[-1].points:
        close, ideas = ideas[-1].sentences, ideas[:-1]
    asked = sum((idea.heading or "").endswith("?") for idea in ideas) > len(ideas) / 2
    guided = sum(language.hears("step", idea.heading or "") for idea in ideas) > len(ideas) / 2
    structure: Structure = "questions" if asked else "how_to" if guided else "list"
    return Outline(title, lede, tuple(ideas), close, structure)


def _unnumbered(heading: str) -> str:
    """Return a heading without its number: slides are counted by the design, and some may be left out."""
    return regex.sub(r"^\d{1,2}[.)]\s+(?=\S)", "", heading.rstrip(" :"))


def _prose(title: str | None, parts: list[_Part], language: Language, wish: Structure | None) -> Outline:
    """Runs of paragraphs, cut later; a list inside them stays whole, under the line that leads into it."""
    if all(part.kind == "verse" for part in parts) and parts:
        return Outline(title, (), tuple(Idea(part.sentences) for part in parts), (), "story", verse=True)
    said = [s for part in parts for s in part.sentences]
    structure = wish if wish and sum(_suits(s, language, wish) for s in said) >= _FEW_PAIRS else _told(said, language)
    close: tuple[Sentence, ...] = ()
    # A short text cannot spare its last sentence.
    if len(said) > 4 and parts[-1].kind == "paragraph" and _last_word(said[-1], language, structure):
        close = (said[-1],)
        parts[-1].sentences = parts[-1].sentences[:-1]
    ideas: list[Idea] = []
    for kind, run in itertools.groupby(parts, key=lambda part: part.kind == "item"):
        inside = list(run)
        if kind:
            lead = _lead_in(ideas)
            ideas.append(dataclasses.replace(lead, points=tuple(part.text for part in inside)))
            continue
        heading = inside.pop().text.rstrip(" :") if inside[-1].kind == "heading" else None
        if run_said := tuple(s for part in inside for s in part.sentences):
            ideas.append(Idea(run_said))
        if heading:
            ideas.append(Idea((), heading=heading))
    ideas = [idea for idea in ideas if idea.sentences or idea.points] or [Idea(tuple(said))]
    return Outline(title, (), tuple(ideas), close, structure)


def _lead_in(ideas: list[Idea]) -> Idea:
    """Take the heading of a list off the end of `ideas`: a line of its own, or a last sentence that ends with a colon."""
    before = ideas[-1] if ideas else Idea(())
    if before.heading and not before.sentences:
        return ideas.pop()
    if not before.points and before.sentences and before.sentences[-1].text.endswith(":"):
        ideas[-1] = dataclasses.replace(before, sentences=before.sentences[:-1])
        return Idea((), heading=before.sentences[-1].text.rstrip(" :"))
    return Idea(())


def _last_word(said: Sentence, language: Language, structure: Structure) -> bool:
    """Return whether the last sentence can be the last slide: it asks, concludes, or ends a story."""
    if weight_of(said.text) > 16:
        return False
    ends = structure == "story" and not language.leans_back(said.text) and weight_of(said.text) > 3
    return ends or said.text.rstrip('»"”)').endswith("?") or language.hears("conclusion", said.text)


def _told(said: list[Sentence], language: Language) -> Structure:
    """Return the structure that the words give away."""
    share = {cue: sum(language.hears(cue, s.text) for s in said) / len(said) for cue in ("story", "problem", "proof")}
    before = any(language.hears("before", s.text) for s in said[: len(said) // 2 + 1])
    after = any(language.hears("after", s.text) for s in said[len(said) // 2 :])
    if share["story"] > 0.34:
        return "story"
    if before and after and share["problem"] > 0:
        return "before_after"
    if share["problem"] > 0.12 and share["proof"] > 0.12:
        return "problem_proof"
    if sum(s.counted for s in said) / len(said) > 0.4:
        return "case"
    return "story" if share["story"] > 0.2 else "list"


def fit(ideas: Sequence[Idea], slots: int) -> list[Idea]:
    """Return `ideas` as at most `slots` ideas, splitting the longest while there are fewer; may stay shorter than asked.

    List items are gathered, never lost; of headed sections the weightiest stay, in order.
    """
    kept = list(ideas)
    if len(kept) > slots:
        if all(idea.item for idea in kept):
            return _gathered(kept, slots)
        worth = sorted(range(len(kept)), key=lambda i: -max((s.weight for s in kept[i].sentences), default=0.4))[:slots]
        return [kept[i] for i in sorted(worth)]
    if len(kept) == 1 and not kept[0].heading and not kept[0].points and kept[0].sentences:
        return [dataclasses.replace(kept[0], sentences=part) for part in segments(kept[0].sentences, slots)]
    while kept and len(kept) < slots:
        place = max(range(len(kept)), key=lambda i: (_splits(kept[i]), kept[i].length))
        if not _splits(kept[place]):
            break
        kept[place : place + 1] = _halves(kept[place])
    return kept


def _splits(idea: Idea) -> bool:
    return len(idea.sentences) > 1 or len(idea.points) > 1 or bool(idea.points and idea.sentences)


def _halves(idea: Idea) -> list[Idea]:
    if idea.points and idea.sentences:
        return [dataclasses.replace(idea, points=()), Idea((), heading=idea.heading, points=idea.points)]
    if idea.points:
        middle = (len(idea.points) + 1) // 2
        return [
            dataclasses.replace(idea, points=idea.points[:middle]),
            dataclasses.replace(idea, points=idea.points[middle:]),
        ]
    first, second = segments(idea.sentences, 2)
    return [dataclasses.replace(idea, sentences=first), Idea(second, item=idea.item)]


def _gathered(ideas: list[Idea], slots: int) -> list[Idea]:
    groups = [list(map(int, group)) for group in np.array_split(np.arange(len(ideas)), slots)]
    return [
        ideas[group[0]]
        if len(group) == 1
        else Idea((), points=tuple(" ".join(s.text for s in ideas[i].sentences) for i in group), item=True)
        for group in groups
    ]


def segments(said: Sequence[Sentence], count: int) -> list[tuple[Sentence, ...]]:
    """Return `said` cut into at most `count` runs of about equal length, rather between paragraphs than inside them."""
    if len(said) <= count:
        return [(sentence,) for sentence in said]
    atoms = _atoms(said)
    lengths = np.array([sum(weight_of(s.text) for s in atom) for atom in atoms])
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    wanted = ends[-1] / count
    breaks = np.array([0.0] + [_bond(a[-1], b[0]) for a, b in itertools.pairwise(atoms)] + [0.0])
    cost = ((ends[None, :] - ends[:, None]) / wanted - 1) ** 2 + breaks[None, :]
    cost[np.tril_indices(len(ends))] = np.inf
    best = cost[0].copy()
    trail = []
    for _ in range(count - 1):
        table = best[:, None] + cost
        trail.append(table.argmin(axis=0))
        best = table.min(axis=0)
    cuts = [len(atoms)]
    for step in reversed(trail):
        cuts.append(int(step[cuts[-1]]))
    cuts.append(0)
    cuts.reverse()
    return [tuple(s for atom in atoms[a:b] for s in atom) for a, b in itertools.pairwise(cuts)]


def _bond(before: Sentence, after: Sentence) -> float:
    """Return what it costs to part two neighbours: nothing between chunks, little between lines, much within a paragraph."""
    if before.chunk != after.chunk:
        return 0.0
    return 0.4 if before.paragraph != after.paragraph else 0.8


def _atoms(said: Sequence[Sentence], most: int = 300) -> list[tuple[Sentence, ...]]:
    size = -(-len(said) // most)
    return [tuple(said[i : i + size]) for i in range(0, len(said), size)]
