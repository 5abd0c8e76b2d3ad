"""A made deck in another language, through the real SDK: words change, and nothing that was paid for does."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from carousel_pipeline.copywriting import Written
from carousel_pipeline.copywriting.claude import ClaudeWriter
from carousel_pipeline.copywriting.offline import OfflineWriter
from carousel_pipeline.errors import PermanentError, TransientError
from carousel_pipeline.providers import ContentRefusedError
from carousel_pipeline.requests import Deck, Slide

from .conftest import Remembered, Served
from .fake_claude import KEY, Answer, FakeClaude, error, message, translated_deck

MODEL = "claude-haiku-5-5"
DECK = Deck(
    language="en",
    structure="how_to",
    slides=(
        Slide(role="cover", heading="Sleep is **not** a luxury", body="Adults need 7 to 9 hours.", picture="a bed"),
        Slide(
            role="body",
            heading="Keep one bedtime",
            body="- on weekends too\n- ==at 22:30== sharp\n- see https://sleep.example.org",
            picture="a clock",
            alt="A clock on a wall",
            sentences=("Keep one bedtime.",),
            unsourced=("22:30",),
        ),
        Slide(role="last", heading="Start tonight", picture="a window"),
    ),
    caption="Sleep more: 1,5 hours.",
    hashtags=("#sleep",),
    art_direction="night",
)


@dataclass
class Desk:
    """A translator at a fake, and what was recorded."""

    fake: FakeClaude
    url: str
    log: Remembered
    other: ClaudeWriter | None = None

    async def translate(self, *answers: Answer, deck: Deck = DECK, language: str = "de") -> Written:
        self.fake.script = list(answers)
        writer = ClaudeWriter(SecretStr(KEY), MODEL, self.url, other=self.other)
        return await writer.translate(deck, language, self.log)


@pytest.fixture
def desk(claude: Served[FakeClaude], log: Remembered) -> Desk:
    return Desk(claude.fake, claude.url, log)


def answer(change: Callable[[dict[str, Any]], object] = lambda _: None, language: str = "de") -> Answer:
    """A good translation, after `change`."""

    def given(request: Any, body: dict[str, Any]) -> Any:
        made = translated_deck(json.loads(body["messages"][0]["content"]) | {"language": language})
        change(made)
        return message(json.dumps(made, ensure_ascii=False))(request, body)

    return given


@pytest.mark.parametrize("language", ["de", "ru"])
async def test_words_change_in_one_call_and_all_else_stays(desk: Desk, language: str) -> None:
    written = await desk.translate(language=language)
    deck = written.deck
    assert len(desk.fake.asked) == 1
    assert deck.language == language
    assert [slide.heading for slide in deck.slides] != [slide.heading for slide in DECK.slides]
    assert deck.slides[0].heading.count("**") == 2
    assert [line[:2] for line in deck.slides[1].body.split("\n")] == ["- "] * 3
    assert "22:30" in deck.slides[1].body
    assert deck.slides[2].body == ""
    kept = ("picture", "sentences", "unsourced", "role")
    assert [[getattr(slide, name) for name in kept] for slide in deck.slides] == [
        [getattr(slide, name) for name in kept] for slide in DECK.slides
    ]
    assert (deck.structure, deck.art_direction) == (DECK.structure, DECK.art_direction)
    assert deck.caption != DECK.caption
    assert written.usage.cost_usd == pytest.approx(0.0011)
    (asked,) = desk.fake.asked
    assert "tools" not in asked
    assert json.loads(asked["messages"][0]["content"])["language"] == language


BAD: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a slide less": (lambda made: made["slides"].pop(), "1 to 3 in order"),
    "another order": (lambda made: made["slides"].reverse(), "1 to 3 in order"),
    "no bold": (lambda made: made["slides"][0].update(heading="Was hier zählt"), "times **bold**"),
    "no marker": (
        lambda made: made["slides"][1].update(body=made["slides"][1]["body"].replace("==", "")),
        "==marker==",
    ),
    "no list": (lambda made: made["slides"][1].update(body=made["slides"][1]["body"].replace("- ", "")), "begin with"),
    "another figure": (
        lambda made: made["slides"][0].update(body=made["slides"][0]["body"].replace("9", "10")),
        "figures of the original",
    ),
    "a body of its own": (lambda made: made["slides"][2].update(body="Was hier zählt"), "has a body"),
    "no heading": (lambda made: made["slides"][2].update(heading=""), "heading"),
    "a link": (lambda made: made.update(caption="Mehr auf https://evil.example.com"), "links or mentions"),
    "no deck": (dict.clear, "slides"),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_is_not_the_same_deck_is_sent_back_once(desk: Desk, case: str) -> None:
    change, complaint = BAD[case]
    written = await desk.translate(answer(change), answer())
    assert written.deck.language == "de"
    assert desk.log.outcomes == ["failed", "repaired"]
    assert complaint in desk.fake.asked[1]["messages"][2]["content"]


@pytest.mark.parametrize("case", sorted(BAD.keys() - {"a link"}))
async def test_twice_not_the_same_deck_is_a_typed_failure(desk: Desk, case: str) -> None:
    with pytest.raises(PermanentError, match="gave no usable deck twice"):
        await desk.translate(answer(BAD[case][0]))
    assert len(desk.fake.asked) == 2


async def test_a_link_that_comes_twice_is_cut_out(desk: Desk) -> None:
    written = await desk.translate(answer(BAD["a link"][0]))
    assert "evil" not in written.deck.model_dump_json()
    assert "https://sleep.example.org" in json.dumps(json.loads(desk.fake.asked[0]["messages"][0]["content"]))


@pytest.mark.parametrize(("language", "wanted"), [("en", "de"), ("ru", "de")])
async def test_words_in_another_language_than_asked_for_are_sent_back(desk: Desk, language: str, wanted: str) -> None:
    written = await desk.translate(answer(language=language), answer(language=wanted), language=wanted)
    assert written.deck.language == wanted
    assert f"it is in {language}, {wanted} was asked for" in desk.fake.asked[1]["messages"][2]["content"]


async def test_failures_are_typed_and_another_model_takes_over(desk: Desk) -> None:
    with pytest.raises(ContentRefusedError):
        await desk.translate(message(None, "refusal"))
    with pytest.raises(TransientError):
        await desk.translate(error(529, "overloaded_error"))
    desk.other = ClaudeWriter(SecretStr(KEY), "claude-haiku-4-5", desk.url)
    desk.log = Remembered(tries=9)
    desk.fake.asked.clear()
    written = await desk.translate(error(529, "overloaded_error"), answer())
    assert (written.deck.language, written.usage.model) == ("de", "claude-haiku-4-5")
    assert [asked["model"] for asked in desk.fake.asked] == [MODEL, "claude-haiku-4-5"]


async def test_the_offline_writer_says_that_it_cannot(log: Remembered) -> None:
    with pytest.raises(PermanentError, match="does not translate into de"):
        await OfflineWriter().translate(DECK, "de", log)
