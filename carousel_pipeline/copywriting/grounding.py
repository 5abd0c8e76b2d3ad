"""Which sentences of the source a slide rests on, and what it says that the source does not.

Pure and deterministic: a writer's own pointers are taken where they hold, missing ones are found by shared words. Figures are
compared as figures (`1 000` = `1,000` = `1000`, `seven` = `7`), so an invented number is found in any language; an invented claim
is found where deck and source share a language: a statement that has next to no topical word of the source. Questions, calls
and the last slide's invitation claim nothing.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import regex

from carousel_pipeline.copywriting.document import sentences as split
from carousel_pipeline.copywriting.document import words
from carousel_pipeline.copywriting.language import UNDETERMINED, Language, detect, words_of
from carousel_pipeline.copywriting.phrasing import plain
from carousel_pipeline.copywriting.ranking import stems
from carousel_pipeline.requests import Deck, Slide

_FIGURE = regex.compile(r"\d+(?:[\s\u00a0\u202f]\d{3}(?!\d))+(?:[.,]\d+)?|\d+(?:[.,]\d+)*")
_LIST_NUMBER = regex.compile(r"^[ \t]*\d{1,2}[.)][ \t]+", regex.MULTILINE)
_SPELLED = {
    word: str(number)
    for words in (
        "zero one two three four five six seven eight nine ten eleven twelve",
        "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать",
        "нуля одного двух трех четырех пяти шести семи восьми девяти десяти одиннадцати двенадцати",
        "нуля одна две трёх четырёх",
    )
    for number, word in enumerate(words.split())
} | {"twenty": "20", "thirty": "30", "fifty": "50", "hundred": "100", "двадцать": "20", "тридцать": "30", "сто": "100"}
_MOST_SENTENCES = 6
_LONGEST_SENTENCE = 400
_MOST_FLAGS = 10
_LONGEST_FLAG = 300
_RESTS_ON = 0.34
_BORROWED = 0.2
_CLAIM_STEMS = 4


def sentences_of(source: str) -> list[str]:
    """Return the source's sentences in order; a pointer is an index into this list, from 1 in the writer's order."""
    language = words_of(detect(source))
    return [sentence for line in source.splitlines() if line.strip() for sentence in split(line.strip(), language)]


def grounded(
    deck: Deck, source: str, pointers: Mapping[int, Sequence[int]] | None = None, *, invents: bool = True
) -> Deck:
    """Return `deck` with `sentences` and `unsourced` of every slide filled in.

    Args:
        deck: as written.
        source: the text it was written from.
        pointers: by slide position, the numbers (from 1) of the sentences that the writer says it used.
        invents: whether the writer may have claimed something; rules that only split and ask cannot.
    """
    told = sentences_of(source)
    code = detect(source)
    language = words_of(code)
    same = code in {deck.language, UNDETERMINED}
    bags = [Counter(stems(sentence, language)) for sentence in told]
    spread = Counter(stem for bag in bags for stem in bag)
    worth = {stem: math.log(1 + len(bags) / count) for stem, count in spread.items()}
    figures = _figures(source)
    slides = []
    for position, slide in enumerate(deck.slides, 1):
        named = [number - 1 for number in (pointers or {}).get(position, ()) if 0 < number <= len(told)]
        found = _rests_on(slide, bags, worth, language) if same else []
        places = [place for place in named if not same or place in found or _shares(slide, bags[place], language)]
        places += [place for place in found if place not in places] if not places else []
        counted = {str(len(deck.slides) - 2)} if slide.role == "cover" else set()  # "5 habits" counts the slides
        flags = [
            *_strange_figures(slide, figures | counted),
            *(_strange_claims(slide, spread, language) if same and invents else ()),
        ]
        slides.append(
            slide.model_copy(
                update={
                    "sentences": tuple(told[place][:_LONGEST_SENTENCE] for place in sorted(places)[:_MOST_SENTENCES]),
                    "unsourced": tuple(flag[:_LONGEST_FLAG] for flag in dict.fromkeys(flags))[:_MOST_FLAGS],
                }
            )
        )
    return deck.model_copy(update={"slides": tuple(slides)})


def _statements(slide: Slide) -> list[str]:
    """Return what the slide states, sentence by sentence, without markup and list marks."""
    lines = [slide.heading, *_LIST_NUMBER.sub("", slide.body).splitlines()]
    bare = (plain(line.lstrip("-•– ").strip()) for line in lines)
    language = words_of(detect(f"{slide.heading} {slide.body}"))
    return [sentence for line in bare if line for sentence in split(line, language)]


def _rests_on(slide: Slide, bags: Sequence[Counter[str]], worth: Mapping[str, float], language: Language) -> list[int]:
    """Return the source's sentences that hold a good share of what a statement of the slide says."""
    found: list[int] = []
    for statement in _statements(slide):
        topical = set(stems(statement, language))
        whole = sum(worth.get(stem, 0.0) for stem in topical)
        if not whole:
            continue
        shares = [sum(worth[stem] for stem in topical if stem in bag) / whole for bag in bags]
        best = max(range(len(bags)), key=shares.__getitem__, default=None)
        if best is not None and shares[best] >= _RESTS_ON and best not in found:
            found.append(best)
    return found


def _shares(slide: Slide, bag: Counter[str], language: Language) -> bool:
    return any(stem in bag for statement in _statements(slide) for stem in stems(statement, language))


def _figures(text: str) -> set[str]:
    """Return the figures of a text, those that are spelled out too."""
    written = {_value(found[0]) for found in _FIGURE.finditer(text)}
    return written | {_SPELLED[word] for word in map(str.lower, words(text)) if word in _SPELLED}


def _value(figure: str) -> str:
    """Return a figure without the marks that only group it: `1 000`, `1,000` and `1.000` are one number, `1,5` is `1.5`."""
    digits = regex.sub(r"[\s\u00a0\u202f]", "", figure)
    if regex.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", digits):
        return regex.sub(r"[.,]", "", digits)
    return digits.replace(",", ".").lstrip("0") or "0"


def _strange_figures(slide: Slide, known: set[str]) -> list[str]:
    text = plain(f"{slide.heading}\n{_LIST_NUMBER.sub('', slide.body)}")
    strange = []
    for found in _FIGURE.finditer(text):
        if _value(found[0]) not in known:
            unit = regex.match(r"\s?[%‰€$₽£°]|\s?\p{L}+", text[found.end() :])
            strange.append(f"{found[0]}{unit[0] if unit else ''}".strip())
    return strange


def _strange_claims(slide: Slide, known: Counter[str], language: Language) -> list[str]:
    if slide.role == "last":
        return []
    claims = []
    for statement in _statements(slide):
        topical = set(stems(statement, language))
        if statement.rstrip('»"”').endswith(("?", "!", "…", ":")) or len(topical) < _CLAIM_STEMS:
            continue
        if sum(stem in known for stem in topical) / len(topical) < _BORROWED:
            claims.append(statement)
    return claims
