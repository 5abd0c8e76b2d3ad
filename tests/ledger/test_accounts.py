"""What the bot may do with a user's credits."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

SAM, KIM = 4242, 7777


def test_the_welcome_gift_is_given_once(books: Any) -> None:
    assert books.bot("select ledger.welcome(%s)", SAM) is True
    assert books.bot("select ledger.welcome(%s)", SAM) is False
    assert books.wallet(SAM) == (10, 0)


def test_an_unknown_user_has_nothing_and_is_not_made_by_asking(books: Any) -> None:
    assert books.wallet(SAM) == (0, 0)
    assert books.value(None, "select count(*) from ledger.app_user") == 0


@pytest.mark.finding("C12", "M4")
def test_reserving_holds_the_price_and_writes_the_dispatch_row_in_one_transaction(books: Any) -> None:
    books.topup(SAM, 10)
    request = books.reserve(SAM, 7)
    assert books.wallet(SAM) == (3, 7)
    assert books.journal(request) == [("reserve", 7)]
    assert books.outbox("dispatch") == [{"request_id": str(request), "epoch": 1, "job": "carousel"}]


@pytest.mark.finding("M4")
def test_nothing_stays_of_a_reservation_whose_transaction_is_lost(books: Any) -> None:
    books.topup(SAM, 10)
    connection = books.role("led_bot")
    with connection.transaction(force_rollback=True):
        connection.execute("select ledger.reserve(%s, 'tap', 7)", (SAM,))
    assert books.wallet(SAM) == (10, 0)
    assert books.outbox("dispatch") == []


@pytest.mark.finding("M16")
def test_a_double_tap_is_the_same_request(books: Any) -> None:
    books.topup(SAM, 20)
    request = books.reserve(SAM, 7, "tap")
    assert books.rows("led_bot", "select * from ledger.reserve(%s, 'tap', 7)", SAM) == [
        {"request_id": request, "created": False}
    ]
    assert books.wallet(SAM) == (13, 7)


@pytest.mark.finding("C12")
@pytest.mark.parametrize("arguments", ["8", "7, gen_random_uuid()", "7, null, 'picture'"])
def test_a_known_key_with_another_price_id_or_kind_is_refused(books: Any, arguments: str) -> None:
    books.topup(SAM, 20)
    books.reserve(SAM, 7, "tap")
    with pytest.raises(psycopg.Error) as refused:
        books.bot(f"select ledger.reserve(%s, 'tap', {arguments})", SAM)
    assert refused.value.sqlstate == "LD006"
    assert books.wallet(SAM) == (13, 7)


def test_the_same_key_of_two_users_is_two_requests(books: Any) -> None:
    books.topup(SAM, 5)
    books.topup(KIM, 5)
    assert books.reserve(SAM, 5, "tap") != books.reserve(KIM, 5, "tap")


def test_the_caller_may_choose_the_id(books: Any) -> None:
    chosen = uuid4()
    [row] = books.rows("led_bot", "select * from ledger.reserve(%s, 'tap', 0, %s)", SAM, chosen)
    assert row == {"request_id": chosen, "created": True}


def test_without_credits_nothing_is_reserved(books: Any) -> None:
    books.topup(SAM, 6)
    with pytest.raises(psycopg.Error) as refused:
        books.reserve(SAM, 7)
    assert refused.value.sqlstate == "LD007"
    assert books.wallet(SAM) == (6, 0)


def test_a_free_request_holds_nothing_and_lives_like_any_other(books: Any) -> None:
    request = books.reserve(SAM, 0)
    delivery = books.sending(request)
    assert books.delivered(delivery, [11]) == "delivered"
    assert books.journal(request) == []
    assert books.wallet(SAM) == (0, 0)


@pytest.mark.parametrize("cost", ["-1", "null"])
def test_a_price_that_is_none_is_refused(books: Any, cost: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        books.bot(f"select ledger.reserve(%s, 'tap', {cost})", SAM)
    assert refused.value.sqlstate == "LD011"


def test_a_user_may_cancel_until_sending_starts(books: Any) -> None:
    books.topup(SAM, 10)
    request = books.reserve(SAM, 7)
    fence = books.rendered(request)
    assert books.bot("select ledger.cancel(%s, %s)", SAM, request) == "cancelled"
    assert books.wallet(SAM) == (10, 0)
    assert books.pipeline.delivery_begin(request, fence).verdict == "released"
    assert books.bot("select ledger.cancel(%s, %s)", SAM, request) == "released"
    [told] = books.outbox("notify_refund")
    assert (told["reason"], told["credits"]) == ("cancelled", 7)


def test_cancelling_while_sending_is_too_late(books: Any) -> None:
    books.topup(SAM, 10)
    request = books.reserve(SAM, 7)
    delivery = books.sending(request)
    assert books.bot("select ledger.cancel(%s, %s)", SAM, request) == "sending"
    assert books.delivered(delivery, [1]) == "delivered"
    assert books.bot("select ledger.cancel(%s, %s)", SAM, request) == "delivered"


@pytest.mark.finding("m32")
def test_nobody_cancels_for_somebody_else(books: Any) -> None:
    books.topup(SAM, 10)
    request = books.reserve(SAM, 7)
    assert books.bot("select ledger.cancel(%s, %s)", KIM, request) == "gone"
    assert books.state(request) == "reserved"


def test_in_doubt_the_user_says_it_arrived(books: Any) -> None:
    books.topup(SAM, 10)
    request, _ = books.in_doubt(SAM, 7)
    assert books.outbox("ask_user") == [{"request_id": str(request)}]
    assert books.wallet(SAM) == (3, 7)
    assert books.bot("select ledger.user_resolve(%s, true)", request) == "delivered"
    assert books.wallet(SAM) == (3, 0)
    assert books.bot("select ledger.user_resolve(%s, false)", request) == "delivered"


def test_in_doubt_the_user_wants_it_again(books: Any) -> None:
    books.topup(SAM, 10)
    request, first = books.in_doubt(SAM, 7)
    assert books.bot("select ledger.user_resolve(%s, false)", request) == "rendered"
    assert books.pipeline.delivery_begin(request, 1).verdict == "fenced"
    assert books.bot("select ledger.user_resolve(%s, false)", request) == "rendered"
    assert [row["epoch"] for row in books.outbox("dispatch")] == [1, 1]
    second = books.sending(request, "run-2")
    assert second != first
    assert books.delivered(second, [5]) == "delivered"
    assert books.wallet(SAM) == (3, 0)


@pytest.mark.finding("M2", "m6", "m8")
def test_the_statement_is_paged_by_key_newest_first(books: Any) -> None:
    for _ in range(5):
        books.topup(SAM, 1)
    books.topup(KIM, 9)
    first = books.rows("led_bot", "select * from ledger.statement(%s, 3)", SAM)
    rest = books.rows("led_bot", "select * from ledger.statement(%s, 3, %s)", SAM, first[-1]["id"])
    ids = [row["id"] for row in first + rest]
    assert len(first) == 3
    assert len(rest) == 2
    assert ids == sorted(ids, reverse=True)
    assert {row["kind"] for row in first + rest} == {"topup"}
    assert all(row["created_at"] is not None for row in first)


@pytest.mark.finding("M2")
def test_no_statement_is_unbounded(books: Any) -> None:
    for _ in range(101):
        books.topup(SAM, 1)
    assert len(books.rows("led_bot", "select * from ledger.statement(%s, 100000)", SAM)) == 100


@pytest.mark.finding("M3")
def test_defaults_live_in_the_database(books: Any) -> None:
    books.do("insert into ledger.app_user (tg_user_id) values (1)")
    books.do("insert into ledger.wallet (user_id) select id from ledger.app_user")
    books.do("insert into ledger.request (user_id, client_key, cost) select id, 'tap', 0 from ledger.app_user")
    [row] = books.rows(None, "select * from ledger.request")
    assert (row["state"], row["epoch"], row["fence"], row["kind"], row["charged"]) == ("reserved", 1, 0, "carousel", 0)
    assert isinstance(row["id"], UUID)
    assert row["created_at"] < row["deadline"]
