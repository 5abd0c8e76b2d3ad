"""What runs may do: claim, render, deliver, give up; and what becomes of every order of events around a delivery."""

import itertools
from typing import Any
from uuid import UUID, uuid4

import pytest

from carousel_pipeline.ledger.errors import NoSuchRequestError, OutOfRangeError, ledger_errors

SAM = 4242


@pytest.fixture
def request_(books: Any) -> UUID:
    books.topup(SAM, 20)
    return books.reserve(SAM, 7)


@pytest.mark.finding("M16")
def test_one_run_at_a_time(books: Any, request_: UUID) -> None:
    first = books.pipeline.claim(request_, "run-1")
    assert (first.verdict, first.fence) == ("run", 1)
    assert books.pipeline.claim(request_, "run-2").verdict == "busy"
    books.later(request_)
    second = books.pipeline.claim(request_, "run-2")
    assert (second.verdict, second.fence) == ("run", 2)


def test_the_same_run_may_claim_again_and_fences_its_earlier_step(books: Any, request_: UUID) -> None:
    first, second = (books.pipeline.claim(request_, "run-1") for _ in range(2))
    assert second.fence == first.fence + 1
    assert not books.pipeline.heartbeat(request_, first.fence)
    assert not books.pipeline.rendered(request_, first.fence)
    assert not books.pipeline.release(request_, first.fence, "failed")
    assert books.pipeline.heartbeat(request_, second.fence)


def test_a_zombie_cannot_send(books: Any, request_: UUID) -> None:
    zombie = books.rendered(request_, "run-1")
    books.later(request_)
    books.rendered(request_, "run-2")
    assert books.pipeline.delivery_begin(request_, zombie).verdict == "fenced"


def test_a_heartbeat_cannot_keep_a_hold_for_ever(books: Any, request_: UUID) -> None:
    fence = books.pipeline.claim(request_, "run-1").fence
    assert books.pipeline.heartbeat(request_, fence)
    books.later(request_)
    assert not books.pipeline.heartbeat(request_, fence)
    assert books.pipeline.settle_due(request_) == "released"


@pytest.mark.parametrize(("end", "verdict"), [("delivered", "done"), ("in_doubt", "done"), ("released", "refunded")])
@pytest.mark.finding("M16")
def test_a_rerun_of_what_is_settled_does_nothing(books: Any, request_: UUID, end: str, verdict: str) -> None:
    if end == "released":
        books.pipeline.release(request_, 0, "failed")
    else:
        delivery = books.sending(request_)
        books.delivered(delivery, [1]) if end == "delivered" else books.pipeline.in_doubt(delivery, "timeout")
    before = books.rows(None, "select * from ledger.request")
    assert books.pipeline.claim(request_, "run-2").verdict == verdict
    assert books.rows(None, "select * from ledger.request") == before


@pytest.mark.finding("C3")
def test_delivered_means_message_ids_are_stored(books: Any, request_: UUID) -> None:
    delivery = books.sending(request_)
    assert books.delivered(delivery, [11, 12]) == "delivered"
    assert books.value(None, "select message_ids from ledger.delivery") == [11, 12]
    assert books.wallet(SAM) == (13, 0)
    with pytest.raises(OutOfRangeError), ledger_errors():
        books.value("led_pipeline", "select ledger.delivery_end(%s, 'sent')", delivery)


@pytest.mark.parametrize("charge", [0, 1, 6, 7])
def test_what_arrived_is_charged_and_the_rest_comes_back_in_the_same_call(
    books: Any, request_: UUID, charge: int
) -> None:
    delivery = books.sending(request_)
    assert books.delivered(delivery, [1], charge) == "delivered"
    assert books.wallet(SAM) == (20 - charge, 0)
    assert books.value(None, "select charged from ledger.request where id = %s", request_) == charge
    [told] = books.outbox("delivered")
    assert (told["charged"], told["returned"]) == (charge, 7 - charge)


def test_a_refused_album_charges_nothing_and_no_album_more_than_its_price(books: Any, request_: UUID) -> None:
    fence = books.rendered(request_)
    delivery = books.pipeline.delivery_begin(request_, fence).delivery_id
    for charge in (-1, 8):
        with pytest.raises(OutOfRangeError, match="charge must be within"):
            books.delivered(delivery, [1], charge)
    books.pipeline.rejected(delivery, "400")
    for charge in (-1, 8):
        with pytest.raises(OutOfRangeError, match="charge must be within"):
            books.pipeline.delivery_begin(request_, fence, charge)
    assert books.wallet(SAM) == (13, 7)


@pytest.mark.finding("C3")
def test_a_refused_album_may_be_tried_again_or_given_back(books: Any, request_: UUID) -> None:
    fence = books.rendered(request_)
    first = books.pipeline.delivery_begin(request_, fence)
    assert books.pipeline.rejected(first.delivery_id, "400 Bad Request") == "rendered"
    second = books.pipeline.delivery_begin(request_, fence)
    assert second.verdict == "send"
    assert books.pipeline.rejected(second.delivery_id, "403 Forbidden") == "rendered"
    assert books.pipeline.release(request_, fence, "blocked")
    assert books.wallet(SAM) == (20, 0)


@pytest.mark.finding("C3", "M16")
def test_an_intended_album_is_never_intended_twice(books: Any, request_: UUID) -> None:
    fence = books.rendered(request_)
    assert books.pipeline.delivery_begin(request_, fence).verdict == "send"
    assert books.pipeline.delivery_begin(request_, fence).verdict == "sending"
    books.later(request_)
    again = books.rendered(request_, "run-2")
    assert books.pipeline.delivery_begin(request_, again).verdict == "sending"


@pytest.mark.finding("C3", "M16")
def test_only_who_intended_it_may_ask_again_after_a_lost_answer(books: Any, request_: UUID) -> None:
    mine, another = uuid4(), uuid4()
    fence = books.rendered(request_)
    first = books.pipeline.delivery_begin(request_, fence, 5, mine)
    assert first == books.pipeline.delivery_begin(request_, fence, 5, mine)
    assert first.verdict == "send"
    for word in (another, None):
        assert books.pipeline.delivery_begin(request_, fence, 5, word).verdict == "sending"
    assert books.pipeline.in_doubt(first.delivery_id, "no answer") == "delivery_unknown"
    assert books.pipeline.delivery_begin(request_, fence, 5, mine).verdict == "unknown"
    books.later(request_)
    assert books.pipeline.delivery_begin(request_, fence, 5, mine).verdict == "unknown"


@pytest.mark.parametrize("rerun", [False, True], ids=["crashed", "crashed and taken over"])
def test_a_crash_while_sending_asks_the_user_and_refunds_nothing(books: Any, request_: UUID, *, rerun: bool) -> None:
    books.sending(request_)
    books.later(request_)
    if rerun:
        assert books.pipeline.claim(request_, "run-2").verdict == "run"
        books.later(request_)
    assert books.pipeline.release(request_, None, "timeout") is False
    assert books.state(request_) == "delivery_unknown"
    assert books.wallet(SAM) == (13, 7)
    assert len(books.outbox("ask_user")) == 1
    assert books.pipeline.release(request_, None, "timeout") is False
    assert len(books.outbox("ask_user")) == 1


def test_by_the_clock_nothing_alive_is_released(books: Any, request_: UUID) -> None:
    assert books.pipeline.release(request_, None, "timeout") is False
    books.pipeline.claim(request_, "run-1")
    assert books.pipeline.release(request_, None, "timeout") is False
    books.later(request_)
    assert books.pipeline.release(request_, None, "timeout") is True


def test_the_pipeline_cannot_refund_what_is_in_doubt(books: Any) -> None:
    books.topup(SAM, 7)
    request, _ = books.in_doubt(SAM, 7)
    fence = books.value(None, "select fence from ledger.request")
    assert books.pipeline.release(request, fence, "failed") is False
    assert books.state(request) == "delivery_unknown"


@pytest.mark.finding("C1")
def test_a_refund_is_told_with_what_came_back(books: Any, request_: UUID) -> None:
    fence = books.pipeline.claim(request_, "run-1").fence
    assert books.pipeline.release(request_, fence, "failed: pictures")
    assert books.pipeline.release(request_, fence, "failed: pictures") is False
    assert books.outbox("notify_refund") == [
        {"request_id": str(request_), "epoch": 1, "reason": "failed: pictures", "credits": 7}
    ]


def test_certain_after_all_that_it_did_not_arrive(books: Any) -> None:
    books.topup(SAM, 7)
    request, delivery = books.in_doubt(SAM, 7)
    assert books.pipeline.rejected(delivery, "the chat is empty") == "rendered"
    books.later(request)
    assert books.pipeline.settle_due(request) == "released"
    assert books.wallet(SAM) == (7, 0)


@pytest.mark.parametrize("second", ["none", "claimed", "sending", "rejected", "unknown", "crashed", "sent"])
def test_the_first_album_arrives_late_after_send_again(books: Any, second: str) -> None:
    books.topup(SAM, 7)
    request, first = books.in_doubt(SAM, 7)
    books.bot("select ledger.user_resolve(%s, false)", request)
    if second == "claimed":
        books.pipeline.claim(request, "run-2")
    if second in {"none", "claimed"}:
        assert books.delivered(first, [1]) == "delivered"
    else:
        delivery = books.sending(request, "run-2")
        assert books.delivered(first, [1]) == "rendered"
        assert books.state(request) == "rendered"
        if second == "sending":
            assert books.delivered(first, [1]) == "rendered"
            assert books.delivered(delivery, [2]) == "delivered"
        elif second == "rejected":
            assert books.pipeline.rejected(delivery, "400") == "delivered"
        elif second == "unknown":
            assert books.pipeline.in_doubt(delivery, "timeout") == "delivered"
        elif second == "crashed":
            books.later(request)
            assert books.pipeline.settle_due(request) == "charged"
        else:
            assert books.delivered(delivery, [2]) == "delivered"
    assert books.wallet(SAM) == (0, 0)
    assert books.journal(request) == [("reserve", 7), ("capture", 7)]


def test_an_arrival_after_the_refund_is_written_down_and_charges_nobody(books: Any, request_: UUID) -> None:
    delivery = books.sending(request_)
    books.pipeline.in_doubt(delivery, "timeout")
    books.value("led_ops", "select ledger.ops_release(%s, 'ann', 'user is angry')", request_)
    assert books.delivered(delivery, [1]) == "released"
    assert books.wallet(SAM) == (20, 0)
    assert books.value(None, "select state from ledger.delivery") == "late"
    epoch = books.value("led_ops", "select ledger.ops_reopen(%s, 'house', 'ann', 'once more')", request_)
    assert epoch == 2
    delivery = books.sending(request_, "run-2")
    assert books.delivered(delivery, [2]) == "delivered"


@pytest.mark.parametrize(("first", "second"), list(itertools.product(["sent", "rejected", "unknown"], repeat=2)))
def test_every_end_may_be_repeated_and_sent_is_final(books: Any, request_: UUID, first: str, second: str) -> None:
    delivery = books.sending(request_)
    end = "select ledger.delivery_end(%s, %s, '{1}')"
    books.value("led_pipeline", end, delivery, first)
    after_first = books.state(request_)
    state = books.value("led_pipeline", end, delivery, second)
    assert state == books.state(request_)
    if first in (second, "sent"):
        assert state == after_first
    assert len(books.journal(request_)) <= 2


def test_a_made_up_outcome_is_refused(books: Any, request_: UUID) -> None:
    delivery = books.sending(request_)
    for outcome in ("superseded", "sending", "late", "SENT", None):
        with pytest.raises(OutOfRangeError), ledger_errors():
            books.value("led_pipeline", "select ledger.delivery_end(%s, %s, '{1}')", delivery, outcome)


def test_no_such_request(books: Any) -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    for call in (
        lambda: books.pipeline.claim(nobody, "run"),
        lambda: books.pipeline.release(nobody, 1, "failed"),
        lambda: books.delivered(1, [1]),
    ):
        with pytest.raises(NoSuchRequestError):
            call()


def test_a_second_life_on_the_house(books: Any) -> None:
    books.topup(SAM, 7)
    request = books.refunded(SAM, 7)
    life = books.pipeline.second_life(request, "run-2")
    assert life.verdict == "run"
    assert books.wallet(SAM) == (7, 7)
    books.pipeline.rendered(request, life.fence)
    intent = books.pipeline.delivery_begin(request, life.fence)
    assert books.delivered(intent.delivery_id, [1]) == "delivered"
    assert books.wallet(SAM) == (7, 0)
    assert books.journal(request) == [("reserve", 7), ("release", 7), ("second_life", 7), ("capture", 7)]
    assert books.outbox("delivered")[0]["epoch"] == 2


def test_a_second_life_that_fails_gives_the_credits_back_to_the_house(books: Any) -> None:
    books.topup(SAM, 7)
    request = books.refunded(SAM, 7)
    life = books.pipeline.second_life(request, "run-2")
    assert books.pipeline.release(request, life.fence, "failed")
    assert books.wallet(SAM) == (7, 0)
    assert len(books.outbox("notify_refund")) == 1
    assert books.pipeline.second_life(request, "run-2").verdict == "refunded"
    assert books.pipeline.second_life(request, "run-3").verdict == "run"


@pytest.mark.finding("M16")
def test_a_run_that_worked_on_a_request_cannot_go_on_with_it_on_the_house(books: Any) -> None:
    books.topup(SAM, 7)
    request = books.reserve(SAM, 7)
    books.pipeline.claim(request, "run-1")
    books.later(request)
    fence = books.pipeline.claim(request, "run-2").fence
    assert books.pipeline.release(request, fence, "cancelled")
    for run in ("run-1", "run-2"):
        assert books.pipeline.second_life(request, run).verdict == "refunded"
    assert books.journal(request) == [("reserve", 7), ("release", 7)]
    assert books.pipeline.second_life(request, "run-3").verdict == "run"


def test_a_second_life_is_not_for_what_is_open_or_done(books: Any, request_: UUID) -> None:
    assert books.pipeline.second_life(request_, "run-1").verdict == "run"
    assert books.pipeline.second_life(request_, "run-2").verdict == "busy"
    books.delivered(books.sending(request_), [1])
    assert books.pipeline.second_life(request_, "run-2").verdict == "done"
    assert books.value(None, "select count(*) from ledger.second_life_log") == 0


@pytest.mark.parametrize(("rule", "limit"), [("second_lives_per_day", 2), ("second_life_credits_per_day", 15)])
def test_the_house_pays_for_so_many_second_lives_a_day(books: Any, rule: str, limit: int) -> None:
    books.topup(SAM, 30)
    requests = [books.refunded(SAM, 7) for _ in range(3)]
    books.value("led_ops", "select ledger.ops_rule(%s, %s, 'ann', 'a small budget')", rule, limit)
    verdicts = [books.pipeline.second_life(request, "rerun").verdict for request in requests]
    assert verdicts == ["run", "run", "capped"]
    assert books.state(requests[2]) == "released"
    books.do("alter table ledger.second_life_log disable trigger user")
    books.do("update ledger.second_life_log set created_at = created_at - interval '1 day'")
    assert books.pipeline.second_life(requests[2], "rerun").verdict == "run"
