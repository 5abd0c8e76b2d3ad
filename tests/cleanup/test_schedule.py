"""The job as Dagster runs it: found in the definitions, on every night, its report readable in the UI."""

import json
from pathlib import Path

import dagster as dg
import pytest

from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.schedules.cleanup_command import cleanup
from carousel_pipeline.settings import get_settings

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


def test_the_command_says_it_in_words_and_in_json(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A Dagster of its own in a folder; that the command finds the one of `carousel up` is seen with that.
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}")
    for name, value in {
        "DATABASE_URL": world.url,
        "ARTIFACTS_URL": f"file://{world.store._root}",  # type: ignore[attr-defined]  # a local store
        "CAROUSEL_HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_DATABASE_URL", "overwritten by the command")
    get_settings.cache_clear()
    world.carousel("delivered")
    cleanup(days=None, dry_run=True, as_json=False)
    said = capsys.readouterr().out
    assert "Nothing was changed" in said
    assert "1  requests forgotten because they are old" in said
    cleanup(days=50, dry_run=False, as_json=True)
    assert json.loads(capsys.readouterr().out)["by_age"] == 0
    cleanup(days=39, dry_run=False, as_json=True)
    assert json.loads(capsys.readouterr().out)["by_age"] == 1


def test_without_an_installation_the_command_says_what_to_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str
) -> None:
    monkeypatch.setenv("CAROUSEL_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_DATABASE_URL", "postgresql://nobody/none")
    with pytest.raises(ConfigurationError, match="DATABASE_URL is not set"):
        cleanup(days=None, dry_run=True, as_json=False)
    monkeypatch.setenv("DATABASE_URL", database_url)
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError, match="is no DAGSTER_HOME"):
        cleanup(days=None, dry_run=True, as_json=False)
