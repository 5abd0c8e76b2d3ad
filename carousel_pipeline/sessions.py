"""Connections that a process holds only while it uses them, and for a moment after.

A run spends most of its time waiting for a provider. With a connection for the whole step, two hundred waiting runs held two
hundred connections of the server, which did nothing. Here a call borrows one, the next call finds it again, and after a second
without calls it is closed. Threads never share one, so a heartbeat does not wait for a long call; a broken one, or one that was
left in the middle of a call, is not lent again; none crosses a fork (M14).
"""

import functools
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import psycopg
from psycopg.pq import TransactionStatus

from carousel_pipeline.database import Role, Row, connect

KEPT_S = 1.0


class Session(Protocol):
    """What calls of the SQL API need: each is a transaction of its own. An autocommit connection of psycopg is one, too."""

    def execute(self, query: bytes, params: Mapping[str, object] | None = None, /) -> psycopg.Cursor[Row]:
        """Run one statement."""
        ...

    def cursor(self) -> AbstractContextManager[psycopg.Cursor[Row]]:
        """Open a cursor for several."""
        ...


class BriefSession:
    """A session of this process that is connected while there is something to say.

    Args:
        url: of the database.
        role: whom it acts as.
    """

    def __init__(self, url: str, role: Role) -> None:
        self._url = url
        self._role: Role = role
        self._lock = threading.Lock()
        self._idle: list[tuple[psycopg.Connection[Row], float]] = []
        self._watched = False
        os.register_at_fork(after_in_child=self._forget)

    def execute(self, query: bytes, params: Mapping[str, object] | None = None, /) -> psycopg.Cursor[Row]:
        """Run one statement; its rows are there when this returns.

        Raises:
            psycopg.Error: the server is away, or refuses.
        """
        with self._borrowed() as connection:
            return connection.execute(query, params)

    @contextmanager
    def cursor(self) -> Iterator[psycopg.Cursor[Row]]:
        """Lend a cursor for several statements.

        Raises:
            psycopg.Error: the server is away, or refuses.
        """
        with self._borrowed() as connection, connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def _borrowed(self) -> Iterator[psycopg.Connection[Row]]:
        with self._lock:
            connection = self._idle.pop()[0] if self._idle else None
        if connection is None:
            connection = connect(self._url, self._role)
        try:
            yield connection
        finally:
            if not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE:
                self._keep(connection)
            else:
                connection.close()

    def _keep(self, connection: psycopg.Connection[Row]) -> None:
        with self._lock:
            self._idle.append((connection, time.monotonic()))
            if not self._watched:
                self._watched = True
                threading.Thread(target=self._close_idle, name="idle-sessions", daemon=True).start()

    def _close_idle(self) -> None:
        while self._watched:
            time.sleep(KEPT_S / 2)
            with self._lock:
                horizon = time.monotonic() - KEPT_S
                old = [connection for connection, at in self._idle if at < horizon]
                self._idle = [(connection, at) for connection, at in self._idle if at >= horizon]
                self._watched = bool(self._idle)
            for connection in old:
                connection.close()

    def _forget(self) -> None:
        self._lock, self._idle, self._watched = threading.Lock(), [], False


@functools.cache
def brief_session(url: str, role: Role) -> BriefSession:
    """Return this process's session for a database and a role."""
    return BriefSession(url, role)
