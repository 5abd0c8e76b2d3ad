"""A long past in both databases: what a million requests leave behind, nightly cleanups included.

What must stay true: it ends two days ago, so that nothing of it belongs to today or the last hour, which are as busy in an old
system as in a young one; the newest `live` requests have their words, runs, events and partition keys, of all older ones only
the rows that the cleanup leaves are there. Dagster's rows are real ones: two real runs, multiplied.
"""

import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import dagster as dg
import psycopg
import yaml
from dagster._core.launcher import LaunchRunContext

from carousel_pipeline.cleanup import Ages
from carousel_pipeline.database import Row, connect, ensure_database, migrate, query
from carousel_pipeline.local.dagster_home import write_local_instance
from carousel_pipeline.run_workers.bench_definitions import bench_partitions, defs
from carousel_pipeline.run_workers.launcher import LimitedRunLauncher, may_start
from carousel_pipeline.tags import partition_tags, run_tags
from carousel_pipeline.usage.history import generate_history

JOB: Final = "in_process"
LIVE_KEYS: Final = Ages().live_keys
EVER_KEYS: Final = 100_000
_QUIET: Final = timedelta(days=2)
_DAYS: Final = 400
_SEED: Final = 9
# A sensor that has nothing to do leaves a tick every five seconds, kept for a day.
_TICKS: Final = 15_000
_SILENT: Final = MappingProxyType({"loggers": {"console": {"config": {"log_level": "ERROR"}}}})
_REST: Final = (
    *("progress", "album", "artifact", "span", "message", "document", "fsm", "updates", "outbox", "orders", "purchases"),
    *("consents", "notices", "broadcasts", "actions", "audits"),
)  # fmt: skip


def make_past(url: str, requests: int, live: int = LIVE_KEYS) -> None:
    """Fill the application database `url`, made when missing, with a past of `requests`, of which `live` are remembered."""
    ensure_database(url)
    migrate(url)
    until = datetime.now(UTC) - _QUIET
    # Where its memory does not count: a story of a million requests needs gigabytes.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        made = pool.submit(
            generate_history, url, requests=requests, days=_DAYS, seed=_SEED, until=until, remembered=live
        )
        made.result()
    with connect(url, None) as owner:
        owner.execute(query("history.patience"))
        with owner.transaction():
            owner.execute(query("history.without_triggers"))
            for table in _REST:
                owner.execute(query(f"scale.{table}"))
            owner.execute(query("history.set_sequences"))
        owner.execute(query("scale.vacuum"))


@contextmanager
def dagster_instance(home: Path, url: str) -> Iterator[dg.DagsterInstance]:
    """Open an instance of the shipped dagster.yaml over the database `url`, made when missing; only launching is ours."""
    ensure_database(url)
    overlay = home.with_suffix(".yaml")
    storage = {"module": "carousel_pipeline.run_workers.storage", "class": "PooledPostgresStorage"}
    launcher = {"module": "carousel_pipeline.run_workers.scale.past", "class": "NoLauncher"}
    overlay.write_text(
        yaml.safe_dump({"storage": {"custom": storage | {"config": {"postgres_url": url}}}, "run_launcher": launcher})
    )
    write_local_instance(home, overlay=overlay)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


class NoLauncher(LimitedRunLauncher):
    """Everything about a launch but the process."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Count, as ever, and start nothing."""
        may_start(self._instance, context.dagster_run)


def make_dagster_past(instance: dg.DagsterInstance, url: str, application_url: str, requests: int) -> None:
    """Fill Dagster's database `url` with a run for each of the newest requests, as far as keys go back."""
    live = min(requests, LIVE_KEYS)
    succeeded, failed = _real_run(instance, succeed=True), _real_run(instance, succeed=False)
    with connect(url, None) as owner, connect(application_url, None) as application:
        owner.execute(query("history.patience"))
        with owner.transaction():
            owner.execute(query("scale.past_keys"))
            _copy_keys(application, owner, min(requests, EVER_KEYS))
            owner.execute(query("scale.past_runs"), {"succeeded": succeeded, "failed": failed})
            _insert(owner, "runs", "run_tags")
            _insert(owner, "dynamic_partitions", name=bench_partitions.name)
            _insert(owner, "events", "event_tags", "forget_tags", "forget_runs", "forget_keys", live=live)
            _insert(owner, "ticks", ticks=min(requests, _TICKS))
        owner.execute(query("scale.vacuum"))


def tags_of(request_id: str, user: int) -> dict[str, str]:
    """Return the tags that the bot gives a run of the request."""
    return partition_tags(JOB, request_id) | run_tags(request_id, f"dispatch:{request_id}:1", user)


def run_four_assets(instance: dg.DagsterInstance, key: str, user: int) -> str:
    """Run the benchmark's four assets for the partition `key` in this process; return the run's id."""
    return (
        defs.resolve_job_def(JOB)
        .execute_in_process(instance=instance, partition_key=key, tags=tags_of(key, user), run_config=dict(_SILENT))
        .run_id
    )


def _real_run(instance: dg.DagsterInstance, *, succeed: bool) -> str:
    key = str(uuid.uuid4())
    instance.add_dynamic_partitions(bench_partitions.name or "", [key])
    if succeed:
        return run_four_assets(instance, key, 1)
    run = instance.create_run_for_job(defs.resolve_job_def(JOB), tags=tags_of(key, 1))
    instance.report_run_failed(run)
    return run.run_id


def _copy_keys(application: psycopg.Connection[Row], owner: psycopg.Connection[Row], limit: int) -> None:
    with owner.cursor() as cursor, cursor.copy(query("scale.copy_keys")) as copy:
        for row in application.execute(query("scale.newest"), {"limit": limit}):
            copy.write_row([row["key"]])


def _insert(owner: psycopg.Connection[Row], *names: str, **values: Any) -> None:
    for name in names:
        owner.execute(query(f"scale.{name}"), values)
