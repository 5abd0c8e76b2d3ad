"""A writer without a model: the no-key default, and the fallback when a provider is down. Same brief, same deck.

It says nothing that the text does not say. Its own words come from the language's file alone: a closing card, a caption's
question and, where a text is shorter than the deck asked for, cards that ask and state nothing. What it cannot do offline it
leaves undone and shows: it does not translate (`deck.language` tells the truth); a tone changes the closing words only; a
structure that the text does not have is not pretended (`deck.structure` tells the truth), it only prefers the sentences that
come closest to it.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence

import regex

from carousel_pipeline.copywriting.cards import cards_of, topic_cards
from carousel_pipeline.copywriting.document import Block, parse, sentences, weight_of
from carousel_pipeline.copywriting.grounding import grounded
from carousel_pipeline.copywriting.interface import Brief, TooLong, Usage, Written, fits_anything
from carousel_pipeline.copywriting.language import Card, Language, language_of, words_of
from carousel_pipeline.copywriting.outline import outline
from carousel_pipeline.copywriting.phrasing import clipped, plain, told
from carousel_pipeline.copywriting.ranking import keywords
from carousel_pipeline.copywriting.verbatim import split_verbatim
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.providers import UNRECORDED, Call, CallLog, recorded
from carousel_pipeline.requests import Deck, Options, Slide, Structure
from carousel_pipeline.requests.deck import roles

_TOPIC_WORDS = 12
_TOPIC_SLIDES = 5
_CAPTION = 900
_MOST_TAGS = 8


class OfflineWriter:
    """A copywriter that needs neither key nor network."""

    name = "offline"
    demo = True

    async def write(
        self, brief: Brief, log: CallLog = UNRECORDED, too_long: Callable[[Deck], Sequence[TooLong]] = fits_anything
    ) -> Written:
        """Return a deck of `brief.options.slides` slides, or of as many as the text wants; the layout shrinks what is long."""
        del too_long
        started = time.perf_counter()
        with recorded(log, Call(log.step, "offline", self.name)) as record:
            deck = await asyncio.to_thread(compose, brief.source, brief.options)
            record.usage = Usage(model=self.name)
        return Written(deck=deck, usage=Usage(model=self.name, duration_s=time.perf_counter() - started))

    async def translate(self, deck: Deck, language: str, log: CallLog = UNRECORDED) -> Written:
        """Translate nothing: rules know no second language.

        Raises:
            PermanentError: always.
        """
        del deck, log
        raise PermanentError(f"the writer {self.name} does not translate into {language}")


def compose(source: str, options: Options) -> Deck:
    """Return the deck of a cleaned source text."""
    code = language_of(source, options)
    language = words_of(code)
    choice = int.from_bytes(hashlib.blake2b(source.encode(), digest_size=2).digest())
    keep = options.words == "keep"
    blocks = parse(source, language, verbatim=keep) or [Block("paragraph", source)]
    structure: Structure
    if _is_topic(blocks, language):
        cards = topic_cards(blocks[0].text, language, options, choice, options.slides or _TOPIC_SLIDES)
        structure = options.structure or "questions"
    else:
        plan = outline(blocks, language, None if keep else options.structure)
        structure = plan.structure
        cards = split_verbatim(blocks, language, options) if keep else cards_of(plan, language, options, choice)
    return _deck(source, code, language, options, cards, blocks, structure)


def _is_topic(blocks: Sequence[Block], language: Language) -> bool:
    text = blocks[0].text
    return len(blocks) == 1 and weight_of(text) <= _TOPIC_WORDS and len(sentences(text, language)) <= 1


def _deck(
    source: str,
    code: str,
    language: Language,
    options: Options,
    cards: Sequence[Card],
    blocks: Sequence[Block],
    structure: Structure,
) -> Deck:
    title = plain(cards[0][0])
    tags = list(
        dict.fromkeys((*_own_tags(source), *keywords(" ".join(block.text for block in blocks), title, language)))
    )
    tags = tags[:_MOST_TAGS]
    slides = [
        Slide(
            role=role,
            heading=clipped(heading, 200),
            body=clipped(text, 700),
            alt=clipped(language.alt.format(text=told(heading, text)), 1000),
            picture=clipped(f"Calm abstract background without any letters, in the mood of: {plain(heading)}", 600),
        )
        for role, (heading, text) in zip(roles(len(cards)), cards, strict=True)
    ]
    deck = Deck(
        language=code,
        structure=structure,
        slides=tuple(slides),
        caption=_caption(cards, language, options),
        hashtags=tuple(f"#{tag}" for tag in tags),
        art_direction=clipped(
            f"One quiet abstract series about {', '.join(tags[:3]) or title}: the same light and palette, room for text.",
            800,
        ),
    )
    return grounded(deck, source, invents=False)


def _own_tags(source: str) -> list[str]:
    """Return the hashtags that the user gave, without their marks."""
    return regex.findall(r"(?<![\w#])#([\p{L}\p{N}_]{2,40})(?!\w)", source)


def _caption(cards: Sequence[Card], language: Language, options: Options) -> str:
    """Return the post's text: the hook first, what the cards say, and a question unless the words are to stay the user's."""
    hook, under = cards[0]
    text = told(hook, under) if hook.endswith("…") else "\n".join(filter(None, (plain(hook), plain(under))))
    said = [plain(heading) for heading, _ in cards[1:-1] if not heading.endswith(("…", ":"))]
    listed = "\n".join(f"• {line.lstrip('—– ')}" for line in dict.fromkeys(said) if line != plain(hook))
    if listed and len(text) + len(listed) < _CAPTION:
        text = f"{text}\n\n{listed}"
    closing = "" if options.words == "keep" else language.talk
    return clipped(f"{text}\n\n{closing}".strip(), 2200)
