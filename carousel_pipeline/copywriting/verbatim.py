"""The user's words, only split: the same sentences in the same order, no word added, none reworded.

A text longer than its slides can hold keeps its weightiest sentences, each as it was written.
"""

from collections.abc import Sequence

from carousel_pipeline.copywriting.document import Block, sentences, weight_of
from carousel_pipeline.copywriting.language import Card, Language
from carousel_pipeline.copywriting.outline import segments
from carousel_pipeline.copywriting.phrasing import LONG_HEADING_WORDS, as_heading, balanced, clipped
from carousel_pipeline.copywriting.ranking import Sentence, rank
from carousel_pipeline.requests import MAX_SLIDES, Options

_WORDS_A_SLIDE = 38
_MOST_WORDS = 75


def split_verbatim(blocks: Sequence[Block], language: Language, options: Options) -> list[Card]:
    """Return cards that together are the text; a text too short for the slides asked for is followed by cards that ask."""
    texts = [
        [block.text] if block.kind in {"heading", "verse"} else sentences(block.text, language) for block in blocks
    ]
    said = [sentence for paragraph in rank(texts, language) for sentence in paragraph]
    length = sum(weight_of(sentence.text) for sentence in said)
    slides = options.slides or max(3, min(MAX_SLIDES, round(length / _WORDS_A_SLIDE) + 1))
    kinds = {number: block.kind for number, block in enumerate(blocks)}
    while (
        len(said) < slides and (longest := max(said, key=lambda s: weight_of(s.text))) and weight_of(longest.text) >= 6
    ):  # noqa: PLR2004
        place = said.index(longest)
        said[place : place + 1] = _halved(longest)
    cards = [_card(_within(part, _MOST_WORDS), kinds) for part in segments(said, slides)]
    return [*cards, *language.cards(options.structure)][: max(slides, len(cards))]


def _within(part: tuple[Sentence, ...], limit: float) -> list[Sentence]:
    room, chosen = limit, set()
    for place in sorted(range(len(part)), key=lambda i: -part[i].weight - (0.3 if i == 0 else 0)):
        length = weight_of(part[place].text)
        if length <= room or not chosen:
            chosen.add(place)
            room -= length
    return [part[place] for place in sorted(chosen)]


def _halved(sentence: Sentence) -> list[Sentence]:
    text = sentence.text
    middle = len(text) // 2
    spaces = [at for at, letter in enumerate(text) if letter.isspace()]
    if not spaces:
        return [
            Sentence(text[:middle], sentence.paragraph, sentence.first),
            Sentence(text[middle:], sentence.paragraph),
        ]
    after = [at for at in spaces if text[at - 1] in ",;:—–" and abs(at - middle) < len(text) / 4]
    at = min(after or spaces, key=lambda place: abs(place - middle))
    return [
        Sentence(text[:at].rstrip(), sentence.paragraph, sentence.first, sentence.weight),
        Sentence(text[at:].lstrip(), sentence.paragraph, False, sentence.weight),  # noqa: FBT003 - a plain record
    ]


def _card(part: list[Sentence], kinds: dict[int, str]) -> Card:
    first, rest = part[0], part[1:]
    if weight_of(first.text) > LONG_HEADING_WORDS:
        first, second = _halved_early(first)
        rest = [second, *rest]
    lines: list[str] = []
    previous = first.paragraph
    for sentence in rest:
        item = kinds.get(sentence.paragraph) == "item" and (sentence.first or not lines)
        text = f"- {sentence.text}" if item else sentence.text
        if lines and sentence.paragraph == previous and not item:
            lines[-1] += f" {text}"
        else:
            lines.append(text)
        previous = sentence.paragraph
    return as_heading(first.text), clipped(balanced("\n".join(lines)), 700)


def _halved_early(sentence: Sentence) -> tuple[Sentence, Sentence]:
    """Cut a long first sentence where its heading should end: at a comma within the first words, else after nine."""
    text = sentence.text
    spaces = [at for at, letter in enumerate(text) if letter.isspace()]
    near = [at for at in spaces if 3 <= weight_of(text[:at]) <= LONG_HEADING_WORDS]  # noqa: PLR2004 - two words are no heading
    at = next(
        (at for at in near if text[at - 1] in ",;:—–"), near[min(6, len(near) - 1)] if near else min(len(text) - 1, 60)
    )
    return Sentence(text[:at].rstrip(), sentence.paragraph), Sentence(text[at:].lstrip(), sentence.paragraph)
