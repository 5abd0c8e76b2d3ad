"""What still runs when `carousel up` cannot stop its processes itself: the one process that outlives a `kill -9`.

It waits for the end of a pipe that only the supervisor holds open. Whatever carries the supervisor's mark in its
environment afterwards is asked to end, then made to: children, their children, those in sessions of their own. It also
holds the stack's lock meanwhile, so a new start waits for the old one's processes instead of meeting them.

Run as `python -m carousel_pipeline.local.lifeline MARK` with the pipe as standard input and without the mark itself.
"""

import contextlib
import os
import signal
import sys
import time

import psutil

MARK = "CAROUSEL_STACK"
_GRACE_S = 8.0
_POLL_S = 0.05


def marked(mark: str) -> list[psutil.Process]:
    """Return every process that was started with `mark` in its environment, this one aside."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:  # ended meanwhile, a zombie, or somebody else's
            continue
    return found


def end_marked(mark: str, *, grace_s: float = _GRACE_S) -> None:
    """End every marked process: SIGTERM to all, SIGKILL after `grace_s` seconds, until none is left."""
    waiting = marked(mark)
    _signal(waiting, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and (waiting := [process for process in waiting if _lives(process)]):
        time.sleep(_POLL_S)
    while stubborn := marked(mark):
        _signal(stubborn, signal.SIGKILL)
        time.sleep(_POLL_S)


def _lives(process: psutil.Process) -> bool:
    """Whether it runs; a zombie, which a container's first process may never collect, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def main() -> None:
    """Wait for the supervisor's end, then end what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_marked(sys.argv[1])


if __name__ == "__main__":
    main()
