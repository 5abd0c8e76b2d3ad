"""Faults at every point of a request's path: nothing is lost, charged twice, sent twice by itself, or stuck."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WRONG = 1


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


@pytest.mark.parametrize(
    ("plant", "case", "found"),
    [
        ("resend", "rerun@delivery_receipt.delivery_end#1:killed_before", "duplicate"),
        ("refund_in_doubt", "settled@delivery_receipt.sendMediaGroup#1:reset_after", "refunded with 1 albums"),
        ("capture_first", "settled@delivery_receipt.sendMediaGroup#1:400", "charged without an album"),
        ("believe_everything", "settled@delivery_receipt.sendMediaGroup#1:500_before", "charged without an album"),
        ("impatient", "settled@delivery_receipt.sendMediaGroup#1:reset_after", "duplicate: 2 albums"),
    ],
)
def test_a_bug_planted_in_the_path_is_found(plant: str, case: str, found: str) -> None:
    assert run("--case", case)[0] == 0
    status, result, _ = run("--case", case, "--plant", plant)
    assert status == WRONG
    assert any(found in wrong for wrong in result["wrong"]), result
