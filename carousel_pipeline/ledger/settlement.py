"""What becomes of an open hold: pure, level-triggered, repeated until the answer is final.

Facts are read again at every look, never remembered from events: events get lost, and a run that Dagster calls failed may
still be working. That is why every answer carries the fence of the attempt it is about. The database refuses an answer
about an attempt that has been replaced, refuses to refund what may have arrived (it asks the user instead), and fences
off a zombie that goes on working.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

RunStatus = Literal["active", "succeeded", "failed", "canceled"]
HoldState = Literal["reserved", "running", "rendered", "delivery_unknown"]


@dataclass(frozen=True, slots=True)
class Hold:
    """An open hold, as the database's clock sees it.

    Attributes:
        id: the request, and its partition key.
        user_id: internal id of the owner.
        state: how far the request is.
        epoch: which hold of the request this is.
        fence: token of the present attempt.
        cost: credits held.
        run_id: the run that claimed the attempt, None before a claim and after "send again".
        dispatch_key: the dispatch the attempt came from; a run started for it carries it as a tag.
        lease_alive: the claiming run has been heard from lately.
        overdue: lease (or, without one, deadline) has passed.
        sending: an album was intended and nothing is known about its end.
        idle_s: seconds since the row last changed.
        age_s: seconds since the request was reserved.
    """

    id: UUID
    user_id: int
    state: HoldState
    epoch: int
    fence: int
    cost: int
    run_id: str | None
    dispatch_key: str
    lease_alive: bool
    overdue: bool
    sending: bool
    idle_s: float
    age_s: float


@dataclass(frozen=True, slots=True)
class RunFact:
    """A run that worked, works or will work on the request's pictures, slides or delivery (not on its outline).

    Attributes:
        run_id: Dagster's id.
        status: `active` covers everything that has not ended, queued and canceling too.
        dispatch_key: the tag `carousel/dispatch`, None for a run that an operator launched by hand.
        failure: in a few words what failed, where that is known.
    """

    run_id: str
    status: RunStatus
    dispatch_key: str | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """The attempt is over without an album: give the credits back, `ledger.release(id, fence, reason)`."""

    fence: int
    reason: str


@dataclass(frozen=True, slots=True)
class AskUser:
    """The attempt ended while sending: `ledger.release(id, fence, reason)` refunds nothing and asks the user."""

    fence: int
    reason: str


@dataclass(frozen=True, slots=True)
class Expire:
    """The clock has decided, `ledger.settle_due(id)`: refund, ask, or after long silence charge."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now; `why` is for the operator."""

    why: str


Settlement = Release | AskUser | Expire | Wait


def decide_settlement(hold: Hold, facts: Sequence[RunFact]) -> Settlement:
    """Return what to do about `hold`, given every run known for its request, in any order.

    A run that an operator started by hand counts as soon as it has claimed the request, and keeps the hold open while it
    is active before that.
    """
    if hold.state == "delivery_unknown":
        return Expire() if hold.overdue else Wait("the user is asked whether the album arrived")
    ended = _of_this_attempt(hold, facts)
    active = any(fact.status == "active" for fact in facts)
    well = any(fact.status == "succeeded" for fact in ended)
    if hold.overdue and (active or well or not ended):
        return Expire()
    if active:
        return Wait("a run is active")
    if not ended:
        return Wait("no run has taken it yet" if hold.run_id is None else "its run is unknown; the lease decides")
    if well:
        return Wait("its run ended well without a delivery; the lease decides")
    reason = next((fact.failure for fact in ended if fact.failure), None) or (
        "stopped" if all(fact.status == "canceled" for fact in ended) else "failed"
    )
    return AskUser(hold.fence, reason) if hold.sending else Release(hold.fence, reason)


def _of_this_attempt(hold: Hold, facts: Sequence[RunFact]) -> list[RunFact]:
    if hold.run_id is not None:
        return [fact for fact in facts if fact.run_id == hold.run_id]
    return [fact for fact in facts if fact.dispatch_key == hold.dispatch_key]
