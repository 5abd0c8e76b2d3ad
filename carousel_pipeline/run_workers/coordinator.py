"""The run queue, without the wait where there is no queue.

Dagster's queue is emptied once a second at best: a person who waits would wait for nothing. Here a run starts as it is submitted
while a place is free and nobody who could take it is waiting; everything else goes through Dagster's queue as ever: rushes,
backfills, runs whose start failed.

The limits hold in all processes at once. One database lock covers "count, then mark as starting" and "count, then queue", so
simultaneous submissions see each other. Dagster's daemon counts without the lock, and may have counted just before a run started
here: `LimitedRunLauncher` counts again for it.

A dispatch names one run. Whoever submits looks for it first, but in a rush an answer comes after the bot has stopped waiting, and
the sensor looks in between: half of two hundred requests got a second run, which only found the request taken, tried again and
failed. Under the lock the second one is seen, and cancelled before it starts.
"""

import sys

from dagster import DagsterEvent, DagsterEventType, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.events import EngineEventData
from dagster._core.launcher import LaunchRunContext
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator
from dagster._core.storage.tags import BACKFILL_ID_TAG, PARENT_RUN_ID_TAG
from dagster._utils.error import serializable_error_info_from_exc_info

from carousel_pipeline.run_workers.places import active_runs, deciding, has_place
from carousel_pipeline.tags import DISPATCH_TAG

# More than this waiting is a rush: the queue sorts it out, and deciding stays quick.
_LOOKED_AT = 50


class PromptRunCoordinator(QueuedRunCoordinator):
    """`run_coordinator` of dagster.yaml, configured like `QueuedRunCoordinator`."""

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Start the run, or queue it; return it as it then is."""
        run = context.dagster_run
        if run.status is not DagsterRunStatus.NOT_STARTED or BACKFILL_ID_TAG in run.tags or run.run_op_concurrency:
            return super().submit_run(context)
        with deciding(self._instance) as limits:
            if other := self._first_of_dispatch(run):
                self._instance.report_run_canceled(run, f"Run {other} was submitted for the same dispatch")
                return self._now(run)
            queued = self._instance.get_runs(
                RunsFilter(statuses=[DagsterRunStatus.QUEUED]), limit=_LOOKED_AT, ascending=True
            )
            if len(queued) == _LOOKED_AT or not has_place(run, active_runs(self._instance), queued, limits):
                return super().submit_run(context)
            starting = DagsterEvent(event_type_value=DagsterEventType.PIPELINE_STARTING.value, job_name=run.job_name)
            self._instance.report_dagster_event(starting, run_id=run.run_id)
        self._launch(self._now(run), context)
        return self._now(run)

    def _first_of_dispatch(self, run: DagsterRun) -> str | None:
        """Return the run that was submitted for the same dispatch; who runs it again has decided to."""
        key = run.tags.get(DISPATCH_TAG)
        if key is None or PARENT_RUN_ID_TAG in run.tags:
            return None
        return next(
            (
                other.run_id
                for other in self._instance.get_runs(RunsFilter(tags={DISPATCH_TAG: key}), ascending=True)
                if other.run_id != run.run_id and other.status is not DagsterRunStatus.NOT_STARTED
            ),
            None,
        )

    def _launch(self, run: DagsterRun, context: SubmitRunContext) -> None:
        try:
            self._instance.run_launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=context.workspace))
        except Exception:  # noqa: BLE001 - whatever it was, the queue tries again and knows how to give up
            error = serializable_error_info_from_exc_info(sys.exc_info())
            if self._now(run).status is DagsterRunStatus.STARTING:
                self._instance.report_engine_event(
                    "The run could not start at once and is queued", run, EngineEventData.engine_error(error)
                )
                self._instance.report_dagster_event(DagsterEvent.job_enqueue(run), run_id=run.run_id)

    def _now(self, run: DagsterRun) -> DagsterRun:
        return self._instance.get_run_by_id(run.run_id) or run
