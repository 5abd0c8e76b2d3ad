"""A local Telegram in its own process, reset before every test; everything goes over HTTP."""

import asyncio
import io
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from PIL import Image

TOKEN = "123456789:AAlocal_token_for_tests_only_00000000"


class Server:
    """One server process."""

    def __init__(self, home: Path, *arguments: str, token: str = TOKEN) -> None:
        command = [sys.executable, "-m", "carousel_pipeline.local.telegram", "--port", "0", "--home", str(home)]
        self.process = subprocess.Popen(
            [*command, "--token", token, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def stop(self, *, kill: bool = False) -> str:
        """Stop it and return what it logged."""
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        return self.process.communicate(timeout=10)[1]


class Sim:
    """The users' side."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url

    async def call(self, method: str, path: str, **options: Any) -> Any:
        async with self.http.request(method, self.url + path, **options) as answer:
            return await answer.json()

    async def status(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.request(method, self.url + path, **options) as answer:
            return answer.status, await answer.json()

    async def api(self, method: str, **params: Any) -> tuple[int, Any]:
        return await self.status("POST", f"/bot{TOKEN}/{method}", json=params)

    async def user(self, **profile: Any) -> int:
        return (await self.call("POST", "/sim/users", json={"first_name": "Ann", "language_code": "en", **profile}))[
            "chat_id"
        ]

    async def say(self, chat: int, text: str) -> int:
        return (await self.call("POST", f"/sim/chats/{chat}/messages", json={"text": text}))["message_id"]

    async def press(self, chat: int, message: int, data: str, **extra: Any) -> str:
        pressed = await self.call(
            "POST", f"/sim/chats/{chat}/press", json={"message_id": message, "data": data, **extra}
        )
        return pressed["callback_query_id"]

    async def messages(self, chat: int) -> list[dict[str, Any]]:
        return (await self.call("GET", f"/sim/chats/{chat}/messages"))["messages"]

    async def log(self) -> list[dict[str, Any]]:
        return (await self.call("GET", "/sim/log"))["calls"]

    async def fault(self, **fault: Any) -> dict[str, Any]:
        return await self.call("POST", "/sim/faults", json=fault)

    async def until(self, chat: int, kind: str, after: int = 0) -> dict[str, Any]:
        """Wait for the first event of a kind."""
        async with asyncio.timeout(40):
            while True:
                answer = await self.call("GET", f"/sim/chats/{chat}/events?after={after}&wait=5")
                for event in answer["events"]:
                    if event["type"] == kind:
                        return event
                after = answer["next"]


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[Server]:
    server = Server(home, *arguments)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
        else:
            server.process.communicate()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("telegram")) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest_asyncio.fixture(loop_scope="session")
async def sim(server: Server, _http: aiohttp.ClientSession) -> Sim:
    sim = Sim(_http, server.url)
    await sim.call("POST", f"/bot{TOKEN}/deleteWebhook")
    await sim.call("POST", "/sim/reset")
    await sim.api("getUpdates", allowed_updates=[])  # a dispatcher of an earlier test may have narrowed it
    return sim


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bot(server: Server) -> AsyncIterator[Bot]:
    async with Bot(TOKEN, session=AiohttpSession(api=TelegramAPIServer.from_base(server.url))) as bot:
        yield bot


@pytest_asyncio.fixture(loop_scope="session")
async def chat(sim: Sim) -> int:
    return await sim.user()


def picture(colour: str = "navy", size: tuple[int, int] = (1080, 1350), kind: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


@pytest.fixture(scope="session")
def draw() -> Any:
    return picture


@pytest.fixture(scope="session")
def serve() -> Any:
    return serving


@pytest.fixture(scope="session")
def connect() -> Any:
    return Sim


@pytest.fixture(scope="session")
def token() -> str:
    return TOKEN
