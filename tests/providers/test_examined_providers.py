"""`carousel doctor` asks both models whether key, model id and price are good, without buying anything."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from carousel_pipeline.doctor import Finding, examine
from carousel_pipeline.settings import get_settings

from . import fake_claude, fake_gemini
from .conftest import Served
from .fake_claude import FakeClaude
from .fake_gemini import FakeGemini

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")


@pytest.fixture
def found(
    claude: Served[FakeClaude],
    gemini: Served[FakeGemini],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., dict[str, Finding]]:
    monkeypatch.setenv("CAROUSEL_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("ANTHROPIC_BASE_URL", claude.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", fake_claude.KEY)
    monkeypatch.setenv("GEMINI_BASE_URL", gemini.url)
    monkeypatch.setenv("GEMINI_API_KEY", fake_gemini.KEY)

    def look(**settings: str) -> dict[str, Finding]:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        return {finding.name: finding for finding in examine()}

    return look


def test_two_good_models_are_named_with_their_prices(
    found: Any, claude: Served[FakeClaude], gemini: Served[FakeGemini]
) -> None:
    findings = found()
    assert findings["writer"].state == findings["painter"].state == "ok"
    assert findings["writer"].words == "claude-haiku-5-5 at $0.1 read, 0.5 written a million tokens"
    assert "30 for pictures" in findings["painter"].words
    assert claude.fake.asked == gemini.fake.asked == []


def test_wrong_model_ids_and_keys_are_named(found: Any) -> None:
    findings = found(ANTHROPIC_MODEL="gpt-9", GEMINI_IMAGE_MODEL="imagen-1")
    assert findings["writer"].state == findings["painter"].state == "broken"
    assert "http_404" in findings["writer"].words
    assert "imagen-1" in findings["painter"].words
    findings = found(ANTHROPIC_API_KEY="not-a-key-of-anthropics")
    assert "http_401" in findings["writer"].words
    assert "ANTHROPIC_API_KEY" in findings["writer"].words
    assert "not-a-key" not in findings["writer"].words


def test_a_server_that_is_not_there_is_broken(found: Any) -> None:
    assert found(ANTHROPIC_BASE_URL="http://127.0.0.1:9")["writer"].state == "broken"


def test_a_model_without_a_price_is_said_and_a_price_can_be_given(found: Any) -> None:
    assert "set ANTHROPIC_PRICE" in found(ANTHROPIC_MODEL="claude-next-6")["writer"].words
    assert "$3 read, 9 written" in found(ANTHROPIC_PRICE="3/9")["writer"].words
    assert found(ANTHROPIC_PRICE="cheap")["settings"].state == "broken"


def test_an_open_breaker_is_broken_and_says_why(
    found: Any, database_url: str, connect_as: Callable[[Any], psycopg.Connection[dict[str, Any]]]
) -> None:
    connect_as(None).execute(
        "insert into carousel.provider_state (provider, opened_until, reason) "
        "values ('gemini', clock_timestamp() + interval '1 hour', 'http_402 FAILED_PRECONDITION')"
    )
    findings = found(DATABASE_URL=database_url)
    assert findings["writer"].state == "ok"
    assert findings["painter"].state == "broken"
    assert "http_402" in findings["painter"].words
