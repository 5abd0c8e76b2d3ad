"""What Dagster does for every request, on a real instance: the sensors' ticks, a submission, a run, a settlement.

What must stay true: bodies and statements are the product's and Dagster's own; only what a tick or a submission would leave
behind is undone, so that the next one finds the same.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import dagster as dg
from dagster import DagsterEvent, DagsterEventType, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.definitions.run_status_sensor_definition import RunStatusSensorCursor
from dagster._core.run_coordinator import SubmitRunContext
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.tags import MAX_RETRIES_TAG
from psycopg import Connection

from carousel_pipeline.cleanup import Ages
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.ledger.pipeline import PipelineLedger
from carousel_pipeline.resources import Database
from carousel_pipeline.run_workers.bench_definitions import STEPS, bench_partitions, defs
from carousel_pipeline.run_workers.scale.past import JOB, run_four_assets, tags_of
from carousel_pipeline.run_workers.scale.scene import Scene
from carousel_pipeline.schedules.cleanup import DagsterRuns
from carousel_pipeline.sensors import dispatch_requests, fast_refund, settle_holds
from carousel_pipeline.sensors.settlement import settle
from carousel_pipeline.tags import DISPATCH_TAG, USER_TAG

_ACTIVE: Final = 8
_ACT: Final = 1_000_000_000  # the user of what the acts leave behind
_PAGE: Final = 100
_NEW_KEY: Final = "00000000-0000-4000-8000-000000000000"
_PARTITIONS: Final = bench_partitions.name or ""
_ASSET: Final = dg.AssetKey(STEPS[0])
Act = Callable[[], object]


class _Undone(Database):
    """The pipeline's connections, of which nothing remains."""

    @contextmanager
    def session(self) -> Iterator[Connection[dict[str, Any]]]:
        with super().session() as session, session.transaction(force_rollback=True):
            yield session


class Orchestra:
    """One instance with the runs of the present on it, next to the scene in the application's database.

    Args:
        instance: Dagster's.
        url: of the application's database.
        scene: what stands there.
    """

    def __init__(self, instance: dg.DagsterInstance, url: str, scene: Scene) -> None:
        self._instance = instance
        self._database = _Undone(url=url)
        self._scene = scene
        for user, request in enumerate(scene.open[:_ACTIVE], _ACT + 1):
            self._report(self._created(str(request), user), DagsterEventType.PIPELINE_START)
        self._before = self._cursor()
        failed = self._created(str(scene.requests["failing"]), _ACT + 1)
        with Database(url=url).session() as session:
            PipelineLedger(session).claim(scene.requests["failing"], failed.run_id)
        self._report(failed, DagsterEventType.PIPELINE_START)
        instance.report_run_failed(failed)

    def acts(self) -> Mapping[str, Act]:
        """Return what must stay as fast as it is, by name."""
        return {
            "sensor_tick dispatch_requests": lambda: self._tick(dispatch_requests, None),
            "sensor_tick settle_holds": lambda: self._tick(settle_holds, None),
            "sensor_tick fast_refund": lambda: self._tick(fast_refund, self._before),
            "dispatch key": self._add_key,
            "dispatch submit": self._submit,
            "settle hold": self._settle,
            "run four_assets": lambda: run_four_assets(self._instance, self._key, _ACT),
            "cleanup at_work": DagsterRuns(self._instance).at_work,
            "cleanup run": self._forget,
            "cleanup page_of_old_runs": self._old_runs,
        }

    def growing(self) -> Mapping[str, Act]:
        """Return what reads every live key, by Dagster's nature: hence the limit on them."""
        return {
            "dagster all keys": lambda: self._instance.get_dynamic_partitions(_PARTITIONS),
            "dagster status of an asset's partitions": lambda: self._instance.get_materialized_partitions(_ASSET),
        }

    def undo(self) -> None:
        """Forget what the last act has left in Dagster."""
        for run_id in self._instance.get_run_ids(RunsFilter(tags={USER_TAG: str(_ACT)})):
            self._instance.delete_run(run_id)
        if self._instance.has_dynamic_partition(_PARTITIONS, _NEW_KEY):
            self._instance.delete_dynamic_partition(_PARTITIONS, _NEW_KEY)

    @property
    def _key(self) -> str:
        return str(self._scene.requests["reserved"])

    def _cursor(self) -> str:
        seen = self._instance.fetch_run_status_changes(DagsterEventType.RUN_FAILURE, limit=1).records
        last = seen[0].storage_id if seen else -1
        return RunStatusSensorCursor(record_id=last).to_json()  # type: ignore[no-untyped-call]  # Dagster's

    def _created(self, request_id: str, user: int, **tags_of_its_own: str) -> DagsterRun:
        # What failed is not tried again: else its hold would wait.
        tags = tags_of(request_id, user) | {MAX_RETRIES_TAG: "0"} | tags_of_its_own
        return self._instance.create_run_for_job(defs.resolve_job_def(JOB), tags=tags)

    def _report(self, run: DagsterRun, what: DagsterEventType) -> None:
        self._instance.report_dagster_event(DagsterEvent(event_type_value=what.value, job_name=JOB), run_id=run.run_id)

    def _tick(self, sensor: dg.SensorDefinition, cursor: str | None) -> None:
        with dg.build_sensor_context(
            instance=self._instance, cursor=cursor, resources={"database": self._database}
        ) as context:
            context.log.setLevel(logging.ERROR)
            sensor.evaluate_tick(context)

    def _add_key(self) -> None:
        if not self._instance.has_dynamic_partition(_PARTITIONS, _NEW_KEY):
            self._instance.add_dynamic_partitions(_PARTITIONS, [_NEW_KEY])

    def _submit(self) -> None:
        created = self._created(self._key, _ACT, **{DISPATCH_TAG: str(uuid4())})  # a dispatch gets one run
        context = SubmitRunContext(created, workspace=None)  # type: ignore[arg-type]  # for launchers
        run = self._instance.run_coordinator.submit_run(context)
        if run.status is not DagsterRunStatus.STARTING:
            raise PermanentError(f"a run that has a place was not started but is {run.status}")

    def _settle(self) -> None:
        with self._database.session() as session:
            ledger = PipelineLedger(session)
            hold = ledger.open_hold(self._scene.requests["failing"])
            if hold is None or not settle([hold], ledger, self._instance):
                raise PermanentError("the hold of a failed run was not settled")

    def _forget(self) -> None:
        """Forget a key with a run that failed, which is made for this."""
        self._instance.report_run_failed(self._created(_NEW_KEY, _ACT))
        if DagsterRuns(self._instance).forget_key(_NEW_KEY) != 1:
            raise PermanentError("a run that failed was not forgotten with its key")

    def _old_runs(self) -> None:
        self._instance.get_runs(
            RunsFilter(statuses=list(FINISHED_STATUSES), updated_before=datetime.now(UTC) - Ages().runs),
            limit=_PAGE,
            ascending=True,
        )
