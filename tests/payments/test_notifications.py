"""The ruble provider's way in: who is believed, what of it, and what the books make of it."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web

from bot.payments.till import Till
from bot.payments.webhook import PATH, routes
from carousel_pipeline.networks import networks, sender
from carousel_pipeline.payments import PACKS
from carousel_pipeline.payments.notifications import NotificationError, genuine, read_notification

from .forgery import doors, forge, ruble_call, telegram_call
from .yookassa_server import send

ANN = 4001
PROXY = networks("127.0.0.1, 10.0.0.0/8")


@pytest.mark.finding("m26", "C8")
@pytest.mark.parametrize(
    ("peer", "forwarded", "allowed"),
    [
        ("185.71.76.5", [], True),
        ("::ffff:185.71.76.5", [], True),
        ("2a02:5180::9", [], True),
        ("185.71.76.5", ["8.8.8.8"], True),
        ("8.8.8.8", ["185.71.76.5"], False),
        ("127.0.0.1", ["185.71.76.5"], True),
        ("127.0.0.1", ["8.8.8.8, 185.71.76.5"], True),
        ("127.0.0.1", ["8.8.8.8", "185.71.76.5, 10.1.2.3"], True),
        ("127.0.0.1", ["185.71.76.5, 8.8.8.8"], False),
        ("127.0.0.1", ["185.71.76.5", "8.8.8.8"], False),
        ("127.0.0.1", ["185.71.76.5, "], False),
        ("127.0.0.1", ["185.71.76.5, é"], False),
        ("127.0.0.1", [], False),
        (None, ["185.71.76.5"], False),
        ("", [], False),
    ],
)
def test_only_the_hop_that_our_own_proxy_wrote_is_believed(
    peer: str | None, forwarded: list[str], *, allowed: bool
) -> None:
    assert genuine(sender(peer, forwarded, PROXY)) is allowed


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b'"x"', b"{}", b"\xff", b'{"event": "payment.succeeded"}',
        b'{"event": "payment.succeeded", "object": []}',
        b'{"event": "payment.succeeded", "object": {"id": 5}}', b'{"event": "payment.succeeded", "object": {"id": "../refunds"}}',
        b'{"event": "deal.closed", "object": {"id": "2d1f0a3c-000f"}}', b'{"event": ["x"], "object": {"id": "2d1f0a3c-000f"}}',
        b'{"event": "refund.succeeded", "object": {"id": "2d1f0a3c-000f"}}', b"[" * 100_000,
    ],
)  # fmt: skip
@pytest.mark.finding("m26")
def test_what_is_no_notification_is_refused(body: bytes) -> None:
    with pytest.raises(NotificationError):
        read_notification(body)


@pytest.fixture
async def rubles(till: Any, provider: Any, yookassa: Any) -> AsyncIterator[SimpleNamespace]:
    """A bot's ruble side: its route, its worker, the provider."""
    worker = Till(till.books, yookassa)
    app = web.Application()
    app.router.add_routes(routes(till.books, worker.hint, PROXY))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    work = asyncio.create_task(worker.run())

    async def settled() -> None:
        """Wait until every report is entered, given back or dead."""
        async with asyncio.timeout(40):
            open_ = "select 1 from ledger.inbox where processed_at is null and not dead and (attempts = 0 or last_error is null)"
            while till.sql(open_):  # noqa: ASYNC110 - the database announces nothing about its inbox
                await asyncio.sleep(0.02)

    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        yield SimpleNamespace(till=till, provider=provider, yookassa=yookassa, http=http, url=url, settled=settled)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await worker.drain()
    await runner.cleanup()


async def ordered(rubles: SimpleNamespace) -> tuple[UUID, str]:
    """An order of Ann's with its payment at the provider."""
    await rubles.till.books.agree(ANN)
    order = await rubles.till.books.open_rub_order(ANN, PACKS["medium"])
    payment = await rubles.yookassa.create(
        order=order.order_id, key=order.idempotence_key, kopecks=PACKS["medium"].kopecks, description="150 credits",
        email="ann@example.org", return_url="https://t.me/bot",
    )  # fmt: skip
    await rubles.till.books.name_rub_order(order.order_id, payment.id)
    return order.order_id, payment.id


@pytest.mark.finding("m26", "M16", "n12")
async def test_a_payment_is_credited_once_however_often_and_in_whatever_order_it_is_told(
    rubles: SimpleNamespace,
) -> None:
    _, payment = await ordered(rubles)
    rubles.provider.pay(payment)
    rubles.provider.faults.extend(["500", "html"])
    told = [rubles.provider.notice(event, payment) for event in ("payment.succeeded", "payment.waiting_for_capture")]
    answers = await asyncio.gather(*(send(rubles.http, rubles.url, body) for body in told * 5))
    assert set(answers) == {200}
    await rubles.settled()
    assert rubles.till.wallet(ANN) == (150, 0)
    rubles.provider.cancel(payment)
    assert await send(rubles.http, rubles.url, rubles.provider.notice("payment.canceled", payment)) == 200
    await rubles.settled()
    assert rubles.till.wallet(ANN) == (150, 0)
    assert rubles.till.topics() == ["payment_credited"]


@pytest.mark.finding("m26")
@pytest.mark.parametrize("lie", ["pending", "unknown", "amount", "currency", "shop", "order", "another payment"])
async def test_the_providers_own_books_decide_and_not_the_body(rubles: SimpleNamespace, lie: str) -> None:
    order, payment = await ordered(rubles)
    told = rubles.provider.notice("payment.succeeded", payment)
    told["object"] = {**told["object"], "status": "succeeded", "paid": True}
    books = rubles.provider.payments
    if lie != "pending":
        rubles.provider.pay(payment)
    match lie:
        case "unknown":
            del books[payment]
        case "amount":
            books[payment]["amount"] = {"value": "1.00", "currency": "RUB"}
        case "currency":
            books[payment]["amount"] = {"value": "899.00", "currency": "AMD"}
        case "shop":
            books[payment]["recipient"] = {"account_id": "1"}
        case "order":
            books[payment]["metadata"] = {"order": "00000000-0000-0000-0000-000000000000"}
        case "another payment":
            other = rubles.provider.make(str(order))
            rubles.provider.pay(other)
            told["object"]["id"] = other
    assert await send(rubles.http, rubles.url, told) == 200
    await rubles.settled()
    assert rubles.till.wallet(ANN) == (0, 0)
    assert "payment_credited" not in rubles.till.topics()
    expected = {"amount", "currency", "order", "another payment"}
    assert (await rubles.till.books.health()).unmatched == (lie in expected)


async def test_a_return_at_the_provider_takes_the_credits_back(rubles: SimpleNamespace) -> None:
    _, payment = await ordered(rubles)
    rubles.provider.pay(payment)
    await send(rubles.http, rubles.url, rubles.provider.notice("payment.succeeded", payment))
    await rubles.settled()
    rubles.till.spend(ANN, 20)
    rubles.provider.refund(payment)
    for _ in range(2):
        assert await send(rubles.http, rubles.url, rubles.provider.notice("refund.succeeded", payment)) == 200
    await rubles.settled()
    assert rubles.till.wallet(ANN) == (0, 20)
    assert rubles.till.topics()[-1] == "payment_reversed"


async def test_what_was_not_stored_is_not_acknowledged(rubles: SimpleNamespace) -> None:
    assert await send(rubles.http, rubles.url, None, raw=b"x" * 100_000) == 413
    assert await send(rubles.http, rubles.url, None, raw=b"{}") == 400
    _, payment = await ordered(rubles)
    rubles.till.sql("revoke execute on function ledger.inbox_put(text, text, jsonb) from led_pay")
    body = rubles.provider.notice("payment.succeeded", payment)
    assert await send(rubles.http, rubles.url, body) == 500


@pytest.mark.finding("C8", "m26", "M23")
async def test_forged_calls_get_nowhere_and_genuine_ones_through(database_url: str, till: Any, seed: int) -> None:
    async with doors(database_url) as at, aiohttp.ClientSession() as http:
        telegram = await forge(http, at.telegram, telegram_call, 300, seed)
        rubles = await forge(http, at.rubles, ruble_call, 300, seed)
    for answers, source in ((telegram, "tg_update"), (rubles, "yk_webhook")):
        assert set(answers) == {"forged 403", "genuine 200"}
        [row] = till.sql("select count(*) from ledger.inbox where source = %(source)s", source=source)
        assert row["count"] == answers["genuine 200"]
