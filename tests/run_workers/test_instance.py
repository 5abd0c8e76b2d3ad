"""The shipped dagster.yaml and workspace.yaml load as they are, and on one machine."""

from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.load_target import WorkspaceFileTarget

from carousel_pipeline.local.dagster_home import write_local_instance
from carousel_pipeline.paths import resource
from carousel_pipeline.run_workers.coordinator import PromptRunCoordinator
from carousel_pipeline.run_workers.launcher import LimitedRunLauncher
from carousel_pipeline.tags import USER_TAG


@pytest.fixture
def instance(tmp_path: Path, dagster_url: str, monkeypatch: pytest.MonkeyPatch) -> DagsterInstance:
    monkeypatch.setenv("DAGSTER_DATABASE_URL", dagster_url)
    return DagsterInstance.from_config(str(write_local_instance(tmp_path / "home")))


def test_the_shipped_instance_loads_with_the_settings_of_production(
    tmp_path: Path, dagster_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_DATABASE_URL", dagster_url)
    monkeypatch.setenv("CAROUSEL_LOGS_BUCKET", "a-bucket")
    (tmp_path / "dagster.yaml").write_bytes(resource("dagster.yaml").read_bytes())
    ref = InstanceRef.from_dir(str(tmp_path))
    assert type(ref.compute_log_manager).__name__ == "S3ComputeLogManager"
    assert ref.storage is not None


def test_one_machine_differs_by_its_logs_alone(tmp_path: Path) -> None:
    shipped = yaml.safe_load(resource("dagster.yaml").read_text(encoding="utf-8"))
    local = yaml.safe_load((write_local_instance(tmp_path) / "dagster.yaml").read_text(encoding="utf-8"))
    assert {key for key in shipped | local if shipped.get(key) != local.get(key)} == {"compute_logs"}


def test_a_second_start_replaces_the_instance(tmp_path: Path) -> None:
    first = (write_local_instance(tmp_path) / "dagster.yaml").read_bytes()
    (tmp_path / "dagster.yaml").write_text("stale", encoding="utf-8")
    assert (write_local_instance(tmp_path) / "dagster.yaml").read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["dagster.yaml"]


def test_runs_go_through_our_coordinator_and_launcher(instance: DagsterInstance) -> None:
    assert isinstance(instance.run_coordinator, PromptRunCoordinator)
    assert isinstance(instance.run_launcher, LimitedRunLauncher)
    assert instance.run_coordinator.dequeue_interval_seconds == 1
    limits = instance.get_concurrency_config().run_queue_config
    assert limits is not None
    assert USER_TAG in {limit["key"] for limit in limits.tag_concurrency_limits}
    # One refused connection to a code server that restarts must not fail a run.
    assert limits.max_user_code_failure_retries * limits.user_code_failure_retry_delay >= 60


def test_only_crashes_are_retried_and_what_nobody_uses_is_off(instance: DagsterInstance) -> None:
    assert instance.run_retries_enabled
    assert not instance.get_settings("run_retries")["retry_on_asset_or_op_failure"]
    assert instance.run_monitoring_enabled
    assert not instance.telemetry_enabled
    daemons = set(instance.get_required_daemon_types())
    assert daemons.isdisjoint({"ASSET", "FRESHNESS_DAEMON"})
    assert {"SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR", "MONITORING"} <= daemons


def test_the_workspace_names_the_location_that_sensors_are_known_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAROUSEL_CODE_SERVER_HOST", "code.example")
    monkeypatch.setenv("CAROUSEL_CODE_SERVER_PORT", "4266")
    (origin,) = WorkspaceFileTarget([str(resource("workspace.yaml"))]).create_origins()
    assert (origin.location_name, origin.host, origin.port) == ("carousel_pipeline", "code.example", 4266)  # type: ignore[attr-defined]  # a gRPC origin
