"""The real stack, as a person starts it: `carousel up` in a folder of its own, once for all tests of the group."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

READY_S = 150.0
PREFERRED_PORTS = (3000, 4000, 8081, 8090)


class Up:
    """One `carousel up`.

    Args:
        home: its CAROUSEL_HOME.
        output: open file or descriptor for what it prints.
        settings: environment variables beside those of this process.
    """

    def __init__(self, home: Path, output: Any, **settings: str) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [carousel(), "up"],
            env=environment(home, **settings),
            cwd=home.parent,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    @property
    def state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads((self.home / "stack.json").read_text())
        except FileNotFoundError:
            return {}
        return state if state["pid"] == self.process.pid else {}

    def wait_until_ready(self) -> dict[str, Any]:
        self.wait_for(lambda: self.state.get("ready", False), READY_S)
        return self.state

    def wait_for(self, condition: Callable[[], bool], limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            assert self.process.poll() is None, "carousel up ended"
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.1)

    def logs(self) -> str:
        return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in (self.home / "logs").glob("*.log"))

    def leftovers(self) -> list[str]:
        """Every process of this stack that still runs."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ours = process.environ().get("CAROUSEL_HOME") == str(self.home) or str(self.home) in process.cwd()
                if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {process.cmdline()}")
        return found

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Signal it and return its exit code; nothing of it may be left."""
        self.process.send_signal(number)
        code = self.process.wait(60)
        assert self.leftovers() == []
        return code


def carousel() -> str:
    return str(Path(sys.executable).with_name("carousel"))


def environment(home: Path, **settings: str) -> dict[str, str]:
    return {**os.environ, "CAROUSEL_HOME": str(home), **settings}


def run_carousel(home: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, in a folder without `.env`."""
    return subprocess.run(
        [carousel(), *arguments],
        env=environment(home, **settings),
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture
def cli() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`cli(home, *arguments, **settings)` runs a command to its end, in a folder without `.env`."""
    return run_carousel


@pytest.fixture
def start_up() -> Iterator[Callable[..., Up]]:
    """`start_up(home, output)` begins a `carousel up`; killed after the test if it still runs."""
    begun: list[Up] = []

    def start(home: Path, output: Any = subprocess.DEVNULL) -> Up:
        begun.append(Up(home, output))
        return begun[-1]

    yield start
    for up in begun:
        up.process.kill()
        up.process.wait()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A ready stack whose preferred ports were all taken when it started."""
    folder = tmp_path_factory.mktemp("stack")
    with contextlib.ExitStack() as taken, (folder / "printed").open("wb") as printed:
        for port in PREFERRED_PORTS:
            listener = taken.enter_context(socket.socket())
            with contextlib.suppress(OSError):  # somebody else's already: taken all the same
                listener.bind(("127.0.0.1", port))
                listener.listen()
        up = Up(folder / "home", printed)
        try:
            up.wait_until_ready()
            taken.close()
            yield up
            if up.process.poll() is None:
                assert up.stop(signal.SIGINT) == 0
        finally:
            up.process.kill()
            up.process.wait()
