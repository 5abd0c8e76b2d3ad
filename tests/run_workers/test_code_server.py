"""The guards on Dagster's private part, and the way back to the stock code server."""

import inspect
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from multiprocessing import forkserver
from multiprocessing.context import SpawnContext
from pathlib import Path

import pytest
from dagster._core.utils import FuturesAwareThreadPoolExecutor
from dagster._grpc.server import DagsterApiServer

from carousel_pipeline.run_workers import run_process
from carousel_pipeline.run_workers.code_server import WarmApiServer
from carousel_pipeline.run_workers.run_process import RunProcessContext


@pytest.fixture
def servicer() -> WarmApiServer:
    terminated = threading.Event()
    made = WarmApiServer(terminated, logging.getLogger("test"), FuturesAwareThreadPoolExecutor(max_workers=1))
    terminated.set()
    made.cleanup()
    return made


def test_dagster_still_starts_runs_through_the_context_we_replace(servicer: WarmApiServer) -> None:
    assert isinstance(getattr(servicer, "_mp_ctx", None), SpawnContext), (
        "Dagster has changed: DagsterApiServer has no `_mp_ctx` any more, so runs start slowly, the stock way; "
        "adapt carousel_pipeline/run_workers/code_server.py"
    )
    assert "_mp_ctx.Process" in inspect.getsource(DagsterApiServer.StartRun)
    assert servicer.use(RunProcessContext())
    assert isinstance(servicer._mp_ctx, RunProcessContext)


def test_python_still_keeps_its_fork_server_where_we_look() -> None:
    assert set(vars(forkserver._forkserver)) == run_process._FORK_SERVER, (
        "Python has changed: run_workers/run_process.py forks no fork server any more, each costs a fresh import"
    )


def test_a_dagster_without_that_context_is_left_alone(servicer: WarmApiServer) -> None:
    del servicer._mp_ctx
    assert not servicer.use(RunProcessContext())
    assert not hasattr(servicer, "_mp_ctx")


_BROKEN = """
import logging, multiprocessing, sys, threading
from dagster._core.utils import FuturesAwareThreadPoolExecutor
from carousel_pipeline.run_workers import code_server, run_process
logging.basicConfig(level=logging.INFO)
if sys.argv[1] == "missing":
    run_process._PRELOAD = "carousel_pipeline.no_such_module"
context = run_process.start_fork_server(sys.argv[2])
servicer = code_server.WarmApiServer(threading.Event(), logging.getLogger(), FuturesAwareThreadPoolExecutor(max_workers=1))
code_server.use_warm_processes(servicer, context)
print(type(servicer._mp_ctx).__name__, multiprocessing.get_start_method(allow_none=True))
"""


@pytest.mark.parametrize(
    ("preload", "definitions"), [("missing", "definitions_for_tests"), ("present", "no_such_definitions")]
)
def test_runs_start_the_stock_way_when_nothing_can_be_preloaded(preload: str, definitions: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BROKEN, preload, definitions], capture_output=True, text=True, check=False
    )
    runs, others = done.stdout.split()
    assert runs == "SpawnContext", done.stderr
    assert others != "forkserver", "the choice must not leak into the process"
    assert "runs will start slowly" in done.stderr


_FORKING = """
import os, signal, sys
from carousel_pipeline.run_workers import run_process
run_process.start_fork_server("no_such_definitions")
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_code_server_leaves_is_removed_by_the_next_one() -> None:
    # The path of a socket must be short, and pytest's folders are deep.
    with tempfile.TemporaryDirectory(prefix="carousel-") as folder:

        def serve(end: str) -> int:
            environment = {**os.environ, "TMPDIR": folder}
            return subprocess.run([sys.executable, "-c", _FORKING, end], env=environment, check=False).returncode

        somebodys = Path(folder) / f"forks-{os.getpid()}-living"
        somebodys.mkdir()
        assert serve("killed") == -signal.SIGKILL
        assert len(list(Path(folder).iterdir())) == 2, "the killed one's sockets"
        assert serve("ended") == 0
        assert list(Path(folder).iterdir()) == [somebodys]


_WARM = """
from carousel_pipeline.run_workers import run_process
import carousel_pipeline.definitions
context = run_process.start_fork_server(run_process.DEFINITIONS)
run_process.await_fork_server(context)
"""


def forked(tmp_path: Path, *modules: str, **settings: str) -> bool:
    """Whether a run process can be forked and has `modules`, under these settings alone."""
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")}
    look = f"import sys; sys.exit(not set({modules!r}) <= set(sys.modules))"
    script = f"{_WARM}\nchild = context.Process(target=exec, args=({look!r},)); child.start(); child.join()"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nraise SystemExit(child.exitcode)"],
        capture_output=True, text=True, check=False, env=environment | settings, cwd=tmp_path,
    )  # fmt: skip
    assert "Error" not in done.stderr
    return done.returncode == 0


@pytest.mark.finding("M14", "C9")
def test_our_definitions_and_rooms_can_be_forked(tmp_path: Path) -> None:
    assert forked(tmp_path, "carousel_pipeline.rendering")
    assert not forked(tmp_path, "anthropic")


@pytest.mark.finding("M14")
def test_where_a_key_is_set_its_sdk_is_there_before_the_fork(tmp_path: Path) -> None:
    """Each run paid two and a half seconds for Anthropic's and one for Google's."""
    keys = {"ANTHROPIC_API_KEY": "sk-ant-" + "7" * 40, "GEMINI_API_KEY": "AIza" + "7" * 35}
    modules = (
        "anthropic.resources.messages.messages",
        "google.genai.client",
        "google.genai.types",
        "httpx2",
        "aiohttp",
    )
    assert forked(tmp_path, *modules, **keys)
