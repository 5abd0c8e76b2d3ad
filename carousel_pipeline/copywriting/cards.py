"""Cards out of a plan: a cover that hooks, one idea a card, a last card with one call. A card is a heading and a body."""

import dataclasses
from collections.abc import Sequence

from carousel_pipeline.copywriting.document import weight_of
from carousel_pipeline.copywriting.language import Card, Language
from carousel_pipeline.copywriting.outline import Idea, Outline, fit
from carousel_pipeline.copywriting.phrasing import (
    BODY_WORDS,
    HEADING_WORDS,
    LONG_HEADING_WORDS,
    MAX_BODY,
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
    sentence,
    split_verse,
)
from carousel_pipeline.copywriting.ranking import Sentence
from carousel_pipeline.requests import MAX_SLIDES, MIN_SLIDES, Options

_SECOND_LINE = 22
_FEWEST_WORDS = 3
_RECAP = 3


def cards_of(plan: Outline, language: Language, options: Options, choice: int) -> list[Card]:
    """Return the cards of a plan: as many as asked, else as many as the text wants."""
    cover, plan = _cover(plan, language)
    introduced = sum(weight_of(s.text) for s in plan.lede) >= HEADING_WORDS
    count = options.slides or min(MAX_SLIDES, _count(plan) + introduced)
    ideas = plan.ideas
    if introduced and len(ideas) < count - 2:
        ideas = (Idea(plan.lede), *ideas)
    bodies = [_card(idea, plan, language) for idea in fit(ideas, count - 2)]
    missing = count - 2 - len(bodies)
    asking = language.cards(options.structure)[:missing] if missing > 0 else ()
    last = _last(plan, [heading for heading, _ in bodies], language, language.call(options.tone, choice))
    return [cover, *bodies, *asking, last]


def topic_cards(topic: str, language: Language, options: Options, choice: int, count: int) -> list[Card]:
    """Return the cards of a topic that says nothing yet: questions that invent no fact."""
    asking = language.cards(options.structure)[: count - 2]
    return [(as_heading(capital(plain(topic))), ""), *asking, language.call(options.tone, choice)]


def _count(plan: Outline) -> int:
    """Return how many slides the text wants."""
    if plan.verse:
        return max(MIN_SLIDES, min(MAX_SLIDES, len(plan.ideas) + 2))
    length = sum(idea.length for idea in plan.ideas) + sum(weight_of(s.text) for s in plan.lede + plan.close)
    by_length = next((count for most, count in ((28, 3), (60, 4), (110, 5), (190, 6)) if length <= most), 7)
    if len(plan.ideas) > 1:
        listed = all(idea.item and idea.length <= HEADING_WORDS for idea in plan.ideas)
        wanted = -(-len(plan.ideas) // _RECAP) if listed and len(plan.ideas) > POINTS else len(plan.ideas)
        loose = [idea for idea in plan.ideas if not idea.item and not idea.heading and not idea.points]
        wanted += sum(len({s.paragraph for s in idea.sentences}) - 1 for idea in loose)
        return max(4, by_length if loose else 0, min(MAX_SLIDES if not loose else 7, wanted + 2))
    return by_length


def _cover(plan: Outline, language: Language) -> tuple[Card, Outline]:
    """Return the cover and the plan without what the cover says."""
    if plan.title:
        under = next((s for s in plan.lede[:2] if weight_of(s.text) <= _SECOND_LINE), None)
        lede = tuple(s for s in plan.lede if s is not under)
        second = lighten(under.text, language, alone=True) if under else ""
        return (marked(as_heading(plan.title), "=="), second), dataclasses.replace(plan, lede=lede)
    if plan.lede:
        place = _hook(plan.lede[:3], language)
        lede = plan.lede[:place] + plan.lede[place + 1 :]
        return _opened(plan.lede[place], language), dataclasses.replace(plan, lede=lede)
    first, *others = plan.ideas
    if first.heading or not first.sentences:
        return (as_heading(first.heading or headline(first.points[0], language).text), ""), plan
    if first.item:
        won = headline(first.sentences[0].text, language)
        return (capital(won.text), ""), plan
    place = _hook(first.sentences[: max(1, min(3, len(first.sentences) // 3))], language)
    rest = first.sentences[:place] + first.sentences[place + 1 :]
    ideas = (dataclasses.replace(first, sentences=rest), *others) if rest or first.points else tuple(others)
    return _opened(first.sentences[place], language), dataclasses.replace(plan, ideas=ideas)


def _opened(hook: Sentence, language: Language) -> Card:
    if "\n" in hook.text:
        return split_verse(hook.text)
    won = headline(lighten(hook.text, language, alone=True), language, longest=10)
    return marked(capital(won.text), "=="), clipped(won.rest, MAX_BODY)


def _hook(said: Sequence[Sentence], language: Language) -> int:
    """Return which of the opening sentences hooks best: short, a question or a figure, pointing at nothing before it."""

    def pull(place: int) -> float:
        text = said[place].text
        won = headline(lighten(text, language, alone=True), language).quality
        length = weight_of(text)
        asks = 0.25 if text.rstrip('»"”').endswith("?") and length > _FEWEST_WORDS else 0.0
        counted = 0.12 if said[place].counted and not place else 0.0
        leaning = 0.6 if place and language.leans_back(text) else 0.0
        curt = 0.3 if length <= _FEWEST_WORDS else 0.0
        return 0.6 * won + asks + counted + 0.2 * said[place].weight - leaning - curt - 0.3 * place

    return max(range(len(said)), key=pull)


def _card(idea: Idea, plan: Outline, language: Language) -> Card:
    """Return one idea's heading and body."""
    if idea.heading:
        text = body(idea.sentences, language, budget=18 if idea.points else BODY_WORDS)
        listed = points(idea.points, language)
        return as_heading(idea.heading), marked("\n".join(filter(None, (text, listed))), "**")
    if not idea.sentences:
        title = plan.title or headline(idea.points[0], language).text
        listed = points(idea.points if plan.title else idea.points[1:], language)
        return as_heading(capital(title)), listed
    if "\n" in idea.sentences[0].text:
        return split_verse("\n".join(s.text for s in idea.sentences))
    if idea.item:
        won = headline(lighten(idea.sentences[0].text, language, alone=True), language)
        return capital(won.text), marked(body(idea.sentences[1:], language, start=won.rest, follows=True), "**")
    place, won = best_headline(idea.sentences, language)
    text = body(idea.sentences[place + 1 :], language, start=won.rest, follows=True)
    if not text and place:
        text = body(idea.sentences[:place], language)
    listed = points(idea.points, language)
    return capital(won.text), marked("\n".join(filter(None, (text, listed))), "**")


def _last(plan: Outline, headings: Sequence[str], language: Language, call: Card) -> Card:
    """Return the closing card: the text's own last word if it has one, else what was said in short, and always one call."""
    closing = plan.close[-3:]
    if closing:
        place = _hook(closing, language)
        won = headline(lighten(closing[place].text, language, alone=True), language)
        if weight_of(won.text) <= LONG_HEADING_WORDS:
            other = next((s.text for s in closing if s is not closing[place] and weight_of(s.text) <= _SECOND_LINE), "")
            said = clipped(balanced(" ".join(filter(None, (won.rest, other)))), MAX_BODY)
            return won.text, f"{said}\n{sentence(call[0])}".strip()
    listed = _recap(plan, headings)
    return (call[0], "\n".join(f"- {line}" for line in listed)) if listed else call


def _recap(plan: Outline, headings: Sequence[str]) -> list[str]:
    """Return three short headings from the deck's beginning, middle and end; none where they would mislead out of place."""
    if plan.structure == "myth_fact" or plan.verse:
        return []
    told = [
        plain(heading)
        for heading in headings
        if weight_of(heading) <= HEADING_WORDS and not heading.endswith(("…", "?", ":"))
    ]
    short = [heading for heading in dict.fromkeys(told) if heading != plan.title]
    if len(short) < _RECAP:
        return []
    step = (len(short) - 1) / (_RECAP - 1)
    return [short[round(step * i)] for i in range(_RECAP)]
