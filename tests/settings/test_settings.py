"""Settings: read once, lazily, and a bad secret stops the start by name without being shown."""

import subprocess
import sys
from pathlib import Path

import pytest

from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.settings import Settings, get_settings

READ_BY_COMPOSE = ["COMPOSE_PROFILES"]
REAL_TOKEN = "8123456789:AAF3jQ9dTn0xZkLw2pVbR7sYcHuEoMi4GqA"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.finding("M23")
@pytest.mark.parametrize(
    "name", ["TELEGRAM_BOT_TOKEN", "TELEGRAM_WEBHOOK_SECRET", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"]
)
@pytest.mark.parametrize("value", ["change-me", "hunter2", "changeme-changeme-changeme", "your-token-goes-here-12345"])
def test_a_weak_secret_stops_the_start_by_name_and_is_not_shown(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        get_settings()
    assert name in str(caught.value)
    assert value not in str(caught.value)


@pytest.mark.finding("M20", "m40")
def test_the_env_file_reaches_every_setting_and_the_example_means_the_defaults(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / ".env.example"
    names = [line.split("=")[0] for line in example.read_text(encoding="utf-8").splitlines() if line[:1].isalpha()]
    assert sorted(names) == sorted([*(name.upper() for name in Settings.model_fields), *READ_BY_COMPOSE])
    (tmp_path / ".env").write_text(example.read_text(encoding="utf-8"), encoding="utf-8")
    assert Settings(_env_file=tmp_path / ".env") == Settings(_env_file=None)
    (tmp_path / ".env").write_text("ANTHROPIC_MODEL=another-model\nGEMINI_API_VERSION=v1beta\n", encoding="utf-8")
    changed = Settings(_env_file=tmp_path / ".env")
    assert (changed.anthropic_model, changed.gemini_api_version) == ("another-model", "v1beta")


@pytest.mark.finding("C5")
def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = get_settings()
    monkeypatch.setenv("ANTHROPIC_MODEL", "another")
    assert get_settings() is first


@pytest.mark.finding("C9")
def test_importing_any_module_reads_no_setting_and_connects_to_nothing() -> None:
    code = """
import importlib, os, pkgutil, socket, sys
for name in ("TELEGRAM_BOT_TOKEN", "ANTHROPIC_API_KEY"):
    os.environ[name] = "bad"
def refuse(*_a, **_k):
    raise SystemExit("an import connected to something")
socket.socket.connect = refuse
for package in ("carousel_pipeline", "bot"):
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, package + "."):
        # The preload module is what the fork server executes; it is never imported for its names.
        if not module.name.endswith(("__main__", "run_workers.preload")):
            importlib.import_module(module.name)
from carousel_pipeline.settings import get_settings
assert get_settings.cache_info().currsize == 0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("keys", [{}, {"ANTHROPIC_API_KEY": REAL_TOKEN}])
def test_a_real_bot_with_offline_providers_is_refused_unless_allowed(
    keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", REAL_TOKEN)
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="GEMINI_API_KEY"):
        get_settings().refuse_demo_for_real_users()
    monkeypatch.setenv("CAROUSEL_ALLOW_DEMO_PROVIDERS", "1")
    get_settings.cache_clear()
    get_settings().refuse_demo_for_real_users()


def test_a_webhook_without_its_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_WEBHOOK_URL", "https://bot.test/hook")
    with pytest.raises(ConfigurationError, match="TELEGRAM_WEBHOOK_SECRET"):
        get_settings()
