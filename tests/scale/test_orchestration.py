"""What the benchmark measures of Dagster is what the product does, and its made-up past is one that Dagster can read."""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster import DagsterRunStatus, RunsFilter

from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.run_workers.bench_definitions import STEPS, bench_partitions
from carousel_pipeline.run_workers.scale.orchestration import Orchestra
from carousel_pipeline.run_workers.scale.past import dagster_instance, make_dagster_past
from carousel_pipeline.run_workers.scale.scene import Scene

RUNS = 70


@pytest.fixture(scope="module")
def instance(
    postgres: EmbeddedPostgres, aged_url: str, scene: Scene, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dg.DagsterInstance]:
    url = postgres.url("aged_dagster")
    with dagster_instance(tmp_path_factory.mktemp("aged") / "home", url) as made:
        make_dagster_past(made, url, aged_url, RUNS)
        made.add_dynamic_partitions(bench_partitions.name or "", [str(request) for request in scene.open])
        yield made


def test_made_up_runs_are_runs_to_dagster(instance: dg.DagsterInstance) -> None:
    runs = instance.get_runs(RunsFilter(tags={"carousel/user": "1"}))
    assert len(runs) == RUNS + 2
    assert len({run.run_id for run in runs}) == len({run.tags["dagster/partition"] for run in runs}) == RUNS + 2
    failed = [run for run in runs if run.status is DagsterRunStatus.FAILURE]
    assert len(failed) == RUNS // 33 + 1
    run = next(run for run in runs if run.status is DagsterRunStatus.SUCCESS)
    events = instance.get_records_for_run(run.run_id).records
    assert {record.event_log_entry.run_id for record in events} == {run.run_id}
    made = [record.event_log_entry.dagster_event for record in events if record.event_log_entry.is_dagster_event]
    steps = {event.step_key: event.partition for event in made if event and event.is_step_materialization}
    assert steps == dict.fromkeys(STEPS, run.tags["dagster/partition"])


def test_each_act_can_be_repeated_for_ever(instance: dg.DagsterInstance, aged_url: str, scene: Scene) -> None:
    orchestra = Orchestra(instance, aged_url, scene)

    def left() -> tuple[int, int]:
        return instance.get_runs_count(), len(instance.get_dynamic_partitions(bench_partitions.name or ""))

    before = left()
    for name, act in {**orchestra.acts(), **orchestra.growing()}.items():
        for _ in range(2):
            act()
            orchestra.undo()
            assert left() == before, name
