"""`python -m tests.soak --minutes 30`: the whole product under load while parts of it are killed, and one JSON object about it.

`carousel up` in a temporary CAROUSEL_HOME, people who write over HTTP, and a killer. For three fifths of the time everything is
killed at random: runs, the process they are forked from, the code server, the daemon, the UI, the bot, a backend of PostgreSQL,
PostgreSQL itself. For the rest runs alone are killed, so that what lives long can show a leak. Then people leave, and
everything must come to its end within the deadlines, which the soak sets short by their rules.

Ends with 0 when nothing is wrong: no violated invariant at any look, every request at a right end, no credit and no album too
many or too few, nothing growing. The seed decides who does what and what dies when; the machine decides what meets what.
"""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, Final

import psycopg

from carousel_pipeline.database import connect, query
from carousel_pipeline.errors import CarouselError

from ..stack.conftest import Up  # noqa: TID252 - tests are no package
from .kills import Killer
from .meters import Meters, extent, growth
from .people import Crowd
from .verdict import Witness, get, judge, settled

_WARM_S: Final = 240.0
_JUDGED_S: Final = 300.0
# A run's lease is two minutes, an outline's patience three; the sweeper and a message's next try come on top.
_SETTLE_S: Final = 420.0
_RULES: Final = {"deadline_minutes": 3, "welcome_credits": 60}
_LEAVE_S: Final = 150.0
_SHOWN: Final = 20


async def soak(up: Up, scratch: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Load, kill, settle, judge."""

    def where() -> str:
        return str(up.state.get("chat_page") or "http://127.0.0.1:9")

    state = await asyncio.to_thread(up.wait_until_ready)
    set_rules(state["database_url"])
    crowd = Crowd(where, arguments.people, arguments.seed)
    killer, meters, witness = Killer(up, arguments.seed), Meters(up, scratch), Witness(where)
    load_s = arguments.minutes * 60
    watching = [asyncio.create_task(work) for work in (meters.run(), witness.run())]
    people = asyncio.create_task(crowd.live())
    await killer.storm(arguments.storm * load_s, arguments.pause)
    calm = time.monotonic()
    await killer.drizzle((1 - arguments.storm) * load_s, 2 * arguments.pause)
    quiet_end = time.monotonic()
    crowd.leave()
    await asyncio.wait([people], timeout=_LEAVE_S)
    await ended(people)
    settle_s, still_open = await settled(lambda: up.state["database_url"], _SETTLE_S)
    for task in watching:
        await ended(task)
    witness.read()
    meters.looks.append(meters.look())
    unread = get(where(), "/sim/updates")["pending"]
    verdict = judge(up.state["database_url"], crowd.stories, witness.albums, unread)
    warm = calm + min(_WARM_S, 0.3 * (quiet_end - calm))
    quiet = [look for look in meters.looks if warm <= look.at <= quiet_end]
    wrong = {sort: {"count": len(found), "first": found[:_SHOWN]} for sort, found in verdict.wrong.items()}
    if still_open:
        wrong["stuck after the settling time"] = still_open
    if meters.violations:
        wrong["violations at some look"] = list(meters.violations)[:_SHOWN]
    return {
        "people": arguments.people,
        "visits": len(crowd.stories),
        "texts": sum(len(story.texts) for story in crowd.stories),
        "requests": dict(verdict.ends),
        "confirmed": dict(verdict.kinds),
        "albums": len(witness.albums),
        "answers": Counter(answer for story in crowd.stories for all_ in story.answers.values() for answer in all_),
        "gave_up_waiting": [f"chat {story.chat}: {what}" for story in crowd.stories for what in story.gave_up],
        "kills": Counter(kill.what for kill in killer.kills),
        "kills_without_a_victim": killer.missed,
        "audits_of_the_ledger": meters.audits,
        "settled_after_s": settle_s,
        "wrong": wrong,
        "stories_of_the_wrong": verdict.stories,
        "growth": growth(quiet, judged=quiet_end - warm >= _JUDGED_S),
        "extent": extent(meters.looks),
        "kill_log": killer.log(),
    }


async def ended(task: asyncio.Task[None]) -> None:
    """End a task that may go on; one that has failed must not look like one that saw nothing."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def set_rules(url: str) -> None:
    """Make deadlines short, and give everybody enough to order with."""
    with connect(url, "led_ops") as session:
        for rule, value in _RULES.items():
            session.execute(
                query("ledger.ops_rule"), {"rule": rule, "value": value, "actor": "soak", "reason": "a soak"}
            )


def main() -> int:
    """Run it; 0 only when nothing is wrong and nothing leaked."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of load; starting and settling come on top")
    parser.add_argument("--people", type=int, default=6, help="how many at once")
    parser.add_argument("--pause", type=float, default=9.0, help="seconds between two kills, on average")
    parser.add_argument("--storm", type=float, default=0.6, help="share of the time in which everything is killed")
    parser.add_argument("--seed", type=int, default=None, help="of people and kills")
    parser.add_argument("--json", nargs="?", type=Path, help="the report is JSON anyway; also write it into this file")
    parser.add_argument("--keep", type=Path, help="folder for the logs of a soak that found something")
    arguments = parser.parse_args()
    arguments.seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    keep = arguments.keep or Path(tempfile.gettempdir()) / f"carousel-soak-of-{arguments.seed}"
    command = (
        f"python -m tests.soak --minutes {arguments.minutes:g} --people {arguments.people} --pause {arguments.pause:g} "
        f"--storm {arguments.storm:g} --seed {arguments.seed}"
    )
    print(f"to repeat: {command}", file=sys.stderr)  # noqa: T201 - told before anything can go wrong
    began = time.monotonic()
    report: dict[str, Any] = {
        "seed": arguments.seed,
        "command": command,
        "machine": {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)},
        "minutes": arguments.minutes,
    }
    with tempfile.TemporaryDirectory(prefix="carousel-soak-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        scratch = folder / "tmp"
        scratch.mkdir()
        with (folder / "printed").open("wb") as printed:
            up = Up(folder / "home", printed, TMPDIR=str(scratch))
            failed = play(up, scratch, arguments, report)
        report["took_s"] = round(time.monotonic() - began)
        report["said"] = Counter(
            line
            for line in (folder / "printed").read_text().splitlines()
            if "is back" in line or "starts again" in line
        )
        if failed:
            shutil.copytree(folder / "home" / "logs", keep / "logs", dirs_exist_ok=True)
            shutil.copy(folder / "printed", keep / "printed")
            shutil.copy(folder / "home" / "postgres" / "log", keep / "postgres.log")
            report["logs"] = str(keep)
    text = json.dumps(report, indent=1, ensure_ascii=False)
    print(text)  # noqa: T201 - the result
    if arguments.json is not None:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    return 1 if failed else 0


def play(up: Up, scratch: Path, arguments: argparse.Namespace, report: dict[str, Any]) -> bool:
    """Fill `report`; return whether anything is wrong."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        report |= asyncio.run(soak(up, scratch, arguments))
        assert up.stop(signal.SIGINT) == 0, "carousel up did not end well"
        report["left_behind"] = sorted(str(path.relative_to(scratch)) for path in scratch.rglob("*"))
    except (AssertionError, ExceptionGroup, CarouselError, psycopg.Error, OSError) as error:
        report["broke"] = "".join(traceback.format_exception(error))[-6000:]
        report["printed"] = (up.home.parent / "printed").read_text(encoding="utf-8").splitlines()[-60:]
        return True
    finally:
        with contextlib.suppress(ProcessLookupError):
            up.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            up.process.wait(60)
    return bool(report["wrong"] or report["growth"]["leaks"])


if __name__ == "__main__":
    sys.exit(main())
