"""What a run process is: a fork of a process that has imported everything and connected to nothing.

A fresh interpreter needs 5-10 s to import Dagster and this project; a fork needs none of it. Python's own fork server makes the
forks: single-threaded, without connections, and started again by Python if it dies.

What must stay true:

- nothing alive crosses the fork (M14): no connection, no thread, no event loop, and no random state;
- sockets lie in a folder that names its process: a killed code server cannot remove it, so the next one does;
- a run process never outlives those who watch it. Without the code server nobody would see it crash, so it ends like a
  cancelled run; without the fork server the code server takes it for dead, so it has to be dead at once.
"""

import atexit
import ctypes
import gc
import importlib
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import traceback
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, arbitrary_address  # type: ignore[attr-defined]  # absent from the stubs
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import psutil

from carousel_pipeline import turns

DEFINITIONS = "carousel_pipeline.definitions"
PRELOAD_DEFINITIONS = "_CAROUSEL_PRELOAD_DEFINITIONS"  # the one way to tell a fork server anything is its environment
_PRELOAD = "carousel_pipeline.run_workers.preload"
# What Dagster and our assets import only when a run needs it. A test watches that a run imports nothing more.
MODULES = (
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.launcher",
    "dagster._core.run_coordinator",
    "dagster._core.secrets",
    "dagster._core.secrets.env_file",
    "dagster._core.storage.noop_compute_log_manager",
    "dagster._core.storage.root",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.system_config.composite_descent",
    "dagster._core.utility_ops",
    "dagster._core.workspace.autodiscovery",
    "dagster._grpc.impl",
    "dagster._utils.test.definitions",
    "psycopg2.extensions",
    "psycopg2.extras",
    "upath.implementations.local",
    "carousel_pipeline.run_workers.coordinator",
    "carousel_pipeline.run_workers.launcher",
    "carousel_pipeline.run_workers.storage",
)
_FORK_SERVER = frozenset(
    {
        "_forkserver_address",
        "_forkserver_alive_fd",
        "_forkserver_pid",
        "_inherited_fds",
        "_lock",
        "_preload_modules",
    }
)
_FOLDER = "forks-"  # short: the path of a socket has hardly a hundred characters
_PR_SET_PDEATHSIG = 1
_LAST_WORDS_S = 10.0
_TURNS_PER_CORE = 2  # a run that works also waits, for the database


class PreloadError(Exception):
    """The process that run processes are forked from could not be prepared; the message says why."""


class RunProcess(ForkServerProcess):
    """The process of one run."""

    def run(self) -> None:
        """Cut what the fork would share, watch the watchers, then execute the run."""
        _die_with_fork_server()
        if (numpy := sys.modules.get("numpy")) is not None:
            # Python reseeds `random` after a fork, numpy does not: all runs would paint the same noise.
            numpy.random.seed()
        threading.Thread(target=_end_with_code_server, name="parent-watch", daemon=True).start()
        super().run()


class RunProcessContext(ForkServerContext):
    """The multiprocessing context that Dagster's code server starts its runs with."""

    Process = RunProcess


def start_fork_server(definitions: str) -> RunProcessContext:
    """Begin to prepare the process that runs are forked from, and return without waiting for it.

    Call it with `definitions` imported and no thread started: then the fork server is itself a fork, which shares this process's
    memory and imports only what is missing. Otherwise, and whenever it has to be replaced, Python starts a fresh one.

    Args:
        definitions: the module whose definitions it loads.
    """
    context = RunProcessContext()
    address = _use_own_folder() / "turns"
    os.environ |= {PRELOAD_DEFINITIONS: definitions, turns.ADDRESS: str(address)}
    context.set_forkserver_preload(["__main__", _PRELOAD])
    if threading.active_count() > 1 or not _fork_the_fork_server():
        forkserver.ensure_running()
    turns.Turns(address, _TURNS_PER_CORE * (os.cpu_count() or 1))
    return context


def _use_own_folder() -> Path:
    """Have multiprocessing keep its sockets where the next process finds them, and remove what dead processes left."""
    for left in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*-*"):
        pid = left.name.removeprefix(_FOLDER).partition("-")[0]
        # In a container every code server has the same process id.
        if pid.isdigit() and (int(pid) == os.getpid() or not psutil.pid_exists(int(pid))):
            shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Private to multiprocessing. A Python that keeps it elsewhere makes a folder of its own, which only a clean end removes.
    vars(multiprocessing.current_process()).get("_config", {})["tempdir"] = folder
    return Path(folder)


def _fork_the_fork_server() -> bool:
    """Do what `multiprocessing.forkserver` does at its first use, with a fork where it would start an interpreter.

    Where to find the fork server is private to that module. Where a new Python keeps it elsewhere, return False: all is as usual.
    """
    server = getattr(forkserver, "_forkserver", None)
    if server is None or set(vars(server)) != _FORK_SERVER:
        return False
    resource_tracker.ensure_running()
    gc.collect()
    gc.freeze()  # the collector of either process would touch, and so copy, what they share
    address = arbitrary_address("AF_UNIX")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        Path(address).chmod(0o600)
        listener.listen()
        alive_r, alive_w = os.pipe()
        if (pid := os.fork()) == 0:
            try:
                os.close(alive_w)
                forkserver.main(listener.detach(), alive_r, [_PRELOAD])
            except SystemExit:
                os._exit(0)
            except BaseException:  # noqa: BLE001 - told, then the end: this must not return into its parent's code
                traceback.print_exc()
            os._exit(1)
        os.close(alive_r)
    vars(server).update(_forkserver_address=address, _forkserver_alive_fd=alive_w, _forkserver_pid=pid)
    return True


def await_fork_server(context: RunProcessContext) -> None:
    """Wait until a run can be forked from a prepared process.

    Python ignores an import that fails in the fork server, and then every run would silently be slow; so a first child is asked.

    Raises:
        PreloadError: what is missing, or that the fork server ended while it prepared.
    """
    ours, theirs = context.Pipe(duplex=False)
    with ours, theirs:
        try:
            child = context.Process(target=_report, args=(theirs,))
            child.start()
            theirs.close()
            problem = ours.recv()
            child.join()
        except (EOFError, OSError) as error:
            raise PreloadError("the fork server ended while it prepared; its error stands above") from error
    if problem:
        raise PreloadError(problem)


def _report(answer: Connection) -> None:
    preload = sys.modules.get(_PRELOAD)
    if preload is None:
        try:
            importlib.import_module(_PRELOAD)
            problem = f"{_PRELOAD} was not loaded"
        except ImportError as error:
            problem = f"{_PRELOAD} cannot be imported: {error}"
    else:
        problem = preload.problem
    answer.send(problem)
    answer.close()


def _die_with_fork_server() -> None:
    if sys.platform == "linux":
        fork_server = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != fork_server:
            os._exit(1)


def _end_with_code_server() -> None:
    code_server = multiprocessing.parent_process()
    if code_server is None:
        return
    code_server.join()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_LAST_WORDS_S)
    os._exit(1)
