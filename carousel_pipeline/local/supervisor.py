"""The processes of one stack: start in waves, watch, restart, stop in the opposite order, leave nothing behind.

Own code, because no maintained library does this job: honcho and supervisor know no readiness, circus ignores signals
while it starts (circus-tent/circus#935) and loses grandchildren (#1044), and all three orphan their children when they
are killed themselves (Supervisor/supervisor#199).

What must stay true:
- Every process carries the stack's mark (`lifeline.MARK`); the lifeline ends them all when this process cannot.
- Each is the leader of a session of its own, so Ctrl-C reaches the supervisor alone and the stop order is ours.
- A part that ends by itself is started again, with a growing pause and a notice; one that keeps ending stops the stack
  with its name and the end of its log. A part that never got ready is not tried again: its log says why.
- A part has ended when its leader has, though grandchildren hold its output open: asyncio's own pipes would make
  `Process.wait` wait for those too (CPython before 3.13), and a killed code server would never come back.
- Logs are bounded: three files of 5 MB a part.
"""

import asyncio
import codecs
import contextlib
import logging
import os
import secrets
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.local import lifeline
from carousel_pipeline.local.screen import Screen

_LOG_BYTES = 5_000_000
_LOG_FILES = 2
_TAIL_LINES = 15
_POLL_S = 0.1
_CRASHES = 5
_CRASH_WINDOW_S = 120.0
_LONGEST_PAUSE_S = 10.0
_SWEEP_S = 2.0
_DRAIN_S = 1.0

T = TypeVar("T")


class PartFailedError(PermanentError):
    """A part of the stack cannot run; the message names it and ends with its log."""


@dataclass(frozen=True)
class Part:
    """One process of the stack.

    Attributes:
        name: for people and for the log's file name.
        command: program and arguments.
        environment: the whole environment of the process.
        ready: asked again and again until it answers True; must neither raise nor take long.
        start_limit_s: how long it may take to get ready.
        stop_limit_s: how long it may take to end after SIGTERM.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]]
    start_limit_s: float = 180.0
    stop_limit_s: float = 10.0


def restart_pause(crashes: Sequence[float]) -> float | None:
    """Return the seconds to wait before the next start, or None to give up.

    Args:
        crashes: when the part ended by itself, in seconds of one clock, the latest (just now) last.
    """
    recent = sum(1 for crash in crashes if crashes[-1] - crash <= _CRASH_WINDOW_S)
    return None if recent >= _CRASHES else min(0.25 * 4.0 ** (recent - 1), _LONGEST_PAUSE_S)


@dataclass
class _Kept:
    """A part with its present process."""

    part: Part
    process: Process
    output: asyncio.Task[None]
    keeper: asyncio.Task[None] | None = None
    crashes: list[float] = field(default_factory=list)


class Supervisor:
    """Runs parts until the block ends, however it ends.

    Args:
        logs: folder of the log files.
        screen: tells the person what happens.
        lock: open file that the lifeline holds as long as anything of this stack runs.
        changed: called with the process ids by part after every start.
    """

    def __init__(self, logs: Path, screen: Screen, lock: IO[bytes], changed: Callable[[dict[str, int]], None]) -> None:
        self._logs = logs
        self._screen = screen
        self._lock = lock
        self._changed = changed
        self._mark = secrets.token_hex(16)
        self._waves: list[list[_Kept]] = []
        self._open_logs: dict[str, RotatingFileHandler] = {}
        self._guard: asyncio.Task[None] | None = None
        self._failed = asyncio.Event()
        self._failure: PartFailedError | None = None

    async def __aenter__(self) -> Self:
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        lifeline_process = await self._start_lifeline()
        self._guard = asyncio.create_task(self._keep_lifeline(lifeline_process))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await uninterrupted(self._stop())

    async def start(self, *parts: Part) -> None:
        """Start `parts` together and return when all are ready; they stop together, before the waves started earlier.

        Raises:
            PartFailedError: one ended or was not ready in time.
        """
        wave: list[_Kept] = []
        self._waves.append(wave)
        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(self._start(part, wave))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def watch(self) -> None:
        """Wait until a part fails for good.

        Raises:
            PartFailedError: always, in the end.
        """
        await self._failed.wait()
        if self._failure is not None:
            raise self._failure

    async def _start(self, part: Part, wave: list[_Kept]) -> None:
        with self._screen.step(part.name):
            kept = await self._spawn(part)
            wave.append(kept)
            await self._until_ready(kept)
        kept.keeper = asyncio.create_task(self._keep(kept))

    async def _spawn(self, part: Part) -> _Kept:
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *part.command,
                stdin=DEVNULL,
                stdout=writing,
                stderr=STDOUT,
                env={**part.environment, lifeline.MARK: self._mark},
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return _Kept(part, process, asyncio.create_task(self._log(part.name, reading)))

    async def _until_ready(self, kept: _Kept) -> None:
        part, deadline = kept.part, time.monotonic() + kept.part.start_limit_s
        while True:
            if (code := kept.process.returncode) is not None:
                await asyncio.wait([kept.output], timeout=_DRAIN_S)
                raise PartFailedError(f"{part.name} {_ending(code)} before it was ready. {self._tail(part)}")
            if await part.ready():
                break
            if time.monotonic() > deadline:
                raise PartFailedError(f"{part.name} was not ready after {part.start_limit_s:.0f} s. {self._tail(part)}")
            await asyncio.sleep(_POLL_S)
        self._changed({kept.part.name: kept.process.pid for wave in self._waves for kept in wave})

    async def _keep(self, kept: _Kept) -> None:
        """Start the part again whenever it ends, until it ends too often."""
        try:
            while (pause := await self._crash(kept)) is not None:
                await asyncio.sleep(pause)
                again = await self._spawn(kept.part)
                kept.process, kept.output = again.process, again.output
                try:
                    await self._until_ready(kept)
                except PartFailedError:
                    _kill(kept.process)
                else:
                    self._screen.say(f"{kept.part.name} is back")
        except OSError as error:
            self._give_up(PartFailedError(f"{kept.part.name} could not be started again: {error}"))

    async def _crash(self, kept: _Kept) -> float | None:
        """Wait until the part ends; return the pause before its next start, or None after giving up."""
        part, code = kept.part, await kept.process.wait()
        kept.crashes.append(time.monotonic())
        pause = restart_pause(kept.crashes)
        if pause is None:
            await asyncio.wait([kept.output], timeout=_DRAIN_S)
            often = f"{_CRASHES} times within {_CRASH_WINDOW_S / 60:.0f} minutes"
            self._give_up(PartFailedError(f"{part.name} {_ending(code)}; that was {often}. {self._tail(part)}"))
        else:
            self._screen.say(f"{part.name} {_ending(code)}; it starts again in {pause:.2g} s")
        return pause

    def _give_up(self, error: PartFailedError) -> None:
        self._failure = error
        self._failed.set()

    async def _log(self, name: str, reading: int) -> None:
        """Copy a process's output into its part's log until nobody holds the other end."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb")
        )
        try:
            while chunk := await reader.read(65536):
                self._open_log(name).emit(logging.makeLogRecord({"msg": decoder.decode(chunk)}))
        finally:
            transport.close()

    def _open_log(self, name: str) -> RotatingFileHandler:
        """Return the part's log; one for all its processes, or rotation would lose what the other one writes."""
        if name not in self._open_logs:
            handler = RotatingFileHandler(
                self._path(name), maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8", errors="replace"
            )
            handler.terminator = ""
            self._open_logs[name] = handler
        return self._open_logs[name]

    def _path(self, name: str) -> Path:
        return self._logs / f"{name.lower().replace(' ', '-')}.log"

    def _tail(self, part: Part) -> str:
        path = self._path(part.name)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:] if path.exists() else []
        return "\n".join([f"The end of {path}:", *lines])

    async def _start_lifeline(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "carousel_pipeline.local.lifeline", self._mark),
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=DEVNULL,
            pass_fds=(self._lock.fileno(),),
            start_new_session=True,
        )

    async def _keep_lifeline(self, process: Process) -> None:
        try:
            while True:
                await process.wait()
                process = await self._start_lifeline()
        finally:
            if process.stdin is not None:
                process.stdin.close()
            await process.wait()

    async def _stop(self) -> None:
        everyone = [kept for wave in self._waves for kept in wave]
        keepers = [kept.keeper for kept in everyone if kept.keeper is not None]
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        for wave in reversed(self._waves):
            await asyncio.gather(*(_end(kept) for kept in wave))
        # Grandchildren that outlived their leader, and a process that was being started just now.
        await asyncio.to_thread(lifeline.end_marked, self._mark, grace_s=_SWEEP_S)
        if everyone:
            _, open_outputs = await asyncio.wait([kept.output for kept in everyone], timeout=_DRAIN_S)
            for output in open_outputs:
                output.cancel()
            await asyncio.gather(*open_outputs, return_exceptions=True)
        for log in self._open_logs.values():
            log.close()
        if self._guard is not None:
            self._guard.cancel()
            await asyncio.gather(self._guard, return_exceptions=True)


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end though this task is cancelled meanwhile, then be cancelled: half a stop leaves orphans."""
    task, cancelled = asyncio.ensure_future(work), False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        # Whoever cancelled is answered first; a failure of the work is then only a footnote.
        task.exception()
        raise asyncio.CancelledError
    return task.result()


async def _end(kept: _Kept) -> None:
    """Ask a process to end and make it end when it does not."""
    if kept.process.returncode is not None:
        return
    kept.process.terminate()
    try:
        await asyncio.wait_for(kept.process.wait(), kept.part.stop_limit_s)
    except TimeoutError:
        _kill(kept.process)
        await kept.process.wait()


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def _ending(code: int) -> str:
    """Say what asyncio's return code means: `ended with exit code 3`, `was ended by signal 9`."""
    return f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
