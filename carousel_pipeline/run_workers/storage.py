"""Dagster's Postgres storage on one bounded pool per process.

dagster-postgres opens a connection for every statement (155 of them for a run of four assets that do nothing): most of a
short run went into logging in, and six runs at once exhausted a small server. Here a process shares a few connections and

- tests each before use, so that a restart of Postgres costs a reconnect, not a run;
- closes them after a few idle seconds, so that two hundred runs waiting for a slow provider hold none;
- never carries one through a fork (M14).

`DAGSTER_DATABASE_URL` reads `postgresql://…` like every other URL of ours. SQLAlchemy 2.1 takes that for psycopg 3, with which
dagster-postgres fails on `NOTIFY run_events, $1`; so the driver is set here, whatever the scheme says.
"""

import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Self

import sqlalchemy
from dagster import (
    AssetKey,
    AssetRecordsFilter,
    DagsterEventType,
    EventLogEntry,
    EventRecordsResult,
    StringSource,
)
from dagster._config.config_schema import UserConfigSchema  # how every ConfigurableClass of Dagster types its config
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable  # Dagster never deletes from it by run
from dagster._serdes import ConfigurableClassData
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.utils import create_pg_connection
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from carousel_pipeline.errors import ConfigurationError

_log = logging.getLogger("carousel.runs.storage")

KEPT, OVERFLOW = 4, 16
_IDLE_S = 3.0
_CONNECT_TIMEOUT_S = 5
_KNOWN, _KNOWN_S = 100, 3.0
_SCHEMES = frozenset({"postgres", "postgresql"})
_TABLES = ("event_logs", "runs", "instance_info", "jobs")
# Advisory locks of Dagster's database: any two numbers that nobody else uses.
_CREATING_TABLES, _DECIDING = 0x6361726F01, 0x6361726F02
_deciding = threading.Lock()
_yes: set[tuple[sqlalchemy.Engine, str]] = set()


def psycopg2_url(url: str) -> sqlalchemy.URL:
    """Return `url` with the driver that dagster-postgres needs; user, password and the rest stay as they are.

    Raises:
        ConfigurationError: not the URL of a PostgreSQL database. The message never shows it: it holds a password.
    """
    try:
        parsed = sqlalchemy.make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "DAGSTER_DATABASE_URL is not a URL; write postgresql://user:password@host:5432/database, "
            "special characters percent-encoded"
        ) from None
    if parsed.get_backend_name() not in _SCHEMES or not parsed.database:
        raise ConfigurationError(
            "DAGSTER_DATABASE_URL must name a PostgreSQL database: postgresql://user:password@host:5432/database"
        )
    return parsed.set(drivername="postgresql+psycopg2")


@functools.cache
def process_engine(url: sqlalchemy.URL) -> sqlalchemy.Engine:
    """Return this process's one engine for `url`: autocommit, at most `KEPT + OVERFLOW` connections."""
    engine = sqlalchemy.create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        poolclass=QueuePool,
        pool_size=KEPT,
        max_overflow=OVERFLOW,
        pool_use_lifo=True,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "application_name": "dagster",
            "keepalives_idle": 30,
            "tcp_user_timeout": 30_000,
        },
    )
    _IdleConnections(engine)
    event.listen(engine, "do_execute", _unheard)
    os.register_at_fork(after_in_child=functools.partial(engine.dispose, close=False))
    return engine


def _unheard(_cursor: object, statement: str, _parameters: object, _context: object) -> bool:
    """Skip the notification that dagster-postgres sends after each event: it says itself that nobody listens any more.

    Fifty times a run, each a transaction of its own that waits for the disk.
    """
    return statement.startswith("NOTIFY ")


def warm() -> None:
    """Make the engine of `DAGSTER_DATABASE_URL`, where it is set, without a connection: forks find it made."""
    if url := os.environ.get("DAGSTER_DATABASE_URL"):
        process_engine(psycopg2_url(url))


class _IdleConnections:
    """Closes an engine's connections once none was used for a while. Its thread lives only while there are any."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._used_at = 0.0
        self._watching = False
        event.listen(engine, "connect", self._connected)
        event.listen(engine, "checkin", self._used)
        os.register_at_fork(after_in_child=self._forked)

    def _connected(self, _connection: object, _record: object) -> None:
        self._used_at = time.monotonic()
        if not self._watching:
            self._watching = True
            threading.Thread(target=self._close_when_idle, name="idle-connections", daemon=True).start()

    def _used(self, _connection: object, _record: object) -> None:
        self._used_at = time.monotonic()

    def _close_when_idle(self) -> None:
        while (idle := time.monotonic() - self._used_at) < _IDLE_S or self._pool.checkedout():
            time.sleep(max(_IDLE_S - idle, 0.1))
        # From here on the next connection starts a thread of its own: one closed too many is better than one never closed.
        self._watching = False
        self._engine.dispose()

    @property
    def _pool(self) -> QueuePool:
        pool = self._engine.pool
        assert isinstance(pool, QueuePool)  # noqa: S101 - made so above; tells the type checker
        return pool

    def _forked(self) -> None:
        self._watching = False


class _Pooled:
    """What the three storages share: the process's engine in place of their own."""

    _engine: sqlalchemy.Engine

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:  # noqa: ARG002 - Dagster's signature
        """Limit how long a statement of the webserver may take, in ms; the pool is fit for it already."""
        limit_statements(self._engine, statement_timeout)

    def _once(self, ask: Callable[[], bool], question: str) -> bool:
        """Ask the catalogue until it says yes. Tables and columns stay; reading their names takes longer than most queries."""
        if (self._engine, question) not in _yes and ask():
            _yes.add((self._engine, question))
        return (self._engine, question) in _yes


@functools.cache
def limit_statements(engine: sqlalchemy.Engine, milliseconds: int) -> None:
    """End every statement of this process that takes longer."""

    def limit(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", (str(milliseconds),))

    event.listen(engine, "connect", limit)
    engine.dispose()


class _Known:
    """Answers of the last seconds: few, and only this process's."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, tuple[Any, float]] = {}

    def get(self, question: Hashable) -> Any:
        answer, until = self._answers.get(question, (None, 0.0))
        return answer if time.monotonic() < until else None

    def put(self, question: Hashable, answer: Any) -> None:
        if len(self._answers) >= _KNOWN:
            self.forget()
        self._answers[question] = answer, time.monotonic() + _KNOWN_S

    def forget(self) -> None:
        self._answers = {}


class PooledRunStorage(_Pooled, PostgresRunStorage):
    """Runs."""

    def has_run_stats_index_cols(self) -> bool:
        """Whether the schema is new enough; asked at every change of a run's status."""
        return self._once(super().has_run_stats_index_cols, "run_stats_index_cols")

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock under which runs are started or queued: one thread of one process, in all of Dagster."""
        # Threads wait for each other before they take a connection: else waiters could hold the whole pool, and the one that
        # has the lock would get none to work with.
        with _deciding, create_pg_connection(self._engine) as connection, _locked(connection, _DECIDING):
            yield


class PooledEventLogStorage(_Pooled, PostgresEventLogStorage):
    """Events, asset keys, partitions.

    A run asks thirty-six times whether its partition exists, and before each result of a check for the materialization that it
    is of: every seventh question. What was found is known for some seconds, or until this process changes it.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._partitions = _Known()
        self._materializations = _Known()

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        """Whether the key exists; one that does not may be added at any moment, so only a yes is remembered."""
        name = (partitions_def_name, partition_key)
        if self._partitions.get(name):
            return True
        if found := super().has_dynamic_partition(*name):
            self._partitions.put(name, found)
        return found

    def delete_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> None:
        """Delete a key."""
        super().delete_dynamic_partition(partitions_def_name, partition_key)
        self._partitions.forget()

    def fetch_materializations(
        self,
        records_filter: AssetKey | AssetRecordsFilter,
        limit: int,
        cursor: str | None = None,
        ascending: bool = False,  # noqa: FBT001, FBT002 - Dagster's signature
    ) -> EventRecordsResult:
        """Return the materializations of an asset; the last one of a partition, which a check asks for, may be remembered."""
        asked = repr((records_filter, limit, cursor, ascending))
        of_partition = isinstance(records_filter, AssetRecordsFilter) and records_filter.asset_partitions and limit == 1
        found: EventRecordsResult | None = self._materializations.get(asked) if of_partition else None
        if found is None:
            found = super().fetch_materializations(records_filter, limit, cursor, ascending)
            self._materializations.put(asked, found)
        return found

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event."""
        super().store_event(event)
        if event.is_dagster_event and event.dagster_event_type is DagsterEventType.ASSET_MATERIALIZATION:
            self._materializations.forget()

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events."""
        super().store_event_batch(events)
        self._materializations.forget()

    def has_table(self, table_name: str) -> bool:
        """Whether the table exists; asked up to twenty times in a run."""
        return self._once(lambda: super(PooledEventLogStorage, self).has_table(table_name), f"table {table_name}")

    def has_asset_key_col(self, column_name: str) -> bool:
        """Whether the schema is new enough; asked for every asset event."""
        return self._once(
            lambda: super(PooledEventLogStorage, self).has_asset_key_col(column_name), f"asset key column {column_name}"
        )

    def delete_events_for_run(self, conn: sqlalchemy.Connection, run_id: str) -> None:
        """Delete a run's events, and the results of its checks, which Dagster would keep for ever."""
        super().delete_events_for_run(conn, run_id)
        conn.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id))


class PooledScheduleStorage(_Pooled, PostgresScheduleStorage):
    """Ticks and the state of sensors and schedules."""


class PooledPostgresStorage(DagsterPostgresStorage):
    """`storage.custom` of dagster.yaml.

    Args:
        postgres_url: any `postgres://` or `postgresql…://` URL, percent-encoded.
    """

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        url = psycopg2_url(postgres_url)
        text = url.render_as_string(hide_password=False)
        create_tables(url)
        super().__init__(text, should_autocreate_tables=False, inst_data=inst_data)
        self._run_storage = PooledRunStorage(text, should_autocreate_tables=False)
        self._event_log_storage = PooledEventLogStorage(text, should_autocreate_tables=False)
        self._schedule_storage = PooledScheduleStorage(text, should_autocreate_tables=False)
        engine = process_engine(url)
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            adopt(storage, engine)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return the shape of `config:` in dagster.yaml."""
        return {"postgres_url": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Build the storage from dagster.yaml."""
        return cls(postgres_url=config_value["postgres_url"], inst_data=inst_data)


def adopt(storage: object, engine: sqlalchemy.Engine) -> None:
    """Give one of dagster-postgres's storages the process's engine in place of its own.

    The engine is a private attribute. Where a new dagster-postgres keeps it elsewhere, the storage goes on with one connection
    per statement: slow, correct, and said.
    """
    if isinstance(getattr(storage, "_engine", None), sqlalchemy.Engine):
        storage._engine = engine  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    else:
        _log.warning(
            "%s of this dagster-postgres has no `_engine`: connections are not pooled and runs are slow to start; "
            "adapt carousel_pipeline/run_workers/storage.py",
            type(storage).__name__,
        )


@functools.cache
def create_tables(url: sqlalchemy.URL) -> None:
    """Make Dagster's tables if they are missing. Several processes may start at once: one makes them, the others wait."""
    with create_pg_connection(process_engine(url)) as connection:
        with _locked(connection, _CREATING_TABLES, "_shared"):
            if _has_tables(connection):
                return
        with _locked(connection, _CREATING_TABLES):
            if not _has_tables(connection):
                DagsterPostgresStorage(url.render_as_string(hide_password=False))


@contextlib.contextmanager
def _locked(connection: sqlalchemy.Connection, lock: int, mode: str = "") -> Iterator[None]:
    connection.execute(sqlalchemy.select(getattr(sqlalchemy.func, f"pg_advisory_lock{mode}")(lock)))
    try:
        yield
    finally:
        connection.execute(sqlalchemy.select(getattr(sqlalchemy.func, f"pg_advisory_unlock{mode}")(lock)))


def _has_tables(connection: sqlalchemy.Connection) -> bool:
    """One round trip; dagster-postgres reads the whole catalogue three times in every process."""
    return all(connection.execute(sqlalchemy.select(*map(sqlalchemy.func.to_regclass, _TABLES))).one())
