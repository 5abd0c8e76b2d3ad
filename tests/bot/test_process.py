"""The bot as a process: how fast it starts, how much it takes, how it stops, what it imports."""

import asyncio
import logging
import os
import resource
import signal
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest
from pydantic import SecretStr

from bot.app import build, check
from bot.logs import QuietFormatter
from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.settings import Settings

TOKEN = "123456789:AAtestTokenOfTheLocalTelegram0123456"

_HEAVY = ("dagster", "PIL", "numpy", "uharfbuzz", "anthropic", "google", "polars", "boto3", "pyphen", "bidi")


def _environment(stage: SimpleNamespace) -> dict[str, str]:
    settings = stage.settings
    return {
        **os.environ,
        "TELEGRAM_BOT_TOKEN": settings.telegram_bot_token.get_secret_value(),
        "TELEGRAM_API_URL": settings.telegram_api_url,
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "DAGSTER_GRAPHQL_URL": settings.dagster_graphql_url,
        "ARTIFACTS_URL": settings.artifacts_url,
        "PYTHONWARNINGS": "error",
        "PYTHONDEVMODE": "1",
    }


@pytest.mark.finding("M21")
async def test_starts_small_answers_and_stops_cleanly(stage: SimpleNamespace) -> None:
    person = await stage.person()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", env=_environment(stage), stderr=asyncio.subprocess.PIPE
    )
    await person.says("/start")
    await person.sees("10 credits", within=30)
    await person.says("a text that nobody may read in a log")
    await person.sees("Writing the outline")
    assert psutil.Process(process.pid).memory_info().rss <= 130 * 1024**2
    process.send_signal(signal.SIGTERM)
    _, log = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    text = log.decode()
    assert "the bot listens" in text
    assert "ResourceWarning" not in text
    assert "Traceback" not in text
    assert "nobody may read" not in text
    assert stage.settings.telegram_bot_token.get_secret_value() not in text


def test_imports_quickly_and_lightly() -> None:
    code = f"import sys, bot.app, bot.__main__; print([name for name in {_HEAVY!r} if name in sys.modules])"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    # Seconds of the processor, which other people's load does not change much; the stock import of aiogram takes five.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 3.5


def test_missing_settings_are_named() -> None:
    with pytest.raises(
        ConfigurationError, match="TELEGRAM_BOT_TOKEN and DATABASE_URL and DAGSTER_GRAPHQL_URL and ARTIFACTS_URL"
    ):
        check(Settings())
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY and GEMINI_API_KEY"):
        check(Settings.model_validate({"telegram_bot_token": TOKEN}))


async def test_a_database_that_is_away_or_empty_is_named(stage: SimpleNamespace, empty_database_url: str) -> None:
    unmigrated = stage.settings.model_copy(update={"database_url": SecretStr(empty_database_url)})
    with pytest.raises(ConfigurationError, match="carousel migrate"):
        async with build(unmigrated):
            pass


def test_logs_hold_neither_token_nor_words() -> None:
    with pytest.raises(ValueError, match="somebody") as caught:
        raise ValueError(f"https://host/bot{TOKEN}/x and somebody's words")
    info = (caught.type, caught.value, caught.tb)
    record = logging.LogRecord("bot", logging.ERROR, __file__, 1, f"calling /bot{TOKEN}/sendMessage", None, info)
    line = QuietFormatter("%(message)s").format(record)
    assert TOKEN not in line
    assert "somebody's words" not in line
    assert "ValueError" in line
    assert "test_process.py" in line
