"""Who may start now: the limits of dagster.yaml as one pure decision, taken by one process at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dagster import DagsterInstance, DagsterRun, RunsFilter
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
from dagster._core.storage.dagster_run import ACTIVE_RUN_STATUSES
from dagster._core.storage.tags import BACKFILL_ID_TAG
from dagster._utils.tags import TagConcurrencyLimitsCounter

from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.run_workers.storage import PooledRunStorage


def has_place(
    run: DagsterRun, active: Sequence[DagsterRun], queued: Sequence[DagsterRun], limits: RunQueueConfig
) -> bool:
    """Whether `run` may start beside `active`, overtaking nobody in `queued` who could start as well.

    Queued runs of a backfill are overtaken: nobody waits for them.
    """
    counter = TagConcurrencyLimitsCounter(limits.tag_concurrency_limits, active)
    taken = len(active)
    for earlier in queued:
        if BACKFILL_ID_TAG not in earlier.tags and not counter.is_blocked(earlier):
            counter.update_counters_with_launched_item(earlier)
            taken += 1
    room = limits.max_concurrent_runs == -1 or taken < limits.max_concurrent_runs
    return room and not counter.is_blocked(run)


@contextmanager
def deciding(instance: DagsterInstance) -> Iterator[RunQueueConfig]:
    """Hold the right to decide who starts, in all processes, and yield the limits."""
    storage = instance.run_storage
    if not isinstance(storage, PooledRunStorage):
        raise ConfigurationError(
            "dagster.yaml: this run_coordinator needs storage.custom of carousel_pipeline.run_workers.storage"
        )
    limits = instance.get_concurrency_config().run_queue_config
    if limits is None:
        raise ConfigurationError("dagster.yaml: this run_launcher needs a run_coordinator with a queue")
    with storage.exclusive():
        yield limits


def active_runs(instance: DagsterInstance) -> Sequence[DagsterRun]:
    """Return the runs that hold a place."""
    return instance.get_runs(RunsFilter(statuses=ACTIVE_RUN_STATUSES))
