"""The ruble provider's client: every way to fail is a typed one, a repetition is the same payment, and no secret gets out."""

import traceback
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from carousel_pipeline.payments.yookassa import (
    Shop,
    YooKassa,
    YooKassaAnswerError,
    YooKassaRefusedError,
    YooKassaUnavailableError,
    read_payment,
)

from .yookassa_server import SECRET, SHOP, Provider

NOW = datetime.now(UTC)


def wish(**changes: Any) -> dict[str, Any]:
    order = uuid4()
    asked = {
        "order": order, "key": f"pay:{order}", "kopecks": 89_900, "description": "50 credits", "email": "ann@example.org",
        "return_url": "https://t.me/bot",
    }  # fmt: skip
    return {**asked, **changes}


@pytest.mark.finding("m26", "n12", "m22")
async def test_a_payment_is_asked_for_and_read_back_as_a_type(provider: Provider, yookassa: YooKassa) -> None:
    asked = wish()
    made = await yookassa.create(**asked)
    assert (made.status, made.order, made.kopecks, made.returned_kopecks) == ("pending", asked["order"], 89_900, 0)
    assert made.confirmation_url is not None
    provider.pay(made.id)
    paid = await yookassa.payment(made.id)
    assert (paid.status, paid.kopecks) == ("succeeded", 89_900)
    assert paid.paid_at > made.paid_at - timedelta(seconds=1)


@pytest.mark.parametrize("fault", ["500", "html", "drop", "429", "garbage", "made_then_500", "made_then_drop"])
async def test_an_unknown_outcome_is_repeated_with_the_same_key_and_is_one_payment(
    provider: Provider, yookassa: YooKassa, fault: str
) -> None:
    provider.faults.append(fault)
    asked = wish()
    made = await yookassa.create(**asked)
    assert [key for _, _, key in provider.calls] == [asked["key"]] * 2
    assert list(provider.payments) == [made.id]
    assert (await yookassa.create(**asked)).id == made.id


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("400", YooKassaRefusedError), ("401", YooKassaRefusedError), ("list", YooKassaAnswerError),
        ("500", YooKassaUnavailableError), ("html", YooKassaUnavailableError), ("drop", YooKassaUnavailableError),
    ],
)  # fmt: skip
async def test_a_failure_has_a_type_and_tells_nothing(
    provider: Provider, yookassa: YooKassa, fault: str, error: type[Exception]
) -> None:
    provider.faults.extend([fault] * 3)
    with pytest.raises(error) as failure:
        await yookassa.create(**wish())
    told = "".join(traceback.format_exception(failure.value)) + repr(Shop(SHOP, SECRET))
    for secret in (SECRET, "ann@example.org", "Basic "):
        assert secret not in told


async def test_a_silent_server_is_left_in_time(provider: Provider) -> None:
    provider.faults.extend(["hang"] * 3)
    provider.patience_s = 0.2
    async with aiohttp.ClientSession() as http:
        client = YooKassa(
            http, Shop(SHOP, SECRET), provider.url, timeout=aiohttp.ClientTimeout(total=0.05), pause_s=0.01
        )
        with pytest.raises(YooKassaUnavailableError):
            await client.payment("2d1f0a3c-000f-5000-8000-1a2b3c4d5e6f")


async def test_lists_are_read_to_their_end(provider: Provider, yookassa: YooKassa) -> None:
    made = [provider.make(str(uuid4())) for _ in range(230)]
    for payment in made[:105]:
        provider.pay(payment)
        provider.refund(payment)
    assert {payment.id async for payment in yookassa.payments(NOW - timedelta(days=1))} == set(made)
    assert {payment async for payment in yookassa.refunded_payments(NOW - timedelta(days=1))} == set(made[:105])
    assert [payment async for payment in yookassa.payments(NOW + timedelta(days=1))] == []


@pytest.mark.parametrize("name", ["../refunds", "a", "x" * 65, "a?b=c&d=eeee", "päymentpayment"])
async def test_an_id_that_is_none_is_not_asked_for(provider: Provider, yookassa: YooKassa, name: str) -> None:
    with pytest.raises(YooKassaRefusedError):
        await yookassa.payment(name)
    assert provider.calls == []


@pytest.mark.parametrize(
    "change",
    [
        {"status": "done"}, {"status": "succeeded", "paid": False}, {"recipient": {"account_id": "1"}}, {"recipient": None},
        {"amount": {"value": "8.995", "currency": "RUB"}}, {"amount": {"value": "-1", "currency": "RUB"}},
        {"amount": {"value": "x", "currency": "RUB"}}, {"amount": {}}, {"created_at": "yesterday"}, {"id": None, "created_at": 5},
    ],
)  # fmt: skip
@pytest.mark.finding("m26", "m23")
async def test_what_is_no_payment_of_this_shop_is_never_read_as_one(
    provider: Provider, yookassa: YooKassa, change: dict[str, Any]
) -> None:
    payment = provider.make(str(uuid4()))
    provider.payments[payment] |= change
    with pytest.raises(YooKassaAnswerError):
        await yookassa.payment(payment)


def test_money_of_another_currency_fits_no_order_and_metadata_of_others_names_none() -> None:
    raw = Provider().payments | {
        "id": "p", "status": "succeeded", "paid": True, "amount": {"value": "899.00", "currency": "KZT"},
        "recipient": {"account_id": SHOP}, "metadata": {"order": "theirs"}, "created_at": "2026-11-23T10:00:00.000Z",
    }  # fmt: skip
    payment = read_payment(raw, SHOP)
    assert (payment.kopecks, payment.order) == (None, None)
