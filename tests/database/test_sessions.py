"""A session holds a connection while it says something and a moment after, never longer."""

import os
import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from carousel_pipeline.database import Row, connect
from carousel_pipeline.sessions import KEPT_S, BriefSession

WHO = b"select pg_backend_pid() as pid"


def connections(url: str) -> int:
    with connect(url, None) as witness:
        row = witness.execute(
            "select count(*) as n from pg_stat_activity where application_name = 'carousel led_pipeline' "
            "and datname = current_database()"
        ).fetchone()
        assert row is not None
        found: int = row["n"]
        return found


def until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pid_of(cursor: psycopg.Cursor[Row]) -> int:
    row = cursor.fetchone()
    assert row is not None
    pid: int = row["pid"]
    return pid


@pytest.fixture
def session(database_url: str) -> BriefSession:
    return BriefSession(database_url, "led_pipeline")


def test_who_says_nothing_holds_nothing(session: BriefSession, database_url: str) -> None:
    assert connections(database_url) == 0
    first = pid_of(session.execute(WHO))
    assert pid_of(session.execute(WHO)) == first, "the next call finds the same one"
    until(lambda: connections(database_url) == 0)
    time.sleep(2 * KEPT_S)
    assert pid_of(session.execute(WHO)) != first
    until(lambda: connections(database_url) == 0)


def test_threads_do_not_wait_for_each_other(session: BriefSession) -> None:
    slow = threading.Thread(target=lambda: session.execute(b"select pg_sleep(1)"))
    slow.start()
    pid_of(session.execute(WHO))
    assert slow.is_alive()
    slow.join()


def test_what_broke_or_was_left_in_the_middle_is_not_lent_again(session: BriefSession, database_url: str) -> None:
    first = pid_of(session.execute(WHO))
    with connect(database_url, None) as killer:
        killer.execute("select pg_terminate_backend(%s)", [first])
    with pytest.raises(psycopg.OperationalError):
        session.execute(WHO)
    second = pid_of(session.execute(WHO))
    with session.cursor() as cursor:
        cursor.execute("begin")
    assert pid_of(session.execute(WHO)) != second


@pytest.mark.finding("M14")
def test_a_fork_takes_no_connection_with_it(session: BriefSession) -> None:
    ours = pid_of(session.execute(WHO))
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, str(pid_of(session.execute(WHO))).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read, 20)) != ours
    assert pid_of(session.execute(WHO)) == ours
