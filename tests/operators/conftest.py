"""A whole pipeline as an operator has it: PostgreSQL, Dagster's three processes with our definitions, a local Telegram.

Only the bot is missing, unless a test starts it. `--operators N` does every action at least N times, shared out among the
situations it is done in, and prints counts.
"""

import contextlib
import json
import math
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from carousel_pipeline.database import Row, connect, ensure_database, migrate
from carousel_pipeline.local.dagster_home import local_instance
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.requests import Options, price_of
from carousel_pipeline.run_workers.bench_stack import FINISHED, DagsterStack
from carousel_pipeline.tags import partition_tags, run_tags

from ..pipeline.conftest import TOKEN, LocalTelegram, served_telegram  # noqa: TID252 - tests are no package
from ..remembered import DECK  # noqa: TID252 - as above
from .dagster_ui import SENSORS, DagsterUI

ROOT = Path(__file__).parents[2]
_DEFINITIONS = "tests.operators.remembering_definitions"
SERVE = (
    "-c",
    f"from carousel_pipeline.run_workers.code_server import serve; serve('127.0.0.1', {{port}}, '{_DEFINITIONS}')",
)
PRICE = price_of(DECK)
PARALLEL = 4  # two cores
RESERVE, CAPTURE, RELEASE, SECOND_LIFE = (
    (kind, PRICE) for kind in ("reserve", "capture", "release", "second_life")
)  # fmt: skip
# A step of these requests stays inside the database for some seconds or until it is let go, so that an operator finds it running.
SLOW = """
create table public.slow (request_id uuid primary key);
create function public.dawdle() returns trigger language plpgsql security definer as $f$
begin
  for tick in 1 .. 160 loop
    exit when not exists (select 1 from public.slow where request_id = new.request_id);
    perform pg_sleep(0.05);
  end loop;
  return null;
end $f$;
create trigger t_dawdle after update on carousel.progress
  for each row when (new.step = 'pictures' and new.done = 0) execute function public.dawdle();
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let every action of an operator be repeated as often as one likes."""
    parser.addoption(
        "--operators", type=int, help="how often each operator action is done at least; counts are printed"
    )


@pytest.fixture(scope="session")
def times(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """How often to do an action here, when it is done in so many situations altogether: once, without the option."""
    given: int = request.config.getoption("--operators", default=None) or 1
    return lambda situations: math.ceil(given / situations)


@dataclass(frozen=True)
class Order:
    """A confirmed request of a person of its own.

    Attributes:
        id: the request and its partition.
        chat: the person's chat and Telegram id.
    """

    id: UUID
    chat: int

    @property
    def key(self) -> str:
        return str(self.id)


@dataclass
class Shop:
    """The running pipeline, and short words for what became of orders.

    Attributes:
        patient: wait for the backfill daemon, which looks every half minute.
        counts: how often each action had exactly its effects.
    """

    stack: DagsterStack
    ui: DagsterUI
    telegram: LocalTelegram
    artifacts: Path
    owner: psycopg.Connection[Row]
    patient: bool
    counts: Counter[str] = field(default_factory=Counter)
    _heard: list[dict[str, Any]] = field(default_factory=list)

    def sql(self, statement: str, *values: object) -> list[Row]:
        cursor = self.owner.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def value(self, statement: str, *values: object) -> Any:
        [row] = self.sql(statement, *values)
        [value] = row.values()
        return value

    # ---- orders ----
    def confirmed(self, count: int, *, slow: bool = False, hears: bool = True) -> list[Order]:
        """New people with ten credits each whose carousel waits for its run; one who does not hear blocks the bot."""

        def confirm(_number: int) -> Order:
            chat = self.telegram.new_user()
            self.telegram.call("POST", f"/sim/chats/{chat}/messages", {"text": "/start"})
            self.sql("select ledger.welcome(%s)", chat)
            [row] = self.sql(
                "select request_id as id from carousel.open_request(%s, %s, %s, 'Rest', %s)",
                chat, chat, f"operators:{chat}", Jsonb(Options().model_dump(mode="json")),
            )  # fmt: skip
            order = Order(row["id"], chat)
            deck = Jsonb(DECK.model_dump(mode="json"))
            self.sql("select carousel.outline_ready(%s, %s, %s)", order.id, deck, price_of(DECK))
            assert self.value("select carousel.confirm(%s, %s, %s)", chat, order.id, PRICE) == "confirmed"
            self.sql(
                "update ledger.outbox set done_at = now() where topic in ('dispatch', 'outline_ready') "
                "and payload ->> 'request_id' = %s",
                order.key,
            )
            if slow:
                self.sql("insert into public.slow values (%s)", order.id)
            if not hears:
                self.block(order)
            stored = self.copy_of(order)
            stored.parent.mkdir(parents=True)
            stored.write_text(DECK.model_dump_json(), encoding="utf-8")
            self.stack.add_partition("requests", order.key)
            return order

        with ThreadPoolExecutor(PARALLEL) as threads:
            return list(threads.map(confirm, range(count)))

    def copy_of(self, order: Order) -> Path:
        return self.artifacts / "requests" / order.key / "copy.json"

    def as_they_begin(self, orders: Iterable[Order], act: Callable[[list[Order]], None]) -> None:
        """Do something to all that run at a time, until it was done to each: a slow run does not stay slow for ever."""
        waiting = list(orders)

        def begun() -> list[Order]:
            return [order for order in waiting if self.state(order) == "running"]

        while waiting:
            running = until(begun, 60)
            act(running)
            waiting = [order for order in waiting if order not in running]

    def let_go(self, order: Order) -> None:
        """Hold up a slow order no longer."""
        self.sql("delete from public.slow where request_id = %s", order.id)

    def block(self, order: Order, *, blocked: bool = True) -> None:
        self.telegram.call("POST", f"/sim/chats/{order.chat}/{'block' if blocked else 'unblock'}", {})

    def dispatch(self, orders: Iterable[Order]) -> dict[Order, str]:
        """Start the first runs as the bot does; returns their ids."""

        def launch(order: Order) -> str:
            tags = partition_tags("carousel", order.key) | run_tags(order.key, f"dispatch:{order.key}:1", None)
            return self.stack.launch("carousel", order.key, tags)

        return self.each(launch, orders)

    def each(self, act: Callable[[Order], str], orders: Iterable[Order]) -> dict[Order, str]:
        """Do something for several orders side by side; returns the runs that came of it."""
        wanted = list(orders)
        with ThreadPoolExecutor(PARALLEL) as threads:
            return dict(zip(wanted, threads.map(act, wanted), strict=True))

    def failed(self, groups: Mapping[str, int]) -> dict[str, dict[Order, str]]:
        """For each group so many orders whose run failed as Telegram refused the album, with that run; it would take it now."""
        orders = self.confirmed(sum(groups.values()), hears=False)
        runs = self.dispatch(orders)
        assert set(self.ended(runs.values()).values()) == {"FAILURE"}
        for order in orders:
            self.block(order, blocked=False)
        left = iter(orders)
        return {group: {order: runs[order] for order in islice(left, size)} for group, size in groups.items()}

    # ---- waiting ----
    def ended(self, runs: Iterable[str], limit_s: float = 120.0) -> dict[str, str]:
        """The statuses of runs, once all have ended."""
        wanted = list(runs)
        patience = limit_s + 3.0 * len(wanted)

        def look() -> dict[str, str]:
            found = self.ui.statuses(wanted)
            return found if set(found.values()) <= FINISHED and len(found) == len(wanted) else {}

        # A look at a hundred runs costs the webserver as much as a run.
        return until(look, patience, lambda: str(self.ui.statuses(wanted)), pause_s=min(0.1 + len(wanted) / 50, 3))

    def await_states(self, orders: Collection[Order], *states: str, limit_s: float = 60.0) -> None:
        """Wait until the ledger has each order in one of `states`."""
        until(
            lambda: all(self.state(order) in states for order in orders),
            limit_s + len(orders),
            lambda: str([self.state(order) for order in orders]),
        )

    # ---- what became of an order ----
    def state(self, order: Order) -> str:
        return str(self.value("select state from ledger.request where id = %s", order.id))

    def journal(self, order: Order) -> list[tuple[str, int]]:
        rows = self.sql("select kind, amount from ledger.transfer where request_id = %s order by id", order.id)
        return [(row["kind"], row["amount"]) for row in rows]

    def wallet(self, order: Order) -> tuple[int, int]:
        [row] = self.sql("select available, held from ledger.balance(%s)", order.chat)
        return row["available"], row["held"]

    def told(self, order: Order) -> list[str]:
        """What the outbox holds for the person: topics, without dispatches and outlines."""
        rows = self.sql(
            "select topic from ledger.outbox where payload ->> 'request_id' = %s "
            "and topic not in ('dispatch', 'outline_ready') order by id",
            order.key,
        )
        return [row["topic"] for row in rows]

    def albums(self, orders: Iterable[Order]) -> dict[int, int]:
        """How many albums Telegram has accepted, by chat: its own log is the truth."""
        sent = Counter(int(call["params"]["chat_id"]) for call in self.calls() if call["method"] == "sendMediaGroup")
        return {order.chat: sent[order.chat] for order in orders}

    def said(self, order: Order) -> str:
        """Everything the bot ever wrote in a chat, deleted messages too."""
        return "\n".join(
            call["params"].get("text", "")
            for call in self.calls()
            if str(call["params"].get("chat_id")) == str(order.chat)
        )

    def calls(self) -> list[dict[str, Any]]:
        """Telegram's whole log; what was read before is not asked for again."""
        after = self._heard[-1]["n"] if self._heard else 0
        while calls := self.telegram.call("GET", f"/sim/log?after={after}&limit=1000")["calls"]:
            after = calls[-1]["n"]
            self._heard += calls
        return self._heard

    def pictures(self, order: Order) -> list[Any]:
        """When each picture was stored."""
        stored = "select updated_at from carousel.artifact where request_id = %s and role = 'picture' order by position"
        return [row["updated_at"] for row in self.sql(stored, order.id)]

    def settled(self, action: str, orders: Collection[Order], *journal: tuple[str, int], albums: int) -> None:
        """Exactly these transfers, exactly so many albums, wallets that agree, nothing held, no invariant broken."""
        captured = sum(amount for kind, amount in journal if kind == "capture")
        house = SECOND_LIFE in journal
        for order in orders:
            assert self.journal(order) == list(journal), (action, order)
            assert self.wallet(order) == (10 - (0 if house else captured), 0), (action, order)
            assert self.state(order) == ("delivered" if captured else "released"), (action, order)
            told = ["notify_refund"] * (RELEASE in journal) + ["delivered"] * bool(captured)
            assert self.told(order) == told, (action, order)
        assert set(self.albums(orders).values()) == {albums}, action
        assert self.sql("select * from ledger.invariant_violation") == []
        self.counts[action] += len(orders)

    @contextlib.contextmanager
    def sensors_stopped(self) -> Iterator[None]:
        for sensor in SENSORS:
            self.ui.switch(sensor, on=False)
        now = time.time()
        # What the daemon had begun may still settle something: wait for its next round, and for the end of the last one.
        until(lambda: self.ui.last_tick("dispatch_requests")["timestamp"] > now, 60)
        until(lambda: all(self.ui.last_tick(sensor)["status"] != "STARTED" for sensor in SENSORS), 60)
        try:
            yield
        finally:
            for sensor in SENSORS:
                self.ui.switch(sensor, on=True)

    @contextlib.contextmanager
    def bot(self) -> Iterator[None]:
        """The bot as a process, with its dispatcher, its notices and its sweeper."""
        log = self.stack.home.parent / "bot.log"
        calls = len(self._commands())
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "bot"], env=self.stack.environment, stdout=output, stderr=output
            )
        try:
            until(lambda: len(self._commands()) > calls, 60, lambda: log.read_text()[-2000:])
            yield
        finally:
            process.terminate()
            process.wait(30)

    def command(self, *arguments: str) -> Any:
        """What `carousel` prints as JSON."""
        line = [str(Path(sys.executable).with_name("carousel")), *arguments]
        done = subprocess.run(line, env=self.stack.environment, capture_output=True, timeout=60, check=True)
        return json.loads(done.stdout)

    def _commands(self) -> list[Any]:
        return [call for call in self.calls() if call["method"] == "setMyCommands"]


def until(
    look: Callable[[], Any], limit_s: float, words: Callable[[], str] = lambda: "", *, pause_s: float = 0.1
) -> Any:
    """Return what `look` finds once it finds something; Dagster announces nothing that could be awaited."""
    deadline = time.monotonic() + limit_s
    while not (found := look()):
        assert time.monotonic() < deadline, words()
        time.sleep(pause_s)
    return found


@pytest.fixture(scope="session")
def shop(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("operators")
    ours, dagster = postgres.url("operators"), postgres.url("operators_dagster")
    for url in (ours, dagster):
        ensure_database(url)
    migrate(ours)
    instance = local_instance()
    instance["concurrency"]["runs"]["max_concurrent_runs"] = PARALLEL
    with (
        served_telegram(folder / "telegram") as telegram,
        connect(ours, None) as owner,
    ):
        owner.execute(SLOW.encode())
        for rule in ("second_lives_per_day", "second_life_credits_per_day"):
            owner.execute(b"select ledger.ops_rule(%s, 1000000, 'tests', 'many second lives')", [rule])
        environment = {
            "DATABASE_URL": ours,
            "ARTIFACTS_URL": (folder / "artifacts").as_uri(),
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": telegram.url,
            "CAROUSEL_HOME": str(folder / "home"),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(folder / "pycache"),
        }
        with DagsterStack(folder, dagster, instance, SERVE, environment) as stack:
            stack.environment["DAGSTER_GRAPHQL_URL"] = stack.graphql_url
            patient = request.config.getoption("--operators", default=None) is not None
            shop = Shop(stack, DagsterUI(stack), telegram, folder / "artifacts", owner, patient)
            yield shop
            report = ", ".join(f"{action}: {count}" for action, count in sorted(shop.counts.items()))
            os.write(2, f"\noperators: {report}\n".encode())
