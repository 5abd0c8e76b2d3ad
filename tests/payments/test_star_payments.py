"""The asset that compares Telegram's list with the books; and the list itself, read from the outside."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from carousel_pipeline.database import connect
from carousel_pipeline.payments import (
    PACKS,
    StarsPaid,
    StarsReturned,
    SubscriptionChanged,
    TransactionsError,
    read_transactions,
    read_update,
)
from carousel_pipeline.payments.reconcile import cursor_of, reconcile_stars

from ..pipeline.conftest import TOKEN, LocalTelegram, served_telegram  # noqa: TID252 - tests are no package

ANN = {"id": 4001, "is_bot": False, "first_name": "Ann"}
NOW = int(datetime.now(UTC).timestamp())


@pytest.fixture(scope="module")
def telegram(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTelegram]:
    with served_telegram(tmp_path_factory.mktemp("stars")) as server:
        yield server


def paid(telegram: LocalTelegram, payload: str, stars: int) -> int:
    """Have a new person pay an invoice with this payload; the test is the bot."""
    chat = telegram.new_user()
    prices = [{"label": "x", "amount": stars}]
    invoice = {"title": "x", "description": "x", "payload": payload, "currency": "XTR", "prices": prices}
    link = telegram.call("POST", f"/bot{TOKEN}/createInvoiceLink", invoice)["result"]
    with ThreadPoolExecutor(1) as payer:
        done = payer.submit(telegram.call, "POST", f"/sim/chats/{chat}/pay", {"link": link})
        updates = telegram.call("POST", f"/bot{TOKEN}/getUpdates", {"timeout": 10})["result"]
        yes = {"pre_checkout_query_id": updates[-1]["pre_checkout_query"]["id"], "ok": True}
        telegram.call("POST", f"/bot{TOKEN}/answerPreCheckoutQuery", yes)
        assert done.result()["status"] == "paid"
    telegram.call("POST", f"/bot{TOKEN}/getUpdates", {"offset": updates[-1]["update_id"] + 2})
    return chat


def test_the_asset_names_what_is_missing_and_the_bot_is_asked(
    database_url: str, telegram: LocalTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    from carousel_pipeline.assets import star_payments
    from carousel_pipeline.resources import Database, Telegram

    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", TOKEN)
    monkeypatch.setenv("TELEGRAM_API_URL", telegram.url)

    paid(telegram, str(uuid4()), 450)
    with connect(database_url, None) as connection:
        connection.execute(
            "insert into pay.unmatched (source, charge, direction, amount, reason) "
            "values ('stars', 'c', 'in', 5, 'no such order')"
        )
    told, check = star_payments(database=Database(url=database_url), telegram=Telegram())  # type: ignore[misc]  # a generator
    found = told.metadata
    assert (found["transactions"], found["missing"], found["stars at Telegram"]) == (1, 1, 450)
    assert (found["missing for ten minutes"], found["without an order"], check.passed) == (0, 1, False)
    with connect(database_url, None) as connection:
        assert [row["topic"] for row in connection.execute("select topic from ledger.outbox")] == ["reconcile"]


async def test_reconciliation_reads_every_page_and_goes_on_where_it_stopped(till: Any) -> None:
    orders = [await till.order(4001 + number % 7) for number in range(250)]
    rows: list[dict[str, Any]] = [
        source(f"stx{number}", str(order), date=NOW + number // 100) for number, order in enumerate(orders)
    ]
    rows[100:100] = [{"id": "w", "amount": 9, "date": NOW + 1, "receiver": {"type": "fragment"}}]
    asked: list[int] = []

    async def fetch(offset: int, limit: int) -> list[dict[str, Any]]:
        asked.append(offset)
        return rows[offset : offset + limit]

    cursor = cursor_of(123)
    done = await reconcile_stars(fetch, till.books, cursor)
    assert (done.seen, done.verdicts) == (251, {"credited": 250})
    assert await till.books.position(cursor) == 251
    rows.append({**source("stx7", str(orders[7])), "date": NOW + 9})
    rows[-1]["receiver"] = rows[-1].pop("source")
    done = await reconcile_stars(fetch, till.books, cursor)
    assert done.verdicts["charged_back"] == 1
    assert asked == [0, 100, 200, 151, 251]

    del rows[10:]
    asked.clear()
    assert (await reconcile_stars(fetch, till.books, cursor)).verdicts == {"known": 10}
    assert asked == [152, 0], "a list that became shorter is read from its beginning"


def source(charge: str, payload: str | None, date: int = NOW, **partner: Any) -> dict[str, Any]:
    who = {"type": "user", "transaction_type": "invoice_payment", "user": ANN, "invoice_payload": payload, **partner}
    return {"id": charge, "amount": 100, "date": date, "source": who}


@pytest.mark.finding("n12", "m23")
def test_kinds_that_are_none_of_ours_are_passed_over_and_do_not_stop_the_rest() -> None:
    order = uuid4()
    page = read_transactions(
        [
            source("a", str(order)),
            source("b", "theirs"),
            source("c", None, transaction_type="gift_purchase"),
            {"id": "d", "amount": 1, "date": NOW, "source": {"type": "a kind of next year", "user": {}}},
            {"id": "e", "amount": 1, "date": NOW},
            {"id": "f", "amount": 1, "date": NOW, "receiver": {"type": "telegram_ads"}},
        ]
    )
    when = datetime.fromtimestamp(NOW, UTC)
    assert [one.event for one in page] == [
        StarsPaid(4001, order, "a", 100, when), StarsPaid(4001, None, "b", 100, when), None, None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": "a", "amount": 1}],
        [source("", "x")],
        [{**source("a", "x"), "amount": None}],
        [{**source("a", "x"), "date": "noon"}],
        [source("b", "x", NOW), source("a", "x", NOW - 5)],
    ],
)
def test_a_list_that_is_not_what_telegram_promises_is_not_counted_on(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(TransactionsError):
        read_transactions(rows)


def test_updates_are_read_as_types_and_chats_are_none_of_our_business() -> None:
    order = uuid4()
    payment = {"currency": "XTR", "total_amount": 450, "invoice_payload": str(order), "telegram_payment_charge_id": "c"}
    message = {"message_id": 1, "date": NOW, "chat": {"id": 4001, "type": "private"}, "from": ANN}
    when = datetime.fromtimestamp(NOW, UTC)
    monthly = {**payment, "subscription_expiration_date": NOW, "is_recurring": True}
    assert read_update({"message": {**message, "successful_payment": payment}}) == StarsPaid(
        4001, order, "c", 450, when
    )
    assert read_update({"message": {**message, "successful_payment": monthly}}) == StarsPaid(
        4001, order, "c", 450, when, when
    )
    assert read_update({"message": {**message, "refunded_payment": payment}}) == StarsReturned(4001, "c", 450)
    change = {"user": ANN, "invoice_payload": str(order), "state": "failed"}
    assert read_update({"subscription": change}) == SubscriptionChanged(4001, order, "failed")
    assert read_update({"message": {**message, "text": "hello"}}) is None
    assert read_update({"message": {**message, "successful_payment": {**payment, "currency": "USD"}}}) is None
    for broken in ({"message": {"successful_payment": {}}}, {"subscription": {**change, "state": "new"}}):
        with pytest.raises((KeyError, ValueError)):
            read_update(broken)


@pytest.mark.finding("n13", "n14")
def test_packs_are_typed_cannot_be_changed_and_more_is_cheaper() -> None:
    packs = list(PACKS.values())
    with pytest.raises(TypeError):
        PACKS["small"] = packs[0]  # type: ignore[index]  # the point of it
    with pytest.raises(AttributeError):
        packs[0].credits = 1000  # type: ignore[misc]  # the point of it
    assert [pack.id for pack in packs] == list(PACKS)
    for price in ("stars", "kopecks"):
        each = [getattr(pack, price) / pack.credits for pack in packs]
        assert each == sorted(each, reverse=True)
        assert all(isinstance(getattr(pack, price), int) for pack in packs)


def test_a_price_stands_in_one_place_only() -> None:
    root = Path(__file__).parents[2]
    prices = {str(pack.stars) for pack in PACKS.values()} - {"100"}
    for path in (root / "bot").rglob("*.py"):
        words = set(path.read_text(encoding="utf-8").replace("(", " ").replace(")", " ").replace(",", " ").split())
        assert not words & prices, path


def test_an_order_is_a_uuid_and_nothing_else() -> None:
    assert isinstance(read_transactions([source("a", str(uuid4()))])[0].event.order, UUID)  # type: ignore[union-attr]
