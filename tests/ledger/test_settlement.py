"""The decision about an open hold, row by row."""

from dataclasses import replace
from itertools import product
from uuid import UUID

import pytest

from carousel_pipeline.ledger import (
    AskUser,
    Expire,
    Hold,
    Release,
    RunFact,
    Settlement,
    Wait,
    decide_settlement,
)

DISPATCH = "dispatch:00000000-0000-0000-0000-000000000001:1"
RESERVED = Hold(
    id=UUID(int=1), user_id=1, state="reserved", epoch=1, fence=0, cost=7, run_id=None, dispatch_key=DISPATCH,
    lease_alive=False, overdue=False, sending=False, idle_s=1.0, age_s=1.0,
)  # fmt: skip
RUNNING = replace(RESERVED, state="running", fence=3, run_id="run-1", lease_alive=True)
SENDING = replace(RUNNING, state="rendered", sending=True)
AGAIN = replace(RESERVED, state="rendered", fence=4, dispatch_key="resend:9")
IN_DOUBT = replace(RESERVED, state="delivery_unknown", fence=3, run_id="run-1")


def _run(status: str, run_id: str = "run-1", dispatch: str | None = DISPATCH, failure: str | None = None) -> RunFact:
    return RunFact(run_id, status, dispatch, failure)  # type: ignore[arg-type] # the literals stand in the tables


ROWS: list[tuple[str, Hold, list[RunFact], type[Settlement] | Settlement]] = [
    ("not dispatched yet", RESERVED, [], Wait),
    ("queued", RESERVED, [_run("active")], Wait),
    ("failed before it claimed", RESERVED, [_run("failed")], Release(0, "failed")),
    ("terminated before it claimed", RESERVED, [_run("canceled")], Release(0, "stopped")),
    ("another request's dispatch failed", RESERVED, [_run("failed", dispatch="dispatch:other:1")], Wait),
    ("a run by hand failed before it claimed", RESERVED, [_run("failed", "by-hand", None)], Wait),
    ("working", RUNNING, [_run("active")], Wait),
    ("failed", RUNNING, [_run("failed")], Release(3, "failed")),
    ("failed, and we know what", RUNNING, [_run("failed", failure="pictures")], Release(3, "pictures")),
    ("terminated", RUNNING, [_run("canceled")], Release(3, "stopped")),
    ("failed, and the operator reruns it", RUNNING, [_run("failed"), _run("active", "run-2")], Wait),
    ("an older run failed", replace(RUNNING, run_id="run-2"), [_run("failed")], Wait),
    ("its run was deleted", RUNNING, [], Wait),
    ("its run ended well and delivered nothing", RUNNING, [_run("succeeded")], Wait),
    ("failed while sending", SENDING, [_run("failed")], AskUser(3, "failed")),
    ("terminated while sending", SENDING, [_run("canceled")], AskUser(3, "stopped")),
    ("still sending", SENDING, [_run("active")], Wait),
    ("send again, not dispatched yet", AGAIN, [_run("failed")], Wait),
    (
        "send again, and that failed too",
        AGAIN,
        [_run("failed"), _run("failed", "run-2", "resend:9")],
        Release(4, "failed"),
    ),
    ("the user is asked", IN_DOUBT, [_run("failed")], Wait),
    ("the user is silent", replace(IN_DOUBT, overdue=True), [_run("failed")], Expire()),
    ("lease lost, Dagster believes it runs", replace(RUNNING, overdue=True), [_run("active")], Expire()),
    ("queued past its deadline", replace(RESERVED, overdue=True), [_run("active")], Expire()),
    ("lost past its deadline", replace(RESERVED, overdue=True), [], Expire()),
]


@pytest.mark.finding("C1")
@pytest.mark.parametrize(("hold", "facts", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_becomes_of_a_hold(hold: Hold, facts: list[RunFact], expected: type[Settlement] | Settlement) -> None:
    for order in (facts, facts[::-1]):
        decision = decide_settlement(hold, order)
        assert decision == expected or type(decision) is expected


def test_no_credits_move_while_a_run_is_active_or_the_user_is_asked() -> None:
    holds = (RESERVED, RUNNING, SENDING, AGAIN, IN_DOUBT)
    for hold, other in product(holds, ("succeeded", "failed", "canceled")):
        facts = [_run(other), _run("active", "run-2", None)]
        assert isinstance(decide_settlement(hold, facts), Wait)


def test_a_refund_always_carries_the_fence_of_the_attempt_it_is_about() -> None:
    for hold, status in product((RESERVED, RUNNING, AGAIN), ("failed", "canceled")):
        decision = decide_settlement(hold, [_run(status, hold.run_id or "x", hold.dispatch_key)])
        assert isinstance(decision, Release)
        assert decision.fence == hold.fence
