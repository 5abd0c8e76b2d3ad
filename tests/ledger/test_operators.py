"""Operators decide with a name and a reason, and both are kept."""

from typing import Any

import pytest

from carousel_pipeline.ledger.errors import (
    ActorRequiredError,
    IllegalTransitionError,
    InsufficientCreditsError,
    LedgerError,
    NoSuchRequestError,
    OutOfRangeError,
    ledger_errors,
)
from carousel_pipeline.ledger.operators import Decision

SAM = 4242
ANN = Decision("ann", "the customer asked")


def test_an_operator_may_refund_what_is_in_doubt(books: Any) -> None:
    books.topup(SAM, 7)
    request, delivery = books.in_doubt(SAM, 7)
    assert books.operator.release(request, ANN) is True
    assert books.operator.release(request, ANN) is False
    assert books.wallet(SAM) == (7, 0)
    assert books.outbox("notify_refund")[0]["reason"] == "operator"
    assert books.delivered(delivery, [1]) == "released"


@pytest.mark.parametrize(("funding", "left"), [("house", (7, 7)), ("user", (0, 7))])
def test_a_refunded_request_is_reopened_by_the_house_or_the_user(
    books: Any, funding: Any, left: tuple[int, int]
) -> None:
    books.topup(SAM, 7)
    request = books.refunded(SAM, 7)
    assert books.operator.reopen(request, funding, ANN) == 2
    assert books.wallet(SAM) == left
    assert books.outbox("dispatch")[-1] == {"request_id": str(request), "epoch": 2, "job": "carousel"}
    assert books.delivered(books.sending(request, "run-2"), [1]) == "delivered"


def test_reopened_on_the_house_and_given_up_again_the_house_gets_its_credits_back(books: Any) -> None:
    books.topup(SAM, 7)
    request = books.refunded(SAM, 7)
    books.operator.reopen(request, "house", ANN)
    assert books.operator.release(request, ANN)
    assert books.wallet(SAM) == (7, 0)
    assert books.operator.reopen(request, "house", ANN) == 3
    books.operator.release(request, ANN)


def test_only_what_is_refunded_can_be_reopened_and_only_with_credits(books: Any) -> None:
    books.topup(SAM, 7)
    request = books.reserve(SAM, 7)
    with pytest.raises(IllegalTransitionError):
        books.operator.reopen(request, "house", ANN)
    books.pipeline.release(request, 0, "failed")
    books.reserve(SAM, 5)
    with pytest.raises(InsufficientCreditsError):
        books.operator.reopen(request, "user", ANN)
    with pytest.raises(ActorRequiredError):
        books.operator.reopen(request, "bank", ANN)
    assert books.state(request) == "released"


@pytest.mark.parametrize(("got", "state"), [(True, "delivered"), (False, "rendered")])
def test_an_operator_may_answer_for_the_user(books: Any, *, got: bool, state: str) -> None:
    books.topup(SAM, 7)
    request, _ = books.in_doubt(SAM, 7)
    assert books.operator.resolve(request, ANN, got=got) == state


@pytest.mark.parametrize(
    "decision", [Decision("", "a good reason"), Decision("x", "a good reason"), Decision("ann", " ")]
)
def test_nobody_decides_without_a_name_and_a_reason(books: Any, decision: Decision) -> None:
    books.topup(SAM, 7)
    request, _ = books.in_doubt(SAM, 7)
    for decide in (
        lambda: books.operator.release(request, decision),
        lambda: books.operator.reopen(request, "house", decision),
        lambda: books.operator.resolve(request, decision, got=True),
        lambda: books.operator.grant(SAM, 5, "key", decision),
        lambda: books.operator.dead_letter(1, decision, retry=True),
    ):
        with pytest.raises(ActorRequiredError):
            decide()
    assert books.value(None, "select count(*) from ledger.ops_action") == 0


def test_every_decision_is_kept_and_shown(books: Any) -> None:
    books.operator.grant(SAM, 7, "sorry-1", ANN)
    assert books.operator.grant(SAM, 7, "sorry-1", ANN) is False
    request, _ = books.in_doubt(SAM, 7)
    books.operator.release(request, ANN)
    dossier = books.operator.show(request)
    assert dossier.request["tg_user_id"] == SAM
    assert [row["kind"] for row in dossier.transfers] == ["reserve", "release"]
    assert [row["state"] for row in dossier.deliveries] == ["superseded"]
    path = ["reserved", "running", "rendered", "delivery_unknown", "released"]
    assert [row["dst"] for row in dossier.events] == path
    assert dossier.events[-1]["note"] == "ann: the customer asked"
    assert [(row["action"], row["actor"], row["reason"]) for row in dossier.actions] == [("release", "ann", ANN.reason)]
    assert books.value(None, "select count(*) from ledger.ops_action where action = 'grant'") == 1
    with pytest.raises(NoSuchRequestError):
        books.operator.show("00000000-0000-0000-0000-000000000000")


@pytest.mark.finding("M1")
def test_erasure_keeps_the_books_and_forgets_the_person(books: Any) -> None:
    books.topup(SAM, 7)
    request = books.reserve(SAM, 7, f"tg:{SAM}:1")
    with pytest.raises(LedgerError), ledger_errors():
        books.value("led_ops", "select ledger.ops_erase(%s, 'ann', 'asked by mail')", SAM)
    books.operator.release(request, ANN)
    assert books.value("led_ops", "select ledger.ops_erase(%s, 'ann', 'asked by mail')", SAM) is True
    assert books.value("led_ops", "select ledger.ops_erase(%s, 'ann', 'asked by mail')", SAM) is False
    assert len(books.journal(request)) == 2
    assert str(SAM) not in str(books.rows(None, "select * from ledger.request, ledger.app_user"))
    books.topup(SAM, 1)
    assert books.value(None, "select count(*) from ledger.app_user") == 2


def test_a_rule_that_does_not_exist_cannot_be_set(books: Any) -> None:
    with pytest.raises(OutOfRangeError), ledger_errors():
        books.value("led_ops", "select ledger.ops_rule('free_money', 1, 'ann', 'because')")
