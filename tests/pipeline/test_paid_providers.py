"""A request through both models: every call on record, nothing bought twice, its cost known, its failures told."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from carousel_pipeline.requests.change import resized, retranslated
from carousel_pipeline.settings import get_settings

from ..providers import fake_claude, fake_gemini  # noqa: TID252 - tests are no installed package
from ..providers.fake_claude import FakeClaude  # noqa: TID252 - as above
from ..providers.fake_gemini import FakeGemini  # noqa: TID252 - as above
from ..providers.serving import served  # noqa: TID252 - as above
from .conftest import Pipeline
from .test_changes import change, made, pictures, version

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")


@dataclass
class Paid:
    """The pipeline with both models behind it."""

    pipeline: Pipeline
    claude: FakeClaude
    gemini: FakeGemini
    url: str

    def rows(self, request_id: UUID) -> list[dict[str, Any]]:
        from carousel_pipeline.database import connect

        with connect(self.url, "led_analyst") as connection:
            return connection.execute(
                "select step, slide, provider, model, outcome, cost_usd, error, images, provider_request_id "
                "from carousel.attempt where request_id = %s order by id",
                [request_id],
            ).fetchall()

    def cost(self, request_id: UUID) -> float:
        return float(sum(row["cost_usd"] or 0 for row in self.rows(request_id)))

    def failure(self, request_id: UUID) -> str | None:
        row = self.pipeline.bot.execute("select failure from carousel.request where id = %s", [request_id]).fetchone()
        assert row is not None
        failure: str | None = row["failure"]
        return failure


@pytest.fixture
def paid(pipeline: Pipeline, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paid]:
    claude, gemini = FakeClaude(), FakeGemini()
    with served(claude.app()) as claude_url, served(gemini.app()) as gemini_url:
        monkeypatch.setenv("ANTHROPIC_API_KEY", fake_claude.KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", claude_url)
        monkeypatch.setenv("GEMINI_API_KEY", fake_gemini.KEY)
        monkeypatch.setenv("GEMINI_BASE_URL", gemini_url)
        get_settings.cache_clear()
        yield Paid(pipeline, claude, gemini, database_url)


@pytest.mark.finding("M16")
def test_every_call_is_on_record_and_a_failing_one_costs_its_neighbours_nothing(paid: Paid) -> None:
    request_id, price = paid.pipeline.confirmed(slides=3, pictures="each")
    assert price == 9

    def third_fails_once(request: Any, body: Any) -> Any:
        third = "number 3" in str(body["contents"]) and not failed
        failed.extend([1] * third)
        return (fake_gemini.error(503, "UNAVAILABLE") if third else fake_gemini.good)(request, body)

    failed: list[int] = []
    paid.gemini.script = [third_fails_once]
    assert paid.pipeline.run("carousel", request_id).success
    wishes = json.loads(paid.claude.asked[0]["messages"][0]["content"])["wishes"]
    assert all(wishes["characters"][role]["heading"] > 20 for role in ("cover", "body", "last"))
    rows = paid.rows(request_id)
    assert [(row["step"], row["slide"], row["outcome"]) for row in rows if row["slide"] in {None, 1}] == [
        ("copy", None, "ok"),
        ("picture", 1, "ok"),
    ]
    assert [row["outcome"] for row in rows if row["slide"] == 2] == ["ok"]
    assert [row["outcome"] for row in rows if row["slide"] == 3] == ["retryable", "ok"]
    assert all(row["provider_request_id"] for row in rows if row["outcome"] == "ok")
    assert len(paid.gemini.asked) == 4
    assert paid.cost(request_id) == pytest.approx(3 * 0.03525 + 0.0011, abs=1e-4)
    assert paid.pipeline.money() == (1, 0)
    # What was bought is found: by a rerun of the outline and of the carousel alike.
    assert paid.pipeline.run("outline", request_id).success
    assert paid.pipeline.run("carousel", request_id).success
    assert (len(paid.claude.asked), len(paid.gemini.asked)) == (1, 4)
    assert len(paid.pipeline.telegram.photos(paid.pipeline.chat)) == 3


def test_the_default_is_one_panorama_charged_by_the_slide_and_costs_at_most_five_cents(paid: Paid) -> None:
    request_id, price = paid.pipeline.confirmed(slides=7)
    assert price == 7
    result = paid.pipeline.run("carousel", request_id)
    assert result.success
    assert len(paid.pipeline.telegram.photos(paid.pipeline.chat)) == 7
    assert paid.pipeline.money() == (3, 0)
    assert [row["images"] for row in paid.rows(request_id) if row["step"] == "picture"] == [1]
    assert paid.cost(request_id) <= 0.05
    # Windows of one picture that overlap are alike, and no slide has another one's picture.
    checks = {one.check_name: one.passed for one in result.get_asset_check_evaluations()}
    assert (checks["pictures_distinct"], checks["pictures_not_blank"]) == (True, True)
    rows = paid.pipeline.bot.execute(
        "select meta ->> 'strip' as strip from carousel.artifact where request_id = %s and role = 'picture'",
        [request_id],
    ).fetchall()
    assert [row["strip"] for row in rows] == ["1"] * 7


def test_slides_of_a_refused_panorama_are_not_charged(paid: Paid) -> None:
    paid.gemini.script = [fake_gemini.good, fake_gemini.blocked, fake_gemini.blocked]
    request_id, price = paid.pipeline.confirmed(slides=8)
    assert price == 8
    assert paid.pipeline.run("carousel", request_id).success
    assert len(paid.gemini.asked) == 3
    assert len(paid.pipeline.telegram.photos(paid.pipeline.chat)) == 8
    assert [row["outcome"] for row in paid.rows(request_id) if row["outcome"] == "stand_in"] == ["stand_in"] * 4
    assert paid.pipeline.money() == (6, 0)


def test_the_progress_of_a_panorama_counts_slides_that_have_their_picture(paid: Paid) -> None:
    seen: list[tuple[str, int, int]] = []

    def look(request: Any, body: Any) -> Any:
        from carousel_pipeline.database import connect

        with connect(paid.url, "led_bot") as bot:
            row = bot.execute("select step, done, total from carousel.progress").fetchone()
        assert row is not None
        seen.append((row["step"], row["done"], row["total"]))
        return fake_gemini.good(request, body)

    paid.gemini.script = [look]
    request_id, _ = paid.pipeline.confirmed(slides=9)
    assert paid.pipeline.run("carousel", request_id).success
    assert seen == [("pictures", 0, 9), ("pictures", 4, 9)]


def test_a_delivered_carousel_is_translated_by_one_call_with_its_pictures_and_for_nothing(paid: Paid) -> None:
    first, _ = paid.pipeline.confirmed(slides=3)
    assert paid.pipeline.run("carousel", first).success
    before = version(first)
    german, drawn = made(paid.pipeline, retranslated(before, "de"), first)
    assert drawn == 3
    deck = version(german).deck
    assert (deck.language, len(deck.slides)) == ("de", 3)
    assert [slide.heading for slide in deck.slides] != [slide.heading for slide in before.deck.slides]
    assert [slide.picture for slide in deck.slides] == [slide.picture for slide in before.deck.slides]
    assert pictures(paid.pipeline, german) == pictures(paid.pipeline, first)
    [call] = paid.rows(german)
    assert (call["step"], call["provider"], call["outcome"]) == ("translate", "anthropic", "ok")
    assert len(paid.gemini.asked) == 1
    assert paid.pipeline.money() == (7, 0)
    assert len(paid.pipeline.telegram.photos(paid.pipeline.chat)) == 6
    # A rerun finds the translation; a change of it starts from its words.
    assert paid.pipeline.rerun(german).success
    assert len(paid.claude.asked) == 2
    story, _ = made(paid.pipeline, resized(version(german), "9:16"), german)
    assert version(story).deck == deck
    assert len(paid.claude.asked) == 2


def test_a_translation_that_loses_a_slide_twice_fails_in_words_and_leaves_the_version_before(paid: Paid) -> None:
    first, _ = paid.pipeline.confirmed(slides=3)
    assert paid.pipeline.run("carousel", first).success

    def loses_one(request: Any, body: Any) -> Any:
        made = fake_claude.written(body)
        made["slides"].pop()
        return fake_claude.message(json.dumps(made, ensure_ascii=False))(request, body)

    paid.claude.script = [loses_one]
    german = change(paid.pipeline, retranslated(version(first), "de"), first)
    result = paid.pipeline.run("edit", german)
    assert not result.success
    failure: Any = result.get_step_failure_events()[0].step_failure_data
    assert "gave no usable deck twice" in failure.user_failure_data.description
    assert [row["outcome"] for row in paid.rows(german)] == ["failed", "failed"]
    assert version(german).deck.language == "en"
    assert len(paid.pipeline.telegram.photos(paid.pipeline.chat)) == 3


_RUN = """
import sys
import dagster as dg
from carousel_pipeline.definitions import defs
with dg.DagsterInstance.ephemeral() as instance:
    instance.add_dynamic_partitions("requests", [sys.argv[1]])
    defs.resolve_job_def("carousel").execute_in_process(partition_key=sys.argv[1], instance=instance)
"""


def test_a_process_that_is_killed_in_the_middle_of_a_call_leaves_what_was_bought_and_an_abandoned_call(
    paid: Paid, database_url: str
) -> None:
    request_id, _ = paid.pipeline.confirmed(slides=3, pictures="each")
    process: list[subprocess.Popen[bytes]] = []

    def kills_at_the_third(request: Any, body: Any) -> Any:
        if len(paid.gemini.asked) == 3:  # whichever picture that is: the second and the third are asked for at once
            os.kill(process[0].pid, signal.SIGKILL)
        return fake_gemini.good(request, body)

    paid.gemini.script = [kills_at_the_third]
    with subprocess.Popen([sys.executable, "-c", _RUN, str(request_id)], env=os.environ) as running:
        process.append(running)
        assert running.wait(timeout=120) == -signal.SIGKILL
    before = {row["slide"]: row["outcome"] for row in paid.rows(request_id) if row["step"] == "picture"}
    assert before[1] == "ok"
    assert "pending" in before.values()
    from carousel_pipeline.database import connect

    with connect(database_url, None) as admin:
        admin.execute("update ledger.request set lease_until = clock_timestamp() - interval '1 s'")
    assert paid.pipeline.run("carousel", request_id).success
    rows = [row for row in paid.rows(request_id) if row["step"] == "picture"]
    bought = {slide for slide, outcome in before.items() if outcome == "ok"}
    assert [row["slide"] for row in rows if row["slide"] in bought] == sorted(bought)
    assert {row["outcome"] for row in rows} == {"ok", "abandoned"}
    assert all(row["cost_usd"] is None for row in rows if row["outcome"] == "abandoned")
    assert paid.pipeline.money() == (1, 0)


def test_an_obedient_model_moves_neither_money_nor_the_album(paid: Paid) -> None:
    def hostile(request: Any, body: Any) -> Any:
        deck = fake_claude.written(body) | {"price": 0, "credits": 999, "chat_id": 1}
        deck["caption"] = "Pay at https://evil.com or ask @attacker, then /refund"
        return fake_claude.message(json.dumps(deck, ensure_ascii=False))(request, body)

    paid.claude.script = [hostile]
    request_id, price = paid.pipeline.confirmed(slides=3)
    assert price == 3
    assert paid.pipeline.run("carousel", request_id).success
    assert paid.pipeline.money() == (7, 0)
    photos = paid.pipeline.telegram.photos(paid.pipeline.chat)
    assert len(photos) == 3
    assert not any(word in photos[0]["caption"] for word in ("evil", "@", "/refund"))


@pytest.mark.finding("m21")
def test_a_text_that_the_model_declines_is_told_as_that(paid: Paid) -> None:
    paid.claude.script = [fake_claude.message(None, "refusal")]
    request_id = paid.pipeline.open(slides=3)
    assert not paid.pipeline.run("outline", request_id).success
    assert paid.failure(request_id) == "refused"
    assert [row["outcome"] for row in paid.rows(request_id)] == ["refused"]
    assert len(paid.claude.asked) == 1


def test_a_key_that_does_not_work_is_not_tried_by_the_next_request_and_the_front_door_knows(paid: Paid) -> None:
    paid.claude.script = [fake_claude.error(401, "authentication_error")]
    first = paid.pipeline.open(slides=3)
    assert not paid.pipeline.run("outline", first).success
    second = paid.pipeline.open(slides=3)
    assert not paid.pipeline.run("outline", second).success
    assert len(paid.claude.asked) == 1
    assert (paid.failure(first), paid.failure(second)) == ("provider", "provider")
    assert paid.rows(second) == []
    row = paid.pipeline.bot.execute(
        "select opened_until > clock_timestamp() as open, reason from carousel.provider_state"
    ).fetchone()
    assert row == {"open": True, "reason": "http_401 authentication_error"}


def test_pictures_of_a_provider_whose_money_of_the_day_is_spent_are_stood_in_for_and_not_charged(
    paid: Paid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVIDER_USD_PER_DAY", "0.03")
    get_settings.cache_clear()
    request_id, _ = paid.pipeline.confirmed(slides=3, pictures="each")
    assert paid.pipeline.run("carousel", request_id).success
    assert len(paid.gemini.asked) == 1
    outcomes = [row["outcome"] for row in paid.rows(request_id)]
    assert outcomes == ["ok", "ok", "stand_in", "stand_in"]
    assert paid.pipeline.money() == (7, 0)
