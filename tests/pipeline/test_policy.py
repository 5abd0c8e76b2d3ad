"""What is tried again, and what is the end."""

import logging
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from carousel_pipeline import assets
from carousel_pipeline.assets.policy import LONGEST_WAIT_S, MAX_RETRIES, dagster_errors
from carousel_pipeline.errors import PermanentError, TransientError


def step(error: BaseException, retry_number: int = 0) -> None:
    context: Any = SimpleNamespace(retry_number=retry_number, log=logging.getLogger("step"))
    with dagster_errors(context):
        raise error


@pytest.mark.finding("C2")
@pytest.mark.parametrize("asset", [assets.copy, assets.images, assets.rendered_slides, assets.delivery_receipt])
def test_no_asset_has_a_retry_policy_for_dagster_would_retry_what_was_terminated(asset: dg.AssetsDefinition) -> None:
    assert asset.op.retry_policy is None


def test_what_cannot_succeed_is_not_retried() -> None:
    with pytest.raises(dg.Failure) as caught:
        step(PermanentError("no such request"))
    assert not caught.value.allow_retries
    assert caught.value.description == "no such request"


@pytest.mark.parametrize(
    ("error", "shortest", "longest"),
    [
        (TransientError("busy", retry_after_s=5.0), 5.0, 5.0),
        (TransientError("busy", retry_after_s=3600.0), LONGEST_WAIT_S, LONGEST_WAIT_S),
        (TransientError("away"), 0.0, 4.0),
        (RuntimeError("a bug"), 0.0, 4.0),
    ],
)
def test_any_other_error_is_tried_again_after_a_wait(error: Exception, shortest: float, longest: float) -> None:
    with pytest.raises(dg.RetryRequested) as caught:
        step(error)
    assert caught.value.max_retries == MAX_RETRIES
    assert caught.value.seconds_to_wait is not None
    assert shortest <= caught.value.seconds_to_wait <= longest


def test_waits_grow() -> None:
    waits = []
    for retry_number in (0, MAX_RETRIES - 1):
        with pytest.raises(dg.RetryRequested) as caught:
            step(RuntimeError("a bug"), retry_number)
        waits.append(float(caught.value.seconds_to_wait or 0))
    assert waits[0] < waits[1]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit()])
def test_an_interrupt_stays_one(interrupt: BaseException) -> None:
    with pytest.raises(type(interrupt)):
        step(interrupt)
