"""Play money: what Telegram does with an invoice, and the person's side of it."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
INVOICE = {
    "title": "50 credits",
    "description": "For 50 slides",
    "payload": "order-1",
    "currency": "XTR",
    "prices": [{"label": "50 credits", "amount": 450}],
}

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def invoice(sim: Any, chat: int, **changes: Any) -> int:
    status, answer = await sim.api("sendInvoice", chat_id=chat, **{**INVOICE, **changes})
    assert status == 200, answer
    return int(answer["result"]["message_id"])


async def news(sim: Any, kind: str) -> list[dict[str, Any]]:
    """Take the pending updates; those of a kind, or messages with such a field."""
    _, answer = await sim.api("getUpdates", timeout=5)
    updates = answer["result"]
    await sim.api("getUpdates", offset=updates[-1]["update_id"] + 1 if updates else 0, timeout=0)
    return [
        update.get(kind) or update["message"]
        for update in updates
        if kind in update or kind in update.get("message", {})
    ]


async def paid(sim: Any, chat: int, message: int, **how: Any) -> dict[str, Any]:
    """Pay, and let the bot agree."""
    task = asyncio.create_task(sim.call("POST", f"/sim/chats/{chat}/pay", json={"message_id": message, **how}))
    [query] = await news(sim, "pre_checkout_query")
    assert (query["currency"], query["total_amount"], query["invoice_payload"]) == ("XTR", 450, "order-1")
    await sim.api("answerPreCheckoutQuery", pre_checkout_query_id=query["id"], ok=True)
    answer: dict[str, Any] = await task
    assert answer["status"] == "paid"
    return answer


async def test_a_payment_has_one_charge_one_transaction_and_one_report(sim: Any) -> None:
    chat = await sim.user()
    charge = (await paid(sim, chat, await invoice(sim, chat)))["charge"]
    [message] = await news(sim, "successful_payment")
    assert message["successful_payment"]["telegram_payment_charge_id"] == charge
    assert message["from"]["id"] == chat
    _, answer = await sim.api("getStarTransactions")
    [transaction] = answer["result"]["transactions"]
    assert (transaction["id"], transaction["amount"]) == (charge, 450)
    assert transaction["source"]["invoice_payload"] == "order-1"
    assert (await sim.api("getMyStarBalance"))[1]["result"] == {"amount": 450}

    assert (await sim.api("refundStarPayment", user_id=chat + 1, telegram_payment_charge_id=charge))[0] == 400
    assert (await sim.api("refundStarPayment", user_id=chat, telegram_payment_charge_id=charge))[1]["result"] is True
    _, again = await sim.api("refundStarPayment", user_id=chat, telegram_payment_charge_id=charge)
    assert again["description"] == "Bad Request: CHARGE_ALREADY_REFUNDED"
    _, answer = await sim.api("getStarTransactions", offset=1, limit=1)
    [back] = answer["result"]["transactions"]
    assert (back["id"], back["receiver"]["user"]["id"]) == (charge, chat)
    assert (await sim.api("getStarTransactions", offset=2))[1]["result"] == {"transactions": []}
    assert (await sim.api("getMyStarBalance"))[1]["result"] == {"amount": 0}


async def test_without_a_yes_in_time_nothing_is_paid(sim: Any) -> None:
    chat = await sim.user()
    message = await invoice(sim, chat)
    how = {"message_id": message, "patience_s": 0.05}
    assert (await sim.call("POST", f"/sim/chats/{chat}/pay", json=how))["status"] == "timeout"
    [query] = await news(sim, "pre_checkout_query")
    _, late = await sim.api("answerPreCheckoutQuery", pre_checkout_query_id=query["id"], ok=True)
    assert "query is too old" in late["description"]
    task = asyncio.create_task(sim.call("POST", f"/sim/chats/{chat}/pay", json={"message_id": message}))
    [query] = await news(sim, "pre_checkout_query")
    no = {"pre_checkout_query_id": query["id"], "ok": False, "error_message": "sold out"}
    await sim.api("answerPreCheckoutQuery", **no)
    assert await task == {"status": "refused", "text": "sold out", "charge": ""}
    assert (await sim.call("GET", "/sim/charges"))["charges"] == []


@pytest.mark.parametrize(("kind", "reports"), [("lose", 0), ("duplicate", 2), ("late", 1)])
async def test_a_report_is_lost_doubled_or_late(sim: Any, kind: str, reports: int) -> None:
    chat = await sim.user()
    await sim.fault(method="update:successful_payment", kind=kind, delay_s=0.05)
    await paid(sim, chat, await invoice(sim, chat))
    if kind == "lose":
        await sim.say(chat, "and then")
    async with asyncio.timeout(40):
        found: list[Any] = []
        while len(found) < reports or (kind == "lose" and not await news(sim, "text")):
            found += await news(sim, "successful_payment")
    assert len(found) == reports
    [charge] = (await sim.call("GET", "/sim/charges"))["charges"]
    assert charge["update"] == kind


@pytest.mark.parametrize(
    "change",
    [
        {"currency": "RUB"},
        {"provider_token": "x"},
        {"payload": ""},
        {"payload": "я" * 65},
        {"title": "x" * 33},
        {"description": ""},
        {"prices": []},
        {"prices": [{"label": "a", "amount": 1}, {"label": "b", "amount": 1}]},
        {"prices": [{"label": "a", "amount": 0}]},
    ],
)
async def test_a_wrong_invoice_is_refused(sim: Any, change: dict[str, Any]) -> None:
    status, _ = await sim.api("sendInvoice", chat_id=await sim.user(), **{**INVOICE, **change})
    assert status == 400


@pytest_asyncio.fixture(loop_scope="session")
async def phone(sim: Any) -> AsyncIterator[Any]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        page = await browser.new_page(viewport={"width": 390, "height": 844}, locale="en-GB")
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        chat = await sim.user()
        await sim.say(chat, "/start")
        await news(sim, "text")
        await invoice(sim, chat)
        await page.goto(f"{sim.url}/?user={chat}")
        yield page
        await browser.close()
        assert errors == []


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed (apt-get install chromium)")
async def test_the_page_pays(sim: Any, phone: Any) -> None:
    await phone.get_by_test_id("inline-button").click()
    await expect(phone.get_by_test_id("pay-sheet")).to_contain_text("Play money")
    if shot := os.environ.get("SHOW_PAYING"):
        await phone.wait_for_timeout(400)
        await phone.screenshot(path=shot)
    await phone.get_by_test_id("pay-confirm").click()
    [query] = await news(sim, "pre_checkout_query")
    await sim.api("answerPreCheckoutQuery", pre_checkout_query_id=query["id"], ok=False, error_message="Sold out")
    await expect(phone.get_by_test_id("pay-problem")).to_have_text("Sold out")
    await phone.get_by_test_id("pay-confirm").click()
    [query] = await news(sim, "pre_checkout_query")
    await sim.api("answerPreCheckoutQuery", pre_checkout_query_id=query["id"], ok=True)
    await expect(phone.get_by_test_id("payment")).to_contain_text("450")
    await expect(phone.get_by_test_id("pay-sheet")).to_be_hidden()
    await phone.get_by_test_id("inline-button").click()
    await expect(phone.get_by_test_id("pay-sheet")).to_contain_text("This invoice is paid")
