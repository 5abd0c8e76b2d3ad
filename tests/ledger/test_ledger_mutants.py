"""The tests are alive: each of these faults, planted in the money path, is found by the test that is named beside it.

A mutant is one change of one function (or a lost constraint or trigger) in the database of one test. A mutant that nothing
finds, a change that no longer applies and a test that fails without any mutant are failures here.
"""

import importlib.util
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import psycopg
import pytest

from carousel_pipeline.ledger import LedgerError

SAM = 4242
GONE = "\x00"


class Mutant(NamedTuple):
    """A fault: in `function`, `old` becomes `new`; or, for GONE, the statement `old` is run."""

    name: str
    function: str
    old: str
    new: str
    killer: str
    arguments: Mapping[str, Any] = MappingProxyType({})


MUTANTS = [
    Mutant("a double tap is a second request", "reserve", "if found then", "if false then",
           "accounts.test_a_double_tap_is_the_same_request"),
    Mutant("a known key at another price", "reserve", "(old.cost, old.kind) is distinct from (p_cost, p_kind)", "false",
           "accounts.test_a_known_key_with_another_price_id_or_kind_is_refused", {"arguments": "8"}),
    Mutant("credit is not looked at", "reserve", "free < p_cost", "false",
           "accounts.test_without_credits_nothing_is_reserved"),
    Mutant("no dispatch row", "reserve", "perform _dispatch('dispatch:' || new_id || ':1', new_id, 1, p_kind);", "",
           "accounts.test_reserving_holds_the_price_and_writes_the_dispatch_row_in_one_transaction"),
    Mutant("the debt does not restrict", "reserve", "if blocked then", "if false then",
           "payments.test_what_was_spent_already_becomes_debt_and_restricts_the_user"),
    Mutant("the gift again and again", "welcome", "exists (select 1 from transfer where idem_key = 'welcome:' || uid)", "false",
           "accounts.test_the_welcome_gift_is_given_once"),
    Mutant("cancelled while sending", "cancel", "'sending','unknown'", "'late'",
           "accounts.test_cancelling_while_sending_is_too_late"),
    Mutant("anybody cancels", "cancel", "and u.tg_user_id = p_tg", "",
           "accounts.test_nobody_cancels_for_somebody_else"),
    Mutant("send again without a new fence", "user_resolve", "fence = r.fence + 1", "fence = r.fence",
           "accounts.test_in_doubt_the_user_wants_it_again"),
    Mutant("the user's yes charges nothing", "user_resolve", "return _arrived(r, d.id, '{}', d.charge)",
           "return _arrived(r, d.id, '{}', 0)", "accounts.test_in_doubt_the_user_says_it_arrived"),
    Mutant("two runs at once", "claim", "r.lease_until > clock_timestamp()", "false", "attempts.test_one_run_at_a_time"),
    Mutant("a claim without a new fence", "claim", "fence = r.fence + 1", "fence = r.fence",
           "attempts.test_the_same_run_may_claim_again_and_fences_its_earlier_step"),
    Mutant("a rerun of what was delivered", "claim", "('delivered','delivery_unknown')", "('delivery_unknown')",
           "attempts.test_a_rerun_of_what_is_settled_does_nothing", {"end": "delivered", "verdict": "done"}),
    Mutant("a heartbeat for ever", "heartbeat", "clock_timestamp() < deadline + interval '1 hour'", "true",
           "attempts.test_a_heartbeat_cannot_keep_a_hold_for_ever"),
    Mutant("a zombie renders", "rendered", "r.fence <> p_fence or ", "",
           "attempts.test_the_same_run_may_claim_again_and_fences_its_earlier_step"),
    Mutant("a zombie sends", "delivery_begin", "r.fence <> p_fence", "false", "attempts.test_a_zombie_cannot_send"),
    Mutant("an album is sent again", "delivery_begin", "('sending','sent','unknown')", "('sent')",
           "attempts.test_an_intended_album_is_never_intended_twice"),
    Mutant("any word repeats an intent", "delivery_begin", "d.fence, d.intent) = ('sending', p_fence, p_intent)",
           "d.fence) = ('sending', p_fence)", "attempts.test_only_who_intended_it_may_ask_again_after_a_lost_answer"),
    Mutant("a word outlives the doubt", "delivery_begin", "(d.state, d.fence, d.intent) = ('sending', p_fence, p_intent)",
           "(d.fence, d.intent) = (p_fence, p_intent)",
           "attempts.test_only_who_intended_it_may_ask_again_after_a_lost_answer"),
    Mutant("charged before it is sent", "delivery_begin", "verdict := 'send';",
           "verdict := 'send'; perform _resolve_hold(r, r.cost, 'early');",
           "attempts.test_what_arrived_is_charged_and_the_rest_comes_back_in_the_same_call", {"charge": 7}),
    Mutant("more than the price", "delivery_end", "fee not between 0 and r.cost", "false",
           "attempts.test_a_refused_album_charges_nothing_and_no_album_more_than_its_price"),
    Mutant("delivered twice", "delivery_end", "d.state in ('sent','late') or d.state = p_outcome", "false",
           "attempts.test_every_end_may_be_repeated_and_sent_is_final", {"first": "sent", "second": "sent"}),
    Mutant("what arrives late is lost", "_late_arrival", "if not found then", "if true then",
           "attempts.test_the_first_album_arrives_late_after_send_again", {"second": "rejected"}),
    Mutant("the rest is kept", "_resolve_hold", "if rest > 0 then\n", "if p_charge = 0 then\n",
           "attempts.test_what_arrived_is_charged_and_the_rest_comes_back_in_the_same_call", {"charge": 6}),
    Mutant("everything is charged", "_arrived", "coalesce(p_charge, r.cost)", "r.cost",
           "attempts.test_what_arrived_is_charged_and_the_rest_comes_back_in_the_same_call", {"charge": 6}),
    Mutant("the house's credits go to the user", "_resolve_hold", "else 'goodwill' end", "else 'user_available' end",
           "attempts.test_a_second_life_that_fails_gives_the_credits_back_to_the_house"),
    Mutant("refunded in doubt", "_give_up", "if found then", "if false then",
           "attempts.test_a_crash_while_sending_asks_the_user_and_refunds_nothing", {"rerun": False}),
    Mutant("a zombie refunds", "_give_up", "p_fence is not null and r.fence <> p_fence", "false",
           "attempts.test_the_same_run_may_claim_again_and_fences_its_earlier_step"),
    Mutant("the living are released", "_give_up", "coalesce(r.lease_until, r.deadline) > clock_timestamp()", "false",
           "attempts.test_by_the_clock_nothing_alive_is_released"),
    Mutant("nobody is told of a refund", "_release", "if not housed then", "if false then",
           "attempts.test_a_refund_is_told_with_what_came_back"),
    Mutant("the house has no cap", "second_life", "lives >= rule_value('second_lives_per_day')", "false",
           "attempts.test_the_house_pays_for_so_many_second_lives_a_day", {"rule": "second_lives_per_day", "limit": 2}),
    Mutant("silence refunds", "settle_due", "perform _arrived(r, d.id, '{}', d.charge);", "perform _release(r, 'silence');",
           "overdue.test_a_crash_while_sending_is_asked_about_and_after_long_silence_charged"),
    Mutant("silence is not waited for", "settle_due", "if r.deadline > clock_timestamp() then return 'waiting'; end if;", "",
           "overdue.test_a_crash_while_sending_is_asked_about_and_after_long_silence_charged"),
    Mutant("a payment of somebody else is taken back", "chargeback", "paid.user_id is distinct from uid", "false",
           "payments.test_a_payment_that_was_never_made_cannot_be_taken_back"),
    Mutant("a payment is taken back twice", "chargeback", "insert into reversal (source, charge, kind, user_id, credits) "
           "values (p_source, p_charge, p_kind, uid, p_credits);", "tail := tail || p_kind;",
           "payments.test_a_payment_is_taken_back_once_under_whatever_name", {"kind": "chargeback", "again": "buyer_refund"}),
    Mutant("a debt is never recovered", "_recover_debt", "if owed = 0 then", "if true then",
           "payments.test_held_credits_that_come_back_pay_the_debt_first"),
    Mutant("another sum pays an order", "rub_order_settle", "(p_kopecks, p_payment) is distinct from",
           "(o.kopecks, p_payment) <>",
           "payments.test_a_payment_of_another_sum_or_order_credits_nothing", {"payment": "pay-1", "kopecks": 100}),
    Mutant("another payload under a known key", "_post", "is distinct from (p_kind, p_debit, p_credit, p_user, p_amount)",
           "is null", "payments.test_a_known_payment_with_other_credits_or_another_owner_is_refused",
           {"change": "%s, 'stars', 'charge', 51"}),
    Mutant("credits for less than nothing", "legal", "p_amount > 0 and ", "", "tampering.test_an_illegal_transfer_is_refused"),
    Mutant("a capture without its epoch", "legal", "num_nonnulls(p_request, p_epoch)", "num_nonnulls(p_request, p_request)",
           "tampering.test_an_illegal_transfer_is_refused"),
    Mutant("payments leave the wallet of whoever paid", "legal", "'topup sales_rub user_available 0 f'",
           "'topup user_available sales_rub 0 f'", "tampering.test_only_these_transfers_are_legal"),
    Mutant("nothing is illegal", GONE, "alter table ledger.transfer drop constraint transfer_legal", "",
           "tampering.test_an_illegal_transfer_is_refused"),
    Mutant("wallets may be written", GONE, "drop trigger t_guard on ledger.wallet", "",
           "tampering.test_a_wallet_changes_only_through_transfers"),
    Mutant("history may be rewritten", GONE, "drop trigger t_immutable on ledger.transfer", "",
           "tampering.test_what_happened_is_never_rewritten"),
    Mutant("state and journal may part", GONE, "drop trigger t_agree on ledger.request", "",
           "tampering.test_a_state_cannot_be_set_past_the_journal", {"state": "rendered"}),
    Mutant("no unique index, no agreement of transfers", GONE, "drop index ledger.transfer_hold_resolves_once; "
           "drop trigger t_agree on ledger.transfer", "",
           "tampering.test_no_second_charge_no_second_refund_no_second_hold", {"state": "delivered"}),
]  # fmt: skip


@cache
def _module(name: str) -> ModuleType:
    path = Path(__file__).with_name(f"test_{name}.py")
    spec = importlib.util.spec_from_file_location(f"killers_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _killer(mutant: Mutant, books: Any) -> Callable[[], object]:
    module, _, name = mutant.killer.partition(".")
    test = getattr(_module(module), name)
    wanted = inspect.signature(test).parameters
    arguments = dict(mutant.arguments)
    if "books" in wanted:
        arguments["books"] = books
    if "request_" in wanted:
        books.topup(SAM, 20)
        arguments["request_"] = books.reserve(SAM, 7)
    return lambda: test(**arguments)


def _plant(mutant: Mutant, books: Any) -> None:
    if mutant.function == GONE:
        books.do(mutant.old)
        return
    find = "select pg_get_functiondef(oid) from pg_proc where pronamespace = 'ledger'::regnamespace and proname = %s"
    source: str = books.value(None, find, mutant.function)
    assert source.count(mutant.old) == 1, f"the mutant no longer fits: {mutant.name}"
    books.role(None).execute(source.replace(mutant.old, mutant.new).encode())


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_planted_fault_is_found(tampered: Any, mutant: Mutant) -> None:
    killer = _killer(mutant, tampered)
    _plant(mutant, tampered)
    found = (AssertionError, psycopg.Error, LedgerError, pytest.fail.Exception)
    with pytest.raises(found):
        killer()


@pytest.mark.parametrize("killer", sorted({mutant.killer for mutant in MUTANTS}))
def test_without_a_fault_the_same_tests_pass(tampered: Any, killer: str) -> None:
    _killer(next(mutant for mutant in MUTANTS if mutant.killer == killer), tampered)()
    assert tampered.violations() == []
