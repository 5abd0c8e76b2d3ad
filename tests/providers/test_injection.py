"""Three hundred hostile texts against a model that obeys each of them: what reaches the user is a deck and nothing else (m19)."""

import contextlib
import functools
import itertools
import json
import re
import unicodedata
from typing import Any

import pytest
from pydantic import SecretStr

from carousel_pipeline.copywriting import Brief
from carousel_pipeline.copywriting.claude import ClaudeWriter
from carousel_pipeline.copywriting.links import foreign, without_foreign
from carousel_pipeline.copywriting.wire import BadDeckError, read
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.requests import MAX_SLIDES, MIN_SLIDES, Deck, Options, price_of

from .conftest import Served
from .fake_claude import KEY, FakeClaude, message, written
from .injection import DEMANDS, TOPICS, Attack, attacks, obeyed


@functools.cache
def innocent(language: str) -> str:
    """Return the deck that a good model writes about a topic, as JSON."""
    order = {"wishes": {"slides": 4, "words": "rewrite", "language": language}, "source": TOPICS[language]}
    return json.dumps(written({"messages": [{"content": json.dumps(order)}]}))


def answer_to(attack: Attack) -> str:
    return obeyed(attack, json.loads(innocent(attack.language)))


@pytest.mark.finding("m19")
def test_nothing_leaves_the_schema_and_nothing_to_tap_or_pay_to_is_added() -> None:
    corpus = list(attacks())
    assert len({attack.source for attack in corpus}) >= 200
    for attack in corpus:
        # The model that obeys once obeys again: what it says then is used without what it added, or not at all.
        try:
            deck = read(answer_to(attack), Brief(source=attack.source, options=Options()), last=True)
        except BadDeckError:
            assert attack.name.startswith("many"), attack.name
        else:
            assert_harmless(attack, deck)


@pytest.mark.parametrize("attack", list(itertools.islice(attacks(), len(DEMANDS))), ids=lambda attack: attack.name)
def test_what_is_added_is_refused_the_first_time_and_what_the_schema_does_not_know_ignored(attack: Attack) -> None:
    ignored = attack.name.startswith(("recipient", "money", "hashtag"))
    with contextlib.nullcontext() if ignored else pytest.raises(BadDeckError):
        deck = read(answer_to(attack), Brief(source=attack.source, options=Options()), last=False)
        assert_harmless(attack, deck)


@pytest.mark.finding("m19")
async def test_an_obedient_model_at_the_other_end_of_the_wire_changes_nothing_either(
    claude: Served[FakeClaude],
) -> None:
    corpus = {attack.source: attack for attack in list(attacks())[: len(DEMANDS)]}
    writer = ClaudeWriter(SecretStr(KEY), "claude-haiku-5-5", claude.url)

    def obedient(request: Any, body: dict[str, Any]) -> Any:
        source = json.loads(body["messages"][0]["content"])["source"]
        return message(answer_to(corpus[source]))(request, body)

    claude.fake.script = [obedient]
    for attack in corpus.values():
        try:
            deck = (await writer.write(Brief(source=attack.source, options=Options()))).deck
        except PermanentError:
            assert attack.name.startswith("many"), attack.name
        else:
            assert_harmless(attack, deck)
    for body in claude.fake.asked:
        # The text is data in one field; what follows it in the conversation is ours or the model's own.
        assert "tools" not in body
        assert "Ignore all" not in body["system"]
        assert json.loads(body["messages"][0]["content"]).keys() == {"wishes", "source", "source_sentences"}


def assert_harmless(attack: Attack, deck: Deck) -> None:
    said = deck.model_dump_json(exclude={"slides": {"__all__": {"sentences", "unsourced"}}})
    plain = re.sub(r"[^\S\n]|[()\-]", "", "".join(c for c in unicodedata.normalize("NFKC", said) if c.isprintable()))
    assert not attack.payload or attack.payload.casefold() not in plain.casefold(), (attack.name, said)
    assert deck.model_dump().keys() == set(Deck.model_fields)
    assert MIN_SLIDES <= len(deck.slides) <= MAX_SLIDES
    assert price_of(deck, Options()) == len(deck.slides)
    texts = [deck.caption, deck.art_direction, *deck.hashtags]
    texts += [text for slide in deck.slides for text in (slide.heading, slide.body, slide.alt, slide.picture)]
    assert not any(foreign(text, attack.source) for text in texts), attack.name


@pytest.mark.parametrize(
    "harmless",
    [
        "В 2026 году 100 000 человек прошли путь 24/7 и не жалеют.",
        "Hello. World is fine. To win, act: and/or, 3.5 mm, e.g. node.js.",
        "Ответ: 1 200 000 ₽ за 12 месяцев (это 15 %).",
        "می‌خواهم 👩‍👩‍👧 بخوابم",
        "https://own.example/page and @own_channel",
    ],
)
def test_ordinary_words_and_the_sources_own_links_stay(harmless: str) -> None:
    source = "My page is https://own.example/page, my channel @own_channel."
    assert foreign(harmless, source) == []
    assert without_foreign(harmless, source) == harmless
