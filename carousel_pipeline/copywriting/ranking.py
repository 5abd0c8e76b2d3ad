"""Which sentences carry a text, and which words name its topic. Linear in the text's length: 20,000 characters stay a blink."""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pymorphy3  # type: ignore[import-untyped]  # ships no types
import regex
import snowballstemmer  # type: ignore[import-untyped]  # ships no types

from carousel_pipeline.copywriting.document import Block, sentences, words
from carousel_pipeline.copywriting.language import Language

_HAN_RUN = regex.compile(r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]{2,}")
_NUMBER = regex.compile(r"\d")
_SHORTEST_KEYWORD = 4
_LONGEST_KEYWORD = 40
# People's names are no topics, and pymorphy's guesses at patronymics are wild.
_NAMES = frozenset({"Name", "Patr", "Surn"})


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence in its place.

    Attributes:
        text: as the user wrote it.
        paragraph: number of its block.
        chunk: number of the run of lines its block stands in.
        first: whether it opens its block.
        item: whether its block is a list item.
        weight: how much of the text's topic it carries, 0..1.
    """

    text: str
    paragraph: int = 0
    chunk: int = 0
    first: bool = False
    item: bool = False
    weight: float = 0.5

    @property
    def counted(self) -> bool:
        """Whether it holds a figure."""
        return _NUMBER.search(self.text) is not None


@functools.cache
def _stemmer(algorithm: str) -> snowballstemmer.stemmer:
    return snowballstemmer.stemmer(algorithm)


def stems(text: str, language: Language) -> list[str]:
    """Return the stems of the topical words of `text`."""
    found = [word.lower() for word in words(text)]
    topical = [word for word in found if word not in language.stopwords and not word.isdigit()]
    if language.stemmer:
        return list(_stemmer(language.stemmer).stemWords(topical))
    if not language.spaced:
        return [run[i : i + 2] for word in topical for run in _HAN_RUN.findall(word) for i in range(len(run) - 1)]
    return topical


def rank(blocks: Sequence[Block], language: Language) -> list[tuple[Sentence, ...]]:
    """Return the sentences of each block with their weights.

    The weight is the degree of the sentence in the similarity graph of the whole text (as in LexRank, without its random walk):
    how many idf-weighted stems it shares with all others. Very short and very long sentences are marked down.
    """
    flat = [
        (number, text)
        for number, block in enumerate(blocks)
        for text in ([block.text] if block.kind in {"heading", "verse"} else sentences(block.text, language))
    ]
    bags = [Counter(stems(text, language)) for _, text in flat]
    spread = Counter(stem for bag in bags for stem in bag)
    idf = {stem: np.log(1 + len(bags) / count) for stem, count in spread.items()}
    centre: Counter[str] = Counter()
    norms = [float(np.sqrt(sum((count * idf[stem]) ** 2 for stem, count in bag.items()))) or 1.0 for bag in bags]
    for bag, norm in zip(bags, norms, strict=True):
        for stem, count in bag.items():
            centre[stem] += count * idf[stem] / norm
    raw = [
        sum(count * idf[stem] * centre[stem] for stem, count in bag.items()) / norm
        for bag, norm in zip(bags, norms, strict=True)
    ]
    top = max(raw, default=0.0) or 1.0
    ranked: list[list[Sentence]] = [[] for _ in blocks]
    for (number, text), weight in zip(flat, raw, strict=True):
        block, shaped = blocks[number], _shaped(weight / top, len(words(text)))
        ranked[number].append(
            Sentence(text, number, block.chunk, first=not ranked[number], item=block.kind == "item", weight=shaped)
        )
    return [tuple(row) for row in ranked]


def _shaped(weight: float, length: int) -> float:
    comfortable, long = (5, 24), 45
    if length < comfortable[0]:
        return weight * 0.75
    return weight * (1.0 if length <= comfortable[1] else max(0.45, 1 - (length - comfortable[1]) / long))


def keywords(text: str, title: str, language: Language, limit: int = 6, least: int = 3) -> list[str]:
    """Return up to `limit` words that name the topic, in dictionary form where one is known, the title's counting thrice.

    A word that stands once and not in the title names no topic; `least` of them may stand in where nothing better is there.
    """
    counts: Counter[str] = Counter()
    for part, worth in ((text, 1), (title, 3)):
        for word in _candidates(part, language):
            counts[word] += worth
    chosen: list[str] = []
    for word, count in sorted(counts.items(), key=lambda item: (-item[1], -len(item[0]), item[0])):
        if count == 1 and len(chosen) >= least:
            break
        # Two forms of one word would look like a stutter.
        if not any(word.startswith(other[:5]) or other.startswith(word[:5]) for other in chosen):
            chosen.append(word)
        if len(chosen) == limit:
            break
    return chosen


def _candidates(text: str, language: Language) -> list[str]:
    if not language.spaced:
        return [
            run for run in _HAN_RUN.findall(_without_function_words(text, language)) if len(run) <= _SHORTEST_KEYWORD
        ]
    plain = [word.replace("’", "'").split("'")[0] for word in words(text)]
    known = [
        word
        for word in plain
        if _SHORTEST_KEYWORD <= len(word) <= _LONGEST_KEYWORD
        and word.lower() not in language.stopwords
        and not _NUMBER.search(word)
        and "-" not in word
    ]
    if language.code == "ru":
        return [noun for word in known if (noun := _noun(word.lower())) and noun not in language.stopwords]
    if language.code == "de":
        known = [word for word in known if word[:1].isupper()]
    return [word.lower() for word in known if not word.lower().endswith(language.dull_endings)]


def _without_function_words(text: str, language: Language) -> str:
    """Return unspaced text with a space for each function word, which leaves its short words apart."""
    function = "|".join(map(regex.escape, sorted(language.stopwords, key=len, reverse=True)))
    return regex.sub(function, " ", text)


@functools.cache
def _morphology() -> pymorphy3.MorphAnalyzer:
    return pymorphy3.MorphAnalyzer()


@functools.lru_cache(maxsize=4096)
def _noun(word: str) -> str | None:
    if not regex.search(r"\p{Script=Cyrillic}", word):
        return word
    best = _morphology().parse(word)[0]
    return (
        str(best.normal_form).replace("\u0451", "\u0435")
        if best.tag.POS == "NOUN" and not _NAMES & best.tag.grammemes
        else None
    )
