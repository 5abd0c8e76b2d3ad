"""Dagster's three processes on free ports for a benchmark or a test, driven as the bot drives them: through GraphQL.

They end with the block, and with this process, however that ends.
"""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import yaml

from carousel_pipeline.errors import TransientError
from carousel_pipeline.local.lifeline import MARK, end_marked
from carousel_pipeline.local.probes import Probe
from carousel_pipeline.paths import resource

FINISHED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
REPOSITORY = MappingProxyType({"repositoryName": "__repository__", "repositoryLocationName": "carousel_pipeline"})
_START_S = 90.0
_REQUEST_S = 60.0
_POLL_S = 0.05
_JSON = MappingProxyType({"Content-Type": "application/json"})

_LOCATION = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
_ADD_PARTITION = """
mutation ($repository: RepositorySelector!, $name: String!, $key: String!) {
  addDynamicPartition(repositorySelector: $repository, partitionsDefName: $name, partitionKey: $key) { __typename }
}
"""
_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId status } }
    ... on PythonError { message }
  }
}
"""
_RUN = """
query ($run: ID!) {
  runOrError(runId: $run) {
    ... on Run { runId status creationTime startTime endTime tags { key value } stepStats { stepKey startTime } }
  }
}
"""
_TERMINATE = """
mutation ($run: String!) { terminateRun(runId: $run) { __typename ... on TerminateRunFailure { message } } }
"""


class DagsterStack:
    """A code server, a webserver and a daemon over one database.

    Args:
        folder: for DAGSTER_HOME and the logs, which are named as the processes.
        database_url: an existing database for Dagster.
        instance: the content of dagster.yaml.
        code_server: arguments of Python that serve the definitions on `{port}`.
        environment: added to this process's own.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str,
        instance: Mapping[str, Any],
        code_server: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = folder / "dagster"
        self.home.mkdir(parents=True)
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(dict(instance)), encoding="utf-8")
        self.code_port, self._web_port = _free_ports(2)
        self._mark = str(uuid.uuid4())
        self.environment = {
            **os.environ,
            **(environment or {}),
            MARK: self._mark,
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_DATABASE_URL": database_url,
            "CAROUSEL_CODE_SERVER_HOST": "127.0.0.1",
            "CAROUSEL_CODE_SERVER_PORT": str(self.code_port),
            "PYTHONUNBUFFERED": "1",
        }
        self._code_server = [part.format(port=self.code_port) for part in code_server]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.callback(self._end)
            self._guard = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "carousel_pipeline.local.lifeline", self._mark],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
            workspace = ("-w", str(resource("workspace.yaml")))
            self.start_code_server()
            self.start("web", "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(self._web_port), *workspace)
            self.start("daemon", "-m", "dagster._daemon", "run", *workspace)
            self._wait_until_ready()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def start_code_server(self) -> None:
        """Start the code server, again perhaps."""
        self.start("code", *self._code_server)

    def start(self, name: str, *arguments: str) -> None:
        """Run Python in the stack's environment; the log is `{name}.log`."""
        with (self.home.parent / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, *arguments],
                env=self.environment,
                cwd=self.home.parent,  # no .env of whoever measures
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def graphql_url(self) -> str:
        """Where Dagster's GraphQL API answers."""
        return f"http://127.0.0.1:{self._web_port}/graphql"

    async def until(self, name: str, ready: Probe) -> None:
        """Wait until the process `name` is ready.

        Raises:
            TransientError: it has ended, or is not ready in time.
        """
        deadline = time.monotonic() + _START_S
        while not await ready():
            if self.processes[name].poll() is not None or time.monotonic() > deadline:
                raise TransientError(f"{name} did not start; it said:\n{self.log(name)[-2000:]}")
            await asyncio.sleep(_POLL_S)

    def log(self, name: str) -> str:
        """Return what the process `name` has said."""
        return (self.home.parent / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def ask(self, query: str, **variables: object) -> Any:
        """Return the first field of the answer to a GraphQL request.

        Raises:
            TransientError: the webserver does not answer, or not with data.
        """
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.graphql_url, body, dict(_JSON))  # noqa: S310 - our own address
        try:
            with urllib.request.urlopen(request, timeout=_REQUEST_S) as answer:  # noqa: S310 - as above
                data = json.load(answer).get("data")
        except OSError as error:
            raise TransientError(f"the Dagster webserver does not answer: {error}") from error
        if not data:
            raise TransientError("the Dagster webserver answers without data")
        return next(iter(data.values()))

    def add_partition(self, name: str, key: str) -> None:
        """Add `key` to the dynamic partitions definition `name`."""
        self.ask(_ADD_PARTITION, repository=dict(REPOSITORY), name=name, key=key)

    def launch(self, job: str, key: str, tags: Mapping[str, str] | None = None) -> str:
        """Submit a run of `job` for the partition `key` as the bot does, and return the run's id.

        Raises:
            TransientError: Dagster has not taken the run.
        """
        all_tags = {"dagster/partition": key, **(tags or {})}
        params = {
            "selector": {**REPOSITORY, "jobName": job},
            "executionMetadata": {"tags": [{"key": tag, "value": value} for tag, value in all_tags.items()]},
        }
        answer = self.ask(_LAUNCH, params=params)
        if answer["__typename"] != "LaunchRunSuccess":
            raise TransientError(f"launchRun answered {answer}")
        run_id: str = answer["run"]["runId"]
        return run_id

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run: status, times in seconds of the epoch, tags, and each step's start."""
        answer: dict[str, Any] = self.ask(_RUN, run=run_id)
        return answer

    def wait(self, run_id: str, *statuses: str, limit_s: float = _START_S) -> dict[str, Any]:
        """Return the run once it has one of `statuses`, or has finished when none is named.

        Raises:
            TransientError: it has none of them after `limit_s`.
        """
        deadline = time.monotonic() + limit_s
        while (run := self.run(run_id))["status"] not in (statuses or FINISHED):
            if time.monotonic() > deadline:
                raise TransientError(f"run {run_id} is {run['status']} after {limit_s:.0f} s")
            time.sleep(_POLL_S)
        return run

    def terminate(self, run_id: str) -> None:
        """Cancel a run, as the button of the Dagster UI does."""
        self.ask(_TERMINATE, run=run_id)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_S
        while not self._ready():
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                name = ended[0] if ended else "code"
                raise TransientError(f"Dagster did not start; {name} said:\n{self.log(name)[-2000:]}")
            time.sleep(_POLL_S)

    def _ready(self) -> bool:
        with contextlib.suppress(TransientError, OSError), socket.create_connection(("127.0.0.1", self.code_port), 1):
            entries = self.ask(_LOCATION)["locationEntries"]
            loaded = [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries]
            return loaded == ["RepositoryLocation"] and "QueuedRunCoordinatorDaemon" in self.log("daemon")
        return False

    def _end(self) -> None:
        end_marked(self._mark)
        for process in self.processes.values():
            process.wait()
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]
