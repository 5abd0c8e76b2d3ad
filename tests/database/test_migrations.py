"""Migrations run once, in order, whole or not at all, whoever starts how many of them."""

import secrets
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from carousel_pipeline import database
from carousel_pipeline.database import MigrationError, connect, ensure_database, migrate
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.paths import resource


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of migrations of this test's own."""
    (tmp_path / "migrations").mkdir()
    (tmp_path / "queries").symlink_to(resource("sql") / "queries")
    monkeypatch.setattr(database, "resource", lambda _: tmp_path)
    return tmp_path / "migrations"


def _write(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(script, encoding="utf-8")


@pytest.mark.finding("C10")
def test_the_real_migrations_apply_once(empty_database_url: str) -> None:
    names = sorted(path.name for path in (resource("sql") / "migrations").iterdir())
    assert migrate(empty_database_url) == names
    assert migrate(empty_database_url) == []


def test_two_starts_at_once_apply_everything_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: migrate(empty_database_url), range(4)))
    assert sorted(map(len, applied))[:3] == [0, 0, 0]


def test_databases_of_one_fresh_server_migrate_at_once_without_a_superuser(memory: str | None) -> None:
    """Roles belong to the server: the first start of two stacks must not fail over who made them."""
    password = secrets.token_urlsafe()
    with (
        tempfile.TemporaryDirectory(dir=memory, ignore_cleanup_errors=True) as data,
        EmbeddedPostgres(Path(data), durable=False) as server,
    ):
        with connect(server.url("postgres"), None) as admin:
            admin.execute(f"create role deployer login createdb createrole password '{password}'".encode())
        urls = [make_conninfo(server.url(f"stack_{number}"), user="deployer", password=password) for number in range(3)]

        def start(url: str) -> list[str]:
            ensure_database(url)
            return migrate(url)

        with ThreadPoolExecutor(6) as pool:
            applied = list(pool.map(start, urls * 2))
        assert sum(map(bool, applied)) == 3
        with connect(urls[0], "led_bot") as connection:
            assert connection.execute("select ledger.welcome(1) as given").fetchone() == {"given": True}


def test_a_migration_that_was_changed_after_it_ran_is_refused(empty_database_url: str, folder: Path) -> None:
    _write(folder, "0001_one.sql", "create table one ()")
    migrate(empty_database_url)
    _write(folder, "0001_one.sql", "create table one (id int)")
    _write(folder, "0002_two.sql", "create table two ()")
    with pytest.raises(MigrationError, match=r"0001_one\.sql was changed"):
        migrate(empty_database_url)
    with connect(empty_database_url, None) as connection:
        assert connection.execute("select to_regclass('two') as two").fetchone() == {"two": None}


def test_a_database_of_a_newer_version_is_refused(empty_database_url: str, folder: Path) -> None:
    _write(folder, "0001_one.sql", "create table one ()")
    _write(folder, "0002_two.sql", "create table two ()")
    migrate(empty_database_url)
    (folder / "0002_two.sql").unlink()
    with pytest.raises(MigrationError, match="newer version"):
        migrate(empty_database_url)


def test_a_migration_that_fails_leaves_nothing_and_runs_again(empty_database_url: str, folder: Path) -> None:
    _write(folder, "0001_one.sql", "create table one ()")
    _write(folder, "0002_two.sql", "create table two (); select 1 / 0")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty_database_url)
    _write(folder, "0002_two.sql", "create table two ()")
    _write(folder, "notes.txt", "not a migration")
    assert migrate(empty_database_url) == ["0002_two.sql"]
