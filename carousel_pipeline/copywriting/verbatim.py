"""The user's words, only split: the same sentences in the same order, no word added, none reworded.

A text longer than its slides can hold keeps its weightiest sentences, each as it was written.
"""

import dataclasses
from collections.abc import Sequence

from carousel_pipeline.copywriting.document import Block, places_to_break, weight_of
from carousel_pipeline.copywriting.language import Card, Language
from carousel_pipeline.copywriting.outline import segments
from carousel_pipeline.copywriting.phrasing import (
    LONG_HEADING_WORDS,
    MAX_BODY,
    MAX_HEADING,
    as_heading,
    balanced,
    clipped,
    split_verse,
)
from carousel_pipeline.copywriting.ranking import Sentence, rank
from carousel_pipeline.requests import MAX_SLIDES, MIN_SLIDES, Options

_MARKS = ",;:—–.!?…"
_WORDS_A_SLIDE = 38
_MOST_WORDS = 75
_SPLITTABLE_WORDS = 6
_FEW_WORDS = 3


def split_verbatim(blocks: Sequence[Block], language: Language, options: Options) -> list[Card]:
    """Return cards that together are the text; a text too short for the slides asked for is followed by cards that ask."""
    said = [sentence for block in rank(blocks, language) for sentence in block]
    slides = options.slides or _count(said)
    while len(said) < slides:
        place = max(range(len(said)), key=lambda i: weight_of(said[i].text))
        halves = _halved(said[place])
        if weight_of(said[place].text) < _SPLITTABLE_WORDS or len(halves) == 1:
            break
        said[place : place + 1] = halves
    cards = [_card(_within(part, _MOST_WORDS)) for part in segments(said, slides)]
    return [*cards, *language.cards(options.structure)][:slides]


def _count(said: Sequence[Sentence]) -> int:
    """Return one slide a chunk where the writer's chunks are of a slide's size, else as many as the length wants."""
    length = sum(weight_of(sentence.text) for sentence in said)
    chunks = len({sentence.chunk for sentence in said})
    if MIN_SLIDES <= chunks <= MAX_SLIDES and length / chunks <= _MOST_WORDS / 1.5:
        return chunks
    return max(MIN_SLIDES, min(MAX_SLIDES, round(length / _WORDS_A_SLIDE) + 1))


def _within(part: Sequence[Sentence], limit: float) -> list[Sentence]:
    """Return the weightiest sentences within `limit` words, in order; at least one."""
    room = limit
    chosen: set[int] = set()
    for place in sorted(range(len(part)), key=lambda i: -part[i].weight - (0.3 if i == 0 else 0)):
        length = weight_of(part[place].text)
        if length <= room or not chosen:
            chosen.add(place)
            room -= length
    return [part[place] for place in sorted(chosen)]


def _halved(sentence: Sentence) -> list[Sentence]:
    """Cut a sentence near its middle, after a mark if there is one."""
    text = sentence.text
    middle = len(text) // 2
    spaces = places_to_break(text)
    after = [at for at in spaces if text[at - 1] in _MARKS and abs(at - middle) < len(text) / 4]
    if not spaces:
        return [sentence]
    return _cut(sentence, min(after or spaces, key=lambda at: abs(at - middle)))


def _opened(sentence: Sentence) -> list[Sentence]:
    """Cut a long first sentence where its heading should end: after a mark among the first words, else after about nine."""
    text = sentence.text
    spaces = [at for at in places_to_break(text[: 2 * MAX_HEADING]) if at <= MAX_HEADING]
    near = [at for at in spaces if _FEW_WORDS <= weight_of(text[:at]) <= LONG_HEADING_WORDS] or spaces[-1:]
    if not near:
        return [sentence]
    return _cut(sentence, next((at for at in near if text[at - 1] in _MARKS), near[min(6, len(near) - 1)]))


def _cut(sentence: Sentence, at: int) -> list[Sentence]:
    first = dataclasses.replace(sentence, text=sentence.text[:at].rstrip())
    return [first, dataclasses.replace(sentence, text=sentence.text[at:].lstrip(), first=False)]


def _card(part: Sequence[Sentence]) -> Card:
    first, *rest = part
    if "\n" in first.text:
        heading, verse = split_verse(first.text)
        return heading, clipped("\n".join([verse, *(sentence.text for sentence in rest)]).strip(), MAX_BODY)
    if weight_of(first.text) > LONG_HEADING_WORDS or len(first.text) > MAX_HEADING:
        first, *second = _opened(first)
        rest = [*second, *rest]
    lines: list[str] = []
    before = first
    for sentence in rest:
        starts = sentence.item and sentence.first
        if lines and sentence.paragraph == before.paragraph and not starts:
            lines[-1] += f" {sentence.text}"
        else:
            lines.append(f"- {sentence.text}" if starts else sentence.text)
        before = sentence
    return as_heading(first.text), clipped(balanced("\n".join(lines)), MAX_BODY)
