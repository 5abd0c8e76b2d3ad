"""The daily cleanup, and the same by hand: launch the job `cleanup` in the UI, with `dry_run` to see what it would do.

Deleting a run makes Dagster forget what the run materialised; open-source Dagster has no other way to forget a partition. A key
goes after its runs, and never while one of them works: a run whose key is gone does all its work and then fails.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES, NOT_FINISHED_STATUSES
from pydantic import Field

from carousel_pipeline.cleanup import Ages, clean_up
from carousel_pipeline.partitions import REQUESTS
from carousel_pipeline.resources import Artifacts, Database
from carousel_pipeline.tags import REQUEST_TAG

_PARTITION_TAG: Final = "dagster/partition"
_PAGE: Final = 500
_MOST_RUNS: Final = 50_000
_ROUNDS: Final = 20


class DagsterRuns:
    """Runs and partition keys of one instance, as a cleanup needs them."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def at_work(self) -> set[str]:
        """Return the partition keys of all runs that have not ended."""
        runs = self._instance.get_runs(dg.RunsFilter(statuses=list(NOT_FINISHED_STATUSES)))
        return {key for run in runs if (key := _key(run)) is not None}

    def keys(self) -> Sequence[str]:
        """Return every partition key."""
        return self._instance.get_dynamic_partitions(REQUESTS)

    def forget_key(self, key: str) -> int | None:
        """Delete a key and all its runs; return how many runs, or None when one of them has not ended."""
        runs = {
            run.run_id: run
            for tag in (_PARTITION_TAG, REQUEST_TAG)
            for run in self._instance.get_runs(dg.RunsFilter(tags={tag: key}))
        }
        if not all(run.is_finished for run in runs.values()):
            return None
        for run_id in runs:
            self.forget_run(run_id)
        self._instance.delete_dynamic_partition(REQUESTS, key)
        return len(runs)

    def ended_before(self, moment: datetime) -> Iterable[tuple[str, str | None]]:
        """Return the runs that ended before a moment, each with its partition key, oldest first.

        By the time of their last change, which after their end is their end: Dagster's index has it before the creation's.
        """
        ended: list[tuple[str, str | None]] = []
        cursor: str | None = None
        # All of them before the first is deleted: a page begins after a run that must still be there.
        while len(ended) < _MOST_RUNS:
            page = self._instance.get_runs(
                dg.RunsFilter(statuses=list(FINISHED_STATUSES), updated_before=moment),
                cursor=cursor,
                limit=_PAGE,
                ascending=True,
            )
            if not page:
                break
            ended += [(run.run_id, _key(run)) for run in page]
            cursor = page[-1].run_id
        return ended

    def forget_run(self, run_id: str) -> None:
        """Delete a run with all its events."""
        self._instance.delete_run(run_id)


def _key(run: dg.DagsterRun) -> str | None:
    return run.tags.get(_PARTITION_TAG) or run.tags.get(REQUEST_TAG)


class CleanupConfig(dg.Config):
    """What the launchpad offers; the defaults are the rules of `carousel_pipeline/cleanup/policy.py`."""

    dry_run: bool = Field(default=False, description="Change nothing, report what would be done.")
    carousel_days: int = Field(default=Ages().carousels.days, ge=1, le=3650, description="Days after settlement.")
    live_keys: int = Field(default=Ages().live_keys, ge=100, le=100_000, description="At most so many remembered.")


@dg.op(
    description="Forgets old carousels: objects, words, Dagster runs, partition keys. The report is its output's metadata."
)
def forget_what_is_old(
    context: dg.OpExecutionContext, config: CleanupConfig, database: Database, artifacts: Artifacts
) -> None:
    """Clean up until nothing is left to do."""
    ages = Ages(carousels=timedelta(days=config.carousel_days), live_keys=config.live_keys)
    runs = DagsterRuns(context.instance)
    for _ in range(1 if config.dry_run else _ROUNDS):
        with database.session() as session:
            report = clean_up(session, artifacts.store(), runs, ages, dry_run=config.dry_run)
        context.log.info("%s", report.model_dump_json())
        if not report.more:
            break
    context.add_output_metadata({name.replace("_", " "): value for name, value in report.model_dump().items()})


@dg.job(
    executor_def=dg.in_process_executor,
    # Longer than a carousel may take; what is not finished then is taken up the next day.
    tags={"dagster/max_runtime": "3600"},
    description="Forgets what is old, in the order that leaves nothing pointing at what is gone.",
)
def cleanup() -> None:
    """Forget what is old."""
    forget_what_is_old()


daily_cleanup = dg.ScheduleDefinition(
    name="daily_cleanup",
    job=cleanup,
    cron_schedule="17 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night, outside the hours in which people write.",
)
