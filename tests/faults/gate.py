"""A TCP gate in front of Postgres that loses what it is told to lose: the query or its answer, the backend, the client.

It passes bytes on unread until a query carries a mark; then the server does what the mark says it does, and the client does not
hear of it. A thread per connection: the gate is a process of its own, so that no process that forks has threads.

A client that leaves gives its session to the next one that greets with the same words, rolled back and reset, as poolers do: a
fresh backend spends ten milliseconds on learning our functions, nine connections made that most of what a case cost.
"""

import os
import select
import signal
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import psycopg

_MARK: Final = b"/*gate:"
_CHUNK: Final = 1 << 16
_HEADER: Final = struct.Struct("!ci")
_BUSY: Final = b"SERROR\0VERROR\0C55P03\0Mcanceling statement due to lock timeout\0\0"
_ENCRYPTION_WANTED: Final = (80877103, 80877104)
_WELCOME: Final = b"R\0\0\0\x08\0\0\0\0"
_RESET: Final = (
    b"rollback; reset all; unlisten *; close all; deallocate all; select pg_advisory_unlock_all()::text || 'gate'\0"
)
_RESET_DONE: Final = b"gateC\0\0\0\rSELECT 1\0Z\0\0\0\5I"
_RESET_S: Final = 15.0


@dataclass
class Session:
    """A connection to the server, with the words that opened it, what the server said to them, and its backend."""

    server: socket.socket
    words: bytes
    greeting: bytes = b""
    backend: int = 0


@dataclass
class Sessions:
    """Sessions that wait for a client."""

    address: tuple[str, int]
    idle: defaultdict[bytes, list[Session]] = field(default_factory=lambda: defaultdict(list))

    def take(self, words: bytes) -> Session:
        """Return a session as fresh as one that `words` have just opened, or such a one."""
        with suppress(IndexError):
            return self.idle[words].pop()
        server = socket.create_connection(self.address)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.sendall(words)
        return Session(server, words)

    def give_back(self, session: Session) -> None:
        """Undo what a client left undone, then keep the session; close one that cannot be saved."""
        said = b""
        try:
            session.server.settimeout(_RESET_S)
            session.server.sendall(_HEADER.pack(b"Q", len(_RESET) + 4) + _RESET)
            while not said.endswith(_RESET_DONE):
                chunk = session.server.recv(_CHUNK)
                if not chunk:
                    raise ConnectionResetError
                said += chunk
            session.server.settimeout(None)
        except OSError:
            session.server.close()
        else:
            self.idle[session.words].append(session)


def mark(kind: str) -> bytes:
    """Return the comment that makes the gate act; it names the client's process, which may be killed."""
    return b"%s%s:%d*/" % (_MARK, kind.encode(), os.getpid())


def serve(listener: socket.socket, server: tuple[str, int], admin_url: str) -> None:
    """Pass connections on for ever."""
    sessions = Sessions(server)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_Passage(client, sessions, admin).run, daemon=True).start()


class _Passage:
    """One client."""

    def __init__(
        self, client: socket.socket, sessions: Sessions, admin: psycopg.Connection[tuple[object, ...]]
    ) -> None:
        self._client = client
        self._sessions = sessions
        self._admin = admin
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        """Pass bytes on until an end closes or a mark says so."""
        session, reusable = None, False
        with suppress(OSError):
            if words := self._words():
                session = self._sessions.take(words)
                reusable = self._let_in(session) and self._pass_on(session)
        self._client.close()
        if session is not None and reusable:
            self._sessions.give_back(session)
        elif session is not None:
            session.server.close()

    def _words(self) -> bytes:
        """Return the client's startup message; b"" when it left without one."""
        while size := self._client.recv(4, socket.MSG_WAITALL):
            body = self._client.recv(int.from_bytes(size, "big") - 4, socket.MSG_WAITALL)
            if int.from_bytes(body[:4], "big") not in _ENCRYPTION_WANTED:
                return size + body
            self._client.sendall(b"N")
        return b""

    def _let_in(self, session: Session) -> bool:
        """Let the client in with the words that let in the session's first one; False: the server did not."""
        if session.greeting:
            self._client.sendall(session.greeting)
            return True
        said = b""
        while not any(kind == b"Z" for kind, _ in _messages(said)):
            if self._client in select.select([self._client, session.server], [], [])[0]:
                data = self._client.recv(_CHUNK)
                session.server.sendall(data)
            else:
                data = session.server.recv(_CHUNK)
                said += data
                self._client.sendall(data)
            if not data:
                return False
        session.greeting = said[said.index(_WELCOME) :]
        session.backend = next(int.from_bytes(body[:4], "big") for kind, body in _messages(said) if kind == b"K")
        return True

    def _pass_on(self, session: Session) -> bool:
        """Return whether the session is whole after the client has left."""
        while True:
            readable, _, _ = select.select([self._client, session.server], [], [])
            if self._client in readable:
                data = _received(self._client)
                if (at := data.find(_MARK)) >= 0:
                    kind, _, pid = data[at + len(_MARK) : data.index(b"*/", at)].partition(b":")
                    if not self._misbehave(kind.decode(), int(pid), data, session):
                        return False
                elif data.startswith(b"X") or not data:
                    return True
                else:
                    session.server.sendall(data)
            elif data := session.server.recv(_CHUNK):
                with suppress(OSError):  # the client is gone, which the next round notices
                    self._client.sendall(data)
            else:
                return False

    def _misbehave(self, kind: str, pid: int, data: bytes, session: Session) -> bool:
        if kind == "query_lost":
            return False
        if kind == "busy":
            self._client.sendall(_HEADER.pack(b"E", len(_BUSY) + 4) + _BUSY + b"Z\0\0\0\5I")
            return True
        if kind == "terminated":
            self._admin.execute("select pg_terminate_backend(%s)", [session.backend])
            while answer := session.server.recv(_CHUNK):
                self._client.sendall(answer)
            return False
        session.server.sendall(data)
        said = b""
        while (chunk := session.server.recv(_CHUNK)) and not any(kind == b"Z" for kind, _ in _messages(said + chunk)):
            said += chunk  # the whole answer: by then it has committed
        if kind == "killed_unanswered":
            os.kill(pid, signal.SIGKILL)
        return False


def _received(client: socket.socket) -> bytes:
    """Return what a client sends; b"" also for one that was killed."""
    try:
        return client.recv(_CHUNK)
    except ConnectionResetError:
        return b""


def _messages(said: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and body of every whole message of the server."""
    at = 0
    while at + _HEADER.size <= len(said):
        kind, size = _HEADER.unpack_from(said, at)
        body, at = said[at + _HEADER.size : at + 1 + size], at + 1 + size
        if at <= len(said):
            yield kind, body
