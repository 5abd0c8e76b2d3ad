"""Whoever gets past the roles, a superuser even, still meets the constraints and triggers."""

# ruff: noqa: S608 - the statements are made of names in this file

from typing import Any
from uuid import UUID

import psycopg
import pytest

SAM = 4242
POST = "insert into ledger.transfer (idem_key, kind, debit_code, credit_code, user_id, amount, request_id, epoch, remainder) "
EXTRA = POST + "select gen_random_uuid()::text, %s, %s, %s, user_id, %s, id, epoch, %s from ledger.request"
SETTLED = {"delivered", "released"}
EVERY_STATE = ["reserved", "running", "rendered", "delivery_unknown", "delivered", "released"]


def _in_state(books: Any, state: str) -> UUID:
    books.topup(SAM, 14)
    request = books.reserve(SAM, 7)
    if state == "running":
        books.pipeline.claim(request, "run-1")
    elif state == "rendered":
        books.rendered(request)
    elif state == "delivered":
        books.delivered(books.sending(request), [1], 5)
    elif state == "delivery_unknown":
        books.pipeline.in_doubt(books.sending(request), "timeout")
    elif state == "released":
        books.pipeline.release(request, 0, "failed")
    assert books.state(request) == state
    return request


def _refusal(books: Any, statement: str, *values: object) -> str | None:
    """Return the SQLSTATE that a statement meets at its COMMIT, None when it would go through; nothing stays of it."""
    try:
        with books.role(None).transaction(force_rollback=True):
            books.do(statement, *values)
            books.do("set constraints all immediate")
    except psycopg.Error as error:
        return error.sqlstate
    return None


def test_a_wallet_changes_only_through_transfers(books: Any) -> None:
    books.topup(SAM, 7)
    for column in ("available", "held", "debt", "version"):
        assert _refusal(books, f"update ledger.wallet set {column} = {column} + 1") == "LD003"


def test_a_wallet_starts_empty(books: Any) -> None:
    books.do("insert into ledger.app_user (tg_user_id) values (1)")
    with pytest.raises(psycopg.Error) as refused:
        books.do("insert into ledger.wallet (user_id, available) select id, 5 from ledger.app_user")
    assert refused.value.sqlstate == "LD003"


def test_a_transfer_needs_a_wallet(books: Any) -> None:
    books.do("insert into ledger.app_user (tg_user_id) values (1)")
    with pytest.raises(psycopg.Error) as refused:
        books.do(
            "insert into ledger.transfer (idem_key, kind, debit_code, credit_code, user_id, amount) "
            "select 'gift', 'promo', 'promo', 'user_available', id, 5 from ledger.app_user"
        )
    assert refused.value.sqlstate == "LD002"


def test_what_happened_is_never_rewritten(books: Any) -> None:
    charge = books.topup(SAM, 14)
    request = books.refunded(SAM, 7)
    books.pipeline.release(request, books.pipeline.second_life(request, "run-2").fence, "failed")
    books.value("led_ops", "select ledger.promo(%s, 5, 'gift', 'ann', 'a nice person')", SAM)
    books.pay("select ledger.chargeback(%s, 'stars', %s, 5)", SAM, charge)
    for table in ("transfer", "request_event", "reversal", "second_life_log", "ops_action"):
        for verb in ("update ledger.{} set created_at = now()", "delete from ledger.{}", "truncate ledger.{}"):
            assert _refusal(books, verb.format(table)) == "LD001"


@pytest.mark.finding("M1")
def test_what_money_hangs_on_is_never_removed(books: Any) -> None:
    books.bot("select ledger.rub_order_open(%s, 'pack', 50, 49900)", SAM)
    _in_state(books, "delivered")
    for table in ("wallet", "request", "delivery", "app_user", "rub_order"):
        for verb in ("delete from ledger.{}", "truncate ledger.{} cascade"):
            assert _refusal(books, verb.format(table)) == "LD001"


@pytest.mark.parametrize("state", EVERY_STATE)
def test_a_state_cannot_be_set_past_the_journal(books: Any, state: str) -> None:
    """Forgot to charge, forgot to refund, refunded and kept: whatever settles without money is refused at COMMIT."""
    _in_state(books, state)
    for target in EVERY_STATE:
        refusal = _refusal(books, "update ledger.request set state = %s", target)
        if (state in SETTLED or target in SETTLED) and state != target:
            assert refusal in {"LD004", "LD005"}, target
        else:
            assert refusal in {None, "LD004"}, target


def test_what_a_request_is_never_changes(books: Any) -> None:
    _in_state(books, "running")
    for change in (
        "cost = cost + 1",
        "user_id = user_id + 1",
        "kind = 'other'",
        "epoch = epoch - 1",
        "epoch = epoch + 1",
        "fence = fence - 1",
        "client_key = 'another'",
        "charged = 1",
        "created_at = now() - interval '1 day'",
        "id = gen_random_uuid()",
    ):
        assert _refusal(books, f"update ledger.request set {change}") == "LD004", change


# What may be posted: kind, debit, credit; then whether it belongs to a request's hold, and whether it may be a remainder.
LEGAL = {
    *(("topup", f"sales_{source}", "user_available", False, False) for source in ("stars", "rub")),
    *((kind, "promo", "user_available", False, False) for kind in ("promo", "promo_code", "referral")),
    ("reserve", "user_available", "user_held", True, False),
    *((kind, "goodwill", "user_held", True, False) for kind in ("reopen", "second_life")),
    ("capture", "user_held", "revenue", True, False),
    *(
        ("release", "user_held", payer, True, remainder)
        for payer in ("user_available", "goodwill")
        for remainder in (False, True)
    ),
    *(
        (kind, payer, f"sales_{source}", False, False)
        for kind, payer in (
            ("buyer_refund", "user_available"),
            ("chargeback", "user_available"),
            ("bad_debt", "bad_debt"),
        )
        for source in ("stars", "rub")
    ),
    ("recovery", "user_available", "bad_debt", False, False),
}


def test_only_these_transfers_are_legal(books: Any) -> None:
    """Every kind between any two accounts, with and without request and epoch, as a remainder and not."""
    judged = books.rows(
        None,
        "select kind, debit.code as debit, credit.code as credit, request, epoch, remainder from unnest(%s::text[]) kind, "
        "ledger.account debit, ledger.account credit, (values (false), (true)) r (request), (values (false), (true)) e (epoch), "
        "(values (false), (true)) m (remainder) where ledger.legal('key', kind, debit.code, credit.code, 1, "
        "case when request then gen_random_uuid() end, case when epoch then 1 end, remainder)",
        [*sorted({kind for kind, *_ in LEGAL}), "gift", ""],
    )
    assert {row["request"] == row["epoch"] for row in judged} == {True}
    found = [(row["kind"], row["debit"], row["credit"], row["request"], row["remainder"]) for row in judged]
    assert len(found) == len(LEGAL)
    assert set(found) == LEGAL


def test_an_illegal_transfer_is_refused(books: Any) -> None:
    request = _in_state(books, "rendered")
    post = (
        "insert into ledger.transfer (idem_key, kind, debit_code, credit_code, user_id, amount, request_id, epoch, remainder) "
        "select %s, %s, %s, %s, user_id, %s, %s, %s, %s from ledger.wallet"
    )
    topup, capture = ("topup", "sales_rub", "user_available"), ("capture", "user_held", "revenue")
    assert _refusal(books, post, "key", *topup, 1, None, None, False) is None
    for values in (
        ("key", "topup", "user_available", "sales_rub", 1, None, None, False),
        ("key", "topup", "sales_rub", "user_held", 1, None, None, False),
        ("key", *topup, 0, None, None, False),
        ("key", *topup, -1, None, None, False),
        ("ke", *topup, 1, None, None, False),
        ("k" * 301, *topup, 1, None, None, False),
        ("key", *topup, 1, request, 1, False),
        ("key", *topup, 1, None, None, True),
        ("key", *capture, 7, None, None, False),
        ("key", *capture, 7, request, None, False),
        ("key", *capture, 7, None, 1, False),
        ("key", *capture, 7, request, 1, True),
    ):
        assert _refusal(books, post, *values) == "23514", values


@pytest.mark.parametrize("state", EVERY_STATE)
def test_no_second_charge_no_second_refund_no_second_hold(books: Any, state: str) -> None:
    request = _in_state(books, state)
    books.bot("select ledger.cancel(%s, %s)", SAM, books.reserve(SAM, 1))
    books.reserve(SAM, 1, "so that something else is held")
    for kind, debit, credit in (
        ("capture", "user_held", "revenue"),
        ("release", "user_held", "user_available"),
        ("reserve", "user_available", "user_held"),
        ("reopen", "goodwill", "user_held"),
        ("second_life", "goodwill", "user_held"),
    ):
        for remainder in (False, True):
            for amount in (1, 7):
                refusal = _refusal(books, EXTRA + " where id = %s", kind, debit, credit, amount, remainder, request)
                assert refusal in {"23505", "23514", "LD005"}, (kind, remainder)
    books.bot(
        "select ledger.cancel(%s, id) from ledger.request where client_key = 'so that something else is held'", SAM
    )


def test_a_capture_without_its_request_is_seen_by_the_invariants(tampered: Any) -> None:
    _in_state(tampered, "rendered")
    tampered.do("set session_replication_role = replica")
    tampered.do(EXTRA, "capture", "user_held", "revenue", 7, False)
    rules = {row["rule"].split()[0] for row in tampered.violations()}
    assert {"I2", "I10"} <= rules


BREAKAGES = {
    "I1": "update ledger.wallet set available = available + 1",
    "I2": "update ledger.wallet set held = held + 1",
    "I3": "update ledger.wallet set held = held + 1",
    "I6": "update ledger.request set state = 'delivered', charged = 7",
    "I7": "update ledger.request set deadline = now() - interval '16 min', lease_until = null",
    "I8": "update ledger.outbox set available_at = now() - interval '16 min', created_at = now() - interval '16 min'",
    "I9": "update ledger.wallet set debt = debt + 1",
    "I11": "update ledger.transfer set epoch = 2 where kind = 'reserve'",
    "I10": "update ledger.request set cost = cost + 1",
}


def test_every_invariant_sees_what_it_watches(books: Any) -> None:
    _in_state(books, "rendered")
    for rule, breakage in BREAKAGES.items():
        with books.role(None).transaction(force_rollback=True):
            books.do("set local session_replication_role = replica")
            books.do(breakage)
            found = books.rows(None, "select rule from ledger.invariant_violation")
            assert rule in {row["rule"].split()[0] for row in found}


def test_a_deliverys_end_is_final(tampered: Any) -> None:
    _in_state(tampered, "delivered")
    for state, target in (
        ("sent", "rejected"),
        ("sent", "unknown"),
        ("superseded", "sending"),
        ("rejected", "unknown"),
        ("late", "superseded"),
    ):
        tampered.do("set session_replication_role = replica")
        ids = [1] if state in {"sent", "late"} else None
        tampered.do("update ledger.delivery set state = %s, message_ids = %s", state, ids)
        tampered.do("set session_replication_role = origin")
        assert _refusal(tampered, "update ledger.delivery set state = %s, message_ids = null", target) == "LD004"


@pytest.mark.finding("m4")
def test_updated_at_is_the_databases_word(books: Any) -> None:
    books.bot("select ledger.rub_order_open(%s, 'pack', 50, 49900)", SAM)
    _in_state(books, "delivered")
    for table in ("app_user", "request", "delivery", "rub_order"):
        books.do(f"update ledger.{table} set updated_at = '2000-01-01'")
        assert books.value(None, f"select min(updated_at) > now() - interval '1 minute' from ledger.{table}")


def test_a_transfer_finds_its_tables_whatever_the_search_path(books: Any) -> None:
    """`_post` has no search_path of its own: it is called by functions that have one, and names its schema itself."""
    books.topup(SAM, 7)
    for table in ("transfer", "wallet"):
        books.do(f"create table public.{table} (like ledger.{table} including all)")
    books.do("set search_path = public, ledger")
    posted = "select ledger._post('promo:tests', 'promo', 'promo', 'user_available', user_id, 3) from ledger.wallet"
    assert books.value(None, posted) is True
    assert books.wallet(SAM) == (10, 0)
    assert books.value(None, "select count(*) from public.transfer") == 0
