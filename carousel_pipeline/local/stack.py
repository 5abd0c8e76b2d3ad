"""One running stack per CAROUSEL_HOME, and where to find it.

The lock is an flock on `stack.lock`: it ends with the processes that hold it, so it cannot go stale. `stack.json` only
says where things are; it is believed while the lock is held, and never before. Only its owner may read it: it holds the
password of the embedded PostgreSQL.
"""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carousel_pipeline.errors import PermanentError, TransientError

_LOCK = "stack.lock"
_STATE = "stack.json"
_WAIT_S = 30.0
_POLL_S = 0.1


class AlreadyRunningError(PermanentError):
    """A stack runs on this CAROUSEL_HOME already; the message says where."""


class Running(BaseModel):
    """A running stack.

    Attributes:
        pid: of `carousel up`.
        born: seconds since the epoch at which that process started; tells it from a later one of the same number.
        ready: whether every part has answered.
        dagster_ui: address of the Dagster UI.
        chat_page: address of the local Telegram (chat page, Bot API and control API), None with a real one.
        health: address under which the bot answers `/healthz`, `/readyz` and `/metrics`.
        processes: process ids by part.
        database_url: of the embedded PostgreSQL, None with a DATABASE_URL from outside.
    """

    model_config = ConfigDict(frozen=True)

    pid: int
    born: float
    ready: bool = False
    dagster_ui: str | None = None
    chat_page: str | None = None
    health: str | None = None
    processes: dict[str, int] = {}
    database_url: str | None = Field(default=None, repr=False)

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.born) < 1
        except psutil.NoSuchProcess:
            return False


def this_process() -> Running:
    """Return the state of a stack that this process has begun to start."""
    me = psutil.Process()
    return Running(pid=me.pid, born=me.create_time())


def write_state(home: Path, state: Running) -> None:
    """Publish `state`; readers see the old one or the new one."""
    draft = home / f"{_STATE}.new"
    draft.touch(mode=0o600)
    draft.write_text(state.model_dump_json(indent=2), encoding="utf-8")
    draft.replace(home / _STATE)


def find_running(home: Path) -> Running | None:
    """Return the stack that runs on `home`, starting or ready, or None."""
    try:
        state = Running.model_validate_json((home / _STATE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return state if state.alive and _locked(home / _LOCK) else None


@contextlib.contextmanager
def the_only_one(home: Path) -> Iterator[IO[bytes]]:
    """Hold `home` for one stack; yields the open lock file, which a child may inherit to go on holding it.

    Waits for the processes of a stack that was killed.

    Raises:
        AlreadyRunningError: a stack runs here.
        TransientError: a killed stack's processes did not end in 30 s.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / _LOCK).open("ab") as lock:
        deadline = time.monotonic() + _WAIT_S
        while not _try_lock(lock):
            if running := find_running(home):
                raise AlreadyRunningError(_where(home, running))
            if time.monotonic() > deadline:
                raise TransientError(f"the processes of an earlier `carousel up` on {home} are still ending; try again")
            time.sleep(_POLL_S)
        write_state(home, this_process())
        try:
            yield lock
        finally:
            (home / _STATE).unlink(missing_ok=True)


def _where(home: Path, running: Running) -> str:
    addresses = [f"chat page {running.chat_page}"] if running.chat_page else []
    addresses += [f"Dagster UI {running.dagster_ui}"] if running.dagster_ui else []
    place = ", ".join(addresses) or "still starting"
    return (
        f"carousel already runs on {home} (process {running.pid}): {place}. "
        f"Stop it with Ctrl-C or `kill {running.pid}`, or set CAROUSEL_HOME to another folder for a second one."
    )


def _try_lock(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _locked(path: Path) -> bool:
    try:
        with path.open("rb") as lock:
            return not _try_lock(lock)
    except FileNotFoundError:
        return False
