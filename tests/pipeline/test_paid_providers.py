"""A request through both models: every call on record, nothing bought twice, its cost known, its failures told."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from carousel_pipeline.settings import get_settings

from ..providers import fake_claude, fake_gemini  # noqa: TID252 - tests are no installed package
from ..providers.fake_claude import FakeClaude  # noqa: TID252 - as above
from ..providers.fake_gemini import FakeGemini  # noqa: TID252 - as above
from ..providers.serving import served  # noqa: TID252 - as above
from .conftest import Pipeline

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
    request_id, price = paid.pipeline.confirmed(slides=3)
    assert price == 3

    def third_fails_once(request: Any, body: Any) -> Any:
        third = "number 3" in str(body["contents"]) and not failed
        failed.extend([1] * third)
        return (fake_gemini.error(503, "UNAVAILABLE") if third else fake_gemini.good)(request, body)

    failed: list[int] = []
    paid.gemini.script = [third_fails_once]
    assert paid.pipeline.run("carousel", request_id).success
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
    assert paid.pipeline.money() == (7, 0)
    # What was bought is found: by a rerun of the outline and of the carousel alike.
    assert paid.pipeline.run("outline", request_id).success
    assert paid.pipeline.run("carousel", request_id).success
    assert (len(paid.claude.asked), len(paid.gemini.asked)) == (1, 4)
    assert len(paid.pipeline.telegram.photos(paid.pipeline.chat)) == 3


def test_the_cheap_mode_is_quoted_charged_and_costs_at_most_five_cents(paid: Paid) -> None:
    request_id, price = paid.pipeline.confirmed(slides=7, pictures="panorama")
    assert price == 1
    assert paid.pipeline.run("carousel", request_id).success
    assert len(paid.pipeline.telegram.photos(paid.pipeline.chat)) == 7
    assert paid.pipeline.money() == (9, 0)
    assert [row["images"] for row in paid.rows(request_id) if row["step"] == "picture"] == [1]
    assert paid.cost(request_id) <= 0.05


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
    request_id, _ = paid.pipeline.confirmed(slides=3)
    assert paid.pipeline.run("carousel", request_id).success
    assert len(paid.gemini.asked) == 1
    outcomes = [row["outcome"] for row in paid.rows(request_id)]
    assert outcomes == ["ok", "ok", "stand_in", "stand_in"]
    assert paid.pipeline.money() == (9, 0)
