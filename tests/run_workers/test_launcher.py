"""The last word on a limit: what Dagster's daemon counted may be a moment old."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import sentinel

import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.launcher import DefaultRunLauncher, LaunchRunContext
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.local.dagster_home import write_local_instance
from carousel_pipeline.run_workers import storage
from carousel_pipeline.run_workers.places import deciding
from carousel_pipeline.sensors.dispatch_requests import _has_run
from carousel_pipeline.tags import DISPATCH_TAG

PLACES = 16
LOCATION = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=1, location_name="carousel_pipeline")
ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(LOCATION, "__repository__"), "carousel")


@pytest.fixture
def instance(dagster_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    monkeypatch.setenv("DAGSTER_DATABASE_URL", dagster_url)
    with DagsterInstance.from_config(str(write_local_instance(tmp_path / "home"))) as opened:
        yield opened
    storage.process_engine(storage.psycopg2_url(dagster_url)).dispose()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that got as far as Dagster's own launcher, which would ask a code server."""
    ids: list[str] = []
    monkeypatch.setattr(DefaultRunLauncher, "launch_run", lambda _, context: ids.append(context.dagster_run.run_id))
    return ids


def dequeued(instance: DagsterInstance, user: str) -> DagsterRun:
    """Return a run as the daemon hands it over: taken from the queue, marked as starting."""
    run = DagsterRun(
        job_name="carousel",
        run_id=str(uuid.uuid4()),
        tags={"carousel/user": user},
        status=DagsterRunStatus.NOT_STARTED,
        remote_job_origin=ORIGIN,
    )
    instance.add_run(run)
    instance.report_dagster_event(DagsterEvent.job_enqueue(run), run_id=run.run_id)
    starting = DagsterEvent(event_type_value=DagsterEventType.PIPELINE_STARTING.value, job_name=run.job_name)
    instance.report_dagster_event(starting, run_id=run.run_id)
    return launched(instance, run)


def launched(instance: DagsterInstance, run: DagsterRun) -> DagsterRun:
    now = instance.get_run_by_id(run.run_id)
    assert now is not None
    return now


def test_a_run_too_many_goes_back_into_the_queue(instance: DagsterInstance, started: list[str]) -> None:
    runs = [dequeued(instance, f"user {n}") for n in range(PLACES + 2)]
    for run in runs:
        instance.run_launcher.launch_run(LaunchRunContext(run, sentinel.workspace))
    # The first two to ask see two too many; the others then fit.
    assert started == [run.run_id for run in runs[2:]]
    assert {launched(instance, run).status for run in runs[:2]} == {DagsterRunStatus.QUEUED}


def test_the_same_holds_for_a_users_limit(instance: DagsterInstance, started: list[str]) -> None:
    runs = [dequeued(instance, "greedy") for _ in range(4)]
    for run in runs:
        instance.run_launcher.launch_run(LaunchRunContext(run, sentinel.workspace))
    assert len(started) == 3
    assert launched(instance, runs[0]).status is DagsterRunStatus.QUEUED


def test_a_run_that_was_made_and_never_submitted_is_submitted_anew(instance: DagsterInstance) -> None:
    """A webserver that is killed in between leaves one; it counted as the dispatch's run, and nobody got an outline."""
    run = DagsterRun(
        job_name="carousel",
        run_id=str(uuid.uuid4()),
        tags={DISPATCH_TAG: "dispatch:1"},
        status=DagsterRunStatus.NOT_STARTED,
        remote_job_origin=ORIGIN,
    )
    instance.add_run(run)
    assert not _has_run(instance, "dispatch:1")
    instance.report_dagster_event(DagsterEvent.job_enqueue(run), run_id=run.run_id)
    assert _has_run(instance, "dispatch:1")


def test_another_storage_is_refused_in_words() -> None:
    with (
        DagsterInstance.ephemeral() as instance,
        pytest.raises(ConfigurationError, match=r"storage\.custom"),
        deciding(instance),
    ):
        pass
