"""Runs on several hosts: dagster-celery's launcher, with workers that are asked and not believed.

dagster-celery takes a run for alive while its result says STARTED, which it says for ever once its worker's host is gone: the
person's credits would be held until Dagster's longest running time is over. Here the workers themselves are asked whether one
of them has the run. Without a result backend there is also nothing to keep, to expire or to believe.

A broker that is away is no answer: then nobody is declared dead. Delivery is at least once, as everywhere with Celery: Dagster
ignores a run that has ended, and the ledger's fences hold whatever comes twice.
"""

from typing import Final

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from carousel_pipeline.run_workers.launcher import may_start

_ASKED: Final = 2
_ANSWER_S: Final = 3.0


class ClusterRunLauncher(CeleryRunLauncher):
    """`run_launcher` of dagster.yaml where CAROUSEL_BROKER_URL is set."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hand the run to the workers, or queue it again where it would be one too many."""
        if may_start(self._instance, context.dagster_run):
            super().launch_run(context)

    @property
    def supports_resume_run(self) -> bool:
        """Never: a run that died is a new attempt with a new fence, not a continued one."""
        return False

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Ask the workers whether one of them has the run, twice before it is declared dead."""
        task = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "not handed to a worker yet")
        for _ in range(_ASKED):
            answers = self.celery.control.inspect(timeout=_ANSWER_S).query_task(task) or {}
            if any(known for known in answers.values()):
                return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "no worker has this run: its worker ended, or was killed")

    def get_run_worker_debug_info(self, run: DagsterRun, include_container_logs: bool | None = True) -> str | None:  # noqa: ARG002, FBT001, FBT002 - Dagster's signature
        """Nothing: what is known stands in the result of the check."""
        return None
