"""Buying, paying, getting money back, as a person does it in a chat; the local Telegram keeps the truth about the Stars."""

import json
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from carousel_pipeline.database import connect

from ..payments.yookassa_server import SECRET, SHOP, Provider, send  # noqa: TID252 - tests are no package


async def shop(app: SimpleNamespace, language: str = "en") -> tuple[Any, dict[str, Any]]:
    """A guest who agreed to the terms, and the message with the packs."""
    person = await app.stage.guest(language)
    await person.says("/buy")
    terms = await person.sees("first purchase" if language == "en" else "первой покупкой")
    await person.presses(terms, "I agree" if language == "en" else "Согласен")
    return person, await person.sees(packs_offered)


def packs_offered(message: dict[str, Any]) -> bool:
    return "buy:small" in json.dumps(message)


async def bill(person: Any, packs: dict[str, Any], label: str) -> dict[str, Any]:
    before = (await person.messages())[-1]["message_id"]
    await person.presses(packs, label)
    invoice: dict[str, Any] = await person.sees(lambda one: "invoice" in one and one["message_id"] > before)
    return invoice


async def pay(person: Any, invoice: dict[str, Any], **how: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await person._post("pay", message_id=invoice["message_id"], **how)
    return answer


async def charges(app: SimpleNamespace) -> list[dict[str, Any]]:
    async with app.stage.http.get(f"{app.stage.telegram}/sim/charges") as answer:
        return list((await answer.json())["charges"])


def balance(app: SimpleNamespace, person: Any) -> int:
    [row] = app.pipeline.sql("select * from ledger.balance(%(tg)s)", "led_bot", tg=person.chat)
    return int(row["available"])


@pytest.mark.finding("M5", "M7", "M16", "n14")
async def test_a_pack_is_bought_paid_once_and_shown(app: SimpleNamespace) -> None:
    person, packs = await shop(app)
    labels = [button["text"] for row in packs["reply_markup"]["inline_keyboard"] for button in row]
    assert labels == ["30 credits — ⭐ 100", "150 credits — ⭐ 450", "450 credits — ⭐ 1200"]
    invoice = await bill(person, packs, "150 credits")
    assert (invoice["invoice"]["currency"], invoice["invoice"]["total_amount"]) == ("XTR", 450)

    paid = await pay(person, invoice)
    assert paid["status"] == "paid"
    await person.sees("150 credits are yours. To spend: 160")
    again = await pay(person, invoice, again=True)
    assert (again["status"], "paid already" in again["text"]) == ("refused", True)
    assert balance(app, person) == 160

    await app.stage.http.post(f"{app.stage.telegram}/sim/updates/replay", json={"last": 5})
    await person.says("/balance")
    await person.sees("+150 · bought")
    assert balance(app, person) == 160
    assert app.pipeline.violations() == []


async def test_everybody_agrees_to_the_terms_before_the_first_invoice(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    await person.says("/terms")
    shown = await person.sees("Terms")
    await person.sends_data(shown["message_id"], "buy:small:s", crafted=True)
    await person.sees("first purchase")
    assert not [message for message in await person.messages() if "invoice" in message]
    for crafted in ("buy:none:s", "buy:small:r", "buy:small:m", "buy:small:x", "agree:0", "back:1:1", "buy:small"):
        query = await person.sends_data(shown["message_id"], crafted, crafted=True)
        assert (await person.hears(query))["show_alert"]


async def test_a_bill_is_refused_in_words_and_nothing_is_charged(app: SimpleNamespace) -> None:
    person, packs = await shop(app, "ru")
    invoice = await bill(person, packs, "30 кредитов")
    app.pipeline.sql("update pay.star_order set expires_at = clock_timestamp()", None)
    assert "Срок счёта вышел" in (await pay(person, invoice))["text"]
    app.pipeline.sql("update pay.star_order set expires_at = clock_timestamp() + interval '1 hour', stars = 99", None)
    assert "Цена в этом счёте" in (await pay(person, invoice))["text"]
    assert await charges(app) == []
    assert balance(app, person) == 10


async def test_a_lost_report_is_found_in_telegrams_list(app: SimpleNamespace) -> None:
    person, packs = await shop(app)
    await app.stage.fault(method="update:successful_payment", kind="lose")
    assert (await pay(person, await bill(person, packs, "30 credits")))["status"] == "paid"
    [charge] = await charges(app)
    assert (charge["update"], balance(app, person)) == ("lose", 10)
    # What the pipeline's audit does when it misses a transaction.
    seen = f'[{{"charge": "{charge["id"]}", "direction": "in"}}]'
    missing = app.pipeline.sql("select n from pay.stars_audit(%(seen)s::jsonb) n", seen=seen)
    assert missing == [{"n": 1}]
    await person.sees("30 credits are yours. To spend: 40")
    assert app.pipeline.sql("select n from pay.stars_audit(%(seen)s::jsonb) n", seen=seen) == []


async def test_a_throttled_person_still_gets_what_was_paid_for(app: SimpleNamespace) -> None:
    person, packs = await shop(app)
    invoice = await bill(person, packs, "30 credits")
    for _ in range(40):
        await person.says("hurry")
    assert (await pay(person, invoice))["status"] == "paid"
    await person.sees("30 credits are yours")


async def test_an_unspent_pack_goes_back_without_a_human(app: SimpleNamespace) -> None:
    person, packs = await shop(app)
    assert (await pay(person, await bill(person, packs, "30 credits")))["status"] == "paid"
    await person.sees("30 credits are yours")
    await person.says("/paysupport")
    purchases = await person.sees("Your purchases")
    assert "30 credits · ⭐ 100" in purchases["text"]
    assert "not begun" in purchases["text"]
    await app.stage.fault(method="refundStarPayment", kind="cut")
    await person.presses(purchases, "Return 30 credits")
    question = await person.sees("get ⭐ 100 back?")
    await person.presses(question, "Yes")
    await person.sees("are on their way back")
    await person.sees("⭐ 100 are back with you. Credits to spend: 10")
    [charge] = await charges(app)
    assert charge["refunded"]
    assert app.pipeline.sql("select state from pay.refund", None) == [{"state": "done"}]

    late = await person.presses(purchases, "Return 30 credits")
    assert "returned already" in (await person.hears(late))["text"]
    assert balance(app, person) == 10
    assert app.pipeline.violations() == []


async def test_a_store_that_takes_the_money_back_leaves_a_debt_that_a_new_pack_settles(app: SimpleNamespace) -> None:
    person, packs = await shop(app)
    assert (await pay(person, await bill(person, packs, "30 credits")))["status"] == "paid"
    await person.sees("30 credits are yours")
    with connect(app.stage.settings.database_url.get_secret_value(), "led_bot") as bot:
        bot.execute("select ledger.reserve(%s, 'tap', 15)", (person.chat,))
    [charge] = await charges(app)
    url = f"{app.stage.telegram}/sim/charges/{charge['id']}/reverse"
    async with app.stage.http.post(url, json={}) as answer:
        assert answer.status == 200
    await person.sees("taken back after some were spent: 5 to settle")
    await person.says("What is new in our town this week")
    await person.sees("restricted")
    assert (await pay(person, await bill(person, packs, "30 credits")))["status"] == "paid"
    await person.sees("30 credits are yours. To spend: 25")
    assert app.pipeline.violations() == []


async def test_codes_and_friends(app: SimpleNamespace) -> None:
    app.pipeline.sql("select pay.ops_promo_code('spring', 7, 1, null, 'anna', 'spring sale')", "led_ops")
    ann, ben = await app.stage.guest(), await app.stage.person()
    await ann.says("/promo spring")
    await ann.sees("7 credits are yours")
    await ann.says("/promo SPRING")
    await ann.sees("used this code before")
    await ann.says("/referral")
    link = (await ann.sees("Bring a friend"))["text"]
    code = link.split("start=r_")[1].split()[0]
    await ben.says(f"/start r_{code}")
    await ben.sees("10")
    await ben.says("/promo spring")
    await ben.sees("used up")
    await ben.says("/buy")
    await ben.presses(await ben.sees("first purchase"), "I agree")
    invoice = await bill(ben, await ben.sees(packs_offered), "30 credits")
    assert (await pay(ben, invoice))["status"] == "paid"
    await ben.sees("30 credits are yours")
    request = await app.stage.confirmed(ben)
    app.pipeline.deliver(request)
    await ann.sees("10 credits for you. To spend: 27")
    assert app.pipeline.violations() == []


async def test_a_monthly_plan_is_sold_renewed_and_stopped(stage: Any) -> None:
    stage.settings = stage.settings.model_copy(update={"stars_subscriptions": True})
    async with stage.bot():
        app = SimpleNamespace(stage=stage, pipeline=stage.pipeline)
        person, packs = await shop(app)
        await person.presses(packs, "180 credits every month")
        offer = await person.sees("every 30 days")
        link = offer["reply_markup"]["inline_keyboard"][0][0]["url"]
        paid = await person._post("pay", link=link)
        assert paid["status"] == "paid"
        await person.sees("180 credits are yours. To spend: 190")
        async with stage.http.post(f"{stage.telegram}/sim/charges/{paid['charge']}/renew", json={}) as answer:
            assert answer.status == 200
        await person.sees("180 credits are yours. To spend: 370")
        await person.says("/paysupport")
        stop = await person.presses(await person.sees("next on"), "Stop 180 credits")
        assert "stays yours" in (await person.hears(stop))["text"]
        [call] = await stage.calls("editUserStarSubscription")
        assert call["params"]["telegram_payment_charge_id"] == paid["charge"]
        await person.says("/paysupport")
        await person.sees("stopped, ends on")


async def test_rubles_are_paid_on_the_providers_page_and_told_by_its_notification(stage: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with Provider().running() as provider:
        rubles = {
            "yookassa_shop_id": SHOP,
            "yookassa_secret_key": SecretStr(SECRET),
            "yookassa_api_url": provider.url,
            "yookassa_trusted_proxies": "127.0.0.1",
            "telegram_webhook_listen": f"127.0.0.1:{port}",
        }
        stage.settings = stage.settings.model_copy(update=rubles)
        async with stage.bot():
            app = SimpleNamespace(stage=stage, pipeline=stage.pipeline)
            person, packs = await shop(app)
            await person.presses(packs, "150 credits — 899 ₽")
            await person.sees("Which e-mail address")
            await person.says("ann@example")
            await person.sees("does not look like")
            provider.faults.append("made_then_500")
            await person.says("ann@example.org")
            link = (await person.sees("150 credits for 899 ₽"))["reply_markup"]["inline_keyboard"][0][0]["url"]
            [payment] = [one for one in provider.payments.values() if one["confirmation"]["confirmation_url"] == link]
            assert len(provider.payments) == 1
            provider.pay(payment["id"])
            notice = provider.notice("payment.succeeded", payment["id"])
            assert await send(stage.http, f"http://127.0.0.1:{port}/yookassa", notice, sender="8.8.8.8") == 403
            assert await send(stage.http, f"http://127.0.0.1:{port}/yookassa", notice) == 200
            await person.sees("150 credits are yours. To spend: 160")
            await person.says("/paysupport")
            assert "150 credits · 899 ₽" in (await person.sees("Your purchases"))["text"]
        kept = stage.pipeline.sql("select 1 from bot.inbox where position('example.org' in body::text) > 0", None)
        assert kept == []
