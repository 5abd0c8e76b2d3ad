"""The job as Dagster runs it: found in the definitions, on every night, its report readable in the UI."""

import dagster as dg
import pytest

from .conftest import World


@pytest.mark.finding("M13")
def test_every_night_without_being_asked() -> None:
    from carousel_pipeline.definitions import defs

    schedule = defs.get_repository_def().get_schedule_def("daily_cleanup")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "cleanup"


def test_the_job_forgets_and_reports_also_for_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from carousel_pipeline.definitions import defs

    monkeypatch.setenv("DATABASE_URL", world.url)
    monkeypatch.setenv("ARTIFACTS_URL", f"file://{world.store._root}")  # type: ignore[attr-defined]  # a local store
    request_id = world.carousel("delivered")
    job = defs.resolve_job_def("cleanup")
    for dry_run in (True, False):
        config = {"ops": {"forget_what_is_old": {"config": {"dry_run": dry_run}}}}
        result = job.execute_in_process(run_config=config, instance=world.instance)
        (output,) = [event for event in result.all_events if event.is_successful_output]
        metadata = output.step_output_data.metadata
        assert (metadata["by age"].value, metadata["dry run"].value) == (1, dry_run)
        (world.assert_whole if dry_run else world.assert_forgotten)(request_id)
