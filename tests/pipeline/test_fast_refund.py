"""A failed or cancelled run is settled at once, and one that was too many ends nothing that goes on."""

from uuid import UUID

import dagster as dg
import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterRunStatus

from carousel_pipeline.resources import Database
from carousel_pipeline.sensors import fast_refund_canceled
from carousel_pipeline.tags import run_tags

from .conftest import Pipeline


@pytest.mark.parametrize(
    ("other", "phase"),
    [
        (DagsterRunStatus.STARTED, "drafting"),
        (DagsterRunStatus.SUCCESS, "drafting"),
        (DagsterRunStatus.FAILURE, "failed"),
        (None, "failed"),
    ],
)
def test_a_cancelled_run_fails_an_outline_only_when_no_other_writes_it(
    pipeline: Pipeline, database_url: str, other: DagsterRunStatus | None, phase: str
) -> None:
    """The coordinator cancels the second run of a dispatch: the person was to be told that the first one failed."""
    request_id = pipeline.open()
    if other is not None:
        outline_run(pipeline, request_id, other)
    canceled = outline_run(pipeline, request_id, DagsterRunStatus.CANCELED)
    with dg.build_run_status_sensor_context(
        sensor_name="fast_refund_canceled",
        dagster_event=DagsterEvent(DagsterEventType.RUN_CANCELED.value, job_name="outline"),
        dagster_instance=pipeline.instance,
        dagster_run=canceled,
        resources={"database": Database(url=database_url)},
    ) as context:
        fast_refund_canceled(context)
    row = pipeline.bot.execute("select phase from carousel.request where id = %s", [request_id]).fetchone()
    assert row == {"phase": phase}


def outline_run(pipeline: Pipeline, request_id: UUID, status: DagsterRunStatus) -> dg.DagsterRun:
    from carousel_pipeline.definitions import defs

    tags = run_tags(str(request_id), f"dispatch:{request_id}:0", None)
    return pipeline.instance.create_run_for_job(defs.resolve_job_def("outline"), tags=tags, status=status)
