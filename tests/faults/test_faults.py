"""Faults at every point of a request's path: nothing is lost, charged twice, sent twice by itself, or stuck."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run the harness in a process of its own, which forks; returns its status, its figures and what it complained of."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.finding("C1", "C3", "C4", "C12", "M4", "M16")
def test_every_single_fault_and_some_pairs(seed: int) -> None:
    status, figures, complaints = run("--short", "--seed", str(seed))
    assert status == 0, complaints
    assert figures["single"]["cases"] == figures["point_kinds"] > 200
    assert figures["single"]["wrong"] == figures["double"]["wrong"] == {}


def test_bugs_planted_in_the_path_are_found() -> None:
    status, found, complaints = run("--plants")
    assert status == 0, (found, complaints)
    assert {name: [wrong.partition(":")[0] for wrong in bug["planted"]] for name, bug in found.items()} == {
        "resend": ["duplicate"],
        "refund_in_doubt": ["refunded with 1 albums in the chat"],
        "capture_first": ["charged without an album"],
        "believe_everything": ["charged without an album"],
        "impatient": ["duplicate"],
    }
