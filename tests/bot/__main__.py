"""The bot's figures: `python -m tests.bot [--people 50] [--seconds 12] [--rounds 3]`.

A real bot process on a real PostgreSQL and the local Telegram. Measured: seconds and processor seconds until it listens, resident
memory, the lag of its event loop while so many people press buttons, and what one abuser with 100 updates a second does to the
others' answers. Quiet and abused rounds take turns, so a machine that others use slows both. Prints one JSON object.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from bot.app import serve
from bot.logs import configure_logging
from carousel_pipeline.database import ensure_database, migrate
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.settings import Settings, get_settings

from .conftest import TOKEN, Dagster, Person, Pipeline, Stage, _serve

_METER_EVERY_S = 0.005
_BETWEEN_PRESSES_S = 3.0
_ABUSE_PER_S = 100


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


async def child(lags: Path) -> None:
    """Be the bot, with a meter in its loop: one line "when lag" for every look."""
    looks: list[tuple[float, float]] = []

    async def measure() -> None:
        while True:
            begin = time.monotonic()
            await asyncio.sleep(_METER_EVERY_S)
            looks.append((begin, time.monotonic() - begin - _METER_EVERY_S))

    meter = asyncio.create_task(measure())
    try:
        await serve(get_settings())
    finally:
        meter.cancel()
        lines = "\n".join(f"{at} {lag}" for at, lag in looks)
        await asyncio.to_thread(lags.write_text, lines, encoding="ascii")


class Crowd:
    """People with an outline each, who press its buttons."""

    def __init__(self, stage: Stage, people: list[Person], outlines: list[dict[str, Any]], seed: int) -> None:
        self._stage = stage
        self._people = list(zip(people, outlines, strict=True))
        self._random = random.Random(seed)  # noqa: S311 (when people press, not a secret)

    async def press(self, seconds: float) -> list[float]:
        """Press for so long; returns the seconds from each press to its answer."""
        until = time.monotonic() + seconds
        took = await asyncio.gather(*(self._one(person, outline, until) for person, outline in self._people))
        return [one for some in took for one in some]

    async def _one(self, person: Person, outline: dict[str, Any], until: float) -> list[float]:
        took = []
        await asyncio.sleep(self._random.uniform(0, _BETWEEN_PRESSES_S))
        url = f"{self._stage.telegram}/sim/chats/{person.chat}"
        async with self._stage.http.get(f"{url}/messages") as answer:
            after = (await answer.json())["next"]
        buttons = [button for row in outline["reply_markup"]["inline_keyboard"] for button in row]
        data = next(button["callback_data"] for button in buttons if "r:sizes" in button["callback_data"])
        while time.monotonic() < until:
            begin = time.monotonic()
            query = await person.sends_data(outline["message_id"], data, crafted=True)
            answered = False
            while not answered:
                async with self._stage.http.get(f"{url}/events", params={"after": after, "wait": 30}) as answer:
                    found = await answer.json()
                after = found["next"]
                answered = any(event.get("callback_query_id") == query for event in found["events"])
            took.append(time.monotonic() - begin)
            await asyncio.sleep(self._random.uniform(0.7, 1.3) * _BETWEEN_PRESSES_S)
        return took


async def abuse(person: Person, seconds: float) -> int:
    """Send 100 messages a second; returns how many were sent."""
    begin, sent = time.monotonic(), 0
    while (now := time.monotonic()) < begin + seconds:
        due = int((now - begin) * _ABUSE_PER_S) - sent
        await asyncio.gather(*(person.says("/terms") for _ in range(due)))
        sent += due
        await asyncio.sleep(0.02)
    return sent


@dataclass
class Bot:
    """A bot process and what its start took."""

    handle: asyncio.subprocess.Process
    log: asyncio.Task[bytes]
    start_s: float
    start_cpu_s: float

    @property
    def mb(self) -> float:
        return float(psutil.Process(self.handle.pid).memory_info().rss) / 2**20

    @property
    def cpu_s(self) -> float:
        times = psutil.Process(self.handle.pid).cpu_times()
        return float(times.user + times.system)


async def start_bot(environment: dict[str, str], lags: Path) -> Bot:
    begin = time.monotonic()
    handle = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bot", "--child", str(lags)),
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.PIPE,
    )
    assert handle.stderr is not None
    while b"the bot listens" not in (line := await handle.stderr.readline()):
        assert line, "the bot did not start"
    bot = Bot(handle, asyncio.create_task(handle.stderr.read()), time.monotonic() - begin, 0.0)
    bot.start_cpu_s = bot.cpu_s
    return bot


async def open_stage(stack: AsyncExitStack, url: str, folder: Path) -> tuple[Stage, dict[str, str]]:
    telegram = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "carousel_pipeline.local.telegram", "--port", "0"),
        *("--home", str(folder / "telegram"), "--token", TOKEN),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert telegram.stdout is not None

    async def stop() -> None:
        telegram.terminate()
        await telegram.wait()

    stack.push_async_callback(stop)
    address = (await telegram.stdout.readline()).decode().strip()
    dagster = Dagster()
    environment = {
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": address,
        "DATABASE_URL": url,
        "DAGSTER_GRAPHQL_URL": f"{await _serve(stack, dagster.application())}/graphql",
        "ARTIFACTS_URL": f"file://{folder / 'artifacts'}",
    }
    http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=300)))
    settings = Settings.model_validate({name.lower(): value for name, value in environment.items()})
    return Stage(http, address, dagster, settings, Pipeline(url, environment["ARTIFACTS_URL"])), environment


@dataclass
class Round:
    """What one round saw."""

    kind: str
    since: float
    until: float
    took: list[float]
    updates: int
    cpu_s: float


async def outlined(stage: Stage, person: Person) -> dict[str, Any]:
    """Give somebody an outline, without the writer's pause."""
    await person.says("/start")
    await person.sees("10 credits", within=120)
    statement = "select request_id as id from bot.open_request(%(tg)s, %(tg)s, 'key', 'a text', '{}', 1)"
    [row] = stage.pipeline.sql(statement, "led_bot", tg=person.chat)
    stage.pipeline.outline(str(row["id"]))
    return await person.sees(lambda message: "r:sizes" in json.dumps(message), within=120)


async def play(stage: Stage, bot: Bot, arguments: argparse.Namespace) -> list[Round]:
    people = [await stage.person() for _ in range(arguments.people)]
    outlines = await asyncio.gather(*(outlined(stage, person) for person in people))
    abuser = await stage.guest()
    crowd = Crowd(stage, people, list(outlines), arguments.seed)
    rounds = []
    for kind in ("quiet", "abused") * arguments.rounds:
        since, cpu_s = time.monotonic(), bot.cpu_s
        abused = abuse(abuser, arguments.seconds if kind == "abused" else 0)
        took, updates = await asyncio.gather(crowd.press(arguments.seconds), abused)
        rounds.append(Round(kind, since, time.monotonic(), took, updates, bot.cpu_s - cpu_s))
        # What the abuser left over must not be counted against the quiet.
        await asyncio.sleep(2.0)
    return rounds


def report(rounds: list[Round], looks: list[tuple[float, ...]], kind: str) -> dict[str, Any]:
    mine = [one for one in rounds if one.kind == kind]
    took = [seconds for one in mine for seconds in one.took]
    lags = [lag for at, lag in looks if any(one.since <= at <= one.until for one in mine)]
    return {
        "presses": len(took),
        "updates_of_the_abuser": sum(one.updates for one in mine),
        "answer_ms": {f"p{share * 100:g}": round(1000 * quantile(took, share)) for share in (0.5, 0.95)},
        "loop_lag_ms": {f"p{share * 100:g}": round(1000 * quantile(lags, share), 1) for share in (0.5, 0.95, 0.99)},
        "cpu_ms_per_press": round(1000 * sum(one.cpu_s for one in mine) / max(1, len(took)), 1),
    }


async def figures(url: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    lags = folder / "lags"
    async with AsyncExitStack() as stack:
        stage, environment = await open_stage(stack, url, folder)
        bot = await start_bot(environment, lags)
        listening_mb = bot.mb
        rounds = await play(stage, bot, arguments)
        loaded_mb = bot.mb
        bot.handle.terminate()
        await asyncio.wait_for(bot.handle.wait(), 60)
        await bot.log
    written = await asyncio.to_thread(lags.read_text, encoding="ascii")
    looks = [tuple(map(float, line.split())) for line in written.splitlines()]
    p95 = [quantile(one.took, 0.95) for one in rounds]
    return {
        "machine": {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)},
        "seed": arguments.seed,
        "runs": arguments.rounds,
        "people": arguments.people,
        "start_s": round(bot.start_s, 2),
        "start_cpu_s": round(bot.start_cpu_s, 2),
        "resident_mb": {"listening": round(listening_mb), "after_the_rounds": round(loaded_mb)},
        "quiet": report(rounds, looks, "quiet"),
        "abused": report(rounds, looks, "abused"),
        "p95_ratio": round(statistics.median(b / a for a, b in zip(p95[::2], p95[1::2], strict=True)), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bot", description=__doc__)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=12.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        configure_logging()
        asyncio.run(child(arguments.child))
        return
    with tempfile.TemporaryDirectory(prefix="carousel-figures-") as name:
        folder = Path(name)
        with EmbeddedPostgres(folder / "postgres") as server:
            url = server.url("carousel")
            ensure_database(url)
            migrate(url)
            found = asyncio.run(figures(url, folder, arguments))
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
