"""`/healthz`, `/readyz` and `/metrics`, on a port of their own that the world does not see.

`/healthz` says that the event loop turns. `/readyz` asks every dependency and answers 503 with a reason for each that does not
work (M19): the predecessor answered 200 whatever was broken. A reason is ours, never a library's text, which could hold an
address with a password.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import aiohttp
import psycopg
from aiogram import Bot
from aiogram.exceptions import AiogramError
from aiohttp import web
from psycopg_pool import PoolTimeout

from bot.listening import listening
from bot.metrics import CONTENT_TYPE, Figure, Metrics
from carousel_pipeline.artifacts import ArtifactStore
from carousel_pipeline.errors import CarouselError

Check = Callable[[], Awaitable[str]]
_CHECK_WITHIN_S: Final = 4.0
_REMEMBERED_S: Final = 5.0
_LAG_EVERY_S: Final = 0.5
_DAEMONS: Final = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


class Health:
    """What answers the three addresses.

    Args:
        checks: asks a dependency; returns why it does not work, or nothing.
        figures: the database's numbers.
        metrics: this process's times.
    """

    def __init__(
        self, checks: Mapping[str, Check], figures: Callable[[], Awaitable[Sequence[Figure]]], metrics: Metrics
    ) -> None:
        self._checks = checks
        self._figures = figures
        self._metrics = metrics
        self._problems: dict[str, str] = {}
        self._asked_at = -_REMEMBERED_S
        self._asking = asyncio.Lock()

    def application(self) -> web.Application:
        """Return the server's application."""
        app = web.Application()
        app.router.add_get("/healthz", self._alive)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", self._page)
        return app

    async def problems(self) -> dict[str, str]:
        """Return what keeps each dependency from working, empty words where it works; asked at most once in five seconds."""
        async with self._asking:
            if time.monotonic() - self._asked_at >= _REMEMBERED_S:
                answers = await asyncio.gather(*(_answer(check) for check in self._checks.values()))
                self._problems = dict(zip(self._checks, answers, strict=True))
                self._asked_at = time.monotonic()
            return self._problems

    async def _alive(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, _request: web.Request) -> web.Response:
        problems = await self.problems()
        ready = not any(problems.values())
        checks = {name: problem or "ok" for name, problem in problems.items()}
        return web.json_response({"ready": ready, "checks": checks}, status=200 if ready else 503)

    async def _page(self, _request: web.Request) -> web.Response:
        problems = await self.problems()
        figures: Sequence[Figure] = ()
        if not problems.get("database"):
            try:
                figures = await self._figures()
            except (psycopg.Error, PoolTimeout):
                problems = {**problems, "database": "its figures cannot be read"}
        return web.Response(body=self._metrics.page(figures, problems), headers={"Content-Type": CONTENT_TYPE})


async def _answer(check: Check) -> str:
    try:
        async with asyncio.timeout(_CHECK_WITHIN_S):
            return await check()
    except TimeoutError:
        return f"no answer in {_CHECK_WITHIN_S:.0f} s"


def database_check(ask: Callable[[], Awaitable[object]]) -> Check:
    """The database answers a query of the bot's."""

    async def check() -> str:
        try:
            await ask()
        except (psycopg.Error, PoolTimeout) as error:
            return f"the database does not answer: {type(error).__name__}"
        return ""

    return check


def dagster_check(session: aiohttp.ClientSession, url: str) -> Check:
    """The Dagster webserver answers, and the daemons that start runs and settle holds have a heartbeat."""

    async def check() -> str:
        try:
            async with session.post(url, json={"query": _DAEMONS}) as response:
                answer: Any = await response.json(content_type=None)
            statuses = answer["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
            still = sorted(item["daemonType"] for item in statuses if item["required"] and not item["healthy"])
        except (aiohttp.ClientError, OSError, ValueError, KeyError, TypeError) as error:
            return f"Dagster does not answer: {type(error).__name__}"
        return f"Dagster daemons without a heartbeat: {', '.join(still)}" if still else ""

    return check


def telegram_check(bot: Bot) -> Check:
    """Telegram answers and knows the token."""

    async def check() -> str:
        try:
            await bot.get_me(request_timeout=int(_CHECK_WITHIN_S))
        except AiogramError as error:
            return f"Telegram does not answer: {type(error).__name__}"
        return ""

    return check


def storage_check(store: ArtifactStore) -> Check:
    """The artifacts' store may be read."""

    async def check() -> str:
        try:
            await asyncio.to_thread(store.check)
        except (CarouselError, OSError) as error:
            return f"the storage cannot be read: {type(error).__name__}"
        return ""

    return check


def everything(
    ping: Callable[[], Awaitable[object]],
    session: aiohttp.ClientSession,
    dagster_url: str,
    bot: Bot,
    store: ArtifactStore,
) -> dict[str, Check]:
    """Return the checks of all that the bot depends on, by name."""
    return {
        "database": database_check(ping),
        "dagster": dagster_check(session, dagster_url),
        "telegram": telegram_check(bot),
        "storage": storage_check(store),
    }


async def watch_lag(metrics: Metrics) -> None:
    """Measure for ever how late the event loop is."""
    while True:
        asleep = time.monotonic()
        await asyncio.sleep(_LAG_EVERY_S)
        metrics.loop_lag_seconds.observe(max(0.0, time.monotonic() - asleep - _LAG_EVERY_S))


async def serve_health(health: Health, address: tuple[str, int]) -> None:
    """Answer on an address for ever.

    Raises:
        ConfigurationError: the port is taken.
    """
    async with listening(health.application(), address, "CAROUSEL_HEALTH_LISTEN", close_within_s=1.0):
        await asyncio.Event().wait()
