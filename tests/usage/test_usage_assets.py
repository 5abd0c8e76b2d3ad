"""Usage as Dagster runs it: a day with its late days, checks that can fail and are seen, the week's report, the clock."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster import AssetKey

from carousel_pipeline.database import connect, query
from carousel_pipeline.settings import get_settings

pytestmark = pytest.mark.xdist_group("usage")


@pytest.fixture
def instance(own_past_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance of Dagster beside a past of its own."""
    monkeypatch.setenv("DATABASE_URL", own_past_url)
    monkeypatch.setenv("ARTIFACTS_URL", f"file://{tmp_path}/artifacts")
    get_settings.cache_clear()
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run(job: str, key: str | None, instance: dg.DagsterInstance, **tags: str) -> dg.ExecuteInProcessResult:
    from carousel_pipeline.definitions import defs

    done = defs.resolve_job_def(job).execute_in_process(partition_key=key, instance=instance, tags=tags)
    assert done.success
    return done


def checks(done: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {found.check_name: found.passed for found in done.get_asset_check_evaluations()}


def today() -> date:
    return datetime.now(UTC).date()


def test_a_day_is_rolled_up_with_the_days_that_changed_and_checked(
    own_past_url: str, instance: dg.DagsterInstance
) -> None:
    with connect(own_past_url, None) as owner:
        changed = owner.execute(
            b"update carousel.request set phase = 'discarded' where id = (select id from carousel.request "
            b"where phase = 'outlined' order by created_at limit 1) returning (created_at at time zone 'UTC')::date as day"
        ).fetchone()
        assert changed is not None
        done = run("usage", str(today()), instance)
        assert owner.execute(query("usage.differences")).fetchall() == []
    assert checks(done) == {"totals": True, "present": True, "margin": True, "freshness": True}
    seen = {event.partition: event.metadata for event in done.asset_materializations_for_node("daily_usage")}
    assert set(seen) == {str(today()), str(changed["day"])}
    assert "data:image/png;base64," in str(seen[str(today())]["overview"].value)
    assert seen[str(today())]["days with late facts"].value == 1


def test_many_days_are_one_run(instance: dg.DagsterInstance) -> None:
    first, last = today() - timedelta(days=20), today() - timedelta(days=3)
    span = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)}
    done = run("usage", None, instance, **span)
    assert len(instance.get_materialized_partitions(AssetKey("daily_usage"))) >= 18
    pictures = [event for event in done.asset_materializations_for_node("daily_usage") if "overview" in event.metadata]
    assert [event.partition for event in pictures] == [str(last)]


def test_a_failing_check_is_seen_in_the_ui_in_sql_and_in_the_metrics(
    own_past_url: str, instance: dg.DagsterInstance
) -> None:
    with connect(own_past_url, None) as owner:
        owner.execute(
            b"update usage.daily_money set credits = credits + 1 where (day, kind) = "
            b"(select day, kind from usage.daily_money where day < current_date - 5 order by day, kind limit 1)"
        )
        owner.execute(b"insert into usage.price values (current_date - 30, 0.001, 'a price that is too low')")
        # Another day is built: what is wrong stays as it is.
        done = run("usage", str(today() - timedelta(days=2)), instance)
        assert checks(done) == {"totals": False, "present": True, "margin": False, "freshness": True}
        health = {row["name"]: row["passed"] for row in owner.execute(b"select * from usage.health")}
        assert health == {"totals": False, "present": True, "margin": False, "freshness": True}
        figures = owner.execute(
            b"select labels ->> 'check' as name, value from carousel.figures() where name = 'usage_check_failed'"
        )
        assert {row["name"]: row["value"] for row in figures} == {
            "totals": 1,
            "present": 0,
            "margin": 1,
            "freshness": 0,
        }


def test_a_roll_up_that_stopped_is_seen_although_it_cannot_say_so(own_past_url: str) -> None:
    with connect(own_past_url, None) as owner:
        owner.execute(b"update usage.day set built_at = built_at - interval '4 hours'")
        owner.execute(b"update usage.check_result set checked_at = checked_at - interval '4 hours'")
        assert not any(row["passed"] for row in owner.execute(b"select passed from usage.health"))


def test_the_report_of_a_week_is_kept_and_shown(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    monday = today() - timedelta(days=today().weekday() + 7)
    done = run("usage_week", str(monday), instance)
    [event] = done.asset_materializations_for_node("usage_report")
    assert sum("data:image/png;base64," in str(value.value) for value in event.metadata.values()) == 12
    page = (tmp_path / "artifacts" / str(event.metadata["page"].value)).read_text(encoding="utf-8")
    assert f"{monday:%d %B %Y}" in page


def test_the_clock_asks_for_today_yesterday_and_last_week() -> None:
    from carousel_pipeline.schedules.usage import final_usage, hourly_usage, weekly_usage_report

    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 11, 23, 0, 52, tzinfo=UTC))
    asked = [schedule(context) for schedule in (hourly_usage, final_usage, weekly_usage_report)]
    keys = [request.partition_key for request in asked if isinstance(request, dg.RunRequest)]
    assert keys == ["2026-11-23", "2026-11-22", "2026-11-16"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_missed_tick_is_caught_up_once() -> None:
    """Dagster catches every missed tick of a schedule with a partition set up, one run each; of any other only the last."""
    from dagster._core.remote_representation.external_data import ScheduleSnap

    from carousel_pipeline.definitions import defs

    repository = defs.get_repository_def()
    for name in ("hourly_usage", "final_usage", "weekly_usage_report"):
        schedule = ScheduleSnap.from_def(defs.resolve_schedule_def(name), repository)
        assert schedule.partition_set_name is None
        assert schedule.execution_timezone == "UTC"


def test_definitions_stay_light() -> None:
    """Only a run pays for polars and the plotting library: nothing that definitions import names them outside a function."""
    import carousel_pipeline

    package = Path(carousel_pipeline.__file__).parent
    for file in ("assets/daily_usage.py", "assets/usage_report.py", "schedules/usage.py"):
        for node in ast.parse((package / file).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert not re.search(r"carousel_pipeline\.usage|polars|matplotlib", ast.unparse(node)), file
