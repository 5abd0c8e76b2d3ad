"""Submits the runs that the bot's own dispatcher missed: killing the bot after a confirm still gets the carousel made."""

from datetime import timedelta

import dagster as dg

from carousel_pipeline.database import query
from carousel_pipeline.jobs import carousel, edit, outline
from carousel_pipeline.partitions import request_partitions
from carousel_pipeline.requests.dispatch import MissedDispatch, plan_dispatch
from carousel_pipeline.resources import Database
from carousel_pipeline.tags import DISPATCH_TAG, partition_tags, run_tags

GRACE = timedelta(seconds=6)
BATCH = 50
_SUBMITTED = tuple(status for status in dg.DagsterRunStatus if status is not dg.DagsterRunStatus.NOT_STARTED)


@dg.sensor(
    jobs=[outline, carousel, edit],
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Submits requests whose dispatch nobody has reported for some seconds.",
)
def dispatch_requests(context: dg.SensorEvaluationContext, database: Database) -> dg.SensorResult | dg.SkipReason:
    """Request a run, and its partition key, for every missed dispatch row."""
    with database.session() as session:
        rows = session.execute(query("requests.missed_dispatches"), {"age": GRACE, "limit": BATCH}).fetchall()
        missed = [
            MissedDispatch(row["id"], row["dedupe_key"], row["request_id"], row["job"], row["user_id"]) for row in rows
        ]
        submitted = {row.dedupe_key for row in missed if _has_run(context.instance, row.dedupe_key)}
        plan = plan_dispatch(missed, submitted)
        for row in plan.tick_off:
            session.execute(query("ledger.outbox_done"), {"id": row.outbox_id})
    if not plan.submit:
        return dg.SkipReason("every dispatch has its run")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=row.dedupe_key,
                job_name=row.job,
                partition_key=row.request_id,
                tags=partition_tags(row.job, row.request_id) | run_tags(row.request_id, row.dedupe_key, row.user_id),
            )
            for row in plan.submit
        ],
        dynamic_partitions_requests=[request_partitions.build_add_request([row.request_id for row in plan.submit])],
    )


def _has_run(instance: dg.DagsterInstance, dedupe_key: str) -> bool:
    """Whether a run was submitted; one that was made and not submitted, by a webserver that was killed, will never run."""
    return bool(instance.get_run_ids(dg.RunsFilter(tags={DISPATCH_TAG: dedupe_key}, statuses=_SUBMITTED), limit=1))
