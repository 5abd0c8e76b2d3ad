"""Dagster's launcher, which counts once more before it starts a run.

The daemon counts the running runs, then reads its queue, then launches; a run that `PromptRunCoordinator` started in between is
not in its count. So the last word is here, under the lock that the coordinator uses: a run that would exceed a limit goes back
into the queue, and the next round, a second later, counts right.

A run that ended together with its code server (a power cut, a killed machine) has nobody left to say so. Dagster would count it
as running until `max_runtime_seconds`, and sixteen of them would keep everybody waiting; so the code server is asked for it.
"""

from dagster import DagsterEvent, DagsterInstance, DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, LaunchRunContext, WorkerStatus
from dagster._grpc.types import GetCurrentRunsResult
from dagster._serdes import deserialize_value

from carousel_pipeline.run_workers.places import active_runs, deciding, has_place


class LimitedRunLauncher(DefaultRunLauncher):
    """`run_launcher` of dagster.yaml."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process, or queue the run again where it would be one too many."""
        if may_start(self._instance, context.dagster_run):
            super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Dagster's monitoring may ask."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Ask the code server that started the run whether it has it; one that does not answer now says nothing."""
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]  # Dagster's
        if client is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "nobody knows who started it")
        try:
            answer = deserialize_value(client.get_current_runs(), GetCurrentRunsResult)
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "its code server does not answer")
        if run.run_id in answer.current_runs:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its process ended together with its code server")


def may_start(instance: DagsterInstance, run: DagsterRun) -> bool:
    """Whether the run is not one too many; if it is, it is in the queue again."""
    with deciding(instance) as limits:
        others = [other for other in active_runs(instance) if other.run_id != run.run_id]
        if has_place(run, others, [], limits):
            return True
        instance.report_dagster_event(DagsterEvent.job_enqueue(run), run_id=run.run_id)
        return False
