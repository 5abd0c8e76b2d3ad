"""The real bot over real HTTP against the local Telegram and a fake Dagster over a socket; the tests play the pipeline."""

import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from psycopg.types.json import Jsonb

from bot.app import App, Pace, build
from bot.pace import Rate
from carousel_pipeline.artifacts import content_key, open_store
from carousel_pipeline.database import Role, connect, query
from carousel_pipeline.requests import Deck, price_of
from carousel_pipeline.requests.deck import roles
from carousel_pipeline.settings import Settings

TOKEN = "123456789:AAtestTokenOfTheLocalTelegram0123456"
QUICK = Pace(pause_s=0.1, sweep_s=0.2, private=Rate(burst=200, per_second=100))
JPEG = b"\xff\xd8\xff\xe0 a slide \xff\xd9"


class Dagster:
    """Speaks the three GraphQL operations of the bot as Dagster answers them, and remembers what was launched."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.partitions: list[str] = []
        self.lose_answers = 0
        self.down = False
        self.launched = asyncio.Event()

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/graphql", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        if self.down:
            return web.Response(status=502, text="<html>502</html>", content_type="text/html")
        asked = await request.json()
        query_, variables = asked["query"], asked.get("variables", {})
        if "allDaemonStatuses" in query_:
            return _data("instance", {"daemonHealth": {"allDaemonStatuses": []}})
        if "runsOrError" in query_:
            wanted = {(tag["key"], tag["value"]) for tag in variables["tags"]}
            found = [{"runId": run["runId"]} for run in self.runs if wanted <= set(run["tags"].items())]
            return _data("runsOrError", {"__typename": "Runs", "results": found[:1]})
        if "addDynamicPartition" in query_:
            known = variables["key"] in self.partitions
            self.partitions += [] if known else [variables["key"]]
            kind = "DuplicateDynamicPartitionError" if known else "AddDynamicPartitionSuccess"
            return _data("addDynamicPartition", {"__typename": kind})
        tags = {tag["key"]: tag["value"] for tag in variables["params"]["executionMetadata"]["tags"]}
        run = {"runId": f"run-{len(self.runs)}", "job": variables["params"]["selector"]["jobName"], "tags": tags}
        self.runs.append(run)
        self.launched.set()
        if self.lose_answers:
            self.lose_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return _data("launchRun", {"__typename": "LaunchRunSuccess", "run": {"runId": run["runId"]}})

    async def run(self, job: str, request_id: str | None = None) -> dict[str, Any]:
        """Wait for the next run of a job (of a request) that nobody has asked for yet, and return it."""
        async with asyncio.timeout(40):
            while True:
                for run in self.runs:
                    mine = request_id is None or run["tags"]["carousel/request"] == request_id
                    if run["job"] == job and mine and not run.get("taken"):
                        run["taken"] = True
                        return run
                self.launched.clear()
                await self.launched.wait()


def _data(field: str, value: dict[str, Any]) -> web.Response:
    return web.json_response({"data": {field: value}})


class Pipeline:
    """Plays the run processes: the SQL calls they make, and slides in the store."""

    def __init__(self, url: str, artifacts: str) -> None:
        self._url = url
        self._artifacts = open_store(artifacts)

    def sql(self, statement: str, as_role: Role | None = "led_pipeline", /, **values: Any) -> list[dict[str, Any]]:
        with connect(self._url, as_role) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    async def until(self, statement: str) -> None:
        """Wait until a query has rows; the database announces nothing about the bot's own tables."""
        async with asyncio.timeout(40):
            while not self.sql(statement, None):  # noqa: ASYNC110 (there is no event to wait for)
                await asyncio.sleep(0.02)

    def named(self, name: str, **values: Any) -> list[dict[str, Any]]:
        return self.sql(query(name).decode(), **values)

    def outline(self, request: str, slides: int = 4, language: str = "en") -> None:
        deck = deck_of(slides, language)
        told = {"run": "run", "spans": Jsonb([])}
        ready = {"deck": Jsonb(deck.model_dump(mode="json")), "price": price_of(deck)}
        self.named("requests.outline_ready", id=request, **ready, **told)

    def progress(self, request: str, step: str, done: int, total: int) -> None:
        self.named("requests.report_progress", id=request, step=step, done=done, total=total)

    def claim(self, request: str, run: str = "run") -> int:
        row = self.sql("select * from ledger.claim(%(id)s, %(run)s)", id=request, run=run)[0]
        assert row["verdict"] == "run"
        return int(row["fence"])

    def begin(self, request: str) -> int:
        """Render and begin to send; returns the delivery."""
        fence = self.claim(request)
        self.sql("select ledger.rendered(%(id)s, %(fence)s)", id=request, fence=fence)
        row = self.sql("select * from ledger.delivery_begin(%(id)s, %(fence)s)", id=request, fence=fence)[0]
        assert row["verdict"] == "send"
        return int(row["delivery_id"])

    def end(self, delivery: int, outcome: str, charge: int | None = None) -> str:
        ids = [1, 2, 3] if outcome == "sent" else None
        sql = "select ledger.delivery_end(%(d)s, %(o)s, %(ids)s::bigint[], null, %(c)s) as state"
        return str(self.sql(sql, d=delivery, o=outcome, ids=ids, c=charge)[0]["state"])

    def keep_slides(self, request: str, count: int) -> None:
        for position in range(1, count + 1):
            data = JPEG + bytes([position])
            key = content_key(data, "jpg")
            self._artifacts.put(key, data, content_type="image/jpeg")
            self.named(
                "requests.keep_artifact", id=request, role="slide", position=position, recipe="r", sha256="0" * 64, key=key,
                content_type="image/jpeg", bytes=len(data), width=1080, height=1350, meta=Jsonb({}),
            )  # fmt: skip

    def deliver(self, request: str, slides: int = 4) -> None:
        self.keep_slides(request, slides)
        assert self.end(self.begin(request), "sent") == "delivered"

    def violations(self) -> list[dict[str, Any]]:
        return self.sql("select * from ledger.invariant_violation", None)


def deck_of(slides: int, language: str = "en") -> Deck:
    cards = [
        {"role": role, "heading": f"Heading **{n}**", "body": f"Body of slide {n}"}
        for n, role in enumerate(roles(slides), 1)
    ]
    return Deck.model_validate({"language": language, "slides": cards})


class Person:
    """A user of the local Telegram, over its HTTP control API."""

    def __init__(self, http: aiohttp.ClientSession, url: str, chat: int) -> None:
        self._http = http
        self._url = url
        self.chat = chat
        self._seen = 0

    async def _post(self, path: str, **body: Any) -> dict[str, Any]:
        async with self._http.post(f"{self._url}/sim/chats/{self.chat}/{path}", json=body) as answer:
            result = await answer.json()
            assert answer.status < 300, result
            return dict(result)

    async def says(self, text: str) -> int:
        return int((await self._post("messages", text=text))["message_id"])

    async def sends_document(self, name: str, data: bytes, caption: str = "") -> int:
        form = aiohttp.FormData()
        form.add_field("document", data, filename=name, content_type="application/octet-stream")
        form.add_field("caption", caption)
        async with self._http.post(f"{self._url}/sim/chats/{self.chat}/messages", data=form) as answer:
            assert answer.status < 300, await answer.text()
            return int((await answer.json())["message_id"])

    async def edits(self, message: int, text: str) -> None:
        async with self._http.put(
            f"{self._url}/sim/chats/{self.chat}/messages/{message}", json={"text": text}
        ) as answer:
            assert answer.status < 300, await answer.text()

    async def messages(self) -> list[dict[str, Any]]:
        async with self._http.get(f"{self._url}/sim/chats/{self.chat}/messages") as answer:
            return list((await answer.json())["messages"])

    async def bot_texts(self) -> list[str]:
        return [message.get("text", "") for message in await self.messages() if message["from"]["is_bot"]]

    async def sees(self, sign: str | Callable[[dict[str, Any]], bool], within: float = 40.0) -> dict[str, Any]:
        """Wait until a message of the bot has these words (or passes a test) and return the newest such message."""
        wanted = (lambda message: sign in message.get("text", "")) if isinstance(sign, str) else sign
        try:
            async with asyncio.timeout(within):
                async for messages in self._states():
                    if found := [message for message in messages if message["from"]["is_bot"] and wanted(message)]:
                        return found[-1]
        except TimeoutError:
            raise AssertionError(f"never saw {sign!r} in {await self.bot_texts()}") from None
        raise AssertionError("unreachable")

    async def no_longer_sees(self, sign: str, within: float = 40.0) -> None:
        async with asyncio.timeout(within):
            async for messages in self._states():
                if not any(sign in message.get("text", "") for message in messages):
                    return

    async def _states(self) -> AsyncIterator[list[dict[str, Any]]]:
        after = 0
        while True:
            async with self._http.get(f"{self._url}/sim/chats/{self.chat}/messages") as answer:
                state = await answer.json()
            yield state["messages"]
            after = state["next"]
            wait = {"after": after, "wait": 5}
            async with self._http.get(f"{self._url}/sim/chats/{self.chat}/events", params=wait) as answer:
                await answer.json()

    async def presses(self, message: dict[str, Any], label: str) -> str:
        """Press a button by a part of its words; returns the id of the query."""
        return await self.sends_data(message["message_id"], data_of(message, label))

    async def sends_data(self, message: int, data: str, **extra: Any) -> str:
        return str((await self._post("press", message_id=message, data=data, **extra))["callback_query_id"])

    async def hears(self, query_id: str, within: float = 40.0) -> dict[str, Any]:
        """Wait for the answer to a press."""
        after = 0
        async with asyncio.timeout(within):
            while True:
                url = f"{self._url}/sim/chats/{self.chat}/events"
                async with self._http.get(url, params={"after": after, "wait": 5}) as answer:
                    found = await answer.json()
                for event in found["events"]:
                    if event["type"] == "callback_answer" and event["callback_query_id"] == query_id:
                        return dict(event)
                after = found["next"]

    async def blocks(self) -> None:
        await self._post("block")


def data_of(message: dict[str, Any], label: str) -> str:
    rows = message["reply_markup"]["inline_keyboard"]
    found = [button for row in rows for button in row if label in button["text"]]
    assert found, f"no button {label!r} in {json.dumps(rows, ensure_ascii=False)}"
    return str(found[0]["callback_data"])


class Stage:
    """Everything around the bot, and the bot itself when `bot()` is entered."""

    def __init__(
        self, http: aiohttp.ClientSession, telegram: str, dagster: Dagster, settings: Settings, pipeline: Pipeline
    ) -> None:
        self.http = http
        self.telegram = telegram
        self.dagster = dagster
        self.settings = settings
        self.pipeline = pipeline
        self._names = itertools.count(1)

    @asynccontextmanager
    async def bot(self, pace: Pace = QUICK) -> AsyncIterator[App]:
        async with build(self.settings, pace) as app:
            work = asyncio.create_task(app.run())
            try:
                yield app
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    async def person(self, language: str = "en") -> Person:
        body = {"first_name": f"Anna {next(self._names)}", "language_code": language}
        async with self.http.post(f"{self.telegram}/sim/users", json=body) as answer:
            return Person(self.http, self.telegram, int((await answer.json())["chat_id"]))

    async def guest(self, language: str = "en") -> Person:
        """A person who pressed Start and has the welcome credits."""
        person = await self.person(language)
        await person.says("/start")
        await person.sees("10")
        return person

    async def outlined(
        self, person: Person, text: str = "Five habits of calm people", slides: int = 4
    ) -> tuple[str, dict[str, Any]]:
        """Send a text and play the writer; returns the request and the outline's message."""
        await person.says(text)
        request = (await self.dagster.run("outline"))["tags"]["carousel/request"]
        self.pipeline.outline(request, slides)
        return request, await person.sees(lambda message: f"r:make:{UUID(request).hex}" in json.dumps(message))

    async def confirmed(self, person: Person, slides: int = 4) -> str:
        request, outline = await self.outlined(person, slides=slides)
        await person.presses(outline, "Make it")
        await self.dagster.run("carousel", request)
        return request

    async def fault(self, **fault: Any) -> None:
        async with self.http.post(f"{self.telegram}/sim/faults", json=fault) as answer:
            assert answer.status < 300, await answer.text()

    async def calls(self, method: str) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.telegram}/sim/log") as answer:
            return [call for call in (await answer.json())["calls"] if call["method"].lower() == method.lower()]


@pytest.fixture(scope="session")
def telegram() -> Iterator[str]:
    """The local Telegram, a process of its own as in the product; its address."""
    with tempfile.TemporaryDirectory(prefix="carousel-telegram-") as home:
        command = [
            sys.executable,
            "-m",
            "carousel_pipeline.local.telegram",
            "--port",
            "0",
            "--home",
            home,
            "--token",
            TOKEN,
        ]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert server.stdout is not None
        with server.stdout:
            yield server.stdout.readline().strip()
            server.terminate()
            server.wait(10)


@pytest.fixture
async def stage(database_url: str, tmp_path: Path, telegram: str) -> AsyncIterator[Stage]:
    dagster = Dagster()
    artifacts = f"file://{tmp_path / 'artifacts'}"
    async with AsyncExitStack() as stack:
        dagster_url = await _serve(stack, dagster.application())
        http = await stack.enter_async_context(aiohttp.ClientSession())
        async with http.post(f"{telegram}/sim/reset", json={}) as answer:
            assert answer.status < 300
        settings = Settings.model_validate(
            {
                "telegram_bot_token": TOKEN,
                "telegram_api_url": telegram,
                "database_url": database_url,
                "dagster_graphql_url": f"{dagster_url}/graphql",
                "artifacts_url": artifacts,
            }
        )
        yield Stage(http, telegram, dagster, settings, Pipeline(database_url, artifacts))


async def _serve(stack: AsyncExitStack, app: web.Application) -> str:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def app(stage: Stage) -> AsyncIterator[SimpleNamespace]:
    """A running bot and everything around it."""
    async with stage.bot() as running:
        yield SimpleNamespace(stage=stage, bot=running, dagster=stage.dagster, pipeline=stage.pipeline)
