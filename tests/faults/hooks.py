"""Where faults get in: every named query and every call to Telegram of this process passes here first.

Below this line everything is real: psycopg, a gate that loses answers, aiogram, the local Telegram with its armed faults.
"""

import asyncio
import json
import os
import signal
import ssl
import threading
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any, Final

import psycopg
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.methods import Response, TelegramMethod
from aiogram.types import Message

from carousel_pipeline import database
from carousel_pipeline.delivery import telegram as delivery
from carousel_pipeline.ledger import pipeline as ledger

from .gate import mark
from .plan import GATE_KINDS, KILLS, TELEGRAM_FAULTS, TIMEOUTS, Family, Plan

_SHORT_TIMEOUT_S: Final = 0.25
# pydantic forgets a parametrised model that nobody holds, and builds it again for every album: 0.2 s.
_ALBUM_ANSWER: Final = Response[list[Message]]
_NOBODY: Final = TelegramAPIServer.from_base("http://127.0.0.1:9")


@dataclass
class Faults:
    """The plan of the present case, who is at work, and what goes on while a process is paused."""

    plan: Plan
    tell: Callable[[str, str], None]
    meanwhile: Callable[[], None]
    telegram_url: str
    who: str = ""
    record: Callable[[str], None] | None = None

    def visit(self, name: str, family: Family) -> str | None:
        """Return the fault of this call; kills before it and pauses are over when this returns."""
        point = f"{self.who}.{name}"
        if self.record is not None:
            self.record(point)
        kind = self.plan.visit(point, family, self.tell)
        if kind == "killed_before":
            die()
        if kind == "paused":
            # In a thread, because the paused call may be inside an event loop, which stands still meanwhile.
            who, thread = self.who, threading.Thread(target=self.meanwhile)
            thread.start()
            thread.join()
            self.who = who
        return kind

    @contextmanager
    def acting(self, who: str) -> Any:
        """Name what is called inside the block after `who`."""
        before, self.who = self.who, who
        try:
            yield
        finally:
            self.who = before

    def arm(self, fault: dict[str, Any]) -> None:
        """Let the local Telegram's next album go wrong."""
        data = json.dumps({"method": "sendMediaGroup", **fault}).encode()
        request = urllib.request.Request(self.telegram_url + "/sim/faults", data=data)
        urllib.request.urlopen(request, timeout=20).close()


present: Faults | None = None


def die() -> None:
    """End like a process whose machine went away."""
    os.kill(os.getpid(), signal.SIGKILL)


def install() -> None:
    """Put the hooks in; without a present case they do nothing."""
    _hook_database(psycopg.Connection)
    _hook_async_database(psycopg.AsyncConnection)
    _hook_telegram()
    # Waiting is a matter of the clock, and the clock is ours.
    vars(delivery)["asyncio"] = SimpleNamespace(sleep=lambda _seconds: asyncio.sleep(0))
    vars(ledger)["time"] = SimpleNamespace(sleep=lambda _seconds: None)
    # Neither the certificates of the world nor aiogram's pause for TLS connections mean anything here; together 0.3 s an album.
    context = ssl.create_default_context()
    ssl.create_default_context = lambda **_: context
    AiohttpSession.close = _close  # type: ignore[method-assign]  # the fault itself


async def _close(self: AiohttpSession) -> None:
    if self._session is not None:
        await self._session.close()


def _before(statement: Any) -> tuple[Any, str | None]:
    name = _names().get(statement) if present is not None else None
    if present is None or name is None or not present.who:
        return statement, None
    kind = present.visit(name, "database")
    return (statement + mark(kind) if kind in GATE_KINDS else statement), kind


def _after(kind: str | None) -> None:
    if kind in KILLS:
        die()


def _hook_database(cls: Any) -> None:
    execute = cls.execute

    def hooked(self: Any, statement: Any, *rest: Any, **options: Any) -> Any:
        statement, kind = _before(statement)
        answer = execute(self, statement, *rest, **options)
        _after(kind)
        return answer

    cls.execute = hooked


def _hook_async_database(cls: Any) -> None:
    execute = cls.execute

    async def hooked(self: Any, statement: Any, *rest: Any, **options: Any) -> Any:
        statement, kind = _before(statement)
        answer = await execute(self, statement, *rest, **options)
        _after(kind)
        return answer

    cls.execute = hooked


def _hook_telegram() -> None:
    make_request = AiohttpSession.make_request

    async def hooked(self: AiohttpSession, bot: Bot, method: TelegramMethod[Any], timeout: int | None = None) -> Any:  # noqa: ASYNC109 - aiogram's own name
        if present is None or not present.who:
            return await make_request(self, bot, method, timeout)
        kind = present.visit(method.__api_method__, "telegram")
        if kind in TELEGRAM_FAULTS:
            present.arm(TELEGRAM_FAULTS[kind])
        limit: Any = _SHORT_TIMEOUT_S if kind in TIMEOUTS else timeout
        api = self.api
        if kind == "not_connected":
            self.api = _NOBODY
        try:
            answer = await make_request(self, bot, method, limit)
        finally:
            self.api = api
        _after(kind)
        return answer

    AiohttpSession.make_request = hooked  # type: ignore[method-assign]  # the fault itself


@cache
def _names() -> dict[bytes, str]:
    return {text: name for file in ("ledger", "requests", "bot") for name, text in database._queries(file).items()}
