"""`carousel demo`: one carousel from a text to an album on disk, made as a user would make it.

A new user writes to the bot over the local Telegram, waits for the outline, presses ✅ and waits for the album. Nothing goes
around the bot; Dagster and the ledger are only asked afterwards, read-only, how long it took and what it cost. It counts as
done when the album has arrived and no credit is held any more.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import aiohttp
from pydantic import BaseModel
from rich.console import Console

from carousel_pipeline.database import async_connect, query
from carousel_pipeline.errors import ConfigurationError, PermanentError
from carousel_pipeline.local.chat import Chat, Message, buttons, words
from carousel_pipeline.local.screen import Screen
from carousel_pipeline.local.stack import Running, find_running, the_only_one
from carousel_pipeline.local.up import Stack, checked_settings, until_signal
from carousel_pipeline.settings import Settings
from carousel_pipeline.tags import REQUEST_TAG

_STACK_S = 90.0
_GREETING_S = 30.0
_CHOICE_S = 30.0
_OUTLINE_S = 90.0
_ALBUM_S = 300.0
_SETTLED_S = 20.0
_POLL_S = 0.2
_LARGEST_FILE = 200_000
_INTERRUPTED = 130
_EXAMPLES = Path(__file__).parent / "examples"
# What the bot's buttons carry: a Telegram client has nothing else to go by either.
MAKE = "r:make:"
_RETRY, _CHOSEN = "r:retry:", "• "

Player = Callable[[Running], Coroutine[Any, Any, None]]

_RUNS = """
query Runs($tags: [ExecutionTag!]!) {
  runsOrError(filter: {tags: $tags}, limit: 10) {
    ... on Runs {
      results {
        runId jobName
        stepStats { stepKey startTime endTime }
      }
    }
  }
}
"""


class DemoError(PermanentError):
    """The carousel was not made; the message says where it stopped."""


class Timeline(BaseModel):
    """Seconds since the text was sent; None where Dagster does not know.

    Attributes:
        outline: the outline stood in the chat.
        first_model_call: the run began to make pictures.
        drawn: the last slide was drawn.
        delivered: the album stood in the chat.
    """

    outline: float
    first_model_call: float | None
    drawn: float | None
    delivered: float


class Ledger(BaseModel):
    """Credits of the demo's user after it, and what the carousel cost."""

    available: int
    held: int
    charged: int


class Made(BaseModel):
    """What `--json` prints."""

    delivered: bool
    slides: int
    files: list[str]
    timeline_s: Timeline
    ledger: Ledger
    cost_usd: float
    request_id: str
    dagster_run_id: str | None


@dataclass(frozen=True)
class Wish:
    """What the demo's user wants.

    Attributes:
        text: the source.
        slides: how many slides, or None to let the text decide.
        style: a style's id, or None for the bot's choice.
        language: of the user's Telegram.
    """

    text: str
    slides: int | None
    style: str | None
    language: str


def demo(
    text: str | None,
    *,
    file: Path | None = None,
    slides: int | None = None,
    style: str | None = None,
    lang: str = "en",
    out: Path = Path("carousel-out"),
    as_json: bool = False,
) -> int:
    """Make one carousel and save it in `out`; return 0 only if it was delivered and settled.

    Args:
        text: the source; a built-in example when neither `text` nor `file` is given.
        file: UTF-8 file to read the source from.
        slides: how many slides, 3 to 10.
        style: a style's id.
        lang: language of the chat, `ru` or `en`; also of the example.
        out: folder for 01.jpg … and caption.txt.
        as_json: print one JSON object on stdout; everything else goes to stderr.

    Raises:
        ConfigurationError: there is a real bot token, or a setting is wrong.
        CarouselError: the stack does not start, or the carousel was not made.
    """
    wish = Wish(_source(text, file, lang), slides, style, lang)
    settings = checked_settings()
    if settings.telegram_bot_token is not None:
        raise ConfigurationError(
            "carousel demo plays a user of the local Telegram, and TELEGRAM_BOT_TOKEN names a real bot: unset it"
        )
    home = settings.carousel_home.expanduser().resolve()
    screen = Screen(Console(stderr=True))
    made: list[Made] = []

    async def play(running: Running) -> None:
        made.append(await Play(running, settings, screen).make(wish, out))

    if find_running(home):
        until_signal(_at_running_stack(home, play))
    else:
        with the_only_one(home) as lock:
            until_signal(_at_own_stack(settings, home, screen, lock, play))
    if not made:
        return _INTERRUPTED
    Console(soft_wrap=True).out(made[0].model_dump_json() if as_json else _report(made[0]), highlight=False)
    return 0


async def _at_running_stack(home: Path, play: Player) -> None:
    deadline = time.monotonic() + _STACK_S
    # The state of another process: there is nothing here to wait for but time.
    while (running := find_running(home)) and not running.ready and time.monotonic() < deadline:  # noqa: ASYNC110 - another process's file can only be polled
        await asyncio.sleep(_POLL_S)
    if running is None or not running.ready:
        raise DemoError(f"the stack on {home} does not get ready: look at the terminal of its `carousel up`")
    await play(running)


async def _at_own_stack(settings: Settings, home: Path, screen: Screen, lock: IO[bytes], play: Player) -> None:
    async with Stack(settings, home, screen, lock) as stack:
        failing, playing = asyncio.ensure_future(stack.watch()), asyncio.ensure_future(play(stack.running))
        try:
            await asyncio.wait([failing, playing], return_when=asyncio.FIRST_COMPLETED)
            (failing if failing.done() else playing).result()
        finally:
            failing.cancel()
            playing.cancel()
            await asyncio.gather(failing, playing, return_exceptions=True)


class Play:
    """One user's way from /start to a settled album.

    Args:
        running: a ready stack.
        settings: for its database.
        screen: shows the steps.
    """

    def __init__(self, running: Running, settings: Settings, screen: Screen) -> None:
        if running.chat_page is None:
            raise DemoError("the running stack talks to the real Telegram; the demo needs the local one")
        self._telegram = running.chat_page
        self._dagster = running.dagster_ui
        given = settings.database_url.get_secret_value() if settings.database_url else None
        self._database = running.database_url or given
        self._screen = screen

    async def make(self, wish: Wish, out: Path) -> Made:
        """Make the carousel and save its files in `out`."""
        with self._screen.steps():
            async with Chat(self._telegram, wish.language, "Demo") as chat:
                with self._screen.step("Hello"):
                    await chat.write("/start")
                    await chat.wait_for("a greeting", lambda said: said or None, _GREETING_S)
                began = time.time()
                await chat.write(wish.text)
                with self._screen.step("Outline"):
                    outline = await self._outline(chat, None)
                    outlined = time.time()
                    outline = await self._choose(chat, outline, wish)
                make = next(data for data in buttons(outline) if data.startswith(MAKE))
                request_id = str(UUID(make.split(":")[2]))
                await chat.press(outline, make)
                with self._screen.step("Album"):
                    album = await self._album(chat, request_id, outline["message_id"])
                    delivered = time.time()
                with self._screen.step("Files"):
                    pictures = await _download(chat, album)
                    files = _save(pictures, "\n".join(filter(None, map(words, album))), out)
            with self._screen.step("Ledger"):
                ledger, cost = await self._settled(request_id)
            run_id, steps = await self._run(request_id)
        return Made(
            delivered=True,
            slides=len(album),
            files=files,
            timeline_s=Timeline(
                outline=_seconds(began, outlined),
                first_model_call=_seconds(began, steps.get("images", {}).get("startTime")),
                drawn=_seconds(began, steps.get("rendered_slides", {}).get("endTime")),
                delivered=_seconds(began, delivered),
            ),
            ledger=ledger,
            cost_usd=cost,
            request_id=request_id,
            dagster_run_id=run_id,
        )

    async def _outline(self, chat: Chat, before: str | None) -> Message:
        """Wait for an outline with the button that makes it, another one than that of request `before`."""
        return await chat.wait_for("the outline", lambda said: find_outline(said, before), _OUTLINE_S)

    async def _choose(self, chat: Chat, outline: Message, wish: Wish) -> Message:
        for act, prefix, choice in (("counts", "n", wish.slides), ("styles", "s", wish.style)):
            if choice is not None:
                outline = await self._pick(chat, outline, act, prefix, str(choice))
        return outline

    async def _pick(self, chat: Chat, outline: Message, act: str, prefix: str, choice: str) -> Message:
        """Open a chooser of the outline and press its button for `choice`; return the outline that follows."""
        request_id = next(data.split(":")[2] for data in buttons(outline) if data.startswith(MAKE))
        opener = next((data for data in buttons(outline) if data.startswith(f"r:{act}:")), None)
        if opener is None:
            raise DemoError(f"the bot offers no choice of {act} here")
        await chat.press(outline, opener)
        ours = f"{prefix}:{request_id}:"
        if prefix == "s":
            return await self._pick_style(chat, request_id, choice)

        def find(said: list[Message]) -> Message | None:
            return next((message for message in said if any(data.startswith(ours) for data in buttons(message))), None)

        chooser = await chat.wait_for(f"the choice of {act}", find, _CHOICE_S)
        offered = {data.removeprefix(ours): text for data, text in buttons(chooser).items() if data.startswith(ours)}
        if choice not in offered:
            raise DemoError(f"there is no {choice} among the {act}; the bot offers {', '.join(sorted(offered))}")
        if offered[choice].startswith(_CHOSEN):
            await chat.press(chooser, next(data for data in buttons(chooser) if data.startswith("r:back:")))
            return await self._outline(chat, None)
        await chat.press(chooser, f"{ours}{choice}")
        return await self._outline(chat, request_id)

    async def _pick_style(self, chat: Chat, request_id: str, style: str) -> Message:
        """Turn the gallery to `style` and take it; return the outline that follows."""
        look, take = f"v:{request_id}:{style}", f"s:{request_id}:{style}"

        def showing(sign: str) -> Callable[[list[Message]], Message | None]:
            return lambda said: next(
                (message for message in said if any(d.startswith(sign) for d in buttons(message))), None
            )

        gallery = await chat.wait_for("the gallery", showing(f"v:{request_id}:"), _CHOICE_S)
        if look not in buttons(gallery):
            styles = sorted(data.rpartition(":")[2] for data in buttons(gallery) if data.startswith("v:"))
            raise DemoError(f"there is no {style} among the styles; the bot offers {', '.join(styles)}")
        if take not in buttons(gallery):
            await chat.press(gallery, look)
            gallery = await chat.wait_for("the style", showing(take), _CHOICE_S)
        await chat.press(gallery, take)
        return await self._outline(chat, request_id)

    async def _album(self, chat: Chat, request_id: str, outline: int) -> list[Message]:
        """Wait for the pictures below the outline and the message under them that says what they cost."""
        return await chat.wait_for("the album", lambda said: find_album(said, request_id, outline), _ALBUM_S)

    async def _settled(self, request_id: str) -> tuple[Ledger, float]:
        """Wait until the ledger holds nothing for the user any more; return it, and what the calls to providers cost in USD."""
        if self._database is None:
            raise DemoError("the stack uses a database of its own: run the demo with the same DATABASE_URL")
        deadline = time.monotonic() + _SETTLED_S
        async with await async_connect(self._database, "led_analyst") as connection:
            while True:
                cursor = await connection.execute(query("demo.settlement"), {"request_id": request_id})
                row = await cursor.fetchone()
                if row and row["state"] == "delivered" and row["held"] == 0:
                    ledger = Ledger(available=row["available"], held=row["held"], charged=row["charged"])
                    return ledger, row["cost_usd"]
                if time.monotonic() > deadline:
                    raise DemoError(f"the album arrived but the ledger is not settled after {_SETTLED_S:.0f} s: {row}")
                await asyncio.sleep(_POLL_S)

    async def _run(self, request_id: str) -> tuple[str | None, dict[str, Any]]:
        """Return the carousel run's id and its steps by name."""
        tags = [{"key": REQUEST_TAG, "value": request_id}]
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
                body = {"query": _RUNS, "variables": {"tags": tags}}
                async with session.post(f"{self._dagster}/graphql", json=body) as answer:
                    runs = (await answer.json())["data"]["runsOrError"]["results"]
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise DemoError(f"Dagster at {self._dagster} does not say how it went: {type(error).__name__}") from error
        run = next((run for run in runs if run["jobName"] in {"carousel", "edit"}), None)
        steps = {step["stepKey"]: step for step in run["stepStats"]} if run else {}
        return (run["runId"] if run else None), steps


def find_outline(said: list[Message], before: str | None = None) -> Message | None:
    """Return the latest outline that can be made, another one than that of request `before`; None while there is none.

    Raises:
        DemoError: the bot says that there will be none.
    """
    for message in reversed(said):
        for data in buttons(message):
            if data.startswith(_RETRY):
                raise DemoError(f"the outline was not written; the bot says: “{words(message)}”")
            if data.startswith(MAKE) and data.split(":")[2] != before:
                return message
    return None


def find_album(said: list[Message], request_id: str, outline: int) -> list[Message] | None:
    """Return the pictures below the message `outline` once the bot has said what they cost; None before.

    Raises:
        DemoError: the bot says that it did not work out.
    """
    for message in said:
        own = [data for data in buttons(message) if UUID(request_id).hex in data]
        if any(data.startswith(MAKE) for data in own):
            continue  # the outline, not answered yet
        if any(data.startswith("r:got:") for data in own):
            raise DemoError("the bot does not know whether the album arrived and asks the user")
        if any(data.startswith("r:again:") for data in own):
            if not any(data.startswith("r:files:") for data in own):
                raise DemoError(f"the carousel was not made; the bot says: “{words(message)}”")
            return [message for message in said if "photo" in message and message["message_id"] > outline]
    return None


async def _download(chat: Chat, album: list[Message]) -> list[bytes]:
    """Return the album's pictures, each in the largest size there is."""
    largest = [max(picture["photo"], key=lambda size: int(size["width"]) * int(size["height"])) for picture in album]
    return [await chat.download(photo["file_id"]) for photo in largest]


def _save(pictures: list[bytes], caption: str, out: Path) -> list[str]:
    """Save pictures as 01.jpg … and the caption as caption.txt; return their absolute paths."""
    contents = {f"{number:02d}.jpg": picture for number, picture in enumerate(pictures, 1)}
    contents["caption.txt"] = caption.encode()
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (out / name).write_bytes(content)
    except OSError as error:
        raise DemoError(f"the album cannot be saved in {out}: {error}") from error
    return [str((out / name).resolve()) for name in contents]


def _source(text: str | None, file: Path | None, language: str) -> str:
    if text is not None and file is not None:
        raise DemoError("give the text or --file, not both")
    if text is not None:
        return text
    file = file or _EXAMPLES / f"{language}.txt"
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise DemoError(f"{file} is larger than {_LARGEST_FILE // 1000} kB; a carousel takes 20,000 characters")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DemoError(f"{file} cannot be read as UTF-8 text: {error}") from error


def _seconds(began: float, then: float | None) -> float | None:
    return None if then is None else round(then - began, 2)


def _report(made: Made) -> str:
    """Return the result as a person reads it."""
    names = {
        "outline": "outline",
        "first_model_call": "first picture begun",
        "drawn": "slides drawn",
        "delivered": "album",
    }
    times = [
        f"  {words:<20} {seconds:6.1f} s"
        for name, words in names.items()
        if (seconds := getattr(made.timeline_s, name))
    ]
    ledger = made.ledger
    money = f"Ledger: {ledger.charged} charged, {ledger.held} held, {ledger.available} available"
    return "\n".join(
        [
            f"{made.slides} slides in {Path(made.files[0]).parent}",
            "After the text was sent:",
            *times,
            f"{money}; ${made.cost_usd:.4f} to providers",
            f"Dagster run {made.dagster_run_id} of request {made.request_id}",
        ]
    )
