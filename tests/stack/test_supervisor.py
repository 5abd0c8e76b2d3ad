"""The supervisor against tiny real processes: order, readiness, restarts, logs, and nothing left however it ends."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

import psutil
import pytest
from rich.console import Console

from carousel_pipeline.local import lifeline
from carousel_pipeline.local.screen import Screen
from carousel_pipeline.local.supervisor import Part, PartFailedError, Supervisor, restart_pause

ENVIRONMENT = {"PATH": os.environ["PATH"]}
# Says its name, touches its file, waits for SIGTERM; a stubborn one ignores it.
CHILD = """
import os, pathlib, signal, subprocess, sys, time
name, folder, *traits = sys.argv[1:]
if "stubborn" in traits:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    def bye(*_):
        with open(pathlib.Path(folder, "order"), "a") as order:
            order.write(name + "\\n")
        sys.exit(0)
    signal.signal(signal.SIGTERM, bye)
if "grandchild" in traits:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("hello from", name, flush=True)
pathlib.Path(folder, name + "." + str(os.getpid())).touch()
time.sleep(600)
"""


def part(folder: Path, name: str, *traits: str, stop_limit_s: float = 5.0) -> Part:
    async def ready() -> bool:
        return any(psutil.pid_exists(pid) for pid in pids(folder, name))

    command = (sys.executable, "-c", CHILD, name, str(folder), *traits)
    return Part(name, command, ENVIRONMENT, ready, start_limit_s=20, stop_limit_s=stop_limit_s)


def broken(name: str, code: str, ready: Callable[[], Awaitable[bool]]) -> Part:
    return Part(name, (sys.executable, "-c", code), ENVIRONMENT, ready, start_limit_s=10)


async def never() -> bool:
    return False


async def always() -> bool:
    return True


def pids(folder: Path, name: str) -> list[int]:
    return [int(path.suffix[1:]) for path in folder.glob(f"{name}.*")]


async def until(condition: Callable[[], bool], limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


class Stack:
    """A supervisor on a temporary folder and what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = io.StringIO()
        self.lock = (folder / "lock").open("ab")
        self.processes: dict[str, int] = {}
        self.supervisor = Supervisor(
            folder / "logs", Screen(Console(file=self.said, width=300)), self.lock, self.processes.update
        )

    async def __aenter__(self) -> Self:
        await self.supervisor.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.supervisor.__aexit__(None, None, None)
        self.lock.close()
        assert lifeline.marked(self.supervisor._mark) == []


async def test_waves_stop_in_the_opposite_order_and_log_what_they_print(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        await stack.supervisor.start(part(tmp_path, "first"))
        await stack.supervisor.start(part(tmp_path, "second"))
        assert set(stack.processes) == {"first", "second"}
    assert (tmp_path / "order").read_text().split() == ["second", "first"]
    assert (tmp_path / "logs" / "first.log").read_text() == "hello from first\n"
    assert "first: ready in" in stack.said.getvalue()


async def test_one_that_ignores_sigterm_is_killed_after_its_limit(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        await stack.supervisor.start(part(tmp_path, "stubborn", "stubborn", stop_limit_s=0.3))
        began = time.monotonic()
    assert time.monotonic() - began < 5


async def test_a_grandchild_in_a_session_of_its_own_ends_with_the_stack(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        await stack.supervisor.start(part(tmp_path, "parent", "grandchild"))
        assert len(lifeline.marked(stack.supervisor._mark)) == 2


async def test_a_killed_part_comes_back_although_a_grandchild_holds_its_output(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        await stack.supervisor.start(part(tmp_path, "worker", "grandchild"))
        first = stack.processes["worker"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: "worker is back" in stack.said.getvalue())
        assert stack.processes["worker"] != first
        assert "worker was ended by signal 9; it starts again in 0.25 s" in stack.said.getvalue()


async def test_a_part_that_ends_before_it_is_ready_names_itself_and_shows_its_log(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        with pytest.raises(PartFailedError, match=r"(?s)sick ended with exit code 3 before it was ready.*no such port"):
            await stack.supervisor.start(broken("sick", "print('no such port'); raise SystemExit(3)", never))


async def test_a_part_that_keeps_ending_stops_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carousel_pipeline.local.supervisor._LONGEST_PAUSE_S", 0.01)
    async with Stack(tmp_path) as stack:
        slow_to_fail = "import time; time.sleep(0.2); print('out of luck'); raise SystemExit(1)"
        await stack.supervisor.start(broken("flaky", slow_to_fail, always))
        with pytest.raises(PartFailedError, match=r"(?s)flaky ended with exit code 1; that was 5 times.*out of luck"):
            await asyncio.wait_for(stack.supervisor.watch(), 30)


async def test_logs_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carousel_pipeline.local.supervisor._LOG_BYTES", 100_000)
    chatty = "for _ in range(20): print('x' * 99_000, flush=True)\nimport time; time.sleep(600)"
    async with Stack(tmp_path) as stack:
        await stack.supervisor.start(broken("chatty", chatty, always))
        logs = tmp_path / "logs"
        await until((logs / "chatty.log.2").exists)
        assert sum(path.stat().st_size for path in logs.iterdir()) < 500_000


def lifelines() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if child.status() != "zombie" and lifeline.__name__ in child.cmdline()]


async def test_a_killed_lifeline_is_replaced(tmp_path: Path) -> None:
    others = {child.pid for child in lifelines()}  # of stacks that other tests keep running

    def ours() -> list[psutil.Process]:
        return [child for child in lifelines() if child.pid not in others]

    async with Stack(tmp_path):
        await until(lambda: len(ours()) == 1)
        (first,) = ours()
        others.add(first.pid)
        first.kill()
        await until(lambda: len(ours()) == 1)


DRIVER = """
import asyncio, sys
from pathlib import Path
from rich.console import Console
from carousel_pipeline.local.screen import Screen
from carousel_pipeline.local.stack import the_only_one
from carousel_pipeline.local.supervisor import Part, Supervisor
async def ready():
    return any(Path(sys.argv[1]).glob("worker.*"))
async def main(lock):
    async with Supervisor(Path(sys.argv[1], "logs"), Screen(Console()), lock, lambda _: None) as supervisor:
        command = (sys.executable, "-c", sys.argv[2], "worker", sys.argv[1], "grandchild")
        await supervisor.start(Part("worker", command, {}, ready))
        print("mark", supervisor._mark, flush=True)
        await supervisor.watch()
with the_only_one(Path(sys.argv[1])) as lock:
    asyncio.run(main(lock))
"""


def test_killing_the_supervisor_leaves_no_process_and_no_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, str(tmp_path), CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as driver:
        assert driver.stdout is not None
        mark = next(line.split()[1] for line in driver.stdout if line.startswith("mark"))
        assert len(lifeline.marked(mark)) == 2
        os.killpg(driver.pid, signal.SIGKILL)
    # The next start waits for the lifeline to end them instead of meeting them.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as driver:
        assert driver.stdout is not None
        next(line for line in driver.stdout if line.startswith("mark"))
        assert lifeline.marked(mark) == []
        driver.kill()


def test_what_ignores_the_lifeline_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, "orphan", str(tmp_path), "stubborn"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={lifeline.MARK: "test-mark"}) as orphan:
        assert orphan.stdout is not None
        orphan.stdout.readline()
        lifeline.end_marked("test-mark", grace_s=0.2)
        assert orphan.wait(5) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("crashes", "pause"),
    [
        ([0.0], 0.25),
        ([0.0, 1.0], 1.0),
        ([0.0, 1.0, 2.0], 4.0),
        ([0.0, 1.0, 2.0, 3.0], 10.0),
        ([0.0, 1.0, 2.0, 3.0, 4.0], None),
        ([0.0, 1.0, 2.0, 3.0, 500.0], 0.25),
    ],
)
def test_pauses_grow_and_end_in_giving_up_unless_the_part_ran_well_meanwhile(
    crashes: list[float], pause: float | None
) -> None:
    assert restart_pause(crashes) == pause
