"""Dagster's launcher, which counts once more before it starts a run.

The daemon counts the running runs, then reads its queue, then launches; a run that `PromptRunCoordinator` started in between is
not in its count. So the last word is here, under the lock that the coordinator uses: a run that would exceed a limit goes back
into the queue, and the next round, a second later, counts right.
"""

from dagster import DagsterEvent
from dagster._core.launcher import DefaultRunLauncher, LaunchRunContext

from carousel_pipeline.run_workers.places import active_runs, deciding, has_place


class LimitedRunLauncher(DefaultRunLauncher):
    """`run_launcher` of dagster.yaml."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process, or queue the run again where it would be one too many."""
        run = context.dagster_run
        with deciding(self._instance) as limits:
            others = [other for other in active_runs(self._instance) if other.run_id != run.run_id]
            if not has_place(run, others, [], limits):
                self._instance.report_dagster_event(DagsterEvent.job_enqueue(run), run_id=run.run_id)
                return
        super().launch_run(context)
