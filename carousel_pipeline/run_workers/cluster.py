"""Runs on several hosts: dagster-celery's launcher, with workers that are asked and not believed.

dagster-celery takes a run for alive while its result says STARTED, which it says for ever once its worker's host is gone: the
person's credits would be held until Dagster's longest running time is over. Here the workers themselves are asked whether one
of them has the run. Without a result backend there is also nothing to keep, to expire or to believe.

A broker that is away is no answer: then nobody is declared dead. Delivery is at least once, as everywhere with Celery: Dagster
ignores a run that has ended, and the ledger's fences hold whatever comes twice.
"""

import time
from typing import Final

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from carousel_pipeline.run_workers.launcher import may_start

_ASKED: Final = 2
_ANSWER_S: Final = 3.0
_ROUND_S: Final = 1.0
FRESH_S = 5.0


class ClusterRunLauncher(CeleryRunLauncher):
    """`run_launcher` of dagster.yaml where CAROUSEL_BROKER_URL is set."""

    _seen: frozenset[str] = frozenset()
    _seen_at = float("-inf")

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hand the run to the workers, or queue it again where it would be one too many."""
        if may_start(self._instance, context.dagster_run):
            super().launch_run(context)

    @property
    def supports_resume_run(self) -> bool:
        """Never: a run that died is a new attempt with a new fence, not a continued one."""
        return False

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Ask the workers whether one of them has the run, twice more before it is declared dead."""
        task = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "not handed to a worker yet")
        if task in self._at_work() or any(self._asked(task) for _ in range(_ASKED)):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "no worker has this run: its worker ended, or was killed")

    def _at_work(self) -> frozenset[str]:
        """What all workers do, a moment ago at most: an answer takes a second, and many runs are checked one after another."""
        if time.monotonic() - self._seen_at > FRESH_S:
            answers = self.celery.control.inspect(timeout=_ROUND_S).active() or {}
            self._seen = frozenset(task["id"] for tasks in answers.values() for task in tasks)
            self._seen_at = time.monotonic()
        return self._seen

    def _asked(self, task: str) -> bool:
        answers = self.celery.control.inspect(timeout=_ANSWER_S).query_task(task) or {}
        return any(answers.values())

    def get_run_worker_debug_info(self, run: DagsterRun, include_container_logs: bool | None = True) -> str | None:  # noqa: ARG002, FBT001, FBT002 - Dagster's signature
        """Nothing: what is known stands in the result of the check."""
        return None
