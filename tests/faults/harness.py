"""Cases by the thousand: servers, workers with a database and a Telegram each, and a child per life of every case.

A worker has everything imported before it forks, so a child costs milliseconds. Only the child is ever killed; its parent reads
what it reported until then and lets the next life go on. A case that ends wrong is printed with the word that replays it.
"""

import contextlib
import gc
import json
import logging
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from carousel_pipeline.database import connect, ensure_database, migrate
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.requests import Options
from carousel_pipeline.settings import get_settings

from ..remembered import DECK, remember  # noqa: TID252 - tests are no package
from . import checker, gate, hooks
from .plan import DATABASE_KINDS, TELEGRAM_KINDS, VARIANTS, Case, Plan
from .world import PRICE, Place, Story, World

TOKEN: Final = "4242:AAF3jQ9dTn0xZkLw2pVbR7sYcHuEoMi4GqA"
_LIVES: Final = 6
_LIFE_S: Final = 60
_BATCH: Final = 100
_LATE_S: Final = 0.6
_FARTHEST: Final = 25

_OPEN: Final = b"""
with person as materialized (select ledger.get_or_create_user(%(tg)s) as id),
     paid as materialized (select ledger.topup(%(tg)s, 'stars', %(charge)s, %(credits)s, now()) from person)
insert into carousel.request (id, user_id, chat_id, client_key, source, options, phase, deck, price, outlined_at)
select %(id)s, person.id, %(tg)s, %(charge)s, 'About sleep', %(options)s, 'outlined', %(deck)s, %(price)s, clock_timestamp()
  from person, paid
"""


@dataclass
class Result:
    """What became of a case."""

    case: str
    wrong: list[str]
    faults: list[str]
    points: list[str]
    answers: int
    needless: bool
    lives: int


@dataclass
class Counts:
    """The figures of many cases."""

    cases: int = 0
    killed: int = 0
    asked: int = 0
    needless: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Count one case."""
        self.cases += 1
        self.killed += result.lives - 1
        self.asked += result.answers > 0
        self.needless += result.needless
        self.faults.update(fault.rpartition(":")[2] for fault in result.faults)
        self.wrong.update(what.partition(":")[0] for what in result.wrong)
        if result.wrong:
            self.failures.append(f"{result.case}  {'; '.join(result.wrong)}  [{', '.join(result.faults)}]")


class Worker:
    """One place where cases happen one after the other."""

    def __init__(self, place: Place) -> None:
        _speak_with(place.telegram_url)
        self._place = place
        self._owner = connect(place.database_url, None)
        self._done: dict[UUID, str] = {}
        self._warm_up()

    def run(self, case: Case) -> Result:
        """Play a case to its end and check it."""
        story = self._open()
        plan = Plan(case)
        lives = 0
        while not story.over and lives < _LIVES:
            lives += 1
            if not self._live(case, story, plan):
                break
        plan.close()
        if any(fault.endswith("accepted_late") for fault in story.faults):
            time.sleep(_LATE_S)
        wrong = checker.check(self._owner, self._place.telegram_url, story)
        if wrong or len(self._done) % _BATCH == 0:
            self._call("DELETE", "/sim/faults")
        self._done[story.request] = str(case)
        return Result(
            str(case), wrong, story.faults, story.points, len(story.answers), checker.needless_question(story), lives
        )

    def look_over_everything(self) -> list[str]:
        """Return the broken invariants of this worker's database; forget Telegram's past."""
        wrong = checker.identify(checker.violations(self._owner), self._done)
        self._call("POST", "/sim/reset")
        return wrong

    def _warm_up(self) -> None:
        """Play once without a child: what is built at first use is then there for every child."""
        with tempfile.TemporaryFile() as report:
            plan = Plan(Case(VARIANTS[0]))
            World(self._place, Case(VARIANTS[0]), self._open(), plan, report.fileno()).play()
            plan.close()
        hooks.present = None
        gc.collect()
        gc.freeze()

    def _open(self) -> Story:
        chat = self._call("POST", "/sim/users", {})["chat_id"]
        story = Story(chat, uuid4())
        self._owner.execute(
            _OPEN,
            {
                "tg": chat,
                "charge": f"faults:{story.request}",
                "credits": checker.START,
                "id": story.request,
                "options": Jsonb(Options().model_dump()),
                "deck": Jsonb(DECK.model_dump(mode="json")),
                "price": PRICE,
            },
        )
        return story

    def _live(self, case: Case, story: Story, plan: Plan) -> bool:
        """Let a child play until it ends or is killed; False when it ended by itself. Who cannot be killed needs no child."""
        if not case.deadly:
            with tempfile.TemporaryFile() as lines:
                World(self._place, case, story, plan, lines.fileno()).play()
                lines.seek(0)
                for line in lines:
                    story.add(json.loads(line))
            return False
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            _play(self._place, case, story, plan, write)
        os.close(write)
        with os.fdopen(read, "rb") as report:
            for line in report:
                story.add(json.loads(line))
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._place.telegram_url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())


def _play(place: Place, case: Case, story: Story, plan: Plan, report: int) -> None:
    """Be the child."""
    signal.alarm(_LIFE_S)
    gc.disable()  # it would touch, and so copy, every page of the parent
    try:
        World(place, case, story, plan, report).play()
    except BaseException:  # noqa: BLE001 - told, and then this process is over in any case
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


@contextlib.contextmanager
def places(count: int, folder: Path) -> Iterator[list[Place]]:
    """Start PostgreSQL, the gate, and a database and a Telegram for each worker; all gone at the end."""
    remember()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres(folder / "postgres", durable=False))
        address = urlsplit(server.url("postgres"))
        assert address.hostname is not None
        assert address.port is not None
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        gate_port = listener.getsockname()[1]
        guard = multiprocessing.get_context("fork").Process(
            target=gate.serve, args=(listener, (address.hostname, address.port), server.url("postgres")), daemon=True
        )
        guard.start()
        stack.callback(guard.join)
        stack.callback(guard.kill)
        found = []
        for number in range(count):
            url = server.url(f"faults_{number}")
            ensure_database(url)
            migrate(url)
            telegram = stack.enter_context(_telegram(folder / f"telegram_{number}"))
            artifacts = (folder / f"artifacts_{number}").as_uri()
            found.append(Place(url.replace(f":{address.port}/", f":{gate_port}/"), telegram, artifacts))
        yield found


@contextlib.contextmanager
def _telegram(home: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "carousel_pipeline.local.telegram", "--port", "0"]
    with subprocess.Popen(
        [*command, "--home", str(home), "--token", TOKEN], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def singles(points: Iterable[str], variants: Iterable[str] = VARIANTS) -> list[Case]:
    """Return every kind of fault at every visit of every point of the path, for each variant."""
    visits: Counter[str] = Counter()
    found = []
    for point in points:
        visits[point] += 1
        kinds = TELEGRAM_KINDS if point.endswith(".sendMediaGroup") else DATABASE_KINDS
        found += [(point, visits[point], kind) for kind in kinds]
    return [Case(variant, *fault) for variant in variants for fault in found]


def pairs(base: list[Case], count: int, seed: int) -> list[Case]:
    """Return `count` cases of which each has a second fault somewhere after the first."""
    chance = random.Random(seed)  # noqa: S311 - which cases, not a secret
    chosen = [chance.choice(base) for _ in range(count)]
    return [
        Case(case.variant, case.point, case.nth, case.kind, ((chance.randint(1, _FARTHEST), chance.randrange(1000)),))
        for case in chosen
    ]


def path_of(place: Place) -> list[str]:
    """Return the points of a request that meets no fault, in order."""
    result = Worker(place).run(Case(VARIANTS[0]))
    assert result.wrong == [], result
    assert result.answers == 0, "without a fault nobody is asked"
    assert any(point.endswith(".sendMediaGroup") for point in result.points), "the path ends before the album"
    return result.points


def play(found: list[Place], cases: list[Case]) -> Counts:
    """Play the cases on all places at once."""
    fork = multiprocessing.get_context("fork")
    counts = Counts()
    results = fork.SimpleQueue()
    workers = [
        fork.Process(target=_work, args=(place, cases[number :: len(found)], results))
        for number, place in enumerate(found)
    ]
    for worker in workers:
        worker.start()
    ended = 0
    while ended < len(workers):
        result = results.get()
        if result is None:
            ended += 1
        elif isinstance(result, list):
            counts.wrong.update("invariant" for _ in result)
            counts.failures += result
        else:
            counts.add(result)
    for worker in workers:
        worker.join()
    return counts


def one(place: Place, case: Case, plant: Callable[[], None] | None = None) -> Result:
    """Play one case in a process of its own, with a bug planted there if wanted."""
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()

    def work() -> None:
        if plant is not None:
            plant()
        worker = Worker(place)
        result = worker.run(case)
        result.wrong += worker.look_over_everything()
        results.put(result)

    worker = fork.Process(target=work)
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    result: Result = results.get()
    return result


def _work(place: Place, cases: list[Case], results: Any) -> None:
    try:
        worker = Worker(place)
        for number, case in enumerate(cases, 1):
            results.put(worker.run(case))
            if number % _BATCH == 0:
                results.put(worker.look_over_everything())
        results.put(worker.look_over_everything())
    except Exception:  # noqa: BLE001 - told as a failure of the whole run
        results.put([traceback.format_exc()])
    finally:
        results.put(None)


@contextlib.contextmanager
def ready(count: int) -> Iterator[list[Place]]:
    """As `places`, in a temporary folder, with the hooks of this process in place."""
    logging.disable(logging.CRITICAL)
    hooks.install()
    memory = Path("/dev/shm")  # noqa: S108 - a folder with a random name is made in it
    parent = memory if memory.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="carousel-faults-", dir=parent, ignore_cleanup_errors=True) as folder,
        places(count, Path(folder)) as found,
    ):
        yield found


def _speak_with(telegram_url: str) -> None:
    """Let the settings of this process, and of its children, name a place's Telegram."""
    os.environ["TELEGRAM_BOT_TOKEN"] = TOKEN
    os.environ["TELEGRAM_API_URL"] = telegram_url
    get_settings.cache_clear()
    get_settings()
