"""The load benchmark works from end to end, small; how fast is its own matter: `carousel bench load`."""

import pytest

from carousel_pipeline.run_workers.load_bench import bench_load

pytestmark = pytest.mark.timeout(600)
PEOPLE = 3


def test_everybody_is_served_and_the_books_agree() -> None:
    figures = bench_load(seconds=1, waiting=PEOPLE, runs=1, rush=PEOPLE, picture_s=1.0)
    assert figures["delivered"] == figures["waiting"] == figures["asked_to_wait"] == PEOPLE
    assert figures["violations"] == figures["stand_ins"] == 0
    assert 0 < figures["db_connections_while_all_wait"] <= figures["max_db_connections"] < 200
    assert figures["fairness"]["rush"] == PEOPLE
    for name in ("tap_to_first_model_call_s", "tap_to_album_s", "dagster_share_s", "edit_to_album_s"):
        assert 0 < figures[name]["p50"] <= figures[name]["p95"], name
    assert figures["tap_to_first_model_call_s"]["p50"] < figures["tap_to_album_s"]["p50"]
    assert {"carousels_per_s", "mb_per_waiting_run", "machine", "seed", "runs"} <= set(figures)
