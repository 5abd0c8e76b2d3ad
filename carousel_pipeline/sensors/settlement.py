"""Open holds against the facts of runs: the adapter around `decide_settlement`, shared by the level and the edge sensors."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from uuid import UUID

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

from carousel_pipeline.jobs import outline
from carousel_pipeline.ledger.pipeline import PipelineLedger
from carousel_pipeline.ledger.settlement import (
    AskUser,
    Expire,
    Hold,
    Release,
    RunFact,
    RunStatus,
    Wait,
    decide_settlement,
)
from carousel_pipeline.tags import DISPATCH_TAG, REQUEST_TAG

_RUNS_LOOKED_AT = 20
_ENDED: Mapping[DagsterRunStatus, RunStatus] = MappingProxyType(
    {
        DagsterRunStatus.SUCCESS: "succeeded",
        DagsterRunStatus.FAILURE: "failed",
        DagsterRunStatus.CANCELED: "canceled",
    }
)


def settle(holds: Iterable[Hold], ledger: PipelineLedger, instance: dg.DagsterInstance) -> dict[UUID, str]:
    """Settle what can be settled; returns what was done, by request."""
    done: dict[UUID, str] = {}
    for hold in holds:
        match decide_settlement(hold, run_facts(instance, hold.id)):
            case Release(fence, reason) | AskUser(fence, reason):
                released = ledger.release(hold.id, fence, reason)
                done[hold.id] = f"released ({reason})" if released else f"in doubt ({reason})"
            case Expire():
                done[hold.id] = ledger.settle_due(hold.id)
            case Wait():
                pass
    return done


def run_facts(instance: dg.DagsterInstance, request_id: UUID) -> list[RunFact]:
    """Return every run that worked, works or will work on the request's pictures, slides or delivery."""
    runs = {
        run.run_id: run
        for tag in (REQUEST_TAG, "dagster/partition")  # a run launched by hand in the UI has only the second
        for run in instance.get_runs(dg.RunsFilter(tags={tag: str(request_id)}), limit=_RUNS_LOOKED_AT)
        if run.job_name != outline.name
    }
    return [
        RunFact(run.run_id, _status(run), run.tags.get(DISPATCH_TAG), _failed_step(instance, run))
        for run in runs.values()
    ]


def _status(run: dg.DagsterRun) -> RunStatus:
    """A failed run that Dagster is about to retry has not ended: its successor exists a moment later."""
    about_to_retry = run.tags.get(WILL_RETRY_TAG) == "true" and AUTO_RETRY_RUN_ID_TAG not in run.tags
    return "active" if about_to_retry else _ENDED.get(run.status, "active")


def _failed_step(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    if run.status is not DagsterRunStatus.FAILURE:
        return None
    failures = instance.get_records_for_run(run.run_id, of_type=DagsterEventType.STEP_FAILURE, limit=1).records
    return failures[0].event_log_entry.step_key if failures else "crash"
