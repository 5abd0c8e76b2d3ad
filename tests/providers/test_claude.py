"""The real SDK against a server that answers as Anthropic's does, and as it does on its bad days."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from carousel_pipeline.copywriting import Allowance, Brief, Written
from carousel_pipeline.copywriting.claude import ClaudeWriter
from carousel_pipeline.errors import PermanentError, TransientError
from carousel_pipeline.providers import ContentRefusedError, ProviderBusyError
from carousel_pipeline.requests import Deck, Options

from .conftest import Remembered, Served
from .fake_claude import KEY, Answer, FakeClaude, dropped, error, message, raw

MODEL = "claude-haiku-5-5"
SOURCE = "Сон улучшает память. Люди, которые спят 7 часов, реже болеют."


def deck(slides: int | list[Any] = 3, **changes: Any) -> str:
    cards = (
        slides
        if isinstance(slides, list)
        else [
            {"heading": f"Сон улучшает память {'!' * n}", "body": "Реже болеют.", "alt": "", "picture": ""}
            for n in range(slides)
        ]
    )
    whole = {
        "language": "ru",
        "structure": "list",
        "slides": cards,
        "caption": "Сон улучшает память.",
        "hashtags": ["#сон", "память "],
        "art_direction": "night",
    }
    return json.dumps(whole | changes, ensure_ascii=False)


@dataclass
class Desk:
    """A writer at a fake, and what was recorded."""

    fake: FakeClaude
    url: str
    log: Remembered
    other: ClaudeWriter | None = None

    async def write(self, *answers: Answer, source: str = SOURCE, too_long: Any = None, **options: Any) -> Written:
        self.fake.script = list(answers)
        self.fake.asked.clear()
        writer = ClaudeWriter(SecretStr(KEY), MODEL, self.url, other=self.other)
        brief = Brief(
            source=source,
            options=Options.model_validate(options),
            allowances={"cover": Allowance(heading=60, body=90)},
        )
        return await writer.write(brief, self.log, *([too_long] if too_long else []))


@pytest.fixture
def desk(claude: Served[FakeClaude], log: Remembered) -> Desk:
    return Desk(claude.fake, claude.url, log)


@pytest.mark.finding("m19", "n9")
async def test_a_deck_is_written_and_its_cost_known(desk: Desk) -> None:
    written = await desk.write(message(deck()))
    assert [slide.role for slide in written.deck.slides] == ["cover", "body", "last"]
    assert written.deck.hashtags == ("#сон", "#память")
    assert (written.usage.input_tokens, written.usage.output_tokens) == (1000, 2000)
    assert written.usage.cost_usd == pytest.approx(0.0011)
    (asked,) = desk.fake.asked
    assert "tools" not in asked
    order = json.loads(asked["messages"][0]["content"])
    assert order["source"] == SOURCE
    assert order["wishes"]["characters"] == {"cover": {"heading": 60, "body": 90}}
    assert asked["output_config"]["format"]["type"] == "json_schema"
    assert desk.fake.headers[0]["Authorization"] == f"Bearer {KEY}"
    [ended] = desk.log.ended.values()
    assert (ended.outcome, ended.request_id, ended.health) == ("ok", "req_1", "up")
    assert ended.usage is not None
    assert ended.usage.cost_usd == pytest.approx(0.0011)


@pytest.mark.finding("M9")
@pytest.mark.parametrize("wrap", ["```json\n{}\n```", "Here is the deck:\n{}\nEnjoy!"])
async def test_fences_and_preambles_do_no_harm(desk: Desk, wrap: str) -> None:
    written = await desk.write(message(wrap.replace("{}", deck())))
    assert len(written.deck.slides) == 3


@pytest.mark.finding("M9", "m20", "C13")
@pytest.mark.parametrize(
    ("bad", "complaint", "code"),
    [
        (message("no json at all"), "no JSON", "bad_deck"),
        (message(None), "no JSON", "empty"),
        (message(deck()[:200], "max_tokens"), "JSON", "max_tokens"),
        (raw(b'{"hello": "world"}'), "no JSON", "empty"),
        (message(deck(slides=12)), "slides", "bad_deck"),
        (message(deck(slides=2)), "2 slides", "bad_deck"),
        (message(deck(structure="poem")), "structure", "bad_deck"),
        (message(deck(caption="x" * 3000)), "caption", "bad_deck"),
        (message(deck(caption="See https://evil.example and @attacker")), "links", "bad_deck"),
        (
            message(json.dumps(json.loads(deck()) | {"slides": [{"heading": "All in English now"}] * 3})),
            "ru",
            "bad_deck",
        ),
    ],
)
async def test_a_bad_deck_is_asked_for_once_more_with_the_reason(
    desk: Desk, bad: Answer, complaint: str, code: str
) -> None:
    written = await desk.write(bad, message(deck()))
    assert len(desk.fake.asked) == 2
    assert complaint in desk.fake.asked[1]["messages"][-1]["content"]
    assert written.usage.output_tokens in {2000, 4000}
    assert desk.fake.asked[1]["max_tokens"] > desk.fake.asked[0]["max_tokens"]
    assert desk.log.outcomes == ["failed", "repaired"]
    assert desk.log.ended[1].error == f"unusable {code}"


@pytest.mark.finding("M9")
async def test_two_bad_decks_are_a_typed_failure(desk: Desk) -> None:
    with pytest.raises(PermanentError, match="no usable deck twice"):
        await desk.write(message("no"), message("still no"))
    assert len(desk.fake.asked) == 2
    assert desk.log.outcomes == ["failed", "failed"]


async def test_links_that_are_added_twice_are_cut_out_and_the_deck_is_used(desk: Desk) -> None:
    hostile = message(deck(caption="Сон улучшает память. Подробнее: evil.com и @attacker"))
    written = await desk.write(hostile, hostile)
    assert written.deck.caption == "Сон улучшает память. Подробнее: и"


async def test_the_number_of_slides_asked_for_is_kept(desk: Desk) -> None:
    written = await desk.write(message(deck(slides=4)), message(deck(slides=5)), slides=5)
    assert len(written.deck.slides) == 5


async def test_the_language_asked_for_is_the_slides_own_not_only_said(desk: Desk) -> None:
    english = [{"heading": "Sleep helps memory", "body": "They are ill less often."}] * 3
    translated = deck(language="en", slides=english, caption="Sleep helps memory.")
    written = await desk.write(message(deck(language="en")), message(translated), language="en")
    assert len(desk.fake.asked) == 2
    assert written.deck.language == "en"


@pytest.mark.parametrize(
    "changed",
    [
        deck().replace("Реже болеют.", "Купите наш курс."),
        deck(slides=[{"heading": "Реже болеют"}, {"heading": "Сон улучшает память"}, {"heading": "Люди"}]),
        deck(slides=[{"heading": w} for w in ("Сон", "улучшает", "память")], caption="Память улучшает сон"),
    ],
)
async def test_kept_words_are_only_split_in_their_order(desk: Desk, changed: str) -> None:
    parts = [
        {"heading": "Сон улучшает память."},
        {"heading": "Люди, которые спят 7 часов"},
        {"heading": "реже болеют."},
    ]
    kept = deck(slides=parts, caption="Сон улучшает память.")
    written = await desk.write(message(changed), message(kept), words="keep")
    assert len(desk.fake.asked) == 2
    assert "in their order" in desk.fake.asked[1]["messages"][-1]["content"]
    assert [slide.heading for slide in written.deck.slides] == [part["heading"] for part in parts]


@dataclass
class Long:
    position: int
    field: str
    fits: int


def longer_than(limit: int) -> Any:
    def find(whole: Deck) -> Sequence[Long]:
        return [Long(n, "heading", limit) for n, s in enumerate(whole.slides, 1) if len(s.heading) > limit]

    return find


async def test_copy_that_the_design_cannot_take_is_shortened_in_one_call(desk: Desk) -> None:
    long = deck(slides=[{"heading": "Сон улучшает память " * 4, "body": ""}] * 3)
    written = await desk.write(message(long), message(deck()), too_long=longer_than(40))
    assert "slide 1, heading: at most 40 characters" in desk.fake.asked[1]["messages"][-1]["content"]
    assert all(len(slide.heading) <= 40 for slide in written.deck.slides)
    assert desk.log.outcomes == ["ok", "repaired"]


@pytest.mark.parametrize("second", [message("no"), error(529, "overloaded_error")])
async def test_a_good_deck_that_cannot_be_shortened_is_used_as_it_is(desk: Desk, second: Answer) -> None:
    long = deck(slides=[{"heading": "Сон улучшает память " * 4, "body": ""}] * 3)
    written = await desk.write(message(long), second, too_long=longer_than(40))
    assert len(desk.fake.asked) == 2
    assert len(written.deck.slides[0].heading) > 40


@pytest.mark.finding("m21")
@pytest.mark.parametrize("text", [None, "I cannot help with that."])
async def test_a_refusal_is_typed_and_not_repeated(desk: Desk, text: str | None) -> None:
    with pytest.raises(ContentRefusedError):
        await desk.write(message(text, "refusal"))
    assert len(desk.fake.asked) == 1
    [ended] = desk.log.ended.values()
    assert (ended.outcome, ended.error) == ("refused", "refused general_harms")
    assert ended.usage is not None
    assert ended.usage.cost_usd > 0


async def test_each_slide_names_its_sentences_and_what_the_source_does_not_have(desk: Desk) -> None:
    invented = [
        {"heading": "Сон улучшает память", "body": "", "sentences": [1]},
        {"heading": "Спите 7 часов", "body": "Учёные нашли рост на 73% у офисных сотрудников.", "sentences": [2, 99]},
        {"heading": "Сохраните", "body": "Начните сегодня", "sentences": []},
    ]
    written = await desk.write(message(deck(slides=invented)))
    first, second, last = written.deck.slides
    assert first.sentences == ("Сон улучшает память.",)
    assert second.sentences == ("Люди, которые спят 7 часов, реже болеют.",)
    assert second.unsourced == ("73%", "Учёные нашли рост на 73% у офисных сотрудников.")
    assert (first.unsourced, last.unsourced) == ((), ())


async def test_the_other_model_takes_over_when_every_try_has_failed(desk: Desk) -> None:
    desk.other = ClaudeWriter(SecretStr(KEY), "claude-sonnet-5-5", desk.url)
    overloaded = error(529, "overloaded_error")
    with pytest.raises(TransientError):
        await desk.write(overloaded, message(deck()))
    assert len(desk.fake.asked) == 1
    desk.log.tries = 3
    written = await desk.write(overloaded, message(deck()))
    assert [asked["model"] for asked in desk.fake.asked] == [MODEL, "claude-sonnet-5-5"]
    assert written.usage.model == "claude-sonnet-5-5"
    with pytest.raises(ProviderBusyError):
        await desk.write(overloaded)
    assert len(desk.fake.asked) == 2


async def test_a_server_that_hangs_up_may_have_billed(desk: Desk) -> None:
    with pytest.raises(TransientError, match="no_answer"):
        await desk.write(dropped)
    assert len(desk.fake.asked) == 1
    assert desk.log.ended[1].usage is None


async def test_nobody_there_is_worth_another_try(desk: Desk) -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    desk.url = f"http://127.0.0.1:{port}"
    with pytest.raises(TransientError):
        await desk.write(message(deck()))


@pytest.mark.finding("m22")
async def test_a_server_that_is_slow_for_ever_is_given_up_by_the_clients_own_clock(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carousel_pipeline.copywriting.claude._TIMEOUT_S", 0.2)

    async def hang(*_: object) -> Any:
        await asyncio.Event().wait()

    with pytest.raises(TransientError, match="APITimeoutError"):
        await desk.write(hang)  # type: ignore[arg-type]  # a coroutine is an answer too
    assert len(desk.fake.asked) == 1
