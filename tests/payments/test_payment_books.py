"""What the books do with what is reported: once, in any order, and never in a way that fails where money is concerned."""

import asyncio
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from carousel_pipeline.payments import PACKS, StarsReturned, SubscriptionChanged

ANN, BEN, EVE = 4001, 4002, 4003


@pytest.mark.finding("M16", "n12")
async def test_a_payment_is_credited_once_by_its_charge_however_it_is_reported(till: Any) -> None:
    report = till.report(ANN, await till.order(ANN))
    answers = await asyncio.gather(*(till.books.stars_paid(report, "notice") for _ in range(8)))
    assert sorted(answer.verdict for answer in answers) == ["credited"] + ["known"] * 7
    assert (await till.books.stars_paid(report, "reconciliation")).verdict == "known"
    assert till.wallet(ANN) == (30, 0)
    assert till.topics() == ["payment_credited"]


async def test_a_second_real_payment_of_an_invoice_gets_its_credits_whoever_made_it(till: Any) -> None:
    order = await till.order(ANN)
    for payer in (ANN, ANN, BEN):
        assert (await till.books.stars_paid(till.report(payer, order), "notice")).credits == 30
    assert (till.wallet(ANN), till.wallet(BEN)) == ((60, 0), (30, 0))


@pytest.mark.parametrize("wrong", ["no order", "another order", "another sum"])
async def test_a_payment_without_an_order_is_kept_for_a_human_until_it_is_explained(till: Any, wrong: str) -> None:
    order = {"no order": None, "another order": uuid4(), "another sum": await till.order(ANN)}[wrong]
    report = till.report(ANN, order, 99 if wrong == "another sum" else 100)
    for _ in range(2):
        assert (await till.books.stars_paid(report, "notice")).verdict == "unmatched"
    assert (await till.books.health()).unmatched == 1
    close = "select pay.ops_matched('stars', %(charge)s, 'in', 'anna', %(why)s)"
    with pytest.raises(psycopg.Error):
        till.sql(close, "led_ops", charge=report.charge, why="")
    till.sql(close, "led_ops", charge=report.charge, why="returned by hand")
    assert (await till.books.health()).unmatched == 0


async def test_checkout_says_why_not(till: Any) -> None:
    order = await till.order(ANN)
    assert (await till.books.checkout(order, ANN, 100)).verdict == "ok"
    assert (await till.books.checkout(order, BEN, 100)).verdict == "foreign"
    assert (await till.books.checkout(order, ANN, 1)).verdict == "changed"
    assert (await till.books.checkout(uuid4(), ANN, 100)).verdict == "unknown"
    await till.books.stars_paid(till.report(ANN, order), "notice")
    assert (await till.books.checkout(order, ANN, 100)).verdict == "used"
    banned = await till.order(BEN)
    till.sql("insert into house.ban (user_id) select id from ledger.app_user where tg_user_id = %(tg)s", tg=BEN)
    assert (await till.books.checkout(banned, BEN, 100)).verdict == "banned"
    late = await till.order(ANN)
    till.sql("update pay.star_order set expires_at = clock_timestamp() where id = %(id)s", id=late)
    assert (await till.books.checkout(late, ANN, 100)).verdict == "expired"


async def test_checkout_reads_by_keys_only(till: Any) -> None:
    order = await till.order(ANN)
    with psycopg.connect(till.url) as connection:
        # In a small table the planner reads all of it; what counts is whether it can do otherwise.
        connection.execute("set enable_seqscan = off; load 'auto_explain'; set auto_explain.log_min_duration = 0")
        connection.execute("set auto_explain.log_nested_statements = on; set client_min_messages = log")
        plans: list[str] = []
        connection.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
        connection.execute("select * from pay.checkout(%s, %s, 100)", (order, ANN))
    [plan] = [plan for plan in plans if "star_order" in plan]
    assert "Seq Scan" not in plan
    assert plan.count("Index Scan") + plan.count("Index Only Scan") == 4


async def test_no_order_without_consent_to_the_present_terms(till: Any) -> None:
    assert await till.books.open_star_order(EVE, PACKS["small"]) is None
    assert await till.books.open_rub_order(EVE, PACKS["small"]) is None
    till.sql(
        "insert into pay.consent (user_id, version) select id, 99 from ledger.app_user where tg_user_id = %(tg)s",
        tg=EVE,
    )
    assert not await till.books.agreed(EVE)
    await till.books.agree(EVE)
    await till.books.agree(EVE)
    assert await till.books.open_star_order(EVE, PACKS["small"]) is not None


async def test_an_unspent_pack_goes_back_newest_first_and_a_begun_one_does_not(till: Any) -> None:
    first, second = await till.bought(ANN), await till.bought(ANN, "medium")
    till.spend(ANN, 4)
    newest, oldest = await till.books.purchases(ANN, 5)
    assert [pack.state for pack in (newest, oldest)] == ["unspent", "spent"]
    assert await till.books.begin_refund(ANN, oldest.number) == "spent"
    assert await till.books.begin_refund(BEN, newest.number) == "gone"
    verdicts = await asyncio.gather(*(till.books.begin_refund(ANN, newest.number) for _ in range(4)))
    assert sorted(verdicts) == ["already", "already", "already", "begun"]
    assert till.wallet(ANN) == (26, 0)
    assert till.topics().count("refund_stars") == 1
    assert [pack.state for pack in await till.books.purchases(ANN, 5)] == ["returning", "spent"]
    for expected in ("refunded", "known"):
        assert await till.books.stars_returned(StarsReturned(ANN, second.charge, 450)) == expected
    assert till.wallet(ANN) == (26, 0)
    assert await till.books.stars_returned(StarsReturned(ANN, first.charge, 100)) == "charged_back"
    assert till.wallet(ANN) == (0, 4)


async def test_a_held_pack_does_not_go_back_and_spending_against_a_refund_cannot_win_twice(till: Any) -> None:
    await till.bought(ANN)
    [pack] = await till.books.purchases(ANN, 5)

    async def order(number: int) -> bool:
        try:
            await asyncio.to_thread(
                till.sql, "select * from ledger.reserve(%(tg)s, %(key)s, 6)", "led_bot", tg=ANN, key=f"race {number}"
            )
        except psycopg.Error:
            return False
        return True

    began, *held = await asyncio.gather(
        till.books.begin_refund(ANN, pack.number), *(order(number) for number in range(3))
    )
    assert (began == "begun") != any(held)


async def test_a_refund_nobody_took_is_asked_for_again(till: Any) -> None:
    await till.bought(ANN)
    [pack] = await till.books.purchases(ANN, 5)
    await till.books.begin_refund(ANN, pack.number)
    assert await till.books.ask_refunds_again() == 0
    till.sql("alter table pay.refund disable trigger t_touch")
    till.sql(
        "update pay.refund set updated_at = clock_timestamp() - interval '2 hours', created_at = updated_at - interval '3 hours'"
    )
    till.sql("alter table pay.refund enable trigger t_touch")
    assert (await till.books.health()).refunds_waiting == 1
    assert (await till.books.ask_refunds_again(), await till.books.ask_refunds_again()) == (1, 0)
    assert till.topics().count("refund_stars") == 2


async def test_a_return_before_its_payment_is_explained_when_the_payment_comes(till: Any) -> None:
    report = till.report(ANN, await till.order(ANN))
    back = StarsReturned(ANN, report.charge, 100)
    assert await till.books.stars_returned(back) == "unmatched"
    await till.books.stars_paid(report, "reconciliation")
    assert await till.books.stars_returned(back) == "charged_back"
    assert ((await till.books.health()).unmatched, till.wallet(ANN)) == (0, (0, 0))


async def test_a_charge_back_never_fails_even_for_somebody_who_was_forgotten(till: Any) -> None:
    report = await till.bought(ANN)
    till.spend(ANN, 10)
    assert await till.books.stars_returned(StarsReturned(ANN, report.charge, 100)) == "charged_back"
    assert till.wallet(ANN) == (0, 10)
    forgotten = await till.bought(BEN)
    till.sql("select ledger.ops_erase(%(tg)s, 'anna', 'asked for it')", "led_ops", tg=BEN)
    assert await till.books.stars_returned(StarsReturned(BEN, forgotten.charge, 100)) == "unmatched"


async def test_a_plan_lasts_as_long_as_it_is_paid(till: Any) -> None:
    await till.books.agree(ANN)
    order = await till.books.open_star_order(ANN, PACKS["small"], monthly=True)
    [ends] = [row["at"] for row in till.sql("select clock_timestamp() + interval '30 days' as at")]
    first = till.report(ANN, order)
    for report in (first, till.report(ANN, order)):
        await till.books.stars_paid(type(report)(ANN, order, report.charge, 100, report.paid_at, ends), "notice")
    [plan] = await till.books.subscriptions(ANN)
    assert (plan.charge, plan.state, till.wallet(ANN)) == (first.charge, "active", (60, 0))
    await till.books.subscription_changed(SubscriptionChanged(BEN, order, "canceled"))
    assert (await till.books.subscriptions(ANN))[0].state == "active"
    await till.books.subscription_changed(SubscriptionChanged(ANN, order, "canceled"))
    assert (await till.books.subscriptions(ANN))[0].state == "canceled"


async def test_a_code_is_used_once_a_person_and_as_often_as_it_says(till: Any) -> None:
    till.sql("select pay.ops_promo_code('spring-1', 5, 3, null, 'anna', 'spring sale')", "led_ops")
    answers = await asyncio.gather(*(till.books.redeem(5000 + number % 5, " Spring-1 ") for number in range(10)))
    assert sorted(answer.verdict for answer in answers).count("credited") == 3
    assert {answer.verdict for answer in answers} == {"credited", "used", "over"}
    [row] = till.sql("select count(*), sum(amount) as total from ledger.transfer where kind = 'promo_code'")
    assert (row["count"], row["total"]) == (3, 15)
    assert [(await till.books.redeem(EVE, f"GUESS{number}")).verdict for number in range(12)][9:] == [
        "unknown",
        "wait",
        "wait",
    ]
    assert (await till.books.redeem(EVE, "spring-1")).verdict == "wait"


async def test_a_friend_is_worth_something_once_after_a_carousel_that_was_paid_with_money(till: Any) -> None:
    code = (await till.books.invitation(ANN)).code
    bind = "select bot.referred(%(tg)s, %(code)s) as bound"
    assert [row["bound"] for tg in (BEN, BEN, ANN) for row in till.sql(bind, "led_bot", tg=tg, code=code)] == [
        True,
        False,
        False,
    ]
    till.sql("select ledger.welcome(%(tg)s)", "led_bot", tg=BEN)
    till.spend(BEN, 5)
    assert "referral" not in till.topics(), "free credits are no payment"
    await till.bought(BEN)
    till.spend(BEN, 1)
    till.spend(BEN, 1)
    assert till.topics().count("referral") == 1
    [ben] = till.sql("select id from ledger.app_user where tg_user_id = %(tg)s", tg=BEN)
    answers = await asyncio.gather(*(till.books.reward(ben["id"]) for _ in range(5)))
    assert sorted(answer.verdict for answer in answers) == ["known"] * 4 + ["rewarded"]
    assert till.wallet(ANN) == (10, 0)
    assert [row["bound"] for row in till.sql(bind, "led_bot", tg=EVE, code="nobody")] == [False]
    till.spend(EVE, 0)
    assert [row["bound"] for row in till.sql(bind, "led_bot", tg=EVE, code=code)] == [False], "not new any more"


async def test_rewards_are_limited(till: Any) -> None:
    code = (await till.books.invitation(ANN)).code
    till.sql("select ledger.ops_rule('referrals_per_month', 1, 'anna', 'a quiet month')", "led_ops")
    verdicts = []
    for friend in (BEN, EVE):
        till.sql("select bot.referred(%(tg)s, %(code)s)", "led_bot", tg=friend, code=code)
        [row] = till.sql("select id from ledger.app_user where tg_user_id = %(tg)s", tg=friend)
        verdicts.append((await till.books.reward(row["id"])).verdict)
    assert verdicts == ["rewarded", "capped"]


async def test_the_pipeline_may_look_and_not_credit(till: Any) -> None:
    report = await till.bought(ANN)
    seen = f'[{{"charge": "{report.charge}", "direction": "in"}}, {{"charge": "lost", "direction": "in"}}]'
    [row] = till.sql("select n from pay.stars_audit(%(seen)s::jsonb) n", "led_pipeline", seen=seen)
    assert (row["n"], till.topics()[-1]) == (2, "reconcile")
    for call in (
        "pay.stars_paid(1, null, 'c', 1, now(), 'notice')",
        "pay.promo_redeem(1, 'X')",
        "pay.refund_begin(1, 1)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            till.sql(f"select {call}", "led_pipeline")


async def test_nobody_but_operators_reads_the_tables(till: Any) -> None:
    may = till.sql(
        "select role, relname from pg_class, unnest(array['led_bot', 'led_pay', 'led_pipeline', 'led_analyst']) role, "
        "unnest(array['select', 'insert', 'update', 'delete']) verb where relnamespace = 'pay'::regnamespace "
        "and relkind = 'r' and has_table_privilege(role, pg_class.oid, verb)"
    )
    assert may == []
