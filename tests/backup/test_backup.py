"""The drill that is otherwise held once a month: a copy is made, everything is lost, and the product goes on from the copy."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from carousel_pipeline.artifacts import LocalStore
from carousel_pipeline.backup import back_up, restore
from carousel_pipeline.backup.command import backup_command, restore_command
from carousel_pipeline.database import connect, ensure_database, migrate
from carousel_pipeline.errors import ConfigurationError, PermanentError, TransientError
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.settings import get_settings

from ..cleanup.conftest import World  # noqa: TID252 - tests are no package


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with dg.DagsterInstance.ephemeral() as instance:
        made = World(database_url, LocalStore(tmp_path / "artifacts"), instance)
        made.carousel("delivered", age=timedelta(0))
        made.carousel("running", age=timedelta(0))
        yield made
        made.close()


@pytest.fixture
def elsewhere(postgres: EmbeddedPostgres) -> str:
    """A database that is not there yet."""
    return postgres.url(f"restored_{os.urandom(4).hex()}")


def test_everything_is_there_again_and_the_product_goes_on(world: World, elsewhere: str, tmp_path: Path) -> None:
    copy = back_up(world.url, None, world.store, tmp_path / "copies")
    assert copy.stat().st_mode & 0o077 == 0
    store = LocalStore(tmp_path / "another disk")
    checked = restore(copy, elsewhere, None, store)
    assert checked.well
    assert checked.objects == sum(1 for _ in store.listing("")) == sum(1 for _ in world.store.listing(""))
    assert migrate(elsewhere) == []
    with connect(elsewhere, "led_pipeline") as session, connect(elsewhere, "led_bot") as bot:
        (running,) = session.execute("select id, fence from ledger.request where state = 'running'").fetchall()
        assert session.execute(
            "select ledger.rendered(%s, %s) as ok", [running["id"], running["fence"]]
        ).fetchone() == {"ok": True}
        assert bot.execute("select ledger.welcome(4711) as given").fetchone() == {"given": True}
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        connect(elsewhere, "led_pipeline") as session,
    ):
        session.execute("update ledger.wallet set available = 1000")


def test_a_row_without_its_object_is_said(world: World, elsewhere: str, tmp_path: Path) -> None:
    copy = back_up(world.url, None, world.store, tmp_path / "copies")
    (copy / "objects" / world.value("select key from carousel.artifact order by key limit 1")).unlink()
    checked = restore(copy, elsewhere, None, LocalStore(tmp_path / "another disk"))
    assert (checked.well, checked.missing, checked.violations) == (False, 1, ())


def test_a_copy_that_was_interrupted_or_changed_is_none(world: World, elsewhere: str, tmp_path: Path) -> None:
    copy = back_up(world.url, None, world.store, tmp_path / "copies")
    dump = copy / "carousel.dump"
    dump.write_bytes(dump.read_bytes()[:-1])
    with pytest.raises(PermanentError, match="is not what was written"):
        restore(copy, elsewhere, None, world.store)
    (copy / "manifest.json").unlink()
    with pytest.raises(PermanentError, match="it is no copy, or one that was interrupted"):
        restore(copy, elsewhere, None, world.store)


def test_nothing_is_restored_over_something(world: World, tmp_path: Path) -> None:
    copy = back_up(world.url, None, world.store, tmp_path / "copies")
    with pytest.raises(ConfigurationError, match="has tables already"):
        restore(copy, world.url, None, world.store)


def test_nothing_is_forgotten_while_a_copy_is_made(world: World, tmp_path: Path) -> None:
    with connect(world.url, None) as cleanup:
        cleanup.execute("select pg_advisory_lock(7263529110021)")
        with pytest.raises(TransientError, match="a cleanup is at work"):
            back_up(world.url, None, world.store, tmp_path / "copies")


def test_the_commands_say_where_and_how(
    world: World,
    postgres: EmbeddedPostgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dagster = postgres.url(f"dagster_{os.urandom(4).hex()}")
    ensure_database(dagster)
    for name, value in {
        "DATABASE_URL": world.url,
        "DAGSTER_DATABASE_URL": dagster,
        "ARTIFACTS_URL": (tmp_path / "artifacts").as_uri(),
        "CAROUSEL_HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    backup_command(tmp_path / "copies", as_json=True)
    assert json.loads(capsys.readouterr().out)["rows"]["requests"] == 2
    (copy,) = (tmp_path / "copies").iterdir()
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert restore_command(copy, only_drill=True, as_json=False) == 0
    assert "The books agree and nothing is missing." in capsys.readouterr().out
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before, "a drill leaves nothing behind"
