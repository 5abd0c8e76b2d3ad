"""How errors of the rooms become Dagster's: what is retried, what fails at once.

A failed step fails the run (C2): nothing here turns an error into a success. Waiting time that the other side asked for is kept,
but never longer than a minute, because a retry's wait holds a run slot.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from carousel_pipeline.errors import PermanentError, TransientError

MAX_RETRIES = 3
LONGEST_WAIT_S = 60.0
STEP_RETRIES = dg.RetryPolicy(
    max_retries=MAX_RETRIES, delay=1.0, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)


@contextmanager
def dagster_errors(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Raise `Failure` without retries for a `PermanentError`, and honour a `TransientError`'s own waiting time."""
    try:
        yield
    except PermanentError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    except TransientError as error:
        if error.retry_after_s is None:
            raise
        wait = min(error.retry_after_s, LONGEST_WAIT_S)
        context.log.warning("%s: trying again in %.0f s", type(error).__name__, wait)
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=wait) from error
