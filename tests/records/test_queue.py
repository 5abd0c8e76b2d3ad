"""A place in the queue is the truth: how many start before mine, and when mine will be there."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import yaml

from carousel_pipeline.database import query
from carousel_pipeline.ledger.pipeline import PipelineLedger
from carousel_pipeline.paths import resource

Connection = psycopg.Connection[dict[str, Any]]
ME, GREEDY, OTHER = 7_100_000_001, 7_100_000_002, 7_100_000_003
_serial = itertools.count(1)


@pytest.fixture
def owner(connect_as: Callable[[str | None], Connection]) -> Connection:
    connection = connect_as(None)
    # The ledger's clock is the only order there is, and requests of one statement would be equal in it.
    for person in (ME, GREEDY, OTHER):
        connection.execute("select ledger.topup(%s, 'stars', %s, 1000, now())", [person, f"queue-{person}"])
    return connection


def ask(owner: Connection, *people: int) -> list[UUID]:
    asked = []
    for person in people:
        row = owner.execute(
            "select (ledger.reserve(%s, %s, 1)).request_id as id", [person, f"queue:{next(_serial)}"]
        ).fetchone()
        assert row is not None
        asked.append(row["id"])
    return asked


def work_on(owner: Connection, *requests: UUID) -> None:
    for request in requests:
        assert PipelineLedger(owner).claim(request, f"run-{uuid4()}").verdict == "run"


def ahead(owner: Connection, request: UUID) -> int:
    row = owner.execute(query("bot.queue_place"), {"id": request}).fetchone()
    assert row is not None
    place: int = row["ahead"]
    return place


def test_nobody_is_counted_who_asked_later_or_is_being_served(owner: Connection) -> None:
    first, mine, _later = ask(owner, OTHER, ME, OTHER)
    assert ahead(owner, mine) == 1
    work_on(owner, first)
    assert ahead(owner, mine) == 0
    work_on(owner, mine)
    assert ahead(owner, mine) == 0, "not in the queue any more"


def test_a_rush_of_one_counts_for_as_many_as_may_start(owner: Connection) -> None:
    rush = ask(owner, *[GREEDY] * 50)
    [mine] = ask(owner, ME)
    assert ahead(owner, mine) == 3
    work_on(owner, *rush[:2])
    assert ahead(owner, mine) == 1
    work_on(owner, rush[2])
    assert ahead(owner, mine) == 0, "the other forty-seven wait for their own"


def test_ones_own_earlier_ones_all_come_first(owner: Connection) -> None:
    rush = ask(owner, *[ME] * 10)
    ask(owner, OTHER)
    [mine] = ask(owner, ME)
    assert ahead(owner, mine) == 11
    work_on(owner, *rush[:3])
    assert ahead(owner, mine) == 8


def test_the_limit_is_that_of_the_run_queue(owner: Connection) -> None:
    limits = yaml.safe_load(resource("dagster.yaml").read_text(encoding="utf-8"))["concurrency"]["runs"]
    [of_a_user] = [rule["limit"] for rule in limits["tag_concurrency_limits"] if rule["key"] == "carousel/user"]
    row = owner.execute("select carousel.runs_per_user() as many").fetchone()
    assert row == {"many": of_a_user}


def usual(owner: Connection) -> tuple[float | None, float | None]:
    row = owner.execute("select * from bot.usual_seconds()").fetchone()
    assert row is not None
    return row["made_s"], row["pace_s"]


def delivered(owner: Connection, count: int, *, took: timedelta, apart: timedelta) -> None:
    """Carousels that were made in `took` and arrived `apart`; triggers are off, because they would set the clock right."""
    owner.execute("set session_replication_role = replica")
    for number in range(count):
        [request] = ask(owner, OTHER)
        owner.execute(
            "insert into carousel.request (id, user_id, chat_id, client_key, source, options) "
            "select id, user_id, 1, client_key, 'text', '{}' "
            "from ledger.request where id = %s",
            [request],
        )
        owner.execute(
            "insert into ledger.request_event (request_id, src, dst, fence, created_at) "
            "values (%s, 'reserved', 'running', 1, now() + %s::interval * %s - %s::interval)",
            [request, apart, number, took],
        )
        owner.execute(
            "insert into ledger.delivery (request_id, epoch, fence, state, message_ids, updated_at) "
            "values (%s, 1, 1, 'sent', '{1}', now() + %s::interval * %s)",
            [request, apart, number],
        )
    owner.execute("set session_replication_role = origin")


def test_the_estimate_goes_by_how_long_one_is_made_and_how_soon_the_next_one_follows(owner: Connection) -> None:
    delivered(owner, 4, took=timedelta(seconds=90), apart=timedelta(seconds=6))
    assert usual(owner) == (None, None), "four are not enough to know"
    delivered(owner, 12, took=timedelta(seconds=90), apart=timedelta(seconds=6))
    made, pace = usual(owner)
    assert made == pytest.approx(90, abs=1)
    assert pace is not None
    assert pace < 7


def test_a_calm_says_nothing_about_the_pace(owner: Connection) -> None:
    delivered(owner, 6, took=timedelta(seconds=3), apart=timedelta(minutes=10))
    made, pace = usual(owner)
    assert made == pytest.approx(3, abs=1)
    assert pace == made
