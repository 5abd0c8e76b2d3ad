"""The quick path to the same settlement: a failed or cancelled run is settled within seconds. Losing an event here costs nothing
but time, because `settle_holds` looks at every open hold anyway.

An outline has no hold, so nothing else is asked about it: it fails only when no run of its dispatch goes on. The coordinator
cancels one that was one too many, and the other may still be writing.
"""

from uuid import UUID

import dagster as dg
from dagster import DagsterRunStatus

from carousel_pipeline.jobs import outline
from carousel_pipeline.ledger.pipeline import PipelineLedger
from carousel_pipeline.records import RequestRecords
from carousel_pipeline.resources import Database
from carousel_pipeline.sensors.settlement import settle
from carousel_pipeline.tags import DISPATCH_TAG, REQUEST_TAG

_GOES_ON = (DagsterRunStatus.QUEUED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.SUCCESS)


@dg.run_failure_sensor(
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Refunds a failed carousel at once.",
)
def fast_refund(context: dg.RunFailureSensorContext, database: Database) -> None:
    """Settle the failed run's request."""
    _settle_run(context.dagster_run, context.instance, database)


@dg.run_status_sensor(
    run_status=DagsterRunStatus.CANCELED,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Refunds a cancelled carousel at once.",
)
def fast_refund_canceled(context: dg.RunStatusSensorContext, database: Database) -> None:
    """Settle the cancelled run's request."""
    _settle_run(context.dagster_run, context.instance, database)


def _settle_run(run: dg.DagsterRun, instance: dg.DagsterInstance, database: Database) -> None:
    request_id = _request_of(run)
    if request_id is None:
        return
    with database.session() as session:
        if run.job_name == outline.name:
            if not _another_goes_on(run, instance):
                RequestRecords(session).outline_failed(request_id, "failed")
            return
        ledger = PipelineLedger(session)
        if (hold := ledger.open_hold(request_id)) is not None:
            settle([hold], ledger, instance)


def _another_goes_on(run: dg.DagsterRun, instance: dg.DagsterInstance) -> bool:
    """Whether a run of the same dispatch waits, works, or has ended well."""
    key = run.tags.get(DISPATCH_TAG)
    others = instance.get_runs(dg.RunsFilter(tags={DISPATCH_TAG: key}, statuses=_GOES_ON)) if key else []
    return any(other.run_id != run.run_id for other in others)


def _request_of(run: dg.DagsterRun) -> UUID | None:
    """The request a run was for; None where the partition was typed by hand and is no request."""
    try:
        return UUID(run.tags.get(REQUEST_TAG) or run.tags.get("dagster/partition"))
    except (TypeError, ValueError):
        return None
