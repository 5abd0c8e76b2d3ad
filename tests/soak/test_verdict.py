"""The soak's verdict finds what it is there to find."""

import itertools
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from carousel_pipeline.database import Role, Row

from ..remembered import DECK  # noqa: TID252 - tests are no package
from .meters import Look, growth, slope
from .people import Story
from .verdict import Album, judge

PRICE = len(DECK.slides)
_people = itertools.count(900)


class Ended:
    """One carousel of somebody, with message ids from 1 on when it arrived."""

    def __init__(self, owner: psycopg.Connection[Row], *, end: str = "sent") -> None:
        self.owner = owner
        self.tg = next(_people)
        self.story = Story(self.tg, texts=["Mark1"])
        self.call("ledger.welcome(%s)", self.tg)
        key, source = str(uuid4()), "Mark1: a text"
        self.id: UUID = self.call(
            "request_id from carousel.open_request(%s, %s, %s, %s, %s)", self.tg, self.tg, key, source, Jsonb({})
        )
        self.call("carousel.outline_ready(%s, %s, %s)", self.id, Jsonb(DECK.model_dump(mode="json")), PRICE)
        self.call("carousel.confirm(%s, %s, %s)", self.tg, self.id, PRICE)
        self.story.quoted[self.id] = PRICE
        fence = self.call("fence from ledger.claim(%s, 'run')", self.id)
        self.call("ledger.rendered(%s, %s)", self.id, fence)
        delivery = self.call("delivery_id from ledger.delivery_begin(%s, %s)", self.id, fence)
        messages = list(range(1, PRICE + 1)) if end == "sent" else None
        self.call("ledger.delivery_end(%s, %s, %s)", delivery, end, messages)
        owner.execute("update ledger.outbox set done_at = clock_timestamp()")
        self.album = Album(self.tg, time.time(), tuple(range(1, PRICE + 1)))

    def call(self, what: str, *values: Any) -> Any:
        row = self.owner.execute(f"select {what}", values).fetchone()
        assert row is not None
        return next(iter(row.values()))


@pytest.fixture
def owner(connect_as: Callable[[Role | None], psycopg.Connection[Row]]) -> psycopg.Connection[Row]:
    return connect_as(None)


def sorts(database_url: str, ended: Ended, *albums: Album, unread: tuple[str, ...] = ()) -> set[str]:
    return set(judge(database_url, [ended.story], albums, unread).wrong)


def test_a_right_end_is_right(database_url: str, owner: psycopg.Connection[Row]) -> None:
    ended = Ended(owner)
    verdict = judge(database_url, [ended.story], [ended.album], [])
    assert (dict(verdict.wrong), dict(verdict.ends)) == ({}, {"delivered": 1})


def test_albums_are_counted_by_what_telegram_took(database_url: str, owner: psycopg.Connection[Row]) -> None:
    ended = Ended(owner)
    again = Album(ended.tg, time.time() + 1, tuple(range(50, 50 + PRICE)))
    example = Album(ended.tg, time.time() - 60, (40, 41, 42))
    assert sorts(database_url, ended, example, ended.album) == set()
    assert sorts(database_url, ended, ended.album, again) == {"albums"}
    told = judge(database_url, [ended.story], [ended.album, again], []).stories[str(ended.id)]
    assert [len(rows) for rows in told.values()] == [4, 1, 2]
    assert sorts(database_url, ended) == {"albums"}


def test_an_album_in_doubt_is_no_wrong_and_a_refund_with_an_album_is(
    database_url: str, owner: psycopg.Connection[Row]
) -> None:
    ended = Ended(owner, end="unknown")
    album = Album(ended.tg, time.time() + 1, (50, 51, 52))
    assert sorts(database_url, ended, album) == set()
    ended.call("ledger.ops_release(%s, 'soak', 'for the test')", ended.id)
    owner.execute("update ledger.outbox set done_at = clock_timestamp()")
    assert sorts(database_url, ended) == set()
    assert sorts(database_url, ended, album) == {"albums"}


def test_what_is_open_lost_or_untold_is_named(database_url: str, owner: psycopg.Connection[Row]) -> None:
    ended = Ended(owner)
    ended.story.texts.append("Mark2")
    owner.execute("update ledger.outbox set done_at = null where topic = 'delivered'")
    fresh = "select request_id from carousel.open_request(%s, %s, 'key', 'Mark1: more', '{}')"
    owner.execute(fresh, [ended.tg, ended.tg])
    found = sorts(database_url, ended, ended.album, unread=("an update",))
    assert found == {"texts lost", "nobody was told", "stuck", "updates unread"}


def test_a_charge_above_the_button_and_a_changed_wallet_are_found(
    database_url: str, owner: psycopg.Connection[Row]
) -> None:
    ended = Ended(owner)
    ended.story.quoted[ended.id] = PRICE - 1
    assert sorts(database_url, ended, ended.album) == {"money"}
    ended.story.quoted[ended.id] = PRICE
    with owner.transaction():
        owner.execute("set local session_replication_role = replica")
        owner.execute("update ledger.wallet set available = available + 1")
    assert sorts(database_url, ended, ended.album) == {"credits", "violations"}


def looks(memory: Callable[[int], float], fds: Callable[[int], int]) -> list[Look]:
    found = []
    for number in range(60):
        size = int(memory(number) * 2**20)
        found.append(
            Look(10.0 * number, processes={"Bot": (7, size, size, fds(number))}, files={"home": 1, "scratch": 1})
        )
        found[-1].files["artifacts_unfinished"] = 0
    return found


def test_growth_is_told_from_noise() -> None:
    noise = looks(lambda n: 90 + 30 * (n % 3), lambda n: 20 + n % 5)
    assert growth(noise, judged=True)["leaks"] == []
    leaking = looks(lambda n: 90 + n / 3, lambda n: 20 + n // 4)
    assert growth(leaking, judged=True)["leaks"] == ["memory of Bot", "open files of Bot"]
    warming = looks(lambda n: 90 + min(n, 30), lambda n: 20 + min(n, 30))
    assert growth(warming, judged=True)["leaks"] == []
    assert growth(leaking, judged=False)["leaks"] is None
    assert slope([(0, 1.0), (300, 2.0), (600, 3.0)]) == pytest.approx(2.0)
