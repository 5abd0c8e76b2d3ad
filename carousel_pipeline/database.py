"""How every process reaches Postgres: one role, autocommit, timeouts, named queries, and migrations that run once.

- A connection acts as one of the roles of the ledger from its first byte on (`role=` is a startup option), so a process
  can execute its functions and nothing else.
- Autocommit, one function call per step: a transaction is never open while something else is waited for, and a crashed
  handler leaves no lock behind (C4, C6). The timeouts are the second net.
- SQL lives in `sql/`: named queries in `sql/queries`, forward-only migrations in `sql/migrations`.
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.paths import resource

Role = Literal["led_owner", "led_bot", "led_pay", "led_pipeline", "led_ops", "led_analyst", "led_house"]
Row = dict[str, Any]

_TIMEOUTS = MappingProxyType(
    {"lock_timeout": "2s", "statement_timeout": "10s", "idle_in_transaction_session_timeout": "15s"}
)
_MIGRATION_TIMEOUTS = MappingProxyType({"lock_timeout": "60s", "statement_timeout": "10min"})
_CONNECT_TIMEOUT_S = 10
_NAME = re.compile(r"^--\s*name:\s*(\w+)[^\n]*$", re.MULTILINE)
_MIGRATION = re.compile(r"^\d{4}_[a-z0-9_]+\.sql$")


class MigrationError(PermanentError):
    """The database and the migrations on disk do not agree; nothing was applied after the named one."""


def connect(url: str, role: Role | None) -> psycopg.Connection[Row]:
    """Open a connection that acts as `role` (None: as the login itself), in autocommit, with the ledger's timeouts.

    Raises:
        psycopg.OperationalError: the server cannot be reached or refuses.
    """
    return psycopg.Connection.connect(url, **_arguments(role, _TIMEOUTS))


async def async_connect(url: str, role: Role | None) -> psycopg.AsyncConnection[Row]:
    """As `connect`, for asyncio; for a connection that listens. Queries take one from `async_pool`."""
    return await psycopg.AsyncConnection.connect(url, **_arguments(role, _TIMEOUTS))


def async_pool(
    url: str, role: Role, *, min_size: int = 1, max_size: int = 8
) -> AsyncConnectionPool[psycopg.AsyncConnection[Row]]:
    """Return a pool of such connections, not opened: use it with `async with`.

    A connection is tried before it is lent, so a restart of the server costs a reconnect and no failed call.
    """
    return _Pool(
        url,
        connection_class=psycopg.AsyncConnection[Row],
        kwargs=_arguments(role, _TIMEOUTS),
        min_size=min_size,
        max_size=max_size,
        open=False,
        check=AsyncConnectionPool.check_connection,
        timeout=_CONNECT_TIMEOUT_S,
        name=role,
    )


class _Pool(AsyncConnectionPool[psycopg.AsyncConnection[Row]]):
    """A pool that keeps a cancellation which comes in the same moment as a connection.

    The pool waits in `asyncio.wait_for`, which in Python 3.11 answers with the connection then and forgets the cancellation: a
    process that was told to stop went on for ever.
    """

    async def getconn(self, timeout: float | None = None) -> psycopg.AsyncConnection[Row]:  # noqa: ASYNC109 (psycopg's)
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        connection = await super().getconn(timeout)
        if task and task.cancelling() > before:
            await self.putconn(connection)
            raise asyncio.CancelledError
        return connection


def query(name: str) -> bytes:
    """Return the query that `sql/queries/<file>.sql` names `-- name: <query>`, given as `file.query`.

    Parameters are psycopg's named ones, `%(x)s`.

    Raises:
        KeyError: there is no such query.
    """
    file, _, label = name.partition(".")
    return _queries(file)[label]


def query_names(file: str) -> list[str]:
    """Return the names of the queries of `sql/queries/<file>.sql`, in their order."""
    return list(_queries(file))


def migrate(url: str) -> list[str]:
    """Apply the migrations that `url`'s database has not seen, in the order of their names, and return these.

    Each runs in a transaction of its own, together with the note that it ran. Two starts at once are safe: the second
    waits for the first and finds nothing to do. The login needs CREATEROLE and CREATE on the database, not superuser.

    Raises:
        MigrationError: a migration was changed after it ran, or the database comes from a newer version.
    """
    migrations = _migrations()
    applied = []
    with psycopg.Connection.connect(url, **_arguments(None, _MIGRATION_TIMEOUTS)) as connection:
        connection.execute(query("migrations.lock"))
        connection.execute(query("migrations.prepare"))
        history = {row["name"]: row["sha256"] for row in connection.execute(query("migrations.history"))}
        if unknown := sorted(history.keys() - migrations.keys()):
            raise MigrationError(f"the database was migrated by a newer version ({unknown[-1]}): update this one")
        for name, script in migrations.items():
            digest = hashlib.sha256(script).hexdigest()
            if name not in history:
                with connection.transaction():
                    connection.execute(script)
                    connection.execute(query("migrations.record"), {"name": name, "sha256": digest})
                applied.append(name)
            elif history[name] != digest:
                raise MigrationError(f"{name} was changed after it ran: restore it and write a new migration")
    return applied


def ensure_database(url: str) -> None:
    """Create the database that `url` names if the server does not have it yet.

    Raises:
        psycopg.OperationalError: neither the database nor the server's `postgres` database can be reached.
    """
    arguments = _arguments(None, _TIMEOUTS)
    try:
        psycopg.Connection.connect(url, **arguments).close()
    except psycopg.OperationalError:
        name = conninfo_to_dict(url).get("dbname")
        if not isinstance(name, str) or name == "postgres":
            raise
        with (
            # A start at the same moment may be faster; the error then depends on how much faster.
            suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation),
            psycopg.Connection.connect(make_conninfo(url, dbname="postgres"), **arguments) as server,
        ):
            server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        psycopg.Connection.connect(url, **arguments).close()


def _arguments(role: Role | None, settings: Mapping[str, str]) -> dict[str, Any]:
    options = settings if role is None else {**settings, "role": role}
    return {
        "autocommit": True,
        "row_factory": dict_row,
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        "application_name": f"carousel {role or 'login'}",
    }


@cache
def _queries(file: str) -> dict[str, bytes]:
    text = (resource("sql") / "queries" / f"{file}.sql").read_text(encoding="utf-8")
    pieces = _NAME.split(text)
    return {label: body.strip().encode() for label, body in zip(pieces[1::2], pieces[2::2], strict=True)}


def _migrations() -> dict[str, bytes]:
    folder = resource("sql") / "migrations"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if _MIGRATION.match(path.name)}
