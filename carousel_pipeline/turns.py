"""Run processes take turns at a machine's cores.

Two hundred runs may wait for a provider at once; two hundred that work at once want more connections than the database has and
get a hundredth of a core each, until somebody's patience ends: carousels that only had bad luck were given up and refunded. So
the code server hands out a few turns, first come, first served, and what is work (cutting a picture, drawing slides) is done in
one. Who waits for a provider or for Telegram holds none.

What must stay true:

- a turn ends with the process that holds it, however that ends: it is a connection, which the system closes;
- nobody waits for somebody who only waits: after `LONGEST_S` a turn is free again, whatever its holder does;
- who waits for a turn holds no memory but its own;
- where nobody hands out turns (a cluster's worker, a test), nobody waits for one.
"""

import asyncio
import os
import socket
import socketserver
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

from carousel_pipeline.memory import give_back

ADDRESS: Final = "_CAROUSEL_TURNS"  # the one way to tell a forked process anything is its environment
LONGEST_S: Final = 10.0
_MOMENT_S: Final = 0.02


class Turns(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Hands out turns, from threads of this process.

    Args:
        address: path of its socket, which processes find in `ADDRESS`.
        places: turns at the same time.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: Path, places: int) -> None:
        super().__init__(str(address), _Turn)
        self.free = threading.Semaphore(places)
        threading.Thread(target=self.serve_forever, name="turns", daemon=True).start()


class _Turn(socketserver.BaseRequestHandler):
    server: Turns

    def handle(self) -> None:
        """Wait for a free turn, give it, and count it until the other side closes or has had it for long enough."""
        self.request.settimeout(LONGEST_S)
        with self.server.free, suppress(OSError):
            self.request.sendall(b"!")
            self.request.recv(1)


class _Holder:
    """This process's one turn, and how many of its threads and tasks are at work in it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work = 0
        self._turn: socket.socket | None = None

    def join(self) -> None:
        with self._lock:
            if not self._at_work:
                self._turn = _taken()
            self._at_work += 1

    def leave(self) -> None:
        with self._lock:
            self._at_work -= 1
            if not self._at_work and self._turn is not None:
                self._turn.close()


_holder = _Holder()


@contextmanager
def working() -> Iterator[None]:
    """Work in a turn, this process's own if it has one; never wait for somebody inside."""
    _holder.join()
    try:
        yield
    finally:
        _holder.leave()


@asynccontextmanager
async def async_working() -> AsyncIterator[None]:
    """As `working`, for a task: others of its process go on while it waits for the turn."""
    await asyncio.to_thread(_holder.join)
    try:
        yield
    finally:
        _holder.leave()


def _taken() -> socket.socket | None:
    address = os.environ.get(ADDRESS)
    if not address:
        return None
    turn = socket.socket(socket.AF_UNIX)
    with suppress(OSError):  # the code server has gone: this process ends within moments, too
        turn.connect(address)
        if not _at_once(turn):
            give_back()
            turn.recv(1)
    return turn


def _at_once(turn: socket.socket) -> bool:
    turn.settimeout(_MOMENT_S)
    try:
        turn.recv(1)
    except TimeoutError:
        turn.settimeout(None)
        return False
    return True
