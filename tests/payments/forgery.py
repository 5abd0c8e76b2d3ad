"""Calls that pretend: to Telegram's webhook without its secret, to the ruble provider's from elsewhere. Genuine ones in between.

Everything is real but the two who call: the bot's HTTP routes, its inbox, its cashier, PostgreSQL.
"""

import asyncio
import json
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiogram import Bot
from aiohttp import web

from bot.inbox import Inbox, RawUpdate
from bot.payments.cashier import Window
from bot.payments.webhook import PATH, routes
from bot.storage import AdvisoryLocks
from bot.store import Store
from bot.throttle import Limit
from bot.webhook import SECRET_HEADER, Webhook
from carousel_pipeline.database import async_pool
from carousel_pipeline.networks import networks
from carousel_pipeline.payments.books import Books

SECRET: Final = secrets.token_urlsafe(32)
TOKEN: Final = "123456789:AAtestTokenOfTheLocalTelegram0123456"
GENUINE: Final = ("185.71.76.5", "185.71.77.31", "77.75.153.100", "77.75.154.200", "77.75.156.11", "2a02:5180::17")
_TOGETHER: Final = 16


@dataclass(frozen=True)
class Doors:
    """Where the two webhooks are."""

    telegram: str
    rubles: str


@asynccontextmanager
async def doors(database_url: str) -> AsyncIterator[Doors]:
    """Open both webhooks on one server, as the bot does; 127.0.0.1 is our proxy."""
    async with AsyncExitStack() as stack:
        pay = await stack.enter_async_context(async_pool(database_url, "led_pay", max_size=8))
        pool = await stack.enter_async_context(async_pool(database_url, "led_bot", max_size=4))
        books, bot = Books(pay), Bot(TOKEN)
        stack.push_async_callback(bot.session.close)

        async def handle(_update: RawUpdate, _banned: bool) -> None:  # noqa: FBT001 - the inbox calls it so
            raise AssertionError("a payment went to the handlers of chats")

        async def refuse(_update: RawUpdate) -> None:
            raise AssertionError("a payment was throttled")

        inbox = Inbox(
            bot.id,
            Store(pool),
            Window(bot, books, lambda: None),
            AdvisoryLocks(pool),
            Limit(),
            handle,
            refuse,
            lambda _: 0,
            4,
        )
        app = web.Application()
        app.router.add_routes([Webhook(inbox, "/telegram", SECRET).route])
        app.router.add_routes(routes(books, lambda: None, networks("127.0.0.0/8")))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        here = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield Doors(f"{here}/telegram", here + PATH)


def telegram_call(chance: random.Random, number: int) -> tuple[bool, dict[str, str], bytes]:
    """Return whether a call is genuine, its headers and its body: always a payment."""
    paid = {
        "currency": "XTR", "total_amount": 450, "invoice_payload": "x", "provider_payment_charge_id": "",
        "telegram_payment_charge_id": f"stx{number}",
    }  # fmt: skip
    person = {"id": 7_000_000_000 + number, "is_bot": False, "first_name": "Ann"}
    message = {"message_id": 1, "date": 1, "chat": {"id": person["id"], "type": "private"}, "from": person}
    body = json.dumps({"update_id": number, "message": {**message, "successful_payment": paid}}).encode()
    if chance.random() < 0.1:
        return True, {SECRET_HEADER: SECRET}, body
    wrong = chance.choice(
        (
            {},
            {SECRET_HEADER: ""},
            {SECRET_HEADER: SECRET[:-1]},
            {SECRET_HEADER: SECRET + "A"},
            {SECRET_HEADER: SECRET.swapcase()},
            {SECRET_HEADER: "päss" * chance.randrange(1, 9)},
            {SECRET_HEADER: "".join(chance.choices("abcXYZ019-_", k=len(SECRET)))},
            {SECRET_HEADER: "A" * chance.randrange(1, 4000)},
            {"Authorization": SECRET},
            {SECRET_HEADER: "wrong", "X-Secret": SECRET},
        )
    )
    return False, wrong, body


def ruble_call(chance: random.Random, number: int) -> tuple[bool, dict[str, str], bytes]:
    """Return whether a call comes from the provider, its headers and its body."""
    body = json.dumps(
        {"type": "notification", "event": "payment.succeeded", "object": {"id": f"payment-{number:08}"}}
    ).encode()
    genuine = chance.choice(GENUINE)
    if chance.random() < 0.1:
        # What somebody wrote before our proxy did counts for nothing, in either direction.
        before = chance.choice(("", "10.9.8.7, ", "8.8.8.8, 1.2.3.4, ", "nonsense, "))
        return True, {"X-Forwarded-For": before + genuine}, body
    elsewhere = str(
        chance.choice(("8.8.8.8", "185.71.76.32", "185.71.78.1", "77.75.152.255", "2a02:5181::1", "10.0.0.1"))
    )
    wrong = chance.choice(
        (
            {},
            {"X-Forwarded-For": elsewhere},
            {"X-Forwarded-For": f"{genuine}, {elsewhere}"},
            {"X-Forwarded-For": f"{genuine}, {genuine}, {elsewhere}"},
            {"X-Forwarded-For": f"{genuine},"},
            {"X-Forwarded-For": f"{genuine}; {elsewhere}"},
            {"X-Forwarded-For": ""},
            {"X-Forwarded-For": "päyment"},
            {"X-Real-IP": genuine},
            {"Forwarded": f"for={genuine}", "X-Forwarded-For": elsewhere},
        )
    )
    return False, wrong, body


async def forge(http: aiohttp.ClientSession, url: str, make: Any, forged: int, seed: int) -> Counter[str]:
    """Call until so many forged calls were made; count what was answered, such as `forged 403`."""
    chance = random.Random(seed)  # noqa: S311 - a replayable choice, no secret
    answers: Counter[str] = Counter()
    calls = []
    made = 0
    while made < forged:
        call = make(chance, len(calls))
        made += not call[0]
        calls.append(call)
    waiting = iter(calls)

    async def caller() -> None:
        for genuine, headers, body in waiting:
            async with http.post(url, data=body, headers={"Content-Type": "application/json", **headers}) as answer:
                answers[f"{'genuine' if genuine else 'forged'} {answer.status}"] += 1

    await asyncio.gather(*(caller() for _ in range(_TOGETHER)))
    return answers
