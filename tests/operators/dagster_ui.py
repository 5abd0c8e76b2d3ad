"""The Dagster UI's buttons: the mutations of the webserver's own pages, with the variables that they send."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from carousel_pipeline.errors import TransientError
from carousel_pipeline.run_workers.bench_stack import REPOSITORY, DagsterStack

Strategy = Literal["ALL_STEPS", "FROM_FAILURE"]
SENSORS: Final = ("settle_holds", "fast_refund", "fast_refund_canceled")

_LAUNCH: Final = """
mutation LaunchPipelineExecution($executionParams: ExecutionParams!) {
  launchPipelineExecution(executionParams: $executionParams) {
    __typename ... on LaunchRunSuccess { run { id } } ... on PythonError { message }
  }
}
"""
_REEXECUTE: Final = """
mutation LaunchPipelineReexecution($executionParams: ExecutionParams, $reexecutionParams: ReexecutionParams) {
  launchPipelineReexecution(executionParams: $executionParams, reexecutionParams: $reexecutionParams) {
    __typename ... on LaunchRunSuccess { run { id } } ... on PythonError { message }
  }
}
"""
_BACKFILL: Final = """
mutation LaunchPartitionBackfill($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
_TERMINATE: Final = """
mutation Terminate($runIds: [String!]!, $terminatePolicy: TerminateRunPolicy) {
  terminateRuns(runIds: $runIds, terminatePolicy: $terminatePolicy) {
    ... on TerminateRunsResult {
      terminateRunResults { __typename ... on TerminateRunFailure { message } ... on PythonError { message } }
    }
    ... on PythonError { message }
  }
}
"""
_DELETE: Final = "mutation Delete($runId: String!) { deletePipelineRun(runId: $runId) { __typename } }"
_RUNS: Final = """
query ($filter: RunsFilter) { runsOrError(filter: $filter, limit: 500) {
  ... on Runs { results { id } }
} }
"""
# Without tags and jobs, which cost the webserver more than everything else about a run.
_STATUSES: Final = """
query ($filter: RunsFilter) { runsOrError(filter: $filter, limit: 500) { ... on Runs { results { id status } } } }
"""
_ENDS: Final = """
query ($filter: RunsFilter) { runsOrError(filter: $filter, limit: 500) { ... on Runs { results { id endTime } } } }
"""
_SENSOR: Final = """
query ($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor { sensorState { id status } } } }
"""
_TICK: Final = """
query ($sensor: SensorSelector!) {
  sensorOrError(sensorSelector: $sensor) { ... on Sensor { sensorState { ticks(limit: 1) { status timestamp } } } }
}
"""
_START: Final = "mutation StartSensor($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) { __typename } }"
_STOP: Final = "mutation StopRunningSensor($id: String!) { stopSensor(id: $id) { __typename } }"
_WIPE: Final = """
mutation AssetWipeMutation($ranges: [PartitionsByAssetSelector!]!) {
  wipeAssets(assetPartitionRanges: $ranges) { __typename ... on PythonError { message } }
}
"""


class DagsterUI:
    """One operator at the UI of a running Dagster."""

    def __init__(self, stack: DagsterStack) -> None:
        self._stack = stack

    def launch(self, key: str, tags: Mapping[str, str] | None = None) -> str:
        """Press Launch in the launchpad of job `carousel`, with a partition chosen."""
        answer = self._stack.ask(
            _LAUNCH,
            executionParams={
                "mode": "default",
                "runConfigData": "{}",
                "selector": {**REPOSITORY, "jobName": "carousel", "assetSelection": [], "assetCheckSelection": []},
                "executionMetadata": {"tags": _tags({"dagster/partition": key, **(tags or {})})},
            },
        )
        return _launched(answer)

    def reexecute(self, run: str, strategy: Strategy) -> str:
        """Press Re-execute, or its arrow and "From failure"."""
        answer = self._stack.ask(_REEXECUTE, reexecutionParams={"parentRunId": run, "strategy": strategy})
        return _launched(answer)

    def cannot_reexecute(self, run: str, strategy: Strategy) -> bool:
        """Whether Dagster itself refuses: by an answer of its own, or by none."""
        try:
            answer = self._stack.ask(_REEXECUTE, reexecutionParams={"parentRunId": run, "strategy": strategy})
        except TransientError:
            return True
        return bool(answer["__typename"] != "LaunchRunSuccess")

    def backfill(
        self,
        keys: Sequence[str],
        tags: Mapping[str, str] | None = None,
        *,
        from_failure: bool = False,
        at_once: bool = False,
    ) -> str:
        """Launch a backfill of job `carousel` over chosen partitions; returns its id.

        The daemon takes it up within half a minute; `at_once` has the webserver submit the same runs.
        """
        answer = self._stack.ask(
            _BACKFILL,
            backfillParams={
                "selector": {"partitionSetName": "carousel_partition_set", "repositorySelector": dict(REPOSITORY)},
                "partitionNames": list(keys),
                "fromFailure": from_failure,
                "forceSynchronousSubmission": at_once,
                "tags": _tags(tags or {}),
            },
        )
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def backfill_assets(self, keys: Sequence[str], tags: Mapping[str, str] | None = None) -> str:
        """Select the carousel's assets and partitions and press Materialize; returns the backfill's id."""
        assets = [{"path": [name]} for name in ("images", "rendered_slides", "delivery_receipt")]
        answer = self._stack.ask(
            _BACKFILL,
            backfillParams={"assetSelection": assets, "partitionNames": list(keys), "tags": _tags(tags or {})},
        )
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def backfill_runs(self, backfill: str, partitions: int) -> list[dict[str, Any]]:
        """The runs of a backfill, once there is one for each partition; none before."""
        runs = self.runs({"dagster/backfill": backfill})
        return runs if len(runs) >= partitions else []

    def terminate(self, runs: Sequence[str], *, forced: bool) -> list[str]:
        """Terminate the selected runs, perhaps with "Force termination immediately"; returns what Dagster says of each."""
        policy = "MARK_AS_CANCELED_IMMEDIATELY" if forced else "SAFE_TERMINATE"
        answer = self._stack.ask(_TERMINATE, runIds=list(runs), terminatePolicy=policy)
        return [result["__typename"] for result in answer["terminateRunResults"]]

    def delete(self, run: str) -> None:
        answer = self._stack.ask(_DELETE, runId=run)
        assert answer["__typename"] == "DeletePipelineRunSuccess", answer

    def runs(self, tags: Mapping[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._stack.ask(_RUNS, filter={"tags": _tags(tags)})["results"]
        return found

    def statuses(self, runs: Sequence[str]) -> dict[str, str]:
        found = self._stack.ask(_STATUSES, filter={"runIds": list(runs)})["results"]
        return {run["id"]: run["status"] for run in found}

    def ends(self, runs: Sequence[str]) -> dict[str, float]:
        """When runs ended, in seconds of the epoch."""
        found = self._stack.ask(_ENDS, filter={"runIds": list(runs)})["results"]
        return {run["id"]: run["endTime"] for run in found}

    def switch(self, sensor: str, *, on: bool) -> None:
        """Move a sensor's switch."""
        selector = {**REPOSITORY, "sensorName": sensor}
        if on:
            assert self._stack.ask(_START, sensor=selector)["__typename"] == "Sensor"
            return
        state = self._stack.ask(_SENSOR, sensor=selector)["sensorState"]
        assert self._stack.ask(_STOP, id=state["id"])["__typename"] == "StopSensorMutationResult"

    def is_on(self, sensor: str) -> bool:
        selector = {**REPOSITORY, "sensorName": sensor}
        return bool(self._stack.ask(_SENSOR, sensor=selector)["sensorState"]["status"] == "RUNNING")

    def last_tick(self, sensor: str) -> dict[str, Any]:
        """A sensor's newest tick: status, and timestamp in seconds of the epoch."""
        selector = {**REPOSITORY, "sensorName": sensor}
        ticks: list[dict[str, Any]] = self._stack.ask(_TICK, sensor=selector)["sensorState"]["ticks"]
        return ticks[0] if ticks else {"status": "SKIPPED", "timestamp": 0.0}

    def wipe(self, assets: Sequence[str]) -> None:
        """Wipe the materializations of whole assets."""
        answer = self._stack.ask(_WIPE, ranges=[{"assetKey": {"path": [name]}} for name in assets])
        assert answer["__typename"] == "AssetWipeSuccess", answer


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _launched(answer: dict[str, Any]) -> str:
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["id"])
