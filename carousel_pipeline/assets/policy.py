"""How errors of the rooms become Dagster's: what is retried, what fails at once.

A failed step fails the run (C2): nothing here turns an error into a success. Waiting time that the other side asked for is kept,
but never longer than a minute, because a retry's wait holds a run slot.

No asset has a `retry_policy`: Dagster retries an interrupted step by it (`op_execution_error_boundary`, "respect retry policy
when interrupts occur"), so a run that an operator terminated went on and delivered. Errors are retried here, an interrupt is
the end.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from carousel_pipeline.errors import PermanentError, TransientError
from carousel_pipeline.providers import ProviderStoppedError

MAX_RETRIES = 3
LONGEST_WAIT_S = 60.0
_BACKOFF = dg.RetryPolicy(delay=1.0, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


@contextmanager
def dagster_errors(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Raise `Failure` without retries for a `PermanentError`, and `RetryRequested` for any other error.

    A `TransientError`'s own waiting time is honoured; otherwise waits grow.
    """
    try:
        yield
    except PermanentError as error:
        if isinstance(error, ProviderStoppedError):
            context.log.critical("nobody is served until an operator acts: %s", error)
        raise dg.Failure(description=str(error), allow_retries=False) from error
    except Exception as error:
        asked = error.retry_after_s if isinstance(error, TransientError) else None
        wait = min(_BACKOFF.calculate_delay(context.retry_number + 1) if asked is None else asked, LONGEST_WAIT_S)
        context.log.warning("%s: trying again in %.0f s", type(error).__name__, wait)
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=wait) from error
