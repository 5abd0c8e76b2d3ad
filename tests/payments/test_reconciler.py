"""The clock that finds ruble payments nobody told of: each one once, whatever the provider runs into and whoever dies."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest
from aiogram.exceptions import TelegramNetworkError
from aiogram.methods import GetStarTransactions

from bot.payments.reconciler import Reconciler
from carousel_pipeline.payments import PACKS
from carousel_pipeline.payments.yookassa import Shop, YooKassa

from .conftest import Shopkeeper
from .yookassa_server import SECRET, SHOP, Provider

EVERY_S = 0.05
PACK = PACKS["medium"]
PRICE = "899.00"
NOBODY = "00000000-0000-0000-0000-000000000000"


async def no_telegram(_offset: int, _limit: int) -> Sequence[Mapping[str, Any]]:
    """Telegram is away all the time: it must not matter to rubles."""
    raise TelegramNetworkError(GetStarTransactions(), "unreachable")


@asynccontextmanager
async def looking(till: Shopkeeper, provider: Provider) -> AsyncIterator[None]:
    """A bot's reconciler at work; it is killed at the end, wherever it is."""
    async with aiohttp.ClientSession() as http:
        yookassa = YooKassa(
            http, Shop(SHOP, SECRET), provider.url, timeout=aiohttp.ClientTimeout(total=2), pause_s=0.001
        )
        work = asyncio.create_task(Reconciler(no_telegram, "stars:1", till.books, yookassa, EVERY_S).run())
        try:
            yield
            assert not work.done()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - the database announces nothing about its books
            await asyncio.sleep(0.02)


async def looked(provider: Provider, times: int) -> None:
    """Wait for so many more looks that came to their end: the returns are asked for last."""

    def ends() -> int:
        return sum(path == "/v3/refunds" for _, path, _ in provider.calls)

    before = ends()
    await until(lambda: ends() >= before + times + 1)


async def ordered(till: Shopkeeper, provider: Provider, tg: int, *, named: bool = True) -> tuple[UUID, str]:
    """A person's order with its payment at the provider, still to be confirmed; not named: we died before we knew its id."""
    await till.books.agree(tg)
    order = await till.books.open_rub_order(tg, PACK)
    # The provider's clock is behind ours.
    dated = (datetime.now(UTC) - timedelta(minutes=5)).isoformat(timespec="milliseconds")
    payment = provider.make(str(order.order_id), PRICE, created_at=dated)
    if named:
        await till.books.name_rub_order(order.order_id, payment)
    return order.order_id, payment


def others(provider: Provider, count: int) -> None:
    """What else the shop sells: paid, and no business of ours."""
    for _ in range(count):
        provider.pay(provider.make("", "10.00", metadata={}))


def purchases(till: Shopkeeper) -> dict[str, tuple[int, str]]:
    """How often each payment was credited, and who found it."""
    rows = till.sql("select charge, count(*) as n, min(found_by) as by from pay.purchase group by charge")
    return {row["charge"]: (row["n"], row["by"]) for row in rows}


@pytest.mark.finding("m26", "M16", "n12")
async def test_what_no_notification_told_is_credited_once_over_pages_failures_and_restarts(
    till: Shopkeeper, provider: Provider
) -> None:
    people = range(4101, 4109)
    paid = {}
    for tg in people:
        # Two pages and a half, ours on each of them.
        others(provider, 30)
        _, paid[tg] = await ordered(till, provider, tg, named=tg % 2 == 0)
        provider.pay(paid[tg])
    _, told = await ordered(till, provider, 4109)
    provider.pay(told)
    async with aiohttp.ClientSession() as http:
        known = await YooKassa(http, Shop(SHOP, SECRET), provider.url).payment(told)
    assert await till.books.rub_settle(known, "notice") == "credited"
    _, pending = await ordered(till, provider, 4110)
    refused, canceled = await ordered(till, provider, 4111)
    provider.cancel(canceled)

    # Given up at the first page; at the second, after the first was entered; slow; then a bot that dies where it stands.
    provider.patience_s = 3.0
    provider.faults.extend(["500", "html", "drop", "", "garbage", "429", "500", "", "hang", "", "drop", "", "401"])
    async with looking(till, provider):
        await until(lambda: len(purchases(till)) >= 2)
    async with looking(till, provider):
        await until(lambda: not provider.faults)
        await looked(provider, 3)
        assert purchases(till) == {told: (1, "notice")} | dict.fromkeys(paid.values(), (1, "reconciliation"))
        [row] = till.sql("select state from ledger.rub_order where id = %(id)s", id=refused)
        assert row["state"] == "canceled"
        # The buyer took a day to confirm.
        provider.pay(pending)
        await until(lambda: pending in purchases(till))
    assert [till.wallet(tg) for tg in (*people, 4109, 4110)] == [(PACK.credits, 0)] * 10
    assert sorted(till.topics()) == ["payment_credited"] * 10
    assert (await till.books.health()).unmatched == 0


@pytest.mark.finding("m26")
@pytest.mark.parametrize("lie", ["amount", "currency", "shop", "order", "another payment"])
async def test_a_payment_that_does_not_fit_is_kept_for_a_human_and_hides_no_other(
    till: Shopkeeper, provider: Provider, lie: str
) -> None:
    _, good = await ordered(till, provider, 4201)
    order, wrong = await ordered(till, provider, 4202)
    _, last = await ordered(till, provider, 4203)
    match lie:
        case "amount":
            provider.payments[wrong]["amount"] = {"value": "1.00", "currency": "RUB"}
        case "currency":
            provider.payments[wrong]["amount"] = {"value": PRICE, "currency": "AMD"}
        case "shop":
            provider.payments[wrong]["recipient"] = {"account_id": "1"}
        case "order":
            provider.payments[wrong]["metadata"] = {"order": NOBODY}
        case "another payment":
            wrong = provider.make(str(order), PRICE)
    for payment in (good, wrong, last):
        provider.pay(payment)
    async with looking(till, provider):
        await looked(provider, 3)
    assert purchases(till) == dict.fromkeys((good, last), (1, "reconciliation"))
    # What the list of another shop shows is not ours to keep.
    assert (await till.books.health()).unmatched == (lie != "shop")


async def test_returns_that_were_not_told_take_the_credits_back_once(till: Shopkeeper, provider: Provider) -> None:
    payments = {}
    for tg in (4301, 4302):
        _, payments[tg] = await ordered(till, provider, tg)
        provider.pay(payments[tg])
    async with looking(till, provider):
        await until(lambda: len(purchases(till)) == 2)
    till.spend(4302, 20)
    theirs = provider.make("", "10.00", metadata={})
    provider.pay(theirs)
    vanished = provider.make(str(uuid4()))
    for payment in (*payments.values(), theirs, vanished):
        provider.refund(payment)
    del provider.payments[vanished]
    provider.faults.extend(["500", "500", "500", "", "drop"])
    async with looking(till, provider):
        await until(lambda: not provider.faults)
        await looked(provider, 3)
    assert (till.wallet(4301), till.wallet(4302)) == ((0, 0), (0, 20))
    assert till.topics().count("payment_reversed") == 2
    assert (await till.books.health()).unmatched == 0
