"""Dagster's launcher, which counts once more before it starts a run.

The daemon counts the running runs, then reads its queue, then launches; a run that `PromptRunCoordinator` started in between is
not in its count. So the last word is here, under the lock that the coordinator uses: a run that would exceed a limit goes back
into the queue, and the next round, a second later, counts right.
"""

from dagster import DagsterEvent, DagsterInstance, DagsterRun
from dagster._core.launcher import DefaultRunLauncher, LaunchRunContext

from carousel_pipeline.run_workers.places import active_runs, deciding, has_place


class LimitedRunLauncher(DefaultRunLauncher):
    """`run_launcher` of dagster.yaml."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process, or queue the run again where it would be one too many."""
        if may_start(self._instance, context.dagster_run):
            super().launch_run(context)


def may_start(instance: DagsterInstance, run: DagsterRun) -> bool:
    """Whether the run is not one too many; if it is, it is in the queue again."""
    with deciding(instance) as limits:
        others = [other for other in active_runs(instance) if other.run_id != run.run_id]
        if has_place(run, others, [], limits):
            return True
        instance.report_dagster_event(DagsterEvent.job_enqueue(run), run_id=run.run_id)
        return False
