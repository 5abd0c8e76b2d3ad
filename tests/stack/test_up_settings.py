"""What `carousel up` and `carousel demo` refuse before they start anything, by the setting's name."""

from pathlib import Path

import pytest

from carousel_pipeline.errors import ConfigurationError, PermanentError
from carousel_pipeline.local.demo import demo
from carousel_pipeline.local.up import checked_settings, local_token, up

TOKEN = "1234567890:" + "Ab3" * 12


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CAROUSEL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.finding("M23")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"TELEGRAM_BOT_TOKEN": "short"}, "TELEGRAM_BOT_TOKEN is too short"),
        ({"TELEGRAM_BOT_TOKEN": TOKEN}, "ANTHROPIC_API_KEY and GEMINI_API_KEY"),
        ({"TELEGRAM_API_URL": "http://127.0.0.1:8081"}, "TELEGRAM_BOT_TOKEN is not"),
        ({"CAROUSEL_ALLOW_DEMO_PROVIDERS": "perhaps"}, "CAROUSEL_ALLOW_DEMO_PROVIDERS"),
    ],
)
def test_wrong_settings_stop_the_start(
    settings: dict[str, str], words: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=words):
        up()
    assert not home.exists()


def test_demo_providers_for_real_users_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", TOKEN)
    monkeypatch.setenv("CAROUSEL_ALLOW_DEMO_PROVIDERS", "1")
    assert checked_settings().real_telegram


def test_an_unusable_database_stops_the_start(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hush-hush@127.0.0.1:1/none")
    with pytest.raises(ConfigurationError, match="DATABASE_URL: the database cannot be used") as refused:
        up()
    assert "hush" not in str(refused.value)
    assert not (home / "stack.json").exists()


def test_the_demo_never_writes_to_a_real_bot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", TOKEN)
    monkeypatch.setenv("CAROUSEL_ALLOW_DEMO_PROVIDERS", "1")
    with pytest.raises(ConfigurationError, match="real bot: unset it"):
        demo(None)


def test_the_demo_reads_text_only(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(PermanentError, match="cannot be read as UTF-8 text"):
        demo(None, file=tmp_path / "picture")


def test_the_demo_takes_one_text(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="not both"):
        demo("a text", file=tmp_path / "text.txt")


def test_the_local_token_stays_the_same_and_private(home: Path) -> None:
    home.mkdir()
    token = local_token(home)
    assert local_token(home) == token
    assert (home / "telegram-token").stat().st_mode & 0o077 == 0
