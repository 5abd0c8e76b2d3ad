"""The embedded server: finds its data again, leaves no orphan and no stale lock, however its starter ends."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from carousel_pipeline.database import connect
from carousel_pipeline.local import postgres
from carousel_pipeline.local.postgres import EmbeddedPostgres, EmbeddedPostgresError

NOBODY = 65534
STARTER = """
import os, sys, time
from pathlib import Path
from carousel_pipeline.local.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
print(server.start(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def fresh(memory: str | None) -> Iterator[Path]:
    """A folder that does not exist yet."""
    with tempfile.TemporaryDirectory(prefix="carousel-pg-", dir=memory, ignore_cleanup_errors=True) as name:
        yield Path(name) / "data"


@pytest.fixture(scope="module")
def folder(memory: str | None) -> Iterator[Path]:
    """The folder of a server that is stopped; every test leaves it so."""
    with tempfile.TemporaryDirectory(prefix="carousel-pg-", dir=memory, ignore_cleanup_errors=True) as name:
        with EmbeddedPostgres(Path(name) / "data", durable=False):
            pass
        yield Path(name) / "data"


def _servers(folder: Path) -> list[psutil.Process]:
    # What has ended and is not yet collected, as the starter's shell for a moment, is no server.
    return [
        p
        for p in psutil.process_iter(["cmdline", "status"])
        if str(folder) in " ".join(p.info["cmdline"] or ()) and p.info["status"] != psutil.STATUS_ZOMBIE
    ]


def _postmaster(folder: Path) -> int:
    return int((folder / "cluster" / "postmaster.pid").read_text().split()[0])


def _start_elsewhere(folder: Path) -> "subprocess.Popen[str]":
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    assert starter.stdout.readline().startswith("postgresql://")
    return starter


def test_a_second_start_finds_its_data_and_leaves_no_process(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False) as server, connect(server.url("postgres"), None) as connection:
        connection.execute("create table kept ()")
        assert server.alive
    assert not server.alive
    _, left = psutil.wait_procs(_servers(folder), timeout=10)  # the shell around it ends by itself, an instant later
    assert left == []
    with EmbeddedPostgres(folder) as server, connect(server.url("postgres"), None) as connection:
        row = connection.execute(
            "select to_regclass('kept')::text as kept, current_setting('fsync') as fsync"
        ).fetchone()
        assert row == {"kept": "kept", "fsync": "on"}


def test_however_its_starter_ends_the_server_ends_too_and_starts_again(folder: Path) -> None:
    for end in (signal.SIGKILL, signal.SIGHUP):
        starter = _start_elsewhere(folder)
        running = _servers(folder)
        assert running
        starter.send_signal(end)
        starter.communicate()
        _, alive = psutil.wait_procs(running, timeout=10)
        assert alive == []


def test_a_server_that_was_killed_starts_again(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False) as server:
        os.kill(_postmaster(folder), signal.SIGKILL)
        while server.alive:
            time.sleep(0.01)
    with EmbeddedPostgres(folder, durable=False) as server:
        assert server.alive


def test_a_pid_file_that_names_somebody_elses_process_is_no_obstacle(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False):
        pass
    (folder / "cluster" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder}\n")
    with EmbeddedPostgres(folder, durable=False) as server:
        assert server.alive


def test_one_folder_has_one_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_LOCK_S", 0.1)
    with EmbeddedPostgres(folder, durable=False), pytest.raises(EmbeddedPostgresError, match="is running in"):
        EmbeddedPostgres(folder, durable=False).start()


def test_an_interrupted_initialisation_is_done_again(fresh: Path) -> None:
    (fresh / "cluster.new").mkdir(parents=True)
    (fresh / "cluster.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(fresh, durable=False) as server:
        assert server.alive


def test_a_fork_of_the_starter_stops_nothing(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False) as server:
        server._owner = os.getpid() + 1
        server.stop()
        assert server.alive
        server._owner = os.getpid()


def test_only_those_who_know_the_password_come_in(folder: Path) -> None:
    with EmbeddedPostgres(folder, durable=False) as server:
        address = server.url("postgres").split("@")[1]
        for login in ("carousel", "carousel:wrong", "postgres"):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(f"postgresql://{login}@{address}")
        assert (folder / "password").stat().st_mode & 0o077 == 0
        assert address.startswith("127.0.0.1:")


def test_a_normal_user_needs_nothing_of_root(fresh: Path) -> None:
    """Run as root: another user starts a server of its own. Run as anybody else, every other test has shown it."""
    if os.geteuid() != 0:
        pytest.skip("not root: the other tests ran as a normal user")
    fresh.mkdir(mode=0o777)
    fresh.chmod(0o777)
    fresh.parent.chmod(0o755)
    script = STARTER.replace("time.sleep(60)", "server.stop(); print('stopped')")
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            done = subprocess.run(
                [python, "-c", script, str(fresh / "mine")],
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
                cwd=fresh,
                env={"HOME": str(fresh), "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
        except (PermissionError, FileNotFoundError):
            continue
        assert done.stdout.splitlines()[-1:] == ["stopped"], done.stderr
        return
    pytest.skip("no interpreter here is open to another user")
