"""The Dagster code server whose runs start in milliseconds: Dagster's own gRPC server, with forked run processes.

Dagster starts a fresh interpreter for each run and keeps the multiprocessing context to do so in a private attribute, `_mp_ctx`.
That attribute is replaced, nothing else is. Where a new Dagster has no such attribute, or the fork server cannot be prepared,
the stock way is kept and the log says so: runs start slowly, and right.
"""

import importlib
import logging
import os
import signal
import sys
import threading
import time
from multiprocessing.context import BaseContext
from typing import Any

import grpc  # type: ignore[import-untyped]  # ships no types
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import FuturesAwareThreadPoolExecutor
from dagster._grpc.__generated__ import dagster_api_pb2
from dagster._grpc.server import DagsterApiServer, DagsterGrpcServer
from dagster._grpc.types import CancelExecutionRequest, GetCurrentRunsResult
from dagster._serdes import deserialize_value, serialize_value
from dagster._utils.log import configure_loggers

from carousel_pipeline.run_workers.run_process import (
    DEFINITIONS,
    MODULES,
    PreloadError,
    RunProcessContext,
    await_fork_server,
    start_fork_server,
)
from carousel_pipeline.settings import get_settings

_log = logging.getLogger("dagster.code_server")

# A launch holds a worker until its run process answers, a sensor until its body returns.
_WORKERS = 32
# Who stops a whole machine by Ctrl-C waits ten seconds at most: runs get most of that to finish, and the rest to say that they
# cannot. Where a container is stopped they get as long as it allows.
FINISH_S = 6.0
_GIVE_UP_S = 3.0
_LOOK_S = 0.1


class WarmApiServer(DagsterApiServer):
    """Dagster's servicer, given another way to start processes, and an answer for launches that come while it stops."""

    stopping = False

    def __init__(self, *args: Any, finish_s: float = FINISH_S, **options: Any) -> None:
        super().__init__(*args, **options)
        self._finish_s = finish_s
        self.prepared = threading.Event()

    def use(self, run_processes: BaseContext) -> bool:
        """Start runs through `run_processes` from now on; return False when this Dagster cannot be told to."""
        if not isinstance(getattr(self, "_mp_ctx", None), BaseContext):
            return False
        self._mp_ctx: Any = run_processes
        return True

    def StartRun(  # noqa: N802 - Dagster's name
        self, request: dagster_api_pb2.StartRunRequest, context: grpc.ServicerContext
    ) -> dagster_api_pb2.StartRunReply:
        """Start a run, once processes are prepared.

        While stopping, be unreachable: then the run waits in the queue. Dagster's own answer would fail it.
        """
        if self.stopping:
            context.abort(grpc.StatusCode.UNAVAILABLE, "this code server is stopping")
        self.prepared.wait()
        return super().StartRun(request, context)

    def stop(self, hurry: threading.Event) -> None:
        """Let the runs finish, tell those that do not, end those that do not listen. The server ends when none is left.

        Args:
            hurry: when set, nobody waits for the runs to finish.
        """
        self.stopping = True
        _log.info("stopping; running runs have %.0f s to finish", self._finish_s)
        self.ShutdownServer(dagster_api_pb2.Empty(), None)
        self._await_runs(hurry)
        for run_id in self._running():
            _log.warning("run %s is told to stop", run_id)
            request = serialize_value(CancelExecutionRequest(run_id=run_id))
            self.CancelExecution(
                dagster_api_pb2.CancelExecutionRequest(serialized_cancel_execution_request=request), None
            )
        threading.Event().wait(_GIVE_UP_S)
        for run_id in self._running():
            process, _ = self._executions[run_id]
            process.kill()

    def _await_runs(self, hurry: threading.Event) -> None:
        deadline = time.monotonic() + self._finish_s
        while self._running() and time.monotonic() < deadline and not hurry.wait(_LOOK_S):
            pass

    def _running(self) -> list[str]:
        reply = self.GetCurrentRuns(dagster_api_pb2.Empty(), None)
        return list(deserialize_value(reply.serialized_current_runs, GetCurrentRunsResult).current_runs)


def serve(host: str, port: int, definitions: str = DEFINITIONS, *, finish_s: float = FINISH_S) -> None:
    """Serve until SIGTERM or SIGINT; running runs get some seconds to finish, a second signal hurries them.

    Args:
        host: address to listen on; the protocol has no authentication, so never a public one.
        port: TCP port.
        definitions: module with the `Definitions` object.
        finish_s: seconds that running runs get to finish.
    """
    configure_loggers(formatter="json" if get_settings().carousel_log_format == "json" else "colored")
    # Both processes import this; before the fork, the memory is theirs together.
    for name in (definitions, *MODULES):
        importlib.import_module(name)
    run_processes = start_fork_server(definitions)
    terminated = threading.Event()
    workers = FuturesAwareThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="grpc")
    servicer = WarmApiServer(
        server_termination_event=terminated,
        finish_s=finish_s,
        logger=_log,
        server_threadpool_executor=workers,
        loadable_target_origin=LoadableTargetOrigin(executable_path=sys.executable, module_name=definitions),
        # What a launcher that starts containers starts; Dagster's own server reads the same name.
        container_image=os.environ.get("DAGSTER_CURRENT_IMAGE"),
    )
    server = DagsterGrpcServer(terminated, servicer, _log, workers, host=host, port=port)
    threading.Thread(target=use_warm_processes, args=(servicer, run_processes), name="prepare", daemon=True).start()
    _stop_on_signals(servicer)
    _log.info("code server of %s listens on %s:%d in process %d", definitions, host, port, os.getpid())
    server.serve()  # type: ignore[no-untyped-call]  # Dagster's
    workers.shutdown()


def use_warm_processes(servicer: WarmApiServer, run_processes: RunProcessContext) -> None:
    """Have the servicer fork its runs once they can be forked, or keep the stock way and say why."""
    if problem := _problem(servicer, run_processes):
        _log.error("runs will start slowly, each in a fresh interpreter: %s", problem)
    else:
        _log.info("runs are forked from a warm process")
    servicer.prepared.set()


def _problem(servicer: WarmApiServer, run_processes: RunProcessContext) -> str:
    try:
        await_fork_server(run_processes)
    except PreloadError as error:
        return str(error)
    if servicer.use(run_processes):
        return ""
    return "this Dagster's DagsterApiServer has no `_mp_ctx`; adapt carousel_pipeline/run_workers/code_server.py"


def _stop_on_signals(servicer: WarmApiServer) -> None:
    hurry = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        if servicer.stopping:
            hurry.set()
        else:
            threading.Thread(target=servicer.stop, args=(hurry,), name="stop", daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
