"""Carousels on two workers that share a Redis: both take runs, and what a killed worker leaves is settled."""

import logging
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dagster import DagsterEventType, DagsterRunStatus
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from kombu.exceptions import OperationalError

from carousel_pipeline.run_workers import cluster as cluster_launcher
from carousel_pipeline.run_workers.cluster import ClusterRunLauncher
from carousel_pipeline.run_workers.cluster_bench import WORKERS
from carousel_pipeline.run_workers.worker import cluster_app

from ..operators.conftest import CAPTURE, RELEASE, RESERVE, Shop, until  # noqa: TID252 - tests are no package
from .conftest import HOSTS, Hosts

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(400)]


def placed(shop: Shop, runs: Iterable[str]) -> dict[str, str]:
    """Which worker has which run at this moment; nothing while one of the runs has none."""
    app = cluster_app(shop.stack.environment["CAROUSEL_BROKER_URL"])
    active = app.control.inspect(timeout=2).active() or {}
    hosts = {task["id"]: host.removeprefix("runs@") for host, running in active.items() for task in running}
    found = {run: hosts[task] for run in runs if (task := task_of(shop, run)) in hosts}
    return found if len(found) == WORKERS else {}


def task_of(shop: Shop, run: str) -> str:
    return next((tag["value"] for tag in shop.stack.run(run)["tags"] if tag["key"] == DAGSTER_CELERY_TASK_ID_TAG), "")


# dagster-celery makes its task anew for every launch; Celery 5.7 says so once, and goes on with the first.
@pytest.mark.filterwarnings("ignore::celery.exceptions.DuplicateTaskNameWarning")
def test_each_host_takes_what_it_can_begin_and_a_run_is_alive_while_one_of_them_has_it(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_launcher, "FRESH_S", 0.0)
    runs = [hosts.launch("waits") for _ in range(2)]
    pids = {run: int(until(lambda run=run: said(hosts.folder / run), 60)) for run in runs}
    groups = {os.getpgid(pid): run for run, pid in pids.items()}
    assert set(groups) == set(hosts.groups.values()), "both hosts have one"
    monitored(hosts)
    assert {hosts.run(run).status for run in runs} == {DagsterRunStatus.STARTED}

    # A broker that is away is no answer, and nobody is declared dead.
    away = ClusterRunLauncher(default_queue="dagster", broker="redis://127.0.0.1:1/0")
    with pytest.raises(OperationalError):
        away.check_run_worker_health(hosts.run(runs[0]))

    gone, stays = (groups[hosts.groups[host]] for host in HOSTS)
    hosts.kill(HOSTS[0])
    monitored(hosts)
    assert hosts.run(gone).status is DagsterRunStatus.FAILURE
    assert hosts.run(stays).status is DagsterRunStatus.STARTED
    failure = hosts.instance.get_records_for_run(gone, of_type=DagsterEventType.PIPELINE_FAILURE).records[0]
    assert "no worker has this run" in str(failure.event_log_entry)

    # One that is cancelled says so itself, and its host goes on with the next.
    hosts.instance.report_run_canceling(hosts.run(stays))
    hosts.instance.run_launcher.terminate(stays)
    until(lambda: hosts.run(stays).status is DagsterRunStatus.CANCELED, 30)
    (hosts.folder / "go").touch()
    after = hosts.launch("waits")
    until(lambda: hosts.run(after).status is DagsterRunStatus.SUCCESS, 60)
    assert int(said(hosts.folder / after)) != pids[stays], "one process, one run"


def said(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def monitored(hosts: Hosts) -> None:
    """One round of Dagster's own run monitoring."""
    context: Any = SimpleNamespace(instance=hosts.instance, create_request_context=lambda: None)
    errors = [error for error in execute_run_monitoring_iteration(context, logging.getLogger("monitoring")) if error]
    assert errors == []


def test_carousels_run_on_both_and_a_killed_worker_s_request_is_settled(cluster: Shop) -> None:
    first, second = cluster.confirmed(2, slow=True)
    runs = cluster.dispatch([first, second])
    hosts = until(lambda: placed(cluster, runs.values()), 60)
    assert set(hosts.values()) == {"worker-1", "worker-2"}

    # The whole host goes: no worker is left that could say what became of its run.
    os.killpg(cluster.stack.processes[hosts[runs[first]]].pid, signal.SIGKILL)
    assert cluster.ended(runs.values()) == {runs[first]: "FAILURE", runs[second]: "SUCCESS"}
    cluster.await_states([first], "released")
    cluster.settled("killed worker", [first], RESERVE, RELEASE, albums=0)
    cluster.settled("the other worker", [second], RESERVE, CAPTURE, albums=1)
    reasons = [event for event in cluster.stack.log("daemon").splitlines() if "no worker has this run" in event]
    assert reasons
