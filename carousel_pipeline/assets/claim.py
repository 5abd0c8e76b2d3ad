"""The right to work on a request: one attempt at a time holds it, proves it with every call, and stops when it is lost.

A run that Dagster calls failed or cancelled may still be executing, and reruns come from buttons, so no step trusts the state of
a run. The ledger's fencing token decides: a new claim outdates the old one, and whatever the old attempt still tries is refused.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from typing import Literal
from uuid import UUID, uuid4

import dagster as dg

from carousel_pipeline.assets.policy import MAX_RETRIES
from carousel_pipeline.errors import PermanentError, TransientError
from carousel_pipeline.ledger.errors import LedgerError, LedgerUnavailableError
from carousel_pipeline.ledger.pipeline import PipelineLedger
from carousel_pipeline.records import RequestRecord
from carousel_pipeline.sessions import Session
from carousel_pipeline.tags import DISPATCH_TAG, HOUSE, SECOND_LIFE_TAG

LEASE = timedelta(minutes=2)
_BEAT_S = 20.0
_LAST_LEASE = timedelta(seconds=8)
_BUSY_RETRY_S = 5.0
_BACKFILL_TAG = "dagster/backfill"
_PARENT_TAG = "dagster/parent_run_id"
_AUTOMATIC_TAG = "dagster/retry_number"


class FencedError(PermanentError):
    """Another attempt has taken the request over, or it was settled: this one must stop without a trace."""


class Claim:
    """One attempt's right to work on a request, under a fencing token."""

    def __init__(self, ledger: PipelineLedger, request_id: UUID, fence: int) -> None:
        self._ledger = ledger
        self._request_id = request_id
        self._fence = fence
        self._ended = threading.Event()
        self._lost = threading.Event()

    def alive(self) -> bool:
        """Whether the request is still this attempt's; prolongs the lease."""
        if not self._lost.is_set() and not self._ledger.heartbeat(self._request_id, self._fence, LEASE):
            self._lost.set()
        return not self._lost.is_set()

    def rendered(self) -> None:
        """Record that every slide is stored."""
        if not self._ledger.rendered(self._request_id, self._fence):
            raise FencedError("another attempt works on this request, or it was settled; this one stops")

    def begin_delivery(self, charge: int | None) -> int:
        """Commit the intent to send and return its id; `charge` credits fall due with the album, None for all that is held.

        Raises:
            FencedError: the request is not this attempt's any more.
            PermanentError: an earlier attempt died while sending; the user is asked now, nothing is sent.
        """
        intent = self._ledger.delivery_begin(self._request_id, self._fence, charge, uuid4())
        if intent.delivery_id is not None and intent.verdict == "send":
            return intent.delivery_id
        if intent.delivery_id is not None and intent.verdict == "sending":
            self.in_doubt(intent.delivery_id, "an earlier attempt ended while sending")
            raise PermanentError("delivery in doubt: an earlier attempt ended while sending, and the user is asked")
        raise FencedError(f"nothing may be sent: {intent.verdict}")

    def arrived(
        self, delivery_id: int, kind: Literal["photo", "document"], messages: Sequence[int], files: Sequence[str]
    ) -> None:
        """Store the album's message ids and file ids, and charge for it."""
        self._ledger.arrived(self._request_id, delivery_id, kind, messages, files)

    def rejected(self, delivery_id: int, reason: str) -> None:
        """Record that nothing arrived, for certain."""
        self._ledger.rejected(delivery_id, reason)

    def in_doubt(self, delivery_id: int, reason: str) -> None:
        """Record that nobody knows whether the album arrived; the ledger asks the user."""
        self._ledger.in_doubt(delivery_id, reason)

    def keep_alive(self) -> None:
        """Prolong the lease until `end`; runs in a thread of its own."""
        while not self._ended.wait(_BEAT_S):
            with suppress(LedgerUnavailableError):  # a beat that was missed is not the end
                if not self.alive():
                    return

    def end(self) -> None:
        """Stop prolonging the lease."""
        self._ended.set()


@contextmanager
def claimed(
    context: dg.AssetExecutionContext,
    session: Session,
    request: RequestRecord,
    another: Callable[[], AbstractContextManager[Session]] | None = None,
) -> Iterator[Claim | None]:
    """Claim the request for this run, or yield None where nothing is left to do; says why in the log.

    Args:
        context: of the step.
        session: of the pipeline's role.
        request: what is worked on.
        another: opens one more connection, for a step whose calls should outlive a broken one; Dagster retries the others.

    Raises:
        TransientError: another run works on it right now.
        PermanentError: its credits were returned and no second life is due.
    """
    ledger = PipelineLedger(session, another)
    attempt = ledger.claim(request.id, context.run.run_id, LEASE)
    if attempt.verdict == "refunded" and asks_for_second_life(context.run.tags):
        attempt = ledger.second_life(request.id, context.run.run_id, LEASE)
    match attempt.verdict:
        case "run":
            pass
        case "done":
            context.log.info("delivered already, or the user is being asked: nothing is sent or charged")
            yield None
            return
        case "busy":
            raise TransientError("another run works on this request", retry_after_s=_BUSY_RETRY_S)
        case "refunded":
            raise PermanentError(
                "the credits were returned, so this run stops; re-execute it for a second life on the house "
                f"(in a backfill only with the tag {SECOND_LIFE_TAG}: {HOUSE})"
            )
        case "capped":
            raise PermanentError("the credits were returned, and today's second lives on the house are used up")
    claim = Claim(ledger, request.id, attempt.fence)
    pulse = threading.Thread(target=claim.keep_alive, name="lease", daemon=True)
    pulse.start()
    try:
        yield claim
    except BaseException as error:
        if not isinstance(error, Exception) or isinstance(error, PermanentError) or context.retry_number >= MAX_RETRIES:
            # An operator's rerun need not wait out a dead lease. Nothing may take the error's place: a run that was told to end
            # in the middle of a database call got "connection busy" here, which was retried, and so went on to the end.
            with suppress(LedgerError, LedgerUnavailableError):
                ledger.heartbeat(request.id, attempt.fence, _LAST_LEASE)
        raise
    finally:
        claim.end()
        pulse.join()


def asks_for_second_life(tags: Mapping[str, str]) -> bool:
    """Whether somebody decided on this run: a rerun is a decision, a backfill over many partitions only when its runs say so.

    A run started for a dispatch found its request cancelled while it waited, and a run that Dagster retries by itself was
    decided on by nobody: neither may make for free what was refunded.
    """
    if _AUTOMATIC_TAG in tags or (DISPATCH_TAG in tags and _PARENT_TAG not in tags):
        return False
    return _BACKFILL_TAG not in tags or tags.get(SECOND_LIFE_TAG) == HOUSE
