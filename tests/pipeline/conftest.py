"""A pipeline with everything real but the daemon: Dagster's own job execution, PostgreSQL, and the local Telegram over HTTP."""

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import dagster as dg
import psycopg
import pytest
from psycopg.types.json import Jsonb

from carousel_pipeline.database import connect
from carousel_pipeline.partitions import REQUESTS
from carousel_pipeline.requests import Options
from carousel_pipeline.settings import get_settings
from carousel_pipeline.tags import run_tags

TOKEN = "4242:AAF3jQ9dTn0xZkLw2pVbR7sYcHuEoMi4GqA"
TEXT = """Sleep is not a luxury. Adults need seven to nine hours a night.

1. Keep one bedtime, on weekends too.
2. Put the phone away an hour before bed: blue light delays sleep by up to 90 minutes.
3. Keep the bedroom at 18 degrees.
4. No coffee after 2 pm; caffeine stays for 8 hours.

A tired brain learns 40 percent less. Start tonight with one habit, not with five."""


@dataclass
class LocalTelegram:
    """The local Telegram, spoken to over HTTP only."""

    url: str

    def call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def new_user(self) -> int:
        chat: int = self.call("POST", "/sim/users", {"first_name": "Ann", "language_code": "en"})["chat_id"]
        return chat

    def messages(self, chat: int) -> list[dict[str, Any]]:
        answer = self.call("GET", f"/sim/chats/{chat}/messages")
        found: list[dict[str, Any]] = answer["messages"] if isinstance(answer, dict) else answer
        return found

    def photos(self, chat: int) -> list[dict[str, Any]]:
        return [message for message in self.messages(chat) if "photo" in message]

    def fault(self, **fault: object) -> None:
        self.call("POST", "/sim/faults", fault)


@dataclass
class Pipeline:
    """The two jobs of a request, run in this process on an instance of their own."""

    instance: dg.DagsterInstance
    bot: psycopg.Connection[dict[str, Any]]
    telegram: LocalTelegram
    chat: int
    artifacts: Path
    serial: int = field(default=0)

    def open(self, text: str = TEXT, **options: object) -> UUID:
        self.serial += 1
        row = self.bot.execute(
            "select request_id from carousel.open_request(%s, %s, %s, %s, %s)",
            [self.chat, self.chat, f"test:{self.serial}", text, Jsonb(Options.model_validate(options).model_dump())],
        ).fetchone()
        assert row is not None
        request_id: UUID = row["request_id"]
        self.instance.add_dynamic_partitions(REQUESTS, [str(request_id)])
        return request_id

    def run(self, job: str, request_id: UUID, tags: dict[str, str] | None = None) -> dg.ExecuteInProcessResult:
        from carousel_pipeline.definitions import defs

        return defs.resolve_job_def(job).execute_in_process(
            partition_key=str(request_id),
            instance=self.instance,
            raise_on_error=False,
            tags=run_tags(str(request_id), f"dispatch:{request_id}:1", None) | (tags or {}),
        )

    def rerun(self, request_id: UUID, tags: dict[str, str] | None = None) -> dg.ExecuteInProcessResult:
        """Run the carousel as the Dagster UI launches it: nothing but a partition, and the tags of the dialog."""
        from carousel_pipeline.definitions import defs

        return defs.resolve_job_def("carousel").execute_in_process(
            partition_key=str(request_id), instance=self.instance, raise_on_error=False, tags=tags or {}
        )

    def outline(self, text: str = TEXT, **options: object) -> tuple[UUID, int]:
        """Open a request, write its outline, and return it with its price."""
        request_id = self.open(text, **options)
        assert self.run("outline", request_id).success
        row = self.bot.execute("select price from carousel.request where id = %s", [request_id]).fetchone()
        assert row is not None
        price: int = row["price"]
        return request_id, price

    def confirmed(self, text: str = TEXT, **options: object) -> tuple[UUID, int]:
        """As `outline`, with the credits held."""
        request_id, price = self.outline(text, **options)
        row = self.bot.execute(
            "select carousel.confirm(%s, %s, %s) as answer", [self.chat, request_id, price]
        ).fetchone()
        assert row == {"answer": "confirmed"}
        return request_id, price

    def money(self) -> tuple[int, int]:
        """Return the user's available and held credits."""
        row = self.bot.execute("select available, held from ledger.balance(%s)", [self.chat]).fetchone()
        assert row is not None
        return row["available"], row["held"]

    def state(self, request_id: UUID) -> str:
        row = self.bot.execute("select state from ledger.request where id = %s", [request_id]).fetchone()
        assert row is not None
        state: str = row["state"]
        return state


@contextmanager
def served_telegram(home: Path) -> Iterator[LocalTelegram]:
    """A local Telegram as a process of its own."""
    command = [
        sys.executable,
        "-m",
        "carousel_pipeline.local.telegram",
        "--port",
        "0",
        "--home",
        str(home),
        "--token",
        TOKEN,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            yield LocalTelegram(url)
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def telegram(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTelegram]:
    with served_telegram(tmp_path_factory.mktemp("telegram")) as server:
        yield server


@pytest.fixture
def pipeline(
    database_url: str, telegram: LocalTelegram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("ARTIFACTS_URL", f"file://{tmp_path}/artifacts")
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", TOKEN)
    monkeypatch.setenv("TELEGRAM_API_URL", telegram.url)
    get_settings.cache_clear()
    telegram.call("DELETE", "/sim/faults")
    chat = telegram.new_user()
    telegram.call("POST", f"/sim/chats/{chat}/messages", {"text": "/start"})
    with dg.DagsterInstance.ephemeral() as instance, connect(database_url, "led_bot") as bot:
        bot.execute("select ledger.welcome(%s)", [chat])
        yield Pipeline(instance, bot, telegram, chat, tmp_path / "artifacts")


class _Refusing(BaseHTTPRequestHandler):
    """Gemini's way of refusing: 200, a reason, and no picture."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def refusing_gemini(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Gemini that refuses every picture, in place of the procedural painter."""
    del pipeline
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("GEMINI_API_KEY", "AIzaSyD3v9KqTn0xZkLw2pVbR7sYcHuEoMi4GqA")
        monkeypatch.setenv("GEMINI_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        get_settings.cache_clear()
        yield
        server.shutdown()


Settle = Callable[[], dict[UUID, str]]


@pytest.fixture
def settle(pipeline: Pipeline, database_url: str) -> Settle:
    """Run what the sensor `settle_holds` runs."""
    from carousel_pipeline.ledger.pipeline import PipelineLedger
    from carousel_pipeline.sensors.settlement import settle as settle_all

    def run() -> dict[UUID, str]:
        with connect(database_url, "led_pipeline") as session:
            ledger = PipelineLedger(session)
            return settle_all(ledger.open_holds(), ledger, pipeline.instance)

    return run
