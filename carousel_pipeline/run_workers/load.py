"""The whole product on one machine for a benchmark, and people who use it. Only Telegram and the pictures' model are played.

PostgreSQL, Dagster's three processes with the shipped definitions and dagster.yaml, the local Telegram, the bot. A person is a
program at the local Telegram: writes a text, presses the button under the outline, waits for the album. No setting of whoever
measures comes in, so no key is spent.
"""

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import UUID

from carousel_pipeline.database import ensure_database, migrate
from carousel_pipeline.local.chat import Chat, Message, buttons
from carousel_pipeline.local.dagster_home import local_instance
from carousel_pipeline.local.demo import MAKE, find_album, find_outline
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.local.probes import answers, free_port, telegram_was_called
from carousel_pipeline.run_workers.bench_stack import DagsterStack
from carousel_pipeline.run_workers.run_process import DEFINITIONS
from carousel_pipeline.settings import Settings

_SERVER: Final = (
    "-c",
    f"from carousel_pipeline.run_workers.code_server import serve; serve('127.0.0.1', {{port}}, {DEFINITIONS!r})",
)
_WAIT_S: Final = 120.0
_numbers = itertools.count(1)
# Seven parts are seven slides; the number makes every text another one, so nothing is found stored.
_TEXT: Final = """Sleep is not a luxury: note {number}. Adults need seven to nine hours a night.

1. Keep one bedtime, on weekends too.
2. Put the phone away an hour before bed: blue light delays sleep by up to 90 minutes.
3. Keep the bedroom at 18 degrees.
4. No coffee after 2 pm; caffeine stays for 8 hours.
5. Write tomorrow's list before you lie down.

A tired brain learns 40 percent less. Start tonight with one habit, not with five."""


@dataclass(frozen=True)
class LoadStack:
    """Where everything is.

    Attributes:
        dagster: Dagster's processes, and the others beside them.
        telegram: address of the local Telegram.
        database_url: the application's, as its owner.
        artifacts: the folder of stored objects.
    """

    dagster: DagsterStack
    telegram: str
    database_url: str
    artifacts: Path


@contextlib.contextmanager
def load_stack(folder: Path, *, picture_s: float, places: int | None = None) -> Iterator[LoadStack]:
    """Run everything in `folder` until the block ends.

    Args:
        folder: an existing, empty one.
        picture_s: seconds that the model on this machine takes for a picture; it is asked through Gemini's SDK.
        places: runs at once; None leaves what dagster.yaml says.

    Raises:
        TransientError: a part does not start.
    """
    instance = local_instance()
    if places is not None:
        instance["concurrency"]["runs"]["max_concurrent_runs"] = places
    telegram = f"http://127.0.0.1:{free_port(0)}"
    with EmbeddedPostgres(folder / "postgres") as postgres:
        ours, dagster = postgres.url("carousel"), postgres.url("dagster")
        for url in (ours, dagster):
            ensure_database(url)
        migrate(ours)
        models = free_port(0)
        environment = (
            dict.fromkeys(map(str.upper, Settings.model_fields), "")
            | {
                "DATABASE_URL": ours,
                "ARTIFACTS_URL": (folder / "artifacts").as_uri(),
                "CAROUSEL_HOME": str(folder / "home"),
                "TELEGRAM_BOT_TOKEN": f"4242424242:{secrets.token_hex(18)}",
                "TELEGRAM_API_URL": telegram,
                "PROVIDER_USD_PER_DAY": "100000",  # what the model is said to cost would else be spent, and stand-ins measured
                "GEMINI_API_KEY": secrets.token_hex(20),
                "GEMINI_BASE_URL": f"http://127.0.0.1:{models}",
            }
        )
        with DagsterStack(folder, dagster, instance, _SERVER, environment) as stack:
            stack.environment["DAGSTER_GRAPHQL_URL"] = stack.graphql_url
            stack.start("models", "-m", "carousel_pipeline.run_workers.picture_model", str(models), str(picture_s))
            home = ("--home", str(folder / "telegram"))
            stack.start(
                "telegram", "-m", "carousel_pipeline.local.telegram", "--port", telegram.rpartition(":")[2], *home
            )
            asyncio.run(_ready(stack, telegram))
            yield LoadStack(stack, telegram, ours, folder / "artifacts")


async def _ready(stack: DagsterStack, telegram: str) -> None:
    await stack.until("telegram", answers(f"{telegram}/healthz"))
    stack.start("bot", "-m", "bot")
    await stack.until("bot", telegram_was_called(telegram, "setMyCommands", 0))


@dataclass(frozen=True)
class Outlined:
    """An outline in a chat, with its button.

    Attributes:
        request_id: the request it is of.
        message: in which it stands.
        button: the data of the button that makes it.
        asked: the text was sent; seconds of the epoch, as below.
        seen: the outline stood in the chat.
    """

    request_id: str
    message: Message
    button: str
    asked: float
    seen: float


@dataclass(frozen=True)
class Made:
    """A carousel as its person saw it.

    Attributes:
        request_id: the request that was confirmed, or changed it.
        tapped: the button was pressed, or the new words were sent.
        seen: the album and the message under it stood in the chat.
        control: that message.
        slides: pictures in the album.
    """

    request_id: str
    tapped: float
    seen: float
    control: Message
    slides: int


@contextlib.asynccontextmanager
async def greeted(telegram: str) -> AsyncIterator[Chat]:
    """Be a new person whom the bot has greeted."""
    async with Chat(telegram, "en", "Load") as chat:
        await chat.write("/start")
        await chat.wait_for("a greeting", lambda said: said or None, _WAIT_S)
        yield chat


def a_text() -> str:
    """Return a text that nobody has sent yet; it makes seven slides."""
    return _TEXT.format(number=next(_numbers))


async def outline(chat: Chat, *, limit_s: float = _WAIT_S) -> Outlined:
    """Write a text and wait for its outline."""
    asked = time.time()
    await chat.write(a_text())
    message = await chat.wait_for("the outline", find_outline, limit_s)
    button = next(data for data in buttons(message) if data.startswith(MAKE))
    return Outlined(_request_of(button), message, button, asked, time.time())


async def paint_each(chat: Chat, found: Outlined) -> Outlined:
    """Choose a picture for each slide in place of one for all; what is offered then is another request."""
    ours = UUID(found.request_id).hex
    await chat.press(found.message, _button(found.message, "r:paint:"))
    each = f"i:{ours}:each"
    chooser = await chat.wait_for("the ways to paint", lambda said: _with(said, each), _WAIT_S)
    await chat.press(chooser, each)

    def dearer(said: list[Message]) -> Message | None:
        outline = find_outline(said)
        return outline if outline and found.button not in buttons(outline) else None

    message = await chat.wait_for("the outline with its price", dearer, _WAIT_S)
    button = _button(message, MAKE)
    return replace(found, request_id=_request_of(button), message=message, button=button)


async def take(chat: Chat, found: Outlined, *, limit_s: float = _WAIT_S) -> Made:
    """Press the button and wait for the album."""
    tapped = time.time()
    await chat.press(found.message, found.button)
    place = found.message["message_id"]
    album = await chat.wait_for("the album", lambda said: find_album(said, found.request_id, place), limit_s)
    seen = time.time()
    control = await chat.wait_for("its buttons", lambda said: _control(said, found.request_id), limit_s)
    return Made(found.request_id, tapped, seen, control, len(album))


async def make_one(telegram: str) -> Made:
    """Be a new person who makes one carousel.

    Raises:
        CarouselError: it was not made.
    """
    async with greeted(telegram) as chat:
        return await take(chat, await outline(chat))


async def change_text(chat: Chat, made: Made) -> Made:
    """Give the second slide other words, which is free; the time counts from the words."""
    ours = UUID(made.request_id).hex
    await chat.press(made.control, _button(made.control, "r:text:"))
    sign = f"e:text:{ours}:2"
    numbers = await chat.wait_for("the slides", lambda said: _with(said, sign), _WAIT_S)
    latest = numbers["message_id"]
    await chat.press(numbers, sign)
    await chat.wait_for(
        "the question", lambda said: [one for one in said if one["message_id"] > latest] or None, _WAIT_S
    )
    tapped = time.time()
    await chat.write(f"Sleep at one time\nWeekends are no exception, says note {next(_numbers)}.")
    control = await chat.wait_for("the changed album", lambda said: _control(said, None, but=ours), _WAIT_S)
    return Made(_request_of(_button(control, "r:files:")), tapped, time.time(), control, made.slides)


def _request_of(button: str) -> str:
    return str(UUID(button.split(":")[2]))


def _control(said: list[Message], request_id: str | None, *, but: str = "") -> Message | None:
    """Return the message under the album of a request, or of any but one."""
    for message in said:
        files = [data for data in buttons(message) if data.startswith("r:files:")]
        if any(UUID(request_id).hex in data if request_id else but not in data for data in files):
            return message
    return None


def _with(said: list[Message], data: str) -> Message | None:
    return next((message for message in said if data in buttons(message)), None)


def _button(message: Message, sign: str) -> str:
    return next(data for data in buttons(message) if data.startswith(sign))
