"""`carousel bench usage` on a small past: what is measured is also right, and a past that is kept is measured again as if new."""

from pathlib import Path

import pytest

from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.usage.bench import bench_usage

pytestmark = pytest.mark.xdist_group("usage")


def test_a_past_that_is_kept_is_measured_as_often_as_one_likes(tmp_path: Path) -> None:
    made = bench_usage(1000, tmp_path, prepare=True)
    assert made["history"]["carousel.request"] == 1000
    for _ in range(2):
        figures = bench_usage(1000, tmp_path)
        assert (figures["disagreements"], figures["checks_failed"]) == (0, [])
        assert figures["days"] > 300
        assert min(figures["client_mb"], figures["server_mb"]) > 0
    with pytest.raises(ConfigurationError, match="1000"):
        bench_usage(2000, tmp_path)
