"""Credits that were bought, given, and taken back."""

from typing import Any

import psycopg
import pytest

SAM, KIM = 4242, 7777
REVERSE = "select ledger.chargeback(%s, 'stars', %s, %s, %s)"


def _code(refused: pytest.ExceptionInfo[psycopg.Error]) -> str | None:
    return refused.value.sqlstate


@pytest.mark.finding("M16")
def test_a_payment_is_credited_once_however_often_it_is_reported(books: Any) -> None:
    for fresh in (True, False, False):
        assert books.pay("select ledger.topup(%s, 'stars', 'charge', 50, now())", SAM) is fresh
    assert books.wallet(SAM) == (50, 0)


@pytest.mark.parametrize("change", ["%s, 'stars', 'charge', 51", "%s + 1, 'stars', 'charge', 50"])
def test_a_known_payment_with_other_credits_or_another_owner_is_refused(books: Any, change: str) -> None:
    books.pay("select ledger.topup(%s, 'stars', 'charge', 50, now())", SAM)
    with pytest.raises(psycopg.Error) as refused:
        books.pay(f"select ledger.topup({change}, now())", SAM)
    assert _code(refused) == "LD006"


@pytest.mark.parametrize("arguments", ["'euros', 'c', 5", "'stars', 'c', 0", "'stars', 'c', -5"])
def test_a_payment_that_makes_no_sense_is_refused(books: Any, arguments: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        books.pay(f"select ledger.topup(%s, {arguments}, now())", SAM)
    assert books.wallet(SAM) == (0, 0)


@pytest.mark.parametrize("kind", ["chargeback", "buyer_refund"])
@pytest.mark.parametrize("again", ["chargeback", "buyer_refund"])
def test_a_payment_is_taken_back_once_under_whatever_name(books: Any, kind: str, again: str) -> None:
    books.topup(SAM, 10)
    charge = books.topup(SAM, 10)
    assert books.pay(REVERSE, SAM, charge, 10, kind) is True
    assert books.pay(REVERSE, SAM, charge, 10, again) is False
    assert books.wallet(SAM) == (10, 0)
    assert books.debt(SAM) == (0, False)


def test_a_payment_that_was_never_made_cannot_be_taken_back(books: Any) -> None:
    charge = books.topup(SAM, 10)
    for tg, known in ((SAM, "never"), (KIM, charge)):
        with pytest.raises(psycopg.Error) as refused:
            books.pay(REVERSE, tg, known, 10, "chargeback")
        assert _code(refused) == "LD012"


@pytest.mark.parametrize(
    ("credits_", "kind"), [(0, "chargeback"), (11, "chargeback"), (5, "gift"), (None, "chargeback")]
)
def test_no_more_than_was_paid_and_only_for_a_reason_we_know(books: Any, credits_: int | None, kind: str) -> None:
    charge = books.topup(SAM, 10)
    with pytest.raises(psycopg.Error) as refused:
        books.pay(REVERSE, SAM, charge, credits_, kind)
    assert _code(refused) == "LD011"


def test_a_second_notice_with_another_sum_is_refused(books: Any) -> None:
    charge = books.topup(SAM, 10)
    books.pay(REVERSE, SAM, charge, 4, "chargeback")
    with pytest.raises(psycopg.Error) as refused:
        books.pay(REVERSE, SAM, charge, 5, "chargeback")
    assert _code(refused) == "LD006"


def test_what_was_spent_already_becomes_debt_and_restricts_the_user(books: Any) -> None:
    charge = books.topup(SAM, 10)
    books.delivered(books.sending(books.reserve(SAM, 7)), [1])
    assert books.pay(REVERSE, SAM, charge, 10, "chargeback")
    assert books.wallet(SAM) == (0, 0)
    assert books.debt(SAM) == (7, True)
    with pytest.raises(psycopg.Error) as refused:
        books.reserve(SAM, 0)
    assert _code(refused) == "LD008"


def test_held_credits_that_come_back_pay_the_debt_first(books: Any) -> None:
    charge = books.topup(SAM, 10)
    request = books.reserve(SAM, 10)
    books.pay(REVERSE, SAM, charge, 8, "chargeback")
    assert books.debt(SAM) == (8, True)
    books.pipeline.release(request, 0, "failed")
    assert books.wallet(SAM) == (2, 0)
    assert books.debt(SAM) == (0, False)


def test_a_new_payment_pays_the_debt_first(books: Any) -> None:
    charge = books.topup(SAM, 10)
    request = books.reserve(SAM, 10)
    books.pay(REVERSE, SAM, charge, 10, "chargeback")
    books.delivered(books.sending(request), [1], 10)
    books.topup(SAM, 4)
    assert (books.wallet(SAM), books.debt(SAM)) == ((0, 0), (6, True))
    books.topup(SAM, 9)
    assert (books.wallet(SAM), books.debt(SAM)) == ((3, 0), (0, False))


def test_a_gift_has_an_actor_a_reason_and_is_given_once(books: Any) -> None:
    give = "select ledger.promo(%s, 5, 'referral:1', %s, %s)"
    assert books.pay(give, SAM, "referral", "brought a friend") is True
    assert books.pay(give, SAM, "referral", "brought a friend") is False
    assert books.wallet(SAM) == (5, 0)
    for actor, reason in (("", "brought a friend"), ("referral", "hm"), (None, None)):
        with pytest.raises(psycopg.Error) as refused:
            books.pay("select ledger.promo(%s, 5, 'referral:2', %s, %s)", SAM, actor, reason)
        assert _code(refused) == "LD010"
    assert books.wallet(SAM) == (5, 0)


SETTLE = "select ledger.rub_order_settle(%s, %s, %s, %s, now())"


def test_a_ruble_order_is_credited_once_and_stays_paid(books: Any) -> None:
    order = books.bot("select ledger.rub_order_open(%s, 'pack', 50, 49900)", SAM)
    assert books.wallet(SAM) == (0, 0)
    for _ in range(2):
        assert books.pay(SETTLE, order, "pay-1", True, 49900) == "paid"
    assert books.pay(SETTLE, order, "pay-1", False, None) == "paid"
    assert books.wallet(SAM) == (50, 0)


@pytest.mark.parametrize(("payment", "kopecks"), [("pay-1", 100), ("pay-1", None), ("pay-2", 49900)])
def test_a_payment_of_another_sum_or_order_credits_nothing(books: Any, payment: str, kopecks: int | None) -> None:
    order = books.bot("select ledger.rub_order_open(%s, 'pack', 50, 49900)", SAM)
    books.do("update ledger.rub_order set payment_id = 'pay-1'")
    with pytest.raises(psycopg.Error) as refused:
        books.pay(SETTLE, order, payment, True, kopecks)
    assert _code(refused) == "LD006"
    assert books.wallet(SAM) == (0, 0)


def test_a_canceled_order_that_was_paid_after_all_is_credited(books: Any) -> None:
    order = books.bot("select ledger.rub_order_open(%s, 'pack', 50, 49900)", SAM)
    assert books.pay(SETTLE, order, "pay-1", False, None) == "canceled"
    assert books.pay(SETTLE, order, "pay-1", True, 49900) == "paid"
    assert books.wallet(SAM) == (50, 0)
    with pytest.raises(psycopg.Error) as refused:
        books.pay(SETTLE, "00000000-0000-0000-0000-000000000000", "pay-1", True, 49900)
    assert _code(refused) == "LD012"
