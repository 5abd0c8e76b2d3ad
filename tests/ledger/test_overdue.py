"""Every state has an owner who times it out, and the clock is the database's."""

from datetime import timedelta
from typing import Any

import pytest

from bot.store import Store
from bot.sweeper import sweep
from carousel_pipeline.database import async_pool

SAM = 4242


@pytest.mark.finding("C1")
@pytest.mark.parametrize("state", ["reserved", "running", "rendered", "refused"])
def test_what_nobody_finishes_is_refunded_unasked(books: Any, state: str) -> None:
    books.topup(SAM, 7)
    request = books.reserve(SAM, 7)
    if state == "running":
        books.pipeline.claim(request, "run-1")
    elif state == "rendered":
        books.rendered(request)
    elif state == "refused":
        books.pipeline.rejected(books.sending(request), "400")
    assert books.pipeline.settle_due(request) == "waiting"
    assert list(books.pipeline.due()) == []
    books.later(request)
    assert list(books.pipeline.due()) == [request]
    assert books.pipeline.settle_due(request) == "released"
    assert books.pipeline.settle_due(request) == "waiting"
    assert books.wallet(SAM) == (7, 0)
    assert [told["reason"] for told in books.outbox("notify_refund")] == ["timeout"]


def test_not_ready_in_time_is_said_only_when_the_time_was_up(books: Any) -> None:
    books.topup(SAM, 7)
    request = books.reserve(SAM, 7)
    books.pipeline.claim(request, "run-1")
    books.do("update ledger.request set lease_until = now() where id = %s", request)
    assert books.pipeline.settle_due(request) == "released"
    assert [told["reason"] for told in books.outbox("notify_refund")] == ["failed"]


@pytest.mark.finding("C1")
async def test_one_request_that_cannot_be_settled_does_not_keep_the_others(
    books: Any, database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    books.topup(SAM, 9)
    stuck, *others = sorted(books.reserve(SAM, 3) for _ in range(3))
    for request in (stuck, *others):
        books.later(request, "31 minutes")
    books.do(
        "create function public.spoil() returns trigger language plpgsql as "
        "$f$ begin raise exception 'spoiled' using errcode = 'XX001'; end $f$"
    )
    books.do(
        f"create trigger t_spoil before update on ledger.request for each row when (new.id = '{stuck}') "
        "execute function public.spoil()"
    )
    monkeypatch.setattr("bot.sweeper._PAGE", 1)
    async with async_pool(database_url, "led_bot") as pool:
        await sweep(Store(pool))
    assert [books.state(request) for request in (stuck, *others)] == ["reserved", "released", "released"]
    assert f"overdue request {stuck} is not settled: XX001" in caplog.text
    assert books.wallet(SAM) == (6, 3)


def test_the_bot_sweeps_with_dagster_stopped(books: Any) -> None:
    books.topup(SAM, 7)
    request = books.reserve(SAM, 7)
    books.later(request)
    assert books.rows("led_bot", "select * from ledger.due(10)") == [{"due": request}]
    assert books.bot("select ledger.settle_due(%s)", request) == "released"


def test_a_crash_while_sending_is_asked_about_and_after_long_silence_charged(books: Any) -> None:
    books.topup(SAM, 7)
    request = books.reserve(SAM, 7)
    books.sending(request, charge=6)
    books.later(request)
    assert books.pipeline.settle_due(request) == "asked"
    books.later(request, "71 hours")
    assert list(books.pipeline.due()) == []
    assert books.pipeline.settle_due(request) == "waiting"
    books.later(request, "2 hours")
    assert list(books.pipeline.due()) == [request]
    assert books.pipeline.settle_due(request) == "charged"
    assert books.wallet(SAM) == (1, 0)
    assert books.bot("select ledger.user_resolve(%s, false)", request) == "delivered"


def test_the_deadlines_are_rules_an_operator_may_tune(books: Any) -> None:
    books.topup(SAM, 7)
    books.value("led_ops", "select ledger.ops_rule('silence_hours', 1, 'ann', 'support is on holiday')")
    request, _ = books.in_doubt(SAM, 7)
    books.later(request)
    assert books.pipeline.settle_due(request) == "charged"


def test_due_and_open_holds_are_paged_by_key(books: Any) -> None:
    requests = sorted(books.reserve(SAM, 0) for _ in range(5))
    for request in requests:
        books.later(request)
    first = [row["due"] for row in books.rows("led_pipeline", "select * from ledger.due(3)")]
    rest = [row["due"] for row in books.rows("led_pipeline", "select * from ledger.due(3, %s)", first[-1])]
    assert first + rest == requests
    assert [hold.id for hold in books.pipeline.open_holds()] == requests
    for request in requests:
        assert books.pipeline.settle_due(request) == "released"


def test_an_open_hold_is_described_by_the_databases_clock(books: Any) -> None:
    books.topup(SAM, 7)
    request = books.reserve(SAM, 7)
    [hold] = books.pipeline.open_holds()
    assert (hold.id, hold.state, hold.epoch, hold.fence, hold.cost) == (request, "reserved", 1, 0, 7)
    assert (hold.run_id, hold.dispatch_key) == (None, f"dispatch:{request}:1")
    assert (hold.lease_alive, hold.overdue, hold.sending) == (False, False, False)
    assert list(books.pipeline.open_holds(timedelta(minutes=1))) == []
    one = books.pipeline.open_hold(hold.id)
    assert one is not None
    assert one.id == hold.id
    delivery = books.sending(request)
    [hold] = books.pipeline.open_holds()
    assert (hold.state, hold.run_id, hold.lease_alive, hold.sending) == ("rendered", "run-1", True, True)
    books.pipeline.in_doubt(delivery, "timeout")
    books.bot("select ledger.user_resolve(%s, false)", request)
    [hold] = books.pipeline.open_holds()
    assert (hold.state, hold.run_id, hold.dispatch_key) == ("rendered", None, f"resend:{delivery}")
    books.later(request)
    [hold] = books.pipeline.open_holds()
    assert hold.overdue
    books.pipeline.settle_due(request)
    assert list(books.pipeline.open_holds()) == []
    assert books.pipeline.open_hold(hold.id) is None
