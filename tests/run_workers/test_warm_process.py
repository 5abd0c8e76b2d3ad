"""The process that runs are forked from, with the product's own definitions: it has what a run needs, and little besides."""

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg.types.json import Jsonb

from carousel_pipeline.database import connect, ensure_database
from carousel_pipeline.local.dagster_home import local_instance
from carousel_pipeline.partitions import REQUESTS
from carousel_pipeline.requests import Options
from carousel_pipeline.run_workers.bench_stack import DagsterStack
from carousel_pipeline.run_workers.start_bench import megabytes
from carousel_pipeline.tags import run_tags

from ..pipeline.conftest import TEXT, TOKEN, LocalTelegram, served_telegram  # noqa: TID252 - tests are no package
from ..providers import fake_claude, fake_gemini  # noqa: TID252 - as above
from ..providers.fake_claude import FakeClaude  # noqa: TID252 - as above
from ..providers.fake_gemini import FakeGemini  # noqa: TID252 - as above
from ..providers.serving import served  # noqa: TID252 - as above
from .watched_runs import CANARY, FOLDER

# The code server and the process that runs are forked from, together and with the SDKs of both models.
BUDGET_MB = 330
SLIDES = 3


@dataclass
class Product:
    """The product without its bot."""

    folder: Path
    database_url: str
    telegram: LocalTelegram
    dagster: DagsterStack


@pytest.fixture
def product(database_url: str, tmp_path: Path) -> Iterator[Product]:
    dagster_url = f"{database_url}_dagster"
    ensure_database(dagster_url)
    with ExitStack() as stack:
        telegram = stack.enter_context(served_telegram(tmp_path / "telegram"))
        environment = {
            "PYTHONPATH": str(Path(__file__).parent),
            FOLDER: str(tmp_path),
            "DATABASE_URL": database_url,
            "ARTIFACTS_URL": f"file://{tmp_path}/artifacts",
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": telegram.url,
            "ANTHROPIC_API_KEY": fake_claude.KEY,
            "ANTHROPIC_BASE_URL": stack.enter_context(served(FakeClaude().app())),
            "GEMINI_API_KEY": fake_gemini.KEY,
            "GEMINI_BASE_URL": stack.enter_context(served(FakeGemini().app())),
        }
        serve = ("-c", "import watched_runs; watched_runs.serve({port})")
        dagster = stack.enter_context(DagsterStack(tmp_path, dagster_url, local_instance(), serve, environment))
        yield Product(tmp_path, database_url, telegram, dagster)


def carousel(product: Product) -> int:
    """Make one from its text to its album, in two runs; return its chat."""
    chat = product.telegram.new_user()
    product.telegram.call("POST", f"/sim/chats/{chat}/messages", {"text": "/start"})
    with connect(product.database_url, "led_bot") as bot:
        bot.execute("select ledger.welcome(%s)", [chat])
        options = Jsonb(Options(slides=SLIDES, pictures="each").model_dump())
        [opened] = bot.execute(
            "select request_id as id from carousel.open_request(%s, %s, 'tap', %s, %s)", [chat, chat, TEXT, options]
        )
        request = str(opened["id"])
        product.dagster.add_partition(REQUESTS, request)
        run(product.dagster, "outline", request)
        [quoted] = bot.execute("select price from carousel.request where id = %s", [request])
        bot.execute("select carousel.confirm(%s, %s, %s)", [chat, request, quoted["price"]])
        run(product.dagster, "carousel", request)
    return chat


def run(dagster: DagsterStack, job: str, request: str) -> None:
    started = dagster.launch(job, request, run_tags(request, f"{job}:{request}", None))
    assert dagster.wait(started)["status"] == "SUCCESS", dagster.log("code")[-3000:]


def watched(folder: Path) -> list[tuple[list[str], list[str]]]:
    """What each run process that has ended built and imported."""
    return [ast.literal_eval(note.read_text(encoding="utf-8")) for note in folder.glob("*.watched")]


def test_a_carousel_builds_no_model_and_imports_nothing_that_its_process_could_have_had(product: Product) -> None:
    chat = carousel(product)
    assert len(product.telegram.photos(chat)) == SLIDES
    # The first child only says that the fork server is ready.
    deadline = time.monotonic() + 20
    while len(notes := watched(product.folder)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [built for built, _ in notes] == [[CANARY]] * len(notes), "build it in what run_workers/preload.py warms"
    assert [imported for _, imported in notes] == [[]] * len(notes), "import it in run_workers/preload.py"
    server = product.dagster.processes["code"].pid
    assert megabytes(server) <= BUDGET_MB


@pytest.mark.parametrize("module", ["bot", "carousel_pipeline.delivery", "carousel_pipeline.payments.telegram"])
def test_aiogram_is_imported_without_its_models(module: str) -> None:
    """Each of its thousand types costs a tenth of a megabyte once it is built."""
    code = (
        f"import {module}, aiogram.types as t; m = [getattr(t, n) for n in t.__all__]; "
        "print(sum(getattr(c, '__pydantic_complete__', False) for c in m), len(m))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    built, there = map(int, done.stdout.split())
    assert built < there / 10
