"""`carousel up`: the whole product on one machine, from nothing to a chat page in seconds.

PostgreSQL (our own, or the one at DATABASE_URL), the local Telegram (unless there is a real bot token), the code server,
the Dagster UI and daemon, and the bot. What is started here is stopped here, whatever ends the command; a second start
finds its data again in CAROUSEL_HOME.

Dagster's three processes start side by side although two of them need the third, because importing is what takes them
seconds: `gate.py`.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urlsplit

import psycopg
from pydantic import SecretStr
from rich.console import Console

from carousel_pipeline.artifacts import open_store
from carousel_pipeline.database import ensure_database, migrate
from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.local import probes
from carousel_pipeline.local.dagster_home import write_local_instance
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.local.screen import Screen
from carousel_pipeline.local.stack import Running, the_only_one, this_process, write_state
from carousel_pipeline.local.supervisor import Part, PartFailedError, Supervisor, restart_pause, uninterrupted
from carousel_pipeline.paths import resource
from carousel_pipeline.settings import Settings, get_settings

UI_PORT = 3000
TELEGRAM_PORT = 8081
CODE_SERVER_PORT = 4000
HEALTH_PORT = 8090
_POSTGRES_POLL_S = 0.5
# It lets runs finish for six seconds and gives the others three to say goodbye.
_CODE_SERVER_STOP_S = 15.0
# It finishes what it has taken; most of the time that is nothing.
_BOT_STOP_S = 20.0
_COMMAND = "from carousel_pipeline.cli import main; main()"


def up() -> int:
    """Run everything until Ctrl-C, SIGTERM or the end of the terminal; return the exit code.

    Raises:
        ConfigurationError: a setting is missing or wrong.
        AlreadyRunningError: a stack runs on this CAROUSEL_HOME.
        PartFailedError: a part does not start, or keeps ending.
    """
    settings = checked_settings()
    home = settings.carousel_home.expanduser().resolve()
    screen = Screen(Console())

    async def serve(lock: IO[bytes]) -> None:
        async with Stack(settings, home, screen, lock) as stack:
            screen.say(announcement(stack.running, settings))
            await stack.watch()

    with the_only_one(home) as lock:
        until_signal(serve(lock))
    screen.say("Stopped.")
    return 0


def until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end; SIGINT, SIGTERM and SIGHUP cancel it."""

    async def main() -> None:
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())


def checked_settings() -> Settings:
    """Return the settings, with what only a whole stack can find wrong checked, too.

    Raises:
        ConfigurationError: names the setting.
    """
    settings = get_settings()
    settings.refuse_demo_for_real_users()
    if settings.telegram_api_url is not None and settings.telegram_bot_token is None:
        raise ConfigurationError(
            "TELEGRAM_API_URL is set but TELEGRAM_BOT_TOKEN is not: set the token of your bot on that server, "
            "or remove TELEGRAM_API_URL to use the local Telegram"
        )
    return settings


def announcement(running: Running, settings: Settings) -> str:
    """Return what a person wants to know once everything runs."""
    lines = [f"\nWrite to the bot   {running.chat_page}"] if running.chat_page else ["\nThe bot is on Telegram."]
    lines.append(f"Dagster UI         {running.dagster_ui}")
    lines.append(f"Health, figures    {running.health}/readyz, {running.health}/metrics")
    if missing := settings.demo_providers:
        lines.append(
            f"DEMO: there is no {' and no '.join(missing)}, so texts are cut into slides by rules and pictures are "
            "patterns. Set the keys for the real models."
        )
    lines.append("Ctrl-C stops everything; chats, carousels and credits stay.")
    return "\n".join(lines)


class Stack:
    """Everything, from entering the block to leaving it.

    Args:
        settings: what the environment says.
        home: absolute CAROUSEL_HOME.
        screen: shows the progress.
        lock: the held lock of `home`.

    Attributes:
        running: where things are.
    """

    def __init__(self, settings: Settings, home: Path, screen: Screen, lock: IO[bytes]) -> None:
        self._settings = settings
        self._home = home
        self._screen = screen
        self._lock = lock
        self._open = contextlib.AsyncExitStack()
        self._supervisor: Supervisor | None = None
        self._postgres: EmbeddedPostgres | None = None
        self._postgres_crashes: list[float] = []
        self.running = this_process()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._screen.say("Stopping …")
        await self._open.aclose()

    async def watch(self) -> None:
        """Keep everything running; returns only by raising.

        An embedded PostgreSQL that ends by itself takes everything with it, because it comes back at another port.

        Raises:
            PartFailedError: a part keeps ending.
        """
        while True:
            await self._until_postgres_ends()
            self._postgres_crashes.append(time.monotonic())
            pause = restart_pause(self._postgres_crashes)
            if pause is None:
                raise PartFailedError(f"PostgreSQL keeps ending; its log is {self._home / 'postgres' / 'log'}")
            self._screen.say("PostgreSQL has ended; everything starts again")
            await self._open.aclose()
            await asyncio.sleep(pause)
            await self._start()

    async def _until_postgres_ends(self) -> None:
        if self._supervisor is None:
            return
        failing = asyncio.ensure_future(self._supervisor.watch())
        try:
            while self._postgres is None or self._postgres.alive:
                await asyncio.wait([failing], timeout=_POSTGRES_POLL_S)
                if failing.done():
                    failing.result()
        finally:
            failing.cancel()

    async def _start(self) -> None:
        self._note(ready=False)
        ports = {
            name: probes.free_port(port)
            for name, port in (
                ("ui", UI_PORT),
                ("telegram", TELEGRAM_PORT),
                ("code", CODE_SERVER_PORT),
                ("health", HEALTH_PORT),
            )
        }
        ui = f"http://127.0.0.1:{ports['ui']}"
        environment = self._environment(ports)
        telegram = environment.get("TELEGRAM_API_URL") if self._settings.telegram_bot_token is None else None
        with self._screen.steps():
            with self._screen.step("PostgreSQL"):
                environment |= await self._databases()
            await _in_thread(open_store(environment["ARTIFACTS_URL"]).prepare)
            supervisor = await self._open.enter_async_context(
                Supervisor(self._home / "logs", self._screen, self._lock, self._note_processes)
            )
            if telegram:
                await supervisor.start(self._telegram(telegram, ui, environment))
            await supervisor.start(*self._dagster(ports, ui, environment), await self._bot(telegram, environment))
        self._supervisor = supervisor
        health = f"http://{environment['CAROUSEL_HEALTH_LISTEN']}"
        self._note(ready=True, dagster_ui=ui, chat_page=telegram, health=health)

    async def _databases(self) -> dict[str, str]:
        """Start or find PostgreSQL, bring both databases up to date, return their settings."""
        given, dagster = self._settings.database_url, self._settings.dagster_database_url
        if given is None:
            postgres = EmbeddedPostgres(self._home / "postgres")
            self._open.push_async_callback(_in_thread, postgres.stop)
            await _in_thread(postgres.start)
            self._postgres = postgres
            self._note(database_url=postgres.url("carousel"))
            given = SecretStr(postgres.url("carousel"))
        if dagster is None:
            dagster = SecretStr(urlsplit(given.get_secret_value())._replace(path="/dagster").geturl())
        embedded = self._postgres is not None
        await _in_thread(lambda: _prepare("PostgreSQL" if embedded else "DATABASE_URL", given, migrated=True))
        await _in_thread(
            lambda: _prepare("PostgreSQL" if embedded else "DAGSTER_DATABASE_URL", dagster, migrated=False)
        )
        return {"DATABASE_URL": given.get_secret_value(), "DAGSTER_DATABASE_URL": dagster.get_secret_value()}

    def _environment(self, ports: dict[str, int]) -> dict[str, str]:
        environment = {
            **os.environ,
            "CAROUSEL_HOME": str(self._home),
            "CAROUSEL_CODE_SERVER_HOST": "127.0.0.1",
            "CAROUSEL_CODE_SERVER_PORT": str(ports["code"]),
            "DAGSTER_HOME": str(write_local_instance(self._home / "dagster")),
            "DAGSTER_GRAPHQL_URL": f"http://127.0.0.1:{ports['ui']}/graphql",
            "ARTIFACTS_URL": self._settings.artifacts_url or (self._home / "artifacts").as_uri(),
            "CAROUSEL_HEALTH_LISTEN": self._settings.carousel_health_listen or f"127.0.0.1:{ports['health']}",
            "PYTHONUNBUFFERED": "1",
        }
        if self._settings.telegram_bot_token is None:
            environment["TELEGRAM_BOT_TOKEN"] = local_token(self._home)
            environment["TELEGRAM_API_URL"] = f"http://127.0.0.1:{ports['telegram']}"
        return environment

    def _telegram(self, address: str, ui: str, environment: dict[str, str]) -> Part:
        command = _module(
            "carousel_pipeline.local.telegram",
            *("--port", str(urlsplit(address).port)),
            *("--home", str(self._home / "telegram")),
            *("--dagster-url", ui),
        )
        return Part("Telegram", command, environment, probes.answers(f"{address}/healthz"))

    def _dagster(self, ports: dict[str, int], ui: str, environment: dict[str, str]) -> list[Part]:
        workspace = ("-w", str(resource("workspace.yaml")))
        log_format = ("--log-format", "json" if self._settings.carousel_log_format == "json" else "colored")
        gate = ("carousel_pipeline.local.gate", str(ports["code"]))
        return [
            Part(
                "Code server",
                (sys.executable, "-P", "-c", _COMMAND, "code-server", "--port", str(ports["code"])),
                environment,
                probes.greets(ports["code"]),
                stop_limit_s=_CODE_SERVER_STOP_S,
            ),
            Part(
                "Dagster UI",
                _module(
                    *gate,
                    "dagster_webserver.cli",
                    "dagster_webserver",
                    "-h",
                    "127.0.0.1",
                    "-p",
                    str(ports["ui"]),
                    *workspace,
                    *log_format,
                ),
                environment,
                probes.dagster_knows_the_code(ui),
            ),
            Part(
                "Dagster daemon",
                _module(*gate, "dagster._daemon.cli", "dagster._daemon", "run", *workspace, *log_format),
                environment,
                probes.daemons_beat(ui, time.time()),
            ),
        ]

    async def _bot(self, telegram: str | None, environment: dict[str, str]) -> Part:
        # Setting its commands is the last thing that the bot does before it asks for updates.
        ready: probes.Probe = probes.always
        if telegram:
            ready = probes.telegram_was_called(telegram, "setMyCommands", await probes.telegram_calls(telegram))
        return Part("Bot", _module("bot"), environment, ready, stop_limit_s=_BOT_STOP_S)

    def _note(self, **changes: Any) -> None:
        self.running = self.running.model_copy(update=changes)
        write_state(self._home, self.running)

    def _note_processes(self, processes: dict[str, int]) -> None:
        self._note(processes=processes)


def local_token(home: Path) -> str:
    """Return the made-up bot token of the local Telegram on `home`, the same at every start.

    Hexadecimal, so that chance cannot write a word that the settings take for a placeholder; it once wrote `XxXx`.
    """
    path = home / "telegram-token"
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(f"{secrets.randbelow(9 * 10**9) + 10**9}:{secrets.token_hex(18)}", encoding="ascii")
        draft.replace(path)
    return path.read_text(encoding="ascii")


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    # -P: nothing in the folder that the person happens to be in may shadow a module.
    return (sys.executable, "-P", "-m", name, *arguments)


def _prepare(setting: str, url: SecretStr, *, migrated: bool) -> None:
    try:
        ensure_database(url.get_secret_value())
        if migrated:
            migrate(url.get_secret_value())
    except psycopg.Error as error:
        raise ConfigurationError(f"{setting}: the database cannot be used: {str(error).strip()}") from None


async def _in_thread(work: Any) -> Any:
    return await uninterrupted(asyncio.to_thread(work))
