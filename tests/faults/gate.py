"""A TCP gate in front of Postgres that loses what it is told to lose: the query or its answer, the backend, the client.

It passes bytes on unread until a query carries a mark; then the server does what the mark says it does, and the client does not
hear of it. A thread per connection: the gate is a process of its own, so that no process that forks has threads.
"""

import os
import select
import signal
import socket
import struct
import threading
from typing import Final

import psycopg

_MARK: Final = b"/*gate:"
_CHUNK: Final = 1 << 16
_BACKEND_KEY: Final = ord("K")
_READY: Final = ord("Z")
_BUSY: Final = b"SERROR\0VERROR\0C55P03\0Mcanceling statement due to lock timeout\0\0"


def mark(kind: str) -> bytes:
    """Return the comment that makes the gate act; it names the client's process, which may be killed."""
    return b"%s%s:%d*/" % (_MARK, kind.encode(), os.getpid())


def serve(listener: socket.socket, server: tuple[str, int], admin_url: str) -> None:
    """Pass connections on for ever."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_Passage(client, server, admin).run, daemon=True).start()


class _Passage:
    """One connection."""

    def __init__(
        self, client: socket.socket, server: tuple[str, int], admin: psycopg.Connection[tuple[object, ...]]
    ) -> None:
        self._client = client
        self._server = socket.create_connection(server)
        self._admin = admin
        self._backend = 0
        for end in (client, self._server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        """Pass bytes on until an end closes or a mark says so."""
        try:
            while self._pass_on():
                pass
        except OSError:
            pass
        finally:
            self._client.close()
            self._server.close()

    def _pass_on(self) -> bool:
        readable, _, _ = select.select([self._client, self._server], [], [])
        if self._client in readable:
            data = self._client.recv(_CHUNK)
            if (at := data.find(_MARK)) >= 0:
                kind, _, pid = data[at + len(_MARK) : data.index(b"*/", at)].partition(b":")
                return self._misbehave(kind.decode(), int(pid), data)
            self._server.sendall(data)
        else:
            data = self._server.recv(_CHUNK)
            if not self._backend and data[:1] == b"R":
                self._backend = _find_backend(data)
            self._client.sendall(data)
        return bool(data)

    def _misbehave(self, kind: str, pid: int, data: bytes) -> bool:
        if kind == "query_lost":
            return False
        if kind == "busy":
            self._client.sendall(b"E" + struct.pack("!i", len(_BUSY) + 4) + _BUSY + b"Z\0\0\0\5I")
            return True
        if kind == "terminated":
            self._admin.execute("select pg_terminate_backend(%s)", [self._backend])
            while answer := self._server.recv(_CHUNK):
                self._client.sendall(answer)
            return False
        self._server.sendall(data)
        self._wait_until_ready()
        if kind == "killed_unanswered":
            os.kill(pid, signal.SIGKILL)
        return False

    def _wait_until_ready(self) -> None:
        """Take the whole answer from the server: by then it has committed."""
        seen = b""
        while chunk := self._server.recv(_CHUNK):
            seen += chunk
            at = 0
            while at + 5 <= len(seen):
                if seen[at] == _READY:
                    return
                at += 1 + int.from_bytes(seen[at + 1 : at + 5], "big")


def _find_backend(data: bytes) -> int:
    at = 0
    while at + 9 <= len(data):
        if data[at] == _BACKEND_KEY:
            return int.from_bytes(data[at + 5 : at + 9], "big")
        at += 1 + int.from_bytes(data[at + 1 : at + 5], "big")
    return 0
