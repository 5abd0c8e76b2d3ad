"""A writer without a model: the no-key default, and the fallback when a provider is down. Same brief, same deck.

It says nothing that the text does not say. Its own words come from the language's file alone: a closing card, a caption's question
and, where a text is shorter than the deck asked for, cards that ask and state nothing. What offline cannot do it leaves undone
and shows: it does not translate (`deck.language` tells the truth), a tone changes only the closing words, and a structure that
the text does not have orders nothing; it then chooses the asking cards of a topic.
"""

import asyncio
import hashlib
import time
from collections.abc import Sequence

from carousel_pipeline.copywriting.document import Block, parse, sentences, weight_of, words
from carousel_pipeline.copywriting.interface import Brief, Usage, Written
from carousel_pipeline.copywriting.language import Card, Language, language_of, words_of
from carousel_pipeline.copywriting.outline import Idea, Outline, fit, outline
from carousel_pipeline.copywriting.phrasing import (
    HEADING_WORDS,
    LONG_HEADING_WORDS,
    POINTS,
    as_heading,
    balanced,
    best_headline,
    body,
    capital,
    clipped,
    headline,
    lighten,
    marked,
    plain,
    points,
)
from carousel_pipeline.copywriting.ranking import Sentence, keywords
from carousel_pipeline.copywriting.verbatim import split_verbatim
from carousel_pipeline.requests import MAX_SLIDES, MIN_SLIDES, Deck, Options, Slide
from carousel_pipeline.requests.deck import roles

_TOPIC_WORDS = 12
_TOPIC_SLIDES = 5
_CAPTION = 900


class OfflineWriter:
    """A copywriter that needs neither key nor network."""

    name = "offline"
    demo = True

    async def write(self, brief: Brief) -> Written:
        """Return a deck of `brief.options.slides` slides, or of as many as the text wants."""
        started = time.perf_counter()
        deck = await asyncio.to_thread(compose, brief.source, brief.options)
        return Written(deck=deck, usage=Usage(model=self.name, duration_s=time.perf_counter() - started))


def compose(source: str, options: Options) -> Deck:
    """Return the deck of a cleaned source text."""
    code = language_of(source, options)
    language = words_of(code)
    choice = int.from_bytes(hashlib.blake2b(source.encode(), digest_size=2).digest())
    keep = options.words == "keep"
    blocks = parse(source, language, verbatim=keep)
    if _is_topic(blocks, language):
        topic = as_heading(plain(blocks[0].text if blocks else source.strip()))
        cards = _topic_cards(topic, language, options, choice)
        return _deck(code, language, options, cards, source, structure=options.structure or "questions")
    if keep:
        cards = split_verbatim(blocks, language, options.slides)
        cards = _filled(cards, language, options, len(cards) if options.slides is None else options.slides)
        return _deck(code, language, options, cards, source, structure=outline(blocks, language).structure)
    plan = outline(blocks, language)
    cards = _cards(plan, language, options, choice)
    return _deck(code, language, options, cards, source, structure=plan.structure)


def _is_topic(blocks: Sequence[Block], language: Language) -> bool:
    if len(blocks) > 1:
        return False
    text = blocks[0].text if blocks else ""
    return weight_of(text) <= _TOPIC_WORDS and len(sentences(text, language)) <= 1


def _topic_cards(topic: str, language: Language, options: Options, choice: int) -> list[Card]:
    count = options.slides or _TOPIC_SLIDES
    asking = language.cards(options.structure)[: count - 2]
    return [(topic, ""), *asking, language.call(options.tone, choice)]


def _cards(plan: Outline, language: Language, options: Options, choice: int) -> list[Card]:
    count = options.slides or _count(plan)
    cover, plan = _cover(plan, language)
    bodies = [_card(idea, plan, language) for idea in fit(plan.ideas, count - 2)]
    cards = _filled([cover, *bodies, ("", "")], language, options, count)
    cards[-1] = _last(plan, [heading for heading, _ in bodies], language, language.call(options.tone, choice))
    return cards


def _count(plan: Outline) -> int:
    """Return how many slides the text wants."""
    length = sum(idea.length for idea in plan.ideas) + sum(weight_of(s.text) for s in plan.lede + plan.close)
    if len(plan.ideas) > 1:
        return max(4, min(MAX_SLIDES, len(plan.ideas) + 2))
    for most, count in ((28, 3), (60, 4), (110, 5), (190, 6)):
        if length <= most:
            return count
    return 7


def _filled(cards: list[Card], language: Language, options: Options, count: int) -> list[Card]:
    """Return exactly `count` cards: where the text has no more to say, cards that ask stand before the last one."""
    missing = count - len(cards)
    if missing <= 0:
        return cards
    return [*cards[:-1], *language.cards(options.structure)[:missing], cards[-1]]


def _cover(plan: Outline, language: Language) -> tuple[Card, Outline]:
    """Return the cover and the plan without what the cover says."""
    if plan.title:
        title = as_heading(plan.title)
        lede = plan.lede or _opening_of(plan)
        said = next((s for s in lede[:2] if weight_of(s.text) <= 22), None)  # noqa: PLR2004 - a cover's second line
        return (marked(title, "=="), lighten(said.text, language, alone=True) if said and plan.lede else ""), _led(
            plan, said
        )
    if plan.lede:
        place = _hook(plan.lede, language)
        said = plan.lede[place]
        hook = headline(lighten(said.text, language, alone=True), language)
        rest = plan.lede[:place] + plan.lede[place + 1 :]
        under = hook.rest if weight_of(hook.rest) <= 24 else ""  # noqa: PLR2004 - a cover's second line
        if not under and not hook.rest:
            under = next((s.text for s in rest if weight_of(s.text) <= 18), "")  # noqa: PLR2004 - as above
            rest = tuple(s for s in rest if s.text != under)
        return (marked(hook.text, "=="), under or hook.rest), _with(plan, lede=rest)
    first, *others = plan.ideas or (Idea(()),)
    said_all = first.sentences
    if not said_all:
        return (as_heading(first.heading or (first.points or ("…",))[0]), ""), plan
    if first.item:
        hook = headline(said_all[0].text, language)
        return (hook.text, ""), plan
    window = max(1, min(3, len(said_all) // 3))
    place = _hook(said_all[:window], language)
    hook = headline(lighten(said_all[place].text, language, alone=True), language)
    rest_ideas = said_all[:place] + said_all[place + 1 :]
    ideas = (Idea(rest_ideas, heading=first.heading), *others) if rest_ideas else tuple(others)
    return (marked(hook.text, "=="), hook.rest), _with(plan, ideas=ideas)


def _opening_of(plan: Outline) -> tuple[Sentence, ...]:
    return ()


def _led(plan: Outline, said: Sentence | None) -> Outline:
    return _with(plan, lede=tuple(s for s in plan.lede if s is not said))


def _with(plan: Outline, *, lede: tuple[Sentence, ...] | None = None, ideas: tuple[Idea, ...] | None = None) -> Outline:
    return Outline(
        plan.title,
        plan.lede if lede is None else lede,
        plan.ideas if ideas is None else ideas,
        plan.close,
        plan.structure,
    )


def _hook(said: Sequence[Sentence], language: Language) -> int:
    """Return which of the opening sentences hooks best: short, a question or a figure, pointing at nothing before it."""

    def pull(place: int) -> float:
        text = said[place].text
        won = headline(lighten(text, language, alone=True), language).quality
        asks = 0.25 if text.rstrip('»"”').endswith("?") else 0.0
        counted = 0.12 if said[place].counted else 0.0
        leaning = 0.5 if place and language.leans_back(text) else 0.0
        return won + asks + counted - leaning + 0.2 * said[place].weight - 0.08 * place

    return max(range(len(said)), key=pull)


def _card(idea: Idea, plan: Outline, language: Language) -> Card:
    """Return one slide's heading and body."""
    if idea.heading:
        text = body(idea.sentences, language, budget=20 if idea.points else 32)
        listed = points(idea.points[:POINTS], language)
        return as_heading(idea.heading), marked("\n".join(filter(None, (text, listed))), "**")
    if idea.points and not idea.sentences:
        title = plan.title or headline(idea.points[0], language).text
        listed = idea.points if plan.title else idea.points[1:]
        return as_heading(title), points(listed[:POINTS], language)
    if idea.item:
        won = headline(lighten(idea.sentences[0].text, language, alone=True), language)
        return won.text, marked(body(idea.sentences[1:], language, start=won.rest), "**")
    if "\n" in idea.sentences[0].text:
        first, _, rest = idea.sentences[0].text.partition("\n")
        return as_heading(first), clipped(balanced(rest), 600)
    place, won = best_headline(idea.sentences, language)
    after = idea.sentences[place + 1 :]
    text = body(after, language, start=won.rest)
    if not text and place:
        text = body(idea.sentences[:place], language)
    return won.text, marked(text, "**")


def _last(plan: Outline, headings: Sequence[str], language: Language, call: Card) -> Card:
    """Return the closing card: the text's own last word if it has one, else what was said in short, and always one call."""
    if plan.close:
        place = _hook(plan.close[-3:], language) + max(0, len(plan.close) - 3)
        won = headline(lighten(plan.close[place].text, language, alone=True), language)
        if weight_of(won.text) <= LONG_HEADING_WORDS:
            other = [s.text for s in plan.close if s is not plan.close[place] and weight_of(s.text) <= 18][:1]  # noqa: PLR2004
            said = " ".join(filter(None, (won.rest, *other)))
            return won.text, f"{said}\n{_sentence(call[0])}".strip()
    short = [
        heading for heading in headings if weight_of(heading) <= HEADING_WORDS and not heading.endswith(("…", "?"))
    ]
    if len(short) >= 3:  # noqa: PLR2004 - fewer lines are no recapitulation
        step = (len(short) - 1) / 2
        listed = [short[round(step * i)] for i in range(3)]
        return call[0], "\n".join(f"- {plain(line)}" for line in dict.fromkeys(listed))
    return call


def _sentence(text: str) -> str:
    return text if text.endswith(("?", "!", ".", "…")) else f"{text}."


def _deck(
    code: str, language: Language, options: Options, cards: Sequence[Card], source: str, *, structure: str
) -> Deck:
    title = plain(cards[0][0])
    tags = _hashtags(source, title, language)
    theme = ", ".join(tag[1:] for tag in tags[:3])
    slides = [
        Slide(
            role=role,
            heading=clipped(heading, 200) or "…",
            body=clipped(text, 700),
            alt=clipped(language.alt.format(text=plain(f"{_sentence(heading)} {text}".strip())), 1000),
            picture=clipped(f"Calm abstract background without letters, about: {plain(heading)}", 600),
        )
        for role, (heading, text) in zip(roles(len(cards)), cards, strict=True)
    ]
    return Deck(
        language=code,
        structure=structure,
        slides=tuple(slides),
        caption=_caption(cards, language, options),
        hashtags=tuple(tags),
        art_direction=f"One quiet abstract series for a carousel about {theme or title}: same light, same palette, room for text."[
            :800
        ],
    )


def _caption(cards: Sequence[Card], language: Language, options: Options) -> str:
    hook, under = cards[0]
    lines = [_sentence(plain(hook))]
    if under:
        lines += [plain(under)]
    told = [plain(heading) for heading, _ in cards[1:-1] if not heading.endswith("…")]
    text = "\n".join(lines)
    listed = "\n".join(f"— {line}" for line in told)
    if listed and len(text) + len(listed) < _CAPTION:
        text = f"{text}\n\n{listed}"
    closing = "" if options.words == "keep" else language.talk
    return clipped(f"{text}\n\n{closing}".strip(), 2200)


def _hashtags(source: str, title: str, language: Language) -> list[str]:
    found = keywords(source, title, language)
    return [f"#{word}" for word in found if len(word) <= 40][:8]  # noqa: PLR2004 - longer ones are accidents
