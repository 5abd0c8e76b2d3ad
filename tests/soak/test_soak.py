"""A short soak, for who asks for it with `--soak`: two minutes of load, and what it takes a busy machine to settle."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(900)
def test_two_minutes_of_kills_lose_nothing(request: pytest.FixtureRequest, seed: int) -> None:
    if not request.config.getoption("--soak"):
        pytest.skip("a soak takes minutes and the whole machine: pytest tests/soak --soak")
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--minutes", "2", "--storm", "1", "--seed", str(seed)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["wrong"] == {}
    assert report["requests"]["delivered"] > 0
    assert report["kills"]["run"] > 0
