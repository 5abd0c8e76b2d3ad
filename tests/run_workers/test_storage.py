"""Dagster's storage on our pool: any spelling of the URL, few connections, restarts and forks survived."""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import sqlalchemy
from dagster import (
    AssetCheckResult,
    AssetRecordsFilter,
    DagsterInstance,
    DynamicPartitionsDefinition,
    asset,
    asset_check,
    materialize,
)
from dagster_postgres import DagsterPostgresStorage
from psycopg import sql

from carousel_pipeline.database import connect
from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.local.dagster_home import write_local_instance
from carousel_pipeline.run_workers import storage


@pytest.fixture
def instance(dagster_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    monkeypatch.setenv("DAGSTER_DATABASE_URL", dagster_url)
    with DagsterInstance.from_config(str(write_local_instance(tmp_path / "home"))) as opened:
        yield opened
    storage.process_engine(storage.psycopg2_url(dagster_url)).dispose()


def connections(url: str) -> int:
    with connect(url, None) as client:
        query = (
            "select count(*) as n from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
        row = client.execute(query).fetchone()
        assert row is not None
        return int(row["n"])


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_spelling_of_the_scheme_means_the_driver_dagster_needs(scheme: str) -> None:
    url = storage.psycopg2_url(f"{scheme}://user:p%40ss@db.example:5433/dagster?sslmode=require")
    assert url.drivername == "postgresql+psycopg2"
    assert (url.username, url.password, url.host, url.port, url.database) == (
        "user", "p@ss", "db.example", 5433, "dagster",
    )  # fmt: skip
    assert url.query == {"sslmode": "require"}


@pytest.mark.parametrize(
    "url", ["", "no url", "mysql://u:topsecret@h/d", "postgresql://u:topsecret@h:5432", "topsecret@h"]
)
def test_another_url_is_refused_by_the_settings_name_and_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="DAGSTER_DATABASE_URL") as refusal:
        storage.psycopg2_url(url)
    assert "topsecret" not in str(refusal.value)


@pytest.mark.finding("m37")
def test_a_password_of_special_characters_works(
    dagster_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, password = "o'dagster@host", "p@ss:w/o?r#d%20 é"
    with connect(dagster_url, None) as client:
        client.execute(sql.SQL("create role {} superuser login password {}").format(sql.Identifier(name), password))
    address = urlsplit(dagster_url)
    netloc = f"{quote(name, safe='')}:{quote(password, safe='')}@{address.hostname}:{address.port}"
    monkeypatch.setenv("DAGSTER_DATABASE_URL", address._replace(netloc=netloc).geturl())
    with DagsterInstance.from_config(str(write_local_instance(tmp_path / "home"))) as opened:
        opened.add_dynamic_partitions("things", ["key"])
        assert opened.has_dynamic_partition("things", "key")
        assert opened.get_runs_count() == 0
    storage.process_engine(storage.psycopg2_url(address._replace(netloc=netloc).geturl())).dispose()


def test_many_threads_and_instances_share_a_bounded_pool(instance: DagsterInstance, dagster_url: str) -> None:
    with DagsterInstance.from_ref(instance.get_ref()) as second, ThreadPoolExecutor(60) as threads:
        list(threads.map(lambda n: (instance if n % 2 else second).get_runs_count(), range(300)))
        assert 0 < connections(dagster_url) <= storage.KEPT + storage.OVERFLOW


def test_an_idle_process_keeps_no_connection(instance: DagsterInstance, dagster_url: str) -> None:
    instance.get_runs_count()
    assert connections(dagster_url) > 0
    deadline = time.monotonic() + 60
    while connections(dagster_url):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert instance.get_runs_count() == 0


def test_a_restart_of_postgres_is_survived(
    instance: DagsterInstance, dagster_url: str, crash_postgres: Callable[[str], None]
) -> None:
    instance.add_dynamic_partitions("things", ["before"])
    crash_postgres(dagster_url)
    assert instance.get_dynamic_partitions("things") == ["before"]


def test_processes_that_start_at_once_make_the_tables_once(dagster_url: str) -> None:
    url = storage.psycopg2_url(dagster_url)
    with ThreadPoolExecutor(5) as threads:
        # Without the cache each thread does what a process does at its start.
        list(threads.map(storage.create_tables.__wrapped__, [url] * 5))
    with storage.process_engine(url).connect() as connection:
        stamps = connection.execute(sqlalchemy.text("select count(*) from alembic_version")).scalar()
    assert stamps == 1
    storage.process_engine(url).dispose()


def test_the_webserver_gets_its_statement_timeout(instance: DagsterInstance, dagster_url: str) -> None:
    instance.optimize_for_webserver(statement_timeout=4321, pool_recycle=60, max_overflow=20)
    with storage.process_engine(storage.psycopg2_url(dagster_url)).connect() as connection:
        assert connection.execute(sqlalchemy.text("show statement_timeout")).scalar() == "4321ms"


def test_what_the_schema_has_is_asked_once(instance: DagsterInstance, dagster_url: str) -> None:
    events, runs = instance.event_log_storage, instance.run_storage
    statements: list[str] = []
    engine = storage.process_engine(storage.psycopg2_url(dagster_url))
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *event: statements.append(event[2]))
    for _ in range(3):
        assert events.has_table("asset_event_tags")
        assert not events.has_table("no_such_table")
        assert events.has_asset_key_index_cols()
        assert runs.has_run_stats_index_cols()
    # Once each for what there is, three times for the table that may still come.
    assert len([statement for statement in statements if "pg_catalog" in statement]) <= 9


def test_what_a_run_asks_again_and_again_is_asked_once_and_never_answered_wrong(
    instance: DagsterInstance, dagster_url: str
) -> None:
    keys = DynamicPartitionsDefinition(name="things")

    @asset(partitions_def=keys)
    def slide() -> int:
        return 1

    def last() -> str | None:
        asked = AssetRecordsFilter(asset_key=slide.key, asset_partitions=["key"])
        records = instance.fetch_materializations(asked, limit=1).records
        return records[0].run_id if records else None

    statements: list[str] = []
    engine = storage.process_engine(storage.psycopg2_url(dagster_url))
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *event: statements.append(event[2]))
    assert not instance.has_dynamic_partition("things", "key")
    assert last() is None
    instance.add_dynamic_partitions("things", ["key"])
    statements.clear()
    assert all(instance.has_dynamic_partition("things", "key") for _ in range(5))
    assert sum("FROM dynamic_partitions" in statement for statement in statements) == 1
    for _ in range(2):
        made = materialize([slide], partition_key="key", instance=instance).run_id
        statements.clear()
        assert [last() for _ in range(5)] == [made] * 5
        assert sum("FROM event_logs" in statement for statement in statements) == 1
    instance.delete_dynamic_partition("things", "key")
    assert not instance.has_dynamic_partition("things", "key")


def test_events_are_stored_without_a_word_to_nobody(instance: DagsterInstance, dagster_url: str) -> None:
    with connect(dagster_url, None) as listener:
        listener.execute("listen run_events")

        @asset
        def slide() -> int:
            return 1

        run = materialize([slide], instance=instance).run_id
        assert instance.all_logs(run)
        assert list(listener.notifies(timeout=0.5)) == []


_FORK = """
import os, sys
import sqlalchemy
from carousel_pipeline.run_workers.storage import process_engine, psycopg2_url
engine = process_engine(psycopg2_url(sys.argv[1]))
def backend():
    with engine.connect() as connection:
        return connection.execute(sqlalchemy.text("select pg_backend_pid()")).scalar()
mine = backend()
reading, writing = os.pipe()
if os.fork() == 0:
    os.write(writing, str(backend()).encode())
    os._exit(0)
os.wait()
theirs = int(os.read(reading, 20))
assert mine == backend(), "the parent lost its connection"
assert mine != theirs, "the child used its parent's connection"
"""


@pytest.mark.finding("M14")
def test_a_fork_takes_no_connection_with_it(dagster_url: str) -> None:
    done = subprocess.run([sys.executable, "-c", _FORK, dagster_url], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_dagster_postgres_still_keeps_its_engine_where_we_put_ours(dagster_url: str) -> None:
    stock = DagsterPostgresStorage(str(storage.psycopg2_url(dagster_url)), should_autocreate_tables=False)
    for part in (stock.run_storage, stock.event_log_storage, stock.schedule_storage):
        assert isinstance(getattr(part, "_engine", None), sqlalchemy.Engine), (
            f"dagster-postgres has changed: {type(part).__name__} has no `_engine`; adapt run_workers/storage.py"
        )


def test_without_that_attribute_the_stock_way_is_kept_and_said(caplog: pytest.LogCaptureFixture) -> None:
    class Changed:
        pass

    changed = Changed()
    with caplog.at_level(logging.WARNING):
        storage.adopt(changed, sqlalchemy.create_engine("postgresql+psycopg2://"))
    assert not vars(changed)
    assert "not pooled" in caplog.text


def test_a_deleted_run_leaves_no_row_behind(instance: DagsterInstance, dagster_url: str) -> None:
    @asset
    def slide() -> int:
        return 1

    @asset_check(asset=slide)
    def is_drawn() -> AssetCheckResult:
        return AssetCheckResult(passed=True)

    gone, stays = (materialize([slide, is_drawn], instance=instance).run_id for _ in range(2))
    before = rows_by_run(dagster_url)
    assert before["asset_check_executions", gone] == before["asset_check_executions", stays] == 1
    instance.delete_run(gone)
    assert rows_by_run(dagster_url) == {key: count for key, count in before.items() if key[1] != gone}


def rows_by_run(url: str) -> dict[tuple[str, str], int]:
    """How many rows of each table name each run."""
    columns = (
        b"select table_name from information_schema.columns where column_name = 'run_id' and table_schema = 'public'"
    )
    with connect(url, None) as client:
        found: dict[tuple[str, str], int] = {}
        for table in [row["table_name"] for row in client.execute(columns)]:
            count = sql.SQL("select run_id, count(*) as n from {} where run_id is not null group by run_id")
            rows = client.execute(count.format(sql.Identifier(table)))
            found |= {(table, row["run_id"]): row["n"] for row in rows}
    return found
