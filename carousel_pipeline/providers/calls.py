"""Every call to a provider is on record: begun before a byte leaves, ended whatever becomes of it.

Writers and painters know this protocol and not who keeps it: in a run it is a row of `carousel.attempt`, so that a crash, a retry
and a rerun find what was bought, and a breaker or a cap can say no before anything is spent.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from carousel_pipeline.providers.failures import CallFailedError, Health, Outcome, Provider, decide
from carousel_pipeline.providers.usage import Usage

Step = Literal["copy", "picture", "translate"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call about to be made.

    Attributes:
        slide: 1-based; None for the copy.
    """

    step: Step
    provider: Provider
    model: str
    slide: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended.

    Attributes:
        usage: what it took, or None where nobody knows.
        request_id: the provider's.
        error: a typed code, never text of a user.
        health: what it says about the provider, None for nothing.
        pause_s: how long nobody may call when `health` is `stopped`.
    """

    outcome: Outcome
    usage: Usage | None = None
    request_id: str | None = None
    error: str | None = None
    health: Health | None = None
    pause_s: float | None = None


class CallLog(Protocol):
    """Who keeps the record of one request's calls.

    Attributes:
        tries: how often the caller's schedule has tried before.
        step: what is being written, `copy` or `translate`.
    """

    tries: int
    step: Step

    def begin(self, call: Call) -> int:
        """Record that a call is about to be made, and return its number.

        Raises:
            CallFailedError: it may not be made: `open`, `request_limit` or `day_limit`.
        """
        ...

    def end(self, number: int, ended: Ended) -> None:
        """Record how it ended. Must not raise what hides the call's own result."""
        ...


class Unrecorded:
    """For calls outside a request: designers' commands and tests."""

    tries = 0
    step: Step = "copy"

    def begin(self, call: Call) -> int:
        """Record nothing."""
        del call
        return 0

    def end(self, number: int, ended: Ended) -> None:
        """Record nothing."""


UNRECORDED: Final = Unrecorded()


@dataclass(slots=True)
class Record:
    """What the caller fills in while a call runs.

    Attributes:
        usage: as soon as an answer says it.
        outcome: of a call that raises nothing.
    """

    usage: Usage | None = None
    request_id: str | None = None
    outcome: Outcome = "ok"


@contextmanager
def recorded(log: CallLog, call: Call) -> Iterator[Record]:
    """Record the call made inside.

    Raises:
        CallFailedError: the call may not be made; or the one that was raised inside.
    """
    number = log.begin(call)
    record, began = Record(), time.perf_counter()
    try:
        yield record
    except CallFailedError as error:
        verdict = decide(error.failure, log.tries)
        request_id = record.request_id or error.failure.request_id
        usage = record.usage
        if usage is None and error.failure.kind == "http":
            usage = Usage(model=call.model)  # a call that was turned away costs nothing
        ended = Ended(verdict.outcome, usage, request_id, error.failure.name, verdict.health, verdict.pause_s)
        log.end(number, ended)
        raise
    except BaseException as error:
        log.end(number, Ended("abandoned", record.usage, record.request_id, type(error).__name__))
        raise
    if record.usage is not None:
        record.usage = record.usage.model_copy(update={"duration_s": time.perf_counter() - began})
    log.end(number, Ended(record.outcome, record.usage, record.request_id, None, "up"))
