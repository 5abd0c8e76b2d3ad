"""Who may start: the limits as a table."""

from collections.abc import Mapping
from typing import Any

import pytest
from dagster import DagsterRun, DagsterRunStatus
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig

from carousel_pipeline.run_workers.places import has_place

USER = {"key": "carousel/user", "value": {"applyLimitPerUniqueValue": True}, "limit": 2}
BACKFILL = {"key": "dagster/backfill", "limit": 1}


def run(user: str = "", *, backfill: bool = False) -> DagsterRun:
    tags = ({"carousel/user": user} if user else {}) | ({"dagster/backfill": "b"} if backfill else {})
    return DagsterRun(job_name="carousel", tags=tags, status=DagsterRunStatus.STARTED)


def limits(places: int, *tags: Mapping[str, Any]) -> RunQueueConfig:
    return RunQueueConfig(max_concurrent_runs=places, tag_concurrency_limits=list(tags))


@pytest.mark.parametrize(
    ("why", "active", "queued", "config", "expected"),
    [
        ("nothing runs", [], [], limits(2), True),
        ("the last place", [run("a")], [], limits(2), True),
        ("no place left", [run("a"), run("b")], [], limits(2), False),
        ("no place at all", [], [], limits(0), False),
        ("no limit", [run("a")] * 50, [], limits(-1), True),
        ("the user has too many", [run("me"), run("me")], [], limits(9, USER), False),
        ("another user has too many", [run("a"), run("a")], [], limits(9, USER), True),
        ("somebody waits for the last place", [run("a")], [run("b")], limits(2), False),
        ("who waits leaves a place", [run("a")], [run("b")], limits(3), True),
        ("who waits may not start anyway", [run("a"), run("a")], [run("a")] * 48, limits(3, USER), True),
        (
            "a queue of one who may not start anyway",
            [run("a")] * 2 + [run("b")],
            [run("a")] * 500,
            limits(4, USER),
            True,
        ),
        ("two who may not start anyway", [run("a"), run("b")] * 2, [run("a"), run("b")] * 100, limits(5, USER), True),
        ("of a rush, only as many as may start count", [run("a")], [run("a")] * 50, limits(2, USER), False),
        ("and they leave a place", [run("a")], [run("a")] * 50, limits(3, USER), True),
        ("my own earlier one takes my place", [run("me")], [run("me")], limits(9, USER), False),
        ("a backfill waits", [run("a")], [run(backfill=True)] * 40, limits(2, BACKFILL), True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_run_starts_within_the_limits_and_overtakes_nobody_who_could(
    why: str, active: list[DagsterRun], queued: list[DagsterRun], config: RunQueueConfig, *, expected: bool
) -> None:
    assert has_place(run("me"), active, queued, config) is expected, why
