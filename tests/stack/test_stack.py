"""The whole product on one machine, used as people use it: one command, a chat, a browser, things that break."""

import contextlib
import json
import os
import signal
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Page, async_playwright, expect

from carousel_pipeline.database import connect
from carousel_pipeline.local.chat import Chat, Message, buttons

from ..providers import fake_claude, fake_gemini  # noqa: TID252 - tests are no installed package
from ..providers.fake_claude import FakeClaude  # noqa: TID252 - as above
from ..providers.fake_gemini import FakeGemini  # noqa: TID252 - as above
from ..providers.serving import served  # noqa: TID252 - as above

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack")]

CHROMIUM: Final = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TEXT: Final = """Three habits of people who finish what they start

Begin before you are ready. A bad first page can be mended, an empty one cannot.

Do it at the same hour. A habit needs no courage, only a clock.

Stop while it still goes well. Then tomorrow begins with something you know.
"""


def outline(said: list[Message]) -> Message | None:
    return next((message for message in said if any(data.startswith("r:make:") for data in buttons(message))), None)


def album(said: list[Message]) -> list[Message] | None:
    done = any(data.startswith("r:files:") for message in said for data in buttons(message))
    return [message for message in said if "photo" in message] if done else None


async def make(chat: Chat, message: Message) -> None:
    await chat.press(message, next(data for data in buttons(message) if data.startswith("r:make:")))


def kill(stack: Any, *parts: str) -> None:
    for part in parts:
        os.kill(stack.state["processes"][part], signal.SIGKILL)


def test_taken_ports_are_avoided_and_the_addresses_printed(stack: Any) -> None:
    state = stack.state
    ports = {urlsplit(state[name]).port for name in ("chat_page", "dagster_ui", "health")}
    assert not ports & {3000, 4000, 8081, 8090}
    printed = (stack.home.parent / "printed").read_text()
    assert f"Write to the bot   {state['chat_page']}\n" in printed
    assert f"Dagster UI         {state['dagster_ui']}\n" in printed
    assert "DEMO" in printed


@pytest.mark.finding("M18", "M19")
def test_the_bot_says_that_all_works_and_shows_figures(stack: Any) -> None:
    def page(path: str) -> str:
        with urllib.request.urlopen(stack.state["health"] + path, timeout=20) as answer:
            text: str = answer.read().decode()
        return text

    everything = dict.fromkeys(("database", "dagster", "telegram", "storage"), "ok")
    assert json.loads(page("/readyz")) == {"ready": True, "checks": everything}
    figures = page("/metrics")
    assert 'carousel_up{dependency="dagster"} 1.0' in figures
    assert 'carousel_holds_open{state="reserved"} 0.0' in figures


def test_nobody_else_may_read_the_state(stack: Any) -> None:
    assert (stack.home / "stack.json").stat().st_mode & 0o077 == 0


def test_a_second_one_says_where_the_first_one_runs(stack: Any, cli: Any) -> None:
    second = cli(stack.home, "up")
    assert second.returncode == 2
    assert f"process {stack.process.pid}" in second.stderr
    assert stack.state["chat_page"] in second.stderr


def test_demo_prints_one_object_and_saves_the_album(stack: Any, cli: Any, tmp_path: Path) -> None:
    demo = cli(stack.home, "demo", "--slides", "7", "--style", "bold", "--out", str(tmp_path / "album"), "--json")
    assert demo.returncode == 0, demo.stderr
    made = json.loads(demo.stdout)
    assert list(made) == [
        *("delivered", "slides", "files", "timeline_s", "ledger", "cost_usd", "request_id", "dagster_run_id")
    ]
    assert (made["delivered"], made["slides"], made["cost_usd"]) == (True, 7, 0.0)
    assert made["ledger"] == {"available": 3, "held": 0, "charged": 7}
    names = [Path(file).name for file in made["files"]]
    assert names == [*(f"{number:02d}.jpg" for number in range(1, 8)), "caption.txt"]
    for file in made["files"][:-1]:
        with Image.open(file) as slide:
            assert (slide.format, slide.size) == ("JPEG", (1080, 1350))
    assert Path(made["files"][-1]).read_text()
    times = made["timeline_s"]
    assert 0 < times["outline"] < times["first_model_call"] < times["drawn"] < times["delivered"]
    assert len(made["dagster_run_id"]) == 36


def test_the_default_deck_costs_at_most_five_cents_at_list_prices(cli: Any, tmp_path: Path) -> None:
    home, claude, gemini = tmp_path / "home", FakeClaude(), FakeGemini()
    with served(claude.app()) as writer, served(gemini.app()) as painter:
        demo = cli(
            *(home, "demo", "--slides", "7", "--out", str(tmp_path / "album"), "--json"),
            ANTHROPIC_API_KEY=fake_claude.KEY,
            ANTHROPIC_BASE_URL=writer,
            GEMINI_API_KEY=fake_gemini.KEY,
            GEMINI_BASE_URL=painter,
        )
    assert demo.returncode == 0, demo.stderr
    made = json.loads(demo.stdout)
    assert (made["delivered"], made["slides"]) == (True, 7)
    assert 0.03 < made["cost_usd"] <= 0.05
    assert made["ledger"] == {"available": 3, "held": 0, "charged": 7}
    assert len(gemini.asked) == 1


def test_demo_fails_with_words(stack: Any, cli: Any) -> None:
    demo = cli(stack.home, "demo", "--style", "no_such_style")
    assert (demo.returncode, demo.stdout) == (2, "")
    assert "there is no no_such_style among the styles; the bot offers" in demo.stderr
    assert "Traceback" not in demo.stderr


async def test_the_carousel_is_made_though_bot_and_code_server_are_killed(stack: Any) -> None:
    async with Chat(stack.state["chat_page"], "en", "Bea") as chat:
        await chat.write("/start")
        await chat.write(TEXT)
        ready = await chat.wait_for("the outline", outline, 60)
        kill(stack, "Bot", "Code server")
        await make(chat, ready)
        assert len(await chat.wait_for("the album", album, 90)) >= 3


async def test_the_carousel_is_made_though_the_daemon_is_killed(stack: Any) -> None:
    async with Chat(stack.state["chat_page"], "en", "Dora") as chat:
        await chat.write("/start")
        kill(stack, "Dagster daemon")
        await chat.write(TEXT)
        await make(chat, await chat.wait_for("the outline", outline, 60))
        assert len(await chat.wait_for("the album", album, 90)) >= 3


async def test_the_carousel_is_made_though_the_ui_is_killed_and_the_sensor_has_to_dispatch(stack: Any) -> None:
    async with Chat(stack.state["chat_page"], "en", "Una") as chat:
        await chat.write("/start")
        await chat.write(TEXT)
        ready = await chat.wait_for("the outline", outline, 60)
        kill(stack, "Dagster UI")
        await make(chat, ready)
        assert len(await chat.wait_for("the album", album, 90)) >= 3
    stack.wait_for(lambda: "Dagster UI is back" in (stack.home.parent / "printed").read_text(), 60)


@pytest_asyncio.fixture
async def page() -> AsyncIterator[Page]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed (apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield await browser.new_page(viewport={"width": 420, "height": 900}, locale="en-GB")
        await browser.close()


async def test_a_person_in_a_browser_writes_a_text_confirms_and_sees_the_album(stack: Any, page: Page) -> None:
    expect.set_options(timeout=30_000)
    await page.goto(stack.state["chat_page"])
    await page.get_by_role("button", name="Start").click()
    await page.get_by_role("textbox", name="Message").fill(TEXT)
    await page.get_by_role("button", name="Send").click()
    await page.get_by_role("button", name="✅ Make it").click()
    pictures = page.get_by_test_id("album")
    await expect(pictures).to_be_visible(timeout=90_000)
    for picture in await pictures.get_by_role("img").all():
        await expect(picture).to_have_js_property("complete", value=True)
        assert await picture.evaluate("image => image.naturalWidth") >= 640  # the size for chats
    await expect(page.get_by_role("button", name="📎 Files")).to_be_visible()


Start = Callable[..., Any]


def test_every_end_leaves_nothing_and_the_next_start_finds_its_data(start_up: Start, cli: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    printed = (tmp_path / "printed").open("wb")

    killed = start_up(home, printed)
    killed.wait_until_ready()
    source = tmp_path / "text.txt"
    source.write_text(TEXT, encoding="utf-8")
    demo = cli(home, "demo", "--file", str(source), "--lang", "ru", "--out", str(tmp_path / "album"))
    assert demo.returncode == 0, demo.stderr
    assert "0 held" in demo.stdout
    assert "Album: ready in" in demo.stderr
    request = demo.stdout.split()[-1]
    killed.process.kill()
    killed.process.wait()

    # Started while the killed one's processes still end, at a terminal that is closed afterwards.
    master, terminal = os.openpty()
    hung_up = start_up(home, terminal)
    os.close(terminal)
    os.set_blocking(master, False)

    shown = b""

    def ready_while_somebody_reads() -> bool:
        nonlocal shown
        with contextlib.suppress(OSError):
            shown += os.read(master, 65536)
        assert hung_up.process.poll() is None, shown.decode()
        return bool(hung_up.state.get("ready", False))

    hung_up.wait_for(ready_while_somebody_reads, 150)
    assert request in kept_requests(hung_up.state["database_url"])
    os.close(master)
    assert hung_up.stop(signal.SIGHUP) == 0

    terminated = start_up(home, printed)
    terminated.wait_for(lambda: "Telegram" in terminated.state.get("processes", {}), 60)
    assert terminated.stop(signal.SIGTERM) == 0
    assert not (home / "stack.json").exists()
    printed.close()


def kept_requests(url: str) -> list[str]:
    with connect(url, "led_analyst") as database:
        return [str(row["id"]) for row in database.execute("select id from ledger.request")]


def test_a_killed_postgres_takes_everything_along_and_all_of_it_comes_back(stack: Any) -> None:
    postmaster = int((stack.home / "postgres" / "cluster" / "postmaster.pid").read_text().split("\n", 1)[0])
    before = kept_requests(stack.state["database_url"])
    os.kill(postmaster, signal.SIGKILL)
    stack.wait_for(lambda: not stack.state.get("ready", False), 30)
    assert kept_requests(stack.wait_until_ready()["database_url"]) == before
