"""Two workers that share a Redis: alone, or, with `--cluster`, under all of Dagster's processes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.launcher import LaunchRunContext

from carousel_pipeline.database import connect, ensure_database, migrate
from carousel_pipeline.local.dagster_home import local_instance, write_local_instance
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.run_workers.bench_stack import DagsterStack
from carousel_pipeline.run_workers.cluster_bench import redis_server, start_workers
from carousel_pipeline.run_workers.run_process import DEFINITIONS
from carousel_pipeline.run_workers.worker import answers

from ..operators.conftest import SERVE, SLOW, Shop  # noqa: TID252 - tests are no package
from ..operators.dagster_ui import DagsterUI  # noqa: TID252 - as above
from ..pipeline.conftest import TOKEN, served_telegram  # noqa: TID252 - as above

HOSTS = ("worker-1", "worker-2")
THINGS = "definitions_of_the_cluster"
# Both hosts are forks of one process that has imported everything: two would take this machine twice as long to begin.
# Only that process writes to the pipe: a worker that was ready first greeted there, between the two lines that are read.
BOTH = f"""
import importlib, os, sys
from carousel_pipeline.run_workers import worker
os.environ[worker.PRELOAD_DEFINITIONS] = {THINGS!r}
importlib.import_module(worker._PRELOAD)
for host in {HOSTS!r}:
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.dup2(2, 1)
        worker.serve(sys.argv[1], concurrency=1, definitions={THINGS!r}, host=host)
        os._exit(0)
    print(host, pid, flush=True)
for _ in {HOSTS!r}:
    os.wait()
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Carousels on a cluster with everything real take half a minute of two processors."""
    parser.addoption("--cluster", action="store_true", help="make carousels on a whole cluster, too")


@dataclass
class Hosts:
    """Two hosts' workers, and the instance whose runs they take.

    Attributes:
        groups: process groups by host.
        folder: where a run that was told to wait finds its sign to go on.
    """

    instance: dg.DagsterInstance
    broker: str
    groups: dict[str, int]
    folder: Path

    def launch(self, job: str) -> str:
        """Hand a run to the workers, as the coordinator does."""
        definition = ReconstructableRepository.for_module(THINGS, "defs").get_definition().get_job(job)
        origin = ReconstructableRepository.for_module(THINGS, "defs").get_reconstructable_job(job).get_python_origin()
        run = self.instance.create_run_for_job(definition, job_code_origin=origin)
        self.instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
        return run.run_id

    def run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def kill(self, host: str) -> None:
        os.killpg(self.groups.pop(host), signal.SIGKILL)


@pytest.fixture
def hosts(postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    _needs_redis()
    ensure_database(postgres.url("hosts_dagster"))
    # At the end: Dagster takes the first folder for the script's and leaves it out.
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parent)])
    with redis_server(tmp_path) as broker:
        environment = {
            "DAGSTER_DATABASE_URL": postgres.url("hosts_dagster"),
            "DAGSTER_HOME": str(write_local_instance(tmp_path / "home", cluster=True)),
            "CAROUSEL_BROKER_URL": broker,
            "CLUSTER_TEST_FOLDER": str(tmp_path),
            "PYTHONPATH": str(Path(__file__).parent),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        command = [sys.executable, "-c", BOTH, broker]
        with (
            (tmp_path / "workers.log").open("wb") as log,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as both,
            dg.DagsterInstance.get() as instance,
        ):
            assert both.stdout is not None
            groups = dict(both.stdout.readline().split() for _ in HOSTS)
            made = Hosts(instance, broker, {host: int(group) for host, group in groups.items()}, tmp_path)
            deadline = time.monotonic() + 60
            while not all(answers(broker, host) for host in HOSTS):
                assert time.monotonic() < deadline, (tmp_path / "workers.log").read_text()[-2000:]
            yield made
            (tmp_path / "go").touch()
            for host in list(made.groups):
                made.kill(host)


@pytest.fixture(scope="session")
def cluster(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    if not request.config.getoption("--cluster", default=False):
        pytest.skip("takes half a minute of two processors: ask for it with --cluster")
    _needs_redis()
    folder = tmp_path_factory.mktemp("cluster")
    ours, dagster = postgres.url("cluster"), postgres.url("cluster_dagster")
    for url in (ours, dagster):
        ensure_database(url)
    migrate(ours)
    instance: dict[str, Any] = local_instance(cluster=True)
    instance["run_monitoring"]["poll_interval_seconds"] = 1
    instance["run_retries"] = {"enabled": False}  # the run that was killed is looked at, not its successor
    with served_telegram(folder / "telegram") as telegram, connect(ours, None) as owner, redis_server(folder) as broker:
        owner.execute(SLOW.encode())
        environment = {
            "DATABASE_URL": ours,
            "ARTIFACTS_URL": (folder / "artifacts").as_uri(),
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": telegram.url,
            "CAROUSEL_HOME": str(folder / "home"),
            "CAROUSEL_BROKER_URL": broker,
        }
        with DagsterStack(folder, dagster, instance, SERVE, environment) as stack:
            start_workers(stack, broker, DEFINITIONS, concurrency=1)
            yield Shop(stack, DagsterUI(stack), telegram, folder / "artifacts", owner, patient=False)


def _needs_redis() -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
