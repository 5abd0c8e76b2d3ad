"""Cleaning up for real: what goes, what stays, what a death in the middle leaves, and who may point at what."""

import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from dagster import DagsterRunStatus
from moto.s3.models import s3_backends
from pydantic import SecretStr

from carousel_pipeline.artifacts import LocalStore, content_key
from carousel_pipeline.artifacts.s3 import S3Store
from carousel_pipeline.cleanup import Ages, clean_up
from carousel_pipeline.database import connect
from carousel_pipeline.errors import TransientError
from carousel_pipeline.schedules.cleanup import DagsterRuns

from .conftest import DECK, World

YOUNG = timedelta(days=2)
STRIDE = 6
LEAST_CALLS = 20


@pytest.mark.finding("M15", "m28")
def test_what_is_old_and_settled_goes_and_everything_else_stays_whole(world: World) -> None:
    gone = [world.carousel("delivered"), world.carousel("released"), world.outline(age=timedelta(days=8))]
    stays = [
        *(world.carousel(state) for state in ("reserved", "running", "delivery_unknown")),
        world.carousel("delivered", age=timedelta(days=29)),
        world.outline(age=timedelta(days=6)),
    ]
    working = world.carousel("delivered")
    world.run(working, "carousel", DagsterRunStatus.STARTED)
    before = world.sql("select * from ledger.wallet order by user_id")
    report = world.clean()
    assert (report.by_age, report.by_crowd, report.busy, report.keys) == (3, 0, 1, 3)
    for request_id in gone:
        world.assert_forgotten(request_id)
    for request_id in [*stays, working]:
        world.assert_whole(request_id)
    world.assert_nothing_dangles()
    assert world.sql("select * from ledger.wallet order by user_id") == before
    again = world.clean()
    assert (again.by_age, again.objects, again.keys, again.runs) == (0, 0, 0, 0)


def test_a_dry_run_says_what_the_real_one_does_and_changes_nothing(world: World) -> None:
    request_id = world.carousel("delivered")
    world.key("typed by hand")
    said = world.clean(dry_run=True)
    world.assert_whole(request_id)
    done = world.clean()
    assert (said.by_age, said.keys, said.bytes) == (done.by_age, done.keys, done.bytes) == (1, 2, done.bytes)
    assert said.objects == 6
    assert done.objects == 6 + 4  # and four JSON files, which no row counts


def test_too_many_are_thinned_from_the_oldest(world: World) -> None:
    first = world.carousel("delivered", age=timedelta(days=3))
    second = world.carousel("delivered", age=YOUNG)
    world.sql(
        "insert into carousel.request (user_id, chat_id, client_key, source, options) "
        "select id, 1, 'filler' || n, '-', '{}' from generate_series(1, 99) n, ledger.app_user"
    )
    report = world.clean(Ages(live_keys=100))
    assert (report.by_age, report.by_crowd) == (0, 1)
    world.assert_forgotten(first)
    world.assert_whole(second)


def test_a_picture_that_a_younger_carousel_took_over_stays(world: World) -> None:
    parent = world.carousel("delivered")
    child = world.carousel("delivered", age=YOUNG, parent=parent, share=parent)
    world.clean()
    world.assert_forgotten(parent)
    world.assert_whole(child)
    world.assert_nothing_dangles()


def test_what_a_change_is_being_made_from_stays_until_that_is_settled(world: World) -> None:
    parent = world.carousel("delivered")
    child = world.carousel("running", age=timedelta(0), parent=parent)
    assert world.clean().refused == {"open": 1}
    world.assert_whole(parent)
    world.sql("select ledger.ops_release(%s, 'tests', 'for tests')", child)
    world.clean()
    world.assert_forgotten(parent)
    world.assert_whole(child)


def test_the_forgotten_can_be_neither_changed_nor_confirmed(world: World) -> None:
    carousel, outline = world.carousel("delivered"), world.outline()
    world.clean()
    with pytest.raises(psycopg.Error) as caught:
        world.outline(parent=carousel)
    assert caught.value.sqlstate == "LC005"
    assert world.value("select carousel.confirm(%s, %s, 3)", world.tg, outline) == "gone"


def test_nothing_younger_than_a_day_is_given_up_whoever_asks(world: World) -> None:
    request_id = world.carousel("delivered", age=timedelta(hours=23))
    row = world.session.execute("select carousel.forget(%s, null) as verdict", [request_id]).fetchone()
    assert row == {"verdict": "young"}
    world.assert_whole(request_id)


def test_leftovers_of_dagster_go_and_what_is_remembered_keeps_its_runs(world: World) -> None:
    old_run = world.run(None, "cleanup", DagsterRunStatus.SUCCESS)
    stays = world.carousel("delivered", age=timedelta(days=29))
    busy_key, dead_key = str(uuid4()), "typed by hand"
    for key in (busy_key, dead_key):
        world.key(key)
    world.run(busy_key, "carousel", DagsterRunStatus.STARTED)
    world.run(dead_key, "carousel", DagsterRunStatus.FAILURE)
    with connect(world.url, "led_pipeline") as session:
        runs = DagsterRuns(world.instance)
        later = _Later(runs)
        clean_up(session, world.store, later, Ages())
    assert world.instance.get_run_by_id(old_run) is None
    assert world.keys() == {str(stays), busy_key}
    world.assert_whole(stays)


class _Later:
    """Dagster in two months: every run of today is old."""

    def __init__(self, runs: DagsterRuns) -> None:
        self._runs = runs

    def ended_before(self, moment: datetime) -> Any:
        return self._runs.ended_before(moment + timedelta(days=60))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runs, name)


def test_two_cleanups_at_once_are_one(world: World) -> None:
    with connect(world.url, "led_pipeline") as first:
        clean_up(first, world.store, DagsterRuns(world.instance), Ages())
        with pytest.raises(TransientError, match="another cleanup"):
            world.clean()


class Killed(BaseException):
    """The process is gone."""


class Doomed:
    """Passes calls on until the process dies at the n-th, shared among everything that a cleanup calls."""

    def __init__(self, target: object, left: list[int], *names: str) -> None:
        self._target = target
        self._left = left
        self._names = names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in self._names:
            return found

        def call(*args: Any, **options: Any) -> Any:
            self._left[0] -= 1
            if self._left[0] < 0:
                raise Killed
            return found(*args, **options)

        return call


@pytest.mark.finding("M15", "m29")
def test_dying_at_any_call_leaves_nothing_wrong_and_the_next_one_finishes(world: World, seed: int) -> None:
    # Each time another sixth of all calls: all of them take a quarter of a minute.
    stays = [world.carousel("running"), world.carousel("delivery_unknown"), world.carousel("delivered", age=YOUNG)]
    calls, survived = seed % STRIDE, False
    while not survived:
        parent = world.carousel("delivered")
        child = world.carousel("delivered", age=YOUNG, parent=parent, share=parent)
        orphan = content_key(secrets.token_bytes(8), "jpg")
        left = [calls]
        with connect(world.url, "led_pipeline") as session:
            try:
                clean_up(
                    Doomed(session, left, "execute"),  # type: ignore[arg-type]  # stands in for a connection
                    Doomed(world.store, left, "delete", "listing"),  # type: ignore[arg-type]  # stands in for a store
                    Doomed(
                        DagsterRuns(world.instance), left, "at_work", "keys", "forget_key", "forget_run", "ended_before"
                    ),  # type: ignore[arg-type]  # stands in for Dagster
                    Ages(),
                )
                survived = True
            except Killed:
                calls += STRIDE
        world.assert_nothing_dangles()
        assert not world.store.exists(orphan)
        for request_id in (*stays, child):
            world.assert_whole(request_id)
        world.clean()
        world.assert_forgotten(parent)
        world.sql("delete from carousel.doomed_object")
        world.aged(child, timedelta(days=40))
        world.clean()
        world.assert_nothing_dangles()
    assert calls >= LEAST_CALLS


def test_objects_without_a_row_go_once_they_are_old(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    key = content_key(b"of a run that died", "jpg")
    world.store.put(key, b"of a run that died", content_type="image/jpeg")
    logo = content_key(b"a logo", "png")
    world.store.put(logo, b"a logo", content_type="image/png")
    user = world.value("select id from ledger.app_user where tg_user_id = %s", world.tg)
    world.sql("select carousel.set_brand(%s, %s)", user, psycopg.types.json.Jsonb({"logo_key": logo}))
    assert world.clean().orphans == 0
    old = datetime.now(UTC) - timedelta(days=3)
    listed = world.store.listing
    monkeypatch.setattr(
        world.store, "listing", lambda prefix: (type(item)(item.key, old) for item in listed(prefix)), raising=True
    )
    assert world.clean(dry_run=True).orphans == 1
    assert world.clean().orphans == 1
    assert not world.store.exists(key)
    assert world.store.exists(logo)


def test_what_killed_writers_left_goes_once_it_is_old(world: World, tmp_path: Path) -> None:
    left = tmp_path / "objects" / "aa" / ".new-k1ll3d"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a picture")
    world.store = LocalStore(tmp_path)
    assert world.clean().objects == 0
    os.utime(left, (0, 0))
    assert world.clean(dry_run=True).objects == 1
    assert left.exists()
    assert world.clean().objects == 1
    assert not left.exists()


@pytest.mark.finding("m29")
def test_in_s3_it_is_the_same(s3_endpoint: str, world: World) -> None:
    bucket = f"cleanup-{secrets.token_hex(4)}"
    world.store = S3Store(bucket, "p", endpoint=s3_endpoint, key_id="AKIATEST", secret=SecretStr("not needed here"))
    world.store.prepare()
    backend = s3_backends["123456789012"]["aws"]
    for number in range(10):
        stored = backend.put_object(bucket, f"p/objects/00/{number:064x}.jpg", b"x")
        stored.last_modified = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=3)
    gone, stays = world.carousel("delivered"), world.carousel("delivered", age=YOUNG)
    report = world.clean()
    assert (report.orphans, report.objects) == (10, 10 + 6 + 4)
    world.assert_forgotten(gone)
    world.assert_whole(stays)
    world.assert_nothing_dangles()


def doomed(world: World) -> tuple[str, Callable[..., None]]:
    """A key that is noted for deletion, and a function with which another request asks for it again."""
    world.carousel("delivered")
    other = world.carousel("running", age=timedelta(0))
    key = world.value("select key from carousel.artifact where role = 'picture' order by created_at limit 1")
    world.sql("select carousel.forget(a.request_id, %s) from carousel.artifact a where a.key = %s", _DECK, key)

    def point(session: psycopg.Connection[Any]) -> None:
        session.execute(
            "select carousel.keep_artifact(%s, 'picture', 1, 'r', %s, %s, 'image/jpeg', 1, 1, 1)",
            [other, key.rpartition("/")[2][:64], key],
        )

    return key, point


_DECK = psycopg.types.json.Jsonb(DECK.model_dump(mode="json"))


def claimed(world: World) -> list[str]:
    return [row["claim_doomed"] for row in world.session.execute("select carousel.claim_doomed(500)").fetchall()]


def test_an_object_that_is_asked_for_again_in_time_is_not_deleted(world: World) -> None:
    key, point = doomed(world)
    point(world.root)
    assert key not in claimed(world)


def test_whoever_deletes_passes_over_what_somebody_is_pointing_at(world: World) -> None:
    key, point = doomed(world)
    with world.root.transaction():
        point(world.root)
        first = claimed(world)
        assert first
        assert key not in first
    assert key not in claimed(world)


def test_an_object_that_is_being_deleted_has_to_be_stored_again(world: World) -> None:
    key, point = doomed(world)
    assert key in claimed(world)
    for _ in ("while it is being deleted", "just after"):
        with pytest.raises(psycopg.Error) as caught:
            point(world.root)
        assert caught.value.sqlstate == "LC006"
        world.session.execute("select carousel.objects_deleted(%s)", [[key]])
    world.sql("update carousel.doomed_object set deleted_at = deleted_at - interval '3 minutes'")
    point(world.root)
    assert claimed(world) == claimed(world)
