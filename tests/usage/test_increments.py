"""However the facts came and whenever the days were built: what stands there in the end is what building all of it anew gives.

Every step goes through the product's own SQL API. A night passes by moving every moment and every day one day back, so that facts
really come late: an outline of last week is confirmed, a refund follows after days, a forgotten request changes its day.
"""

# ruff: noqa: S608 - the statements are made of names in this file

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from carousel_pipeline.database import connect, query
from carousel_pipeline.usage.bench import TABLES, disagreeing, roll_up_plainly
from carousel_pipeline.usage.build import build, known_days, stale_days, usage_session

pytestmark = pytest.mark.xdist_group("usage")

STEPS: Final = (
    "ask", "ask", "outline", "outline", "give_up_outline", "discard", "buy", "buy", "confirm", "confirm", "work", "work",
    "arrive", "arrive", "doubt", "answer", "refund", "second_life", "buy", "reverse", "night", "night", "roll_up", "roll_up",
    "forget", "call",
)  # fmt: skip
_DECK: Final = {"language": "en", "slides": [{}, {}, {}]}
_MOMENTS: Final = b"""
  select format('update %I.%I set %s', table_schema, table_name,
                string_agg(format('%I = %I - interval ''1 day''', column_name, column_name), ', ')) as move
    from information_schema.columns join information_schema.tables using (table_schema, table_name)
   where table_schema in ('ledger', 'carousel', 'usage') and table_type = 'BASE TABLE' and data_type = 'timestamp with time zone'
   group by table_schema, table_name"""
_DAYS: Final = ("day", "stale_day", *TABLES)


class World:
    """Two persons, their requests, and the roll-up."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.all = connect(url, None)
        self.moves = [row["move"] for row in self.all.execute(_MOMENTS)]
        self.serial = 0

    def one(self, statement: str, *values: object) -> Any:
        """The first value, or None where the product refuses: a step out of turn is a step that does nothing."""
        with suppress(psycopg.Error):
            row = self.all.execute(statement.encode(), values).fetchone()
            return None if row is None else next(iter(row.values()))
        return None

    def pick(self, choice: int, where: str) -> UUID | None:
        found = f"select r.id from carousel.request r left join ledger.request l using (id) where {where} order by r.created_at"
        rows = self.all.execute(found.encode()).fetchall()
        return rows[choice % len(rows)]["id"] if rows else None

    def step(self, name: str, choice: int) -> None:
        self.serial += 1
        getattr(self, name)(choice)

    def ask(self, choice: int) -> None:
        options = Jsonb({"style": ("bold", "paper")[choice % 2]})
        person, key = 7000 + choice % 2, f"key:{self.serial}"
        self.one("select request_id from carousel.open_request(%s, %s, %s, 'text', %s)", person, person, key, options)

    def outline(self, choice: int) -> None:
        if (request := self.pick(choice, "r.phase = 'drafting'")) is not None:
            self._call(request, "copy", "ok", 0.004)
            self.one("select carousel.outline_ready(%s, %s, 3)", request, Jsonb(_DECK))

    def give_up_outline(self, choice: int) -> None:
        if (request := self.pick(choice, "r.phase = 'drafting'")) is not None:
            self._call(request, "copy", "retryable", None)
            self.one("select carousel.outline_failed(%s, 'failed')", request)

    def discard(self, choice: int) -> None:
        if (request := self.pick(choice, "r.phase = 'outlined'")) is not None:
            self.one("select carousel.discard(%s, %s)", self._person(request), request)

    def confirm(self, choice: int) -> None:
        if (request := self.pick(choice, "r.phase = 'outlined'")) is not None:
            self.one("select carousel.confirm(%s, %s, 3)", self._person(request), request)

    def work(self, choice: int) -> None:
        if (request := self.pick(choice, "l.state in ('reserved', 'running')")) is not None:
            fence = self.one("select fence from ledger.claim(%s, %s)", request, f"run {self.serial}")
            for outcome in ("refused", "ok")[choice % 2 :]:
                self._call(request, "picture", outcome, 0.039 if outcome == "ok" else 0)
            self.one("select ledger.rendered(%s, %s)", request, fence)

    def call(self, choice: int) -> None:
        """A call of a run that died: nothing else changes."""
        if (request := self.pick(choice, "true")) is not None:
            self._call(request, "picture", "failed", 0.01)

    def arrive(self, choice: int) -> None:
        self._send(choice, "sent")

    def doubt(self, choice: int) -> None:
        self._send(choice, ("unknown", "rejected")[choice % 2])

    def answer(self, choice: int) -> None:
        if (request := self.pick(choice, "l.state = 'delivery_unknown'")) is not None:
            self.one("select ledger.user_resolve(%s, %s)", request, choice % 2 == 0)

    def refund(self, choice: int) -> None:
        if (request := self.pick(choice, "l.state in ('reserved', 'running', 'rendered')")) is not None:
            fence = self.one("select fence from ledger.request where id = %s", request)
            self.one("select ledger.release(%s, %s, 'images')", request, fence)

    def second_life(self, choice: int) -> None:
        if (request := self.pick(choice, "l.state = 'released'")) is not None:
            self.one("select verdict from ledger.second_life(%s, %s)", request, f"again {self.serial}")

    def buy(self, choice: int) -> None:
        self.one(
            "select ledger.topup(%s, 'stars', %s, 10, now())", 7000 + choice % 2, f"charge{choice % 5}-{choice % 2}"
        )

    def reverse(self, choice: int) -> None:
        self.one("select ledger.chargeback(%s, 'stars', %s, 10)", 7000 + choice % 2, f"charge{choice % 5}-{choice % 2}")

    def night(self, _: int) -> None:
        with self.all.transaction():
            self.all.execute(query("history.without_triggers"))
            for move in self.moves:
                self.all.execute(move)
            for far in (-1000, 999):
                for table in _DAYS:
                    self.all.execute(f"update usage.{table} set day = day + %s".encode(), [far])

    def forget(self, choice: int) -> None:
        if (request := self.pick(choice, "r.forgotten_at is null")) is not None:
            self.one("select carousel.forget(%s, %s)", request, Jsonb(_DECK))

    def roll_up(self, _: int) -> None:
        with usage_session(self.url) as session:
            build(session, stale_days(session))

    def rows(self) -> dict[str, list[str]]:
        return {
            table: sorted(str(row) for row in self.all.execute(f"table usage.{table}".encode())) for table in TABLES
        }

    def start_over(self) -> None:
        """Nobody has ever asked anything."""
        with self.all.transaction():
            self.all.execute(query("history.without_triggers"))
            self.all.execute(
                b"truncate ledger.app_user, ledger.request, carousel.request, ledger.outbox, usage.stale_day cascade"
            )
            self.forget_usage()

    def forget_usage(self) -> None:
        for table in _DAYS:
            self.all.execute(f"delete from usage.{table}".encode())
        self.all.execute(b"update usage.watermark set seen_until = '-infinity'")

    def _person(self, request: UUID) -> Any:
        return self.one(
            "select tg_user_id from ledger.app_user u join carousel.request r on r.user_id = u.id where r.id = %s",
            request,
        )

    def _call(self, request: UUID, step: str, outcome: str, cost: float | None) -> None:
        begun = self.one(
            "select id from carousel.begin_attempt(%s, null, %s, null, 'offline', 'm', 9, 9)", request, step
        )
        self.one("select carousel.end_attempt(%s, %s, 10, 5, 1, %s, null, null, null, null)", begun, outcome, cost)

    def _send(self, choice: int, outcome: str) -> None:
        if (request := self.pick(choice, "l.state = 'rendered'")) is not None:
            fence = self.one("select fence from ledger.request where id = %s", request)
            begun = self.one(
                "select delivery_id from ledger.delivery_begin(%s, %s, %s)", request, fence, 2 + choice % 2
            )
            ids = [self.serial] if outcome == "sent" else None
            self.one("select ledger.delivery_end(%s, %s, %s)", begun, outcome, ids)


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    world = World(database_url)
    with world.all:
        yield world


@settings(max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9)), min_size=20, max_size=45))
def test_what_was_built_by_and_by_is_what_is_built_at_once(world: World, steps: list[tuple[str, int]]) -> None:
    world.start_over()
    for name, choice in steps:
        world.step(name, choice)
    world.roll_up(0)
    by_and_by = world.rows()
    assert world.all.execute(query("usage.differences")).fetchall() == []
    assert world.all.execute(query("usage.missing_days")).fetchall() == []
    world.forget_usage()
    with usage_session(world.url) as session:
        build(session, known_days(session))
    assert by_and_by == world.rows()
    world.all.execute(b"drop schema if exists plain cascade")
    roll_up_plainly(world.all)
    assert {table: disagreeing(world.all, table) for table in TABLES} == dict.fromkeys(TABLES, 0)


@pytest.mark.parametrize(
    ("before", "late"),
    [
        ((), "outline"), ((), "give_up_outline"), (("outline",), "discard"), (("outline", "buy"), "confirm"),
        (("outline", "buy", "confirm"), "work"), (("outline", "buy", "confirm"), "refund"),
        (("outline", "buy", "confirm", "work"), "arrive"), (("outline", "buy", "confirm", "work"), "doubt"),
        (("outline", "buy", "confirm", "work", "doubt"), "answer"), (("outline", "buy", "confirm", "refund"), "second_life"),
        ((), "buy"), (("buy",), "reverse"), (("outline", "night"), "forget"), ((), "ask"),
        (("outline",), "call"),
    ],
)  # fmt: skip
def test_a_late_fact_rebuilds_its_day_and_no_other(world: World, before: tuple[str, ...], late: str) -> None:
    """Each kind of change by itself, after nights in which nothing happened: only its own mark can tell that it came."""
    for step in ("ask", *before, "night", "roll_up", "night", "roll_up"):
        world.step(step, 0)
    with usage_session(world.url) as session:
        known = {str(row["day"]) for row in session.execute(b"select day from usage.day")}
        assert stale_days(session) == []
        world.step(late, 0)
        changed = stale_days(session)
        assert 1 <= len(changed) < len(known)
        build(session, changed)
    roll_up_plainly(world.all)
    assert {table: disagreeing(world.all, table) for table in TABLES} == dict.fromkeys(TABLES, 0)


def test_a_change_that_is_committed_while_its_day_is_built_leaves_the_day_marked(world: World) -> None:
    """The build's snapshot cannot see it, so its mark must outlive the build (a mark is a row of its own)."""
    world.ask(0)
    with usage_session(world.url) as session, usage_session(world.url) as other:
        [today] = stale_days(session)
        with session.transaction():
            session.execute(query("usage.snapshot"))
            session.execute(query("usage.now"))
            world.ask(1)
            assert stale_days(other) == [today]
            session.execute(query("usage.unmark"), {"days": [today]})
        assert [row["day"] for row in session.execute(query("usage.stale_days"))] == [today]
        assert build(session, [today]).requests == 2
        assert session.execute(query("usage.stale_days")).fetchall() == []


def test_two_builds_at_once_wait_for_each_other(world: World) -> None:
    world.ask(0)
    with usage_session(world.url) as one, usage_session(world.url) as two:
        days = stale_days(one)
        one.execute(query("usage.lock"))
        two.execute(b"set lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            build(two, days)
        one.execute(query("usage.unlock"))
        two.execute(b"set lock_timeout = '120s'")
        assert build(two, days) != build(one, days)
        assert world.one("select requests from usage.day") == 1


def test_every_day_between_the_first_and_today_is_in_the_calendar(world: World) -> None:
    world.ask(0)
    for _ in range(4):
        world.night(0)
    world.roll_up(0)
    assert world.one("select array_agg(requests order by day) from usage.day") == [1, 0, 0, 0, 0]


def test_the_steps_of_these_trials_are_not_all_refused(world: World) -> None:
    for name in ("buy", "ask", "outline", "confirm", "work", "arrive", "roll_up"):
        world.step(name, 0)
    row = world.all.execute(b"select delivered, charged, released, calls from usage.daily").fetchone()
    assert row == {"delivered": 1, "charged": 2, "released": 1, "calls": 3}
