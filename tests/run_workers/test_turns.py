"""Turns at the cores: few at a time, and never lost with who held one."""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from carousel_pipeline import turns
from carousel_pipeline.turns import Turns

_SOON_S = 60.0
Hand = Callable[[int], None]
Worker = subprocess.Popen[str]
_WORKER = """
from carousel_pipeline import turns
print("here", flush=True)
with turns.working():
    print("at work", flush=True)
    input()
"""


@pytest.fixture
def hand_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hand]:
    """Hand out that many turns at a time to this process and its children."""
    servers: list[Turns] = []
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket has to be short
        address = Path(folder) / "turns"
        monkeypatch.setenv(turns.ADDRESS, str(address))
        yield lambda places: servers.append(Turns(address, places))
        for server in servers:
            server.shutdown()
            server.server_close()


@pytest.fixture
def workers() -> Iterator[Callable[[], Worker]]:
    """Start processes that work until they are let go; each is here when it is returned."""
    started: list[Worker] = []

    def start() -> Worker:
        pipe = subprocess.PIPE
        started.append(subprocess.Popen([sys.executable, "-c", _WORKER], stdin=pipe, stdout=pipe, text=True))
        assert said(started[-1]) == "here\n"
        return started[-1]

    yield start
    for worker in started:
        worker.kill()
        worker.communicate()


def said(worker: Worker) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline()


def test_who_comes_too_late_waits_and_a_killed_process_leaves_its_turn(
    hand_out: Hand, workers: Callable[[], Worker]
) -> None:
    hand_out(2)
    first, second = workers(), workers()
    assert [said(first), said(second)] == ["at work\n", "at work\n"]
    third, fourth = workers(), workers()
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(said, third), threads.submit(said, fourth)]
        threading.Event().wait(0.5)
        assert not any(one.done() for one in waiting)
        first.kill()
        second.communicate("\n", timeout=_SOON_S)
        assert [one.result(_SOON_S) for one in waiting] == ["at work\n", "at work\n"]


def test_who_never_ends_is_not_waited_for(
    hand_out: Hand, workers: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LONGEST_S", 0.2)
    hand_out(1)
    first = workers()
    assert said(first) == "at work\n"
    assert said(workers()) == "at work\n"
    assert first.poll() is None


def test_threads_and_nested_work_share_the_turn_of_their_process(hand_out: Hand) -> None:
    hand_out(1)
    both = threading.Barrier(2, timeout=_SOON_S)

    def work() -> int:
        with turns.working(), turns.working():
            return both.wait()

    with ThreadPoolExecutor(2) as threads:
        assert sorted(one.result() for one in [threads.submit(work), threads.submit(work)]) == [0, 1]


@pytest.mark.parametrize("address", ["", "gone"])
def test_where_nobody_hands_out_turns_nobody_waits(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(turns.ADDRESS, address and str(tmp_path / address))

    def work() -> str:
        with turns.working():
            return "done"

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(work).result(_SOON_S) == "done"
