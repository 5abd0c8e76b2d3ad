"""The benchmark's arithmetic. The benchmark itself takes minutes and is run by hand: `carousel bench dispatch`."""

import subprocess
import sys

from carousel_pipeline.run_workers.bench import _ratio, _timed_call, percentiles, row
from carousel_pipeline.run_workers.start_bench import _import, megabytes


def testpercentiles_are_in_order_and_within_the_values() -> None:
    assert percentiles(range(101)) == {"p50": 50, "p95": 95, "p99": 99}
    assert percentiles([2.5]) == {"p50": 2.5, "p95": 2.5, "p99": 2.5}


def test_the_ratio_is_stock_in_process_to_ours_at_the_median() -> None:
    rows = {"stock_in_process": row([(6.0, 8.0)] * 3), "carousel": row([(0.3, 0.5), (0.4, 0.6), (9.0, 9.0)])}
    assert _ratio(rows, "to_first_step_s") == 15.0
    assert _ratio(rows, "to_end_s") == 13.3


def test_a_direct_call_does_what_the_assets_do() -> None:
    first, end = _timed_call()
    assert 0 <= first <= end < 0.1


def test_a_start_is_weighed_with_its_children_and_its_imports_are_counted() -> None:
    seconds, modules = _import()
    assert seconds > 0
    assert modules > 500
    child = "import subprocess, sys; held = bytearray(60_000_000); print('here', flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        assert 60 <= megabytes(process.pid) < 200  # the child's pages, in the parent's figure
        process.communicate(b"\n")
