"""Which language a text is in, and the words this project adds to it.

Every word the offline writer did not take from the user's text stands in `assets_static/language/*.json`, one file a language, so
that an editor can change it without touching code. A language without a file still keeps its own text; only the few words that
are ours are then English.
"""

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

import regex
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from carousel_pipeline.paths import resource
from carousel_pipeline.requests import Options, Structure, Tone

UNDETERMINED = "und"
# Longer cues are stems; a short one would be found in half of all words.
_WHOLE = 4

Cue = Literal[
    "myth", "fact", "step", "question", "answer", "problem", "proof", "before", "after", "story", "conclusion"
]
Card = tuple[str, str]


def _words(value: object) -> object:
    return value.split() if isinstance(value, str) else value


Words = Annotated[frozenset[str], BeforeValidator(_words)]


class Language(BaseModel):
    """One language's words, as its file states them.

    Attributes:
        code: ISO 639.
        name: the language's own name.
        script: Unicode script that most of its letters belong to.
        letters: letters that tell it from its neighbours in the same script.
        stemmer: Snowball algorithm, or None.
        stopwords: words that carry no topic.
        abbreviations: lower-case, with their dots; none ends a sentence.
        connectors: openings that lean on a sentence before them and can be dropped when that one is not there.
        backward: openings that point at something said before.
        joiners: words that begin a clause after a comma.
        openers: words that begin a subordinate clause at the start of a sentence.
        cues: words that give a structure away; those longer than four letters stand for all words that begin so.
        dull_endings: endings of words that name no topic.
        calls: closing cards (heading, body) by tone.
        alt: how a slide is announced to those who cannot see it.
        talk: question that ends a caption.
        prompts: cards (heading, body) that ask and state nothing, by structure.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
    name: str
    script: str
    letters: str = ""
    stemmer: str | None = None
    stopwords: Words
    abbreviations: Words = frozenset()
    connectors: tuple[str, ...] = ()
    backward: frozenset[str] = frozenset()
    joiners: tuple[str, ...] = ()
    openers: tuple[str, ...] = ()
    cues: dict[Cue, tuple[str, ...]] = {}
    dull_endings: tuple[str, ...] = ()
    calls: Annotated[dict[Tone, tuple[Card, ...]], Field(min_length=1)]
    alt: Annotated[str, Field(pattern=r"\{text\}")]
    talk: str
    prompts: dict[Structure | Literal["any"], tuple[Card, ...]]

    def call(self, tone: Tone, choice: int) -> Card:
        """Return a closing card in `tone`, or in a neutral one where the language has no such."""
        cards = self.calls.get(tone) or self.calls["neutral"]
        return cards[choice % len(cards)]

    def cards(self, structure: Structure | None) -> tuple[Card, ...]:
        """Return the asking cards of `structure`, followed by the general ones."""
        particular = self.prompts.get(structure, ()) if structure else ()
        return particular + self.prompts["any"]

    def hears(self, cue: Cue, text: str) -> bool:
        """Return whether a word of `text` begins with one of the cue's words."""
        pattern = self._patterns.get(cue)
        return bool(pattern and pattern.search(text.lower()))

    @property
    def spaced(self) -> bool:
        """Whether spaces part its words."""
        return self.script not in {"Han", "Hiragana"}

    def _any_of(self, phrases: Iterable[str]) -> str:
        """Return a pattern for one of `phrases` as whole words."""
        words = "|".join(map(re.escape, sorted(phrases, key=len, reverse=True)))
        return rf"(?:{words})" + (r"(?!\w)" if self.spaced else "") if words else r"(?!)"

    @functools.cached_property
    def _patterns(self) -> dict[Cue, re.Pattern[str]]:
        def heard(word: str) -> str:
            return re.escape(word) + (r"(?!\w)" if self.spaced and len(word) <= _WHOLE else "")

        before = r"(?<!\w)" if self.spaced else ""
        return {
            cue: re.compile(rf"{before}(?:{'|'.join(map(heard, words))})") for cue, words in self.cues.items() if words
        }

    @functools.cached_property
    def connector(self) -> re.Pattern[str]:
        """Matches a connector that opens a sentence, with what follows it up to the next word."""
        return re.compile(rf"^{self._any_of(self.connectors)}\s*[,:—–\-\uff0c\u060c\uff1a]*\s*", re.IGNORECASE)

    @functools.cached_property
    def clause(self) -> re.Pattern[str]:
        """Matches the place after a comma where a new clause begins."""
        if not self.spaced:
            return re.compile(r"[\uff0c\uff1b](?=\w)")
        return re.compile(rf"[,\u060c]\s+(?={self._any_of(self.joiners)})", re.IGNORECASE)

    @functools.cached_property
    def _backward(self) -> re.Pattern[str]:
        return re.compile(rf"[«\"“'—–\-\s]*{self._any_of(self.backward)}", re.IGNORECASE)

    @functools.cached_property
    def _opener(self) -> re.Pattern[str]:
        return re.compile(self._any_of(self.openers), re.IGNORECASE)

    def leans_back(self, text: str) -> bool:
        """Return whether the sentence opens with a word that points at something said before."""
        return self._backward.match(text) is not None

    def subordinate(self, text: str) -> bool:
        """Return whether the sentence opens with a subordinate clause."""
        return self._opener.match(text) is not None


@functools.cache
def languages() -> dict[str, Language]:
    """Return every language that has a file, by code."""
    folder: Path = resource("assets_static") / "language"
    found = (Language.model_validate_json(path.read_bytes()) for path in sorted(folder.glob("*.json")))
    return {language.code: language for language in found}


def words_of(code: str) -> Language:
    """Return the language's words, English for a language without a file."""
    known = languages()
    return known.get(code) or known["en"]


# Scripts that belong to one language among those people write posts in; the others are told apart by their words.
_SCRIPTS = MappingProxyType({
    "Han": "zh", "Hiragana": "ja", "Katakana": "ja", "Hangul": "ko", "Hebrew": "he", "Greek": "el", "Thai": "th",
    "Devanagari": "hi", "Georgian": "ka", "Armenian": "hy", "Bengali": "bn", "Tamil": "ta",
    "Arabic": "ar", "Cyrillic": "ru", "Latin": "en",
})  # fmt: skip
_SCRIPT = MappingProxyType({name: regex.compile(rf"\p{{Script={name}}}") for name in _SCRIPTS})
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}'’]*")
_SAMPLE = 6000


def detect(text: str) -> str:
    """Return the ISO 639 code of the language most of `text` is in; `und` where no letter says so."""
    sample = text[:_SAMPLE]
    shares = {name: len(pattern.findall(sample)) for name, pattern in _SCRIPT.items()}
    # One kana makes Japanese of many Han characters, and a Han character says as much as several letters.
    shares["Hiragana"] += shares["Katakana"] and shares["Hiragana"] and shares["Katakana"]
    if shares["Hiragana"] and shares["Han"]:
        shares["Hiragana"] += shares["Han"]
    for name in ("Han", "Hiragana", "Katakana", "Hangul"):
        shares[name] *= 3
    script = max(shares, key=shares.__getitem__)
    if not shares[script]:
        return UNDETERMINED
    rivals = [language for language in languages().values() if language.script == script]
    if len(rivals) < 2:
        return _SCRIPTS[script]
    words = [word.lower() for word in _WORD.findall(sample)]
    scores = {rival.code: _evidence(rival, words, sample.lower()) for rival in rivals}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] > scores.get(_SCRIPTS[script], 0.0) else _SCRIPTS[script]


def _evidence(language: Language, words: list[str], low: str) -> float:
    return sum(word in language.stopwords for word in words) + 0.5 * sum(
        low.count(letter) for letter in language.letters
    )


def language_of(text: str, options: Options) -> str:
    """Return the deck's language: the text's own, for nothing is translated offline, or the wish where the text says nothing."""
    found = detect(text)
    return (options.language or UNDETERMINED) if found == UNDETERMINED else found
