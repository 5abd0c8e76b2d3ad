"""The webhook: nobody gets in without the secret, nothing is acknowledged before it is stored, replicas are one bot."""

import asyncio
import io
import itertools
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from bot.app import App, build
from bot.inbox import storable
from bot.webhook import SECRET_HEADER
from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.settings import Settings

SECRET = "a-long-Secret_of-the-webhook-1"
OLD_SECRET = "the-Secret_of-last-month-0"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def hooked(stage: SimpleNamespace, port: int | None = None) -> AsyncIterator[SimpleNamespace]:
    """A bot that hears by webhook on a port of its own; every one of them tells Telegram that it is the one."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}/telegram/hook"
    asked = {
        "telegram_webhook_url": url,
        "telegram_webhook_secret": SecretStr(SECRET),
        "telegram_webhook_listen": f"127.0.0.1:{port}",
    }
    plain = stage.settings
    stage.settings = plain.model_copy(update=asked)
    calls = len(await stage.calls("setWebhook"))
    async with stage.bot() as app:
        stage.settings = plain
        async with asyncio.timeout(40):
            while len(await stage.calls("setWebhook")) == calls:  # noqa: ASYNC110 (Telegram's log has no event)
                await asyncio.sleep(0.02)
        yield SimpleNamespace(app=app, url=url, port=port)


def said(number: int, chat: int, text: str) -> dict[str, Any]:
    sender = {"id": chat, "is_bot": False, "first_name": "A", "language_code": "en"}
    place = {"message_id": number, "date": 1, "chat": {"id": chat, "type": "private"}}
    return {"update_id": number, "message": {**place, "from": sender, "text": text}}


async def post(stage: SimpleNamespace, url: str, update: object, secret: str | None = SECRET) -> int:
    headers = {} if secret is None else {SECRET_HEADER: secret}
    data = update if isinstance(update, bytes) else json.dumps(update).encode()
    async with stage.http.post(url, data=io.BytesIO(data), headers=headers) as answer:
        return int(answer.status)


async def test_updates_come_by_webhook_and_none_is_lost_on_the_way_back_to_polling(stage: SimpleNamespace) -> None:
    person = await stage.person()
    async with hooked(stage) as hook:
        await person.says("/start")
        await person.sees("10 credits")
        info = await hook.app.bot.get_webhook_info()
        assert info.url == hook.url
        assert {"message", "callback_query", "my_chat_member", "pre_checkout_query"} <= set(info.allowed_updates)
        [told] = await stage.calls("setWebhook")
        assert SECRET not in json.dumps(told)
    await person.says("/terms")
    async with stage.bot():
        await person.sees("Terms")


async def test_a_stored_update_is_what_is_acknowledged(stage: SimpleNamespace, connect_as: Any) -> None:
    person = await stage.person()
    async with hooked(stage) as hook:
        with connect_as(None) as database, database.transaction():
            database.execute("lock table bot.inbox")
            assert await post(stage, hook.url, said(1, person.chat, "/terms")) == 503
        # Telegram would come again.
        assert await post(stage, hook.url, said(1, person.chat, "/terms")) == 200
        await person.sees("Terms")
        assert await post(stage, hook.url, said(1, person.chat, "/terms")) == 200
        assert await post(stage, hook.url, {"update_id": 2, "something_of_2031": {}}) == 200
        assert await post(stage, hook.url, said(3, person.chat, "/pri\0vacy \ud800")) == 200
        await person.sees("Privacy")
        await hook.app.inbox.idle()
        assert sum("Terms" in text for text in await person.bot_texts()) == 1


FORGED = (
    None, "", " ", SECRET[:-1], SECRET + "x", SECRET.upper(), SECRET.swapcase(), OLD_SECRET, "секрет-не-тот", "ключ" * 500,
    f"{SECRET} {SECRET}", f"{SECRET},{SECRET}", "null", "Bearer " + SECRET,
)  # fmt: skip


@pytest.mark.finding("C8")
async def test_forged_calls_are_refused_every_one(stage: SimpleNamespace, request: pytest.FixtureRequest) -> None:
    """`--forged 10000` makes so many."""
    person = await stage.person()
    many = int(request.config.getoption("--forged"))
    async with hooked(stage) as hook:
        numbers, secrets = itertools.count(1), itertools.islice(itertools.cycle(FORGED), many)
        free = asyncio.Semaphore(20)

        async def forge(secret: str | None) -> int:
            async with free:
                return await post(stage, hook.url, said(next(numbers), person.chat, "/terms"), secret)

        answers = await asyncio.gather(*(forge(secret) for secret in secrets))
        assert len(answers) == many
        assert set(answers) == {403}
        assert await raw(hook.port, b"\xff\xfe\x80 not utf-8") == 403
        assert await post(stage, hook.url + "/", said(1, person.chat, "/terms")) == 404
        assert await post(stage, hook.url.replace("telegram", "x"), said(1, person.chat, "/terms")) == 404
        async with stage.http.get(hook.url, headers={SECRET_HEADER: SECRET}) as answer:
            assert answer.status == 405
        for body in (b"", b"{", b"[]", b"7", b'"x"', b"{}", b'{"update_id": "1"}', b'{"update_id": true}', b"\xff"):
            assert await post(stage, hook.url, body) == 400, body
        for number in (-1, 2**63, 1.5):
            assert await post(stage, hook.url, {"update_id": number, "message": {}}) == 400, number
        assert await post(stage, hook.url, b"[" * 200_000) == 400
        assert await post(stage, hook.url, b'{"x":"' + b"a" * 2_000_000 + b'"}') == 413
        await hook.app.inbox.idle()
    assert await person.bot_texts() == []
    assert stage.pipeline.sql("select count(*) as n from bot.inbox", None)[0]["n"] == 0


async def raw(port: int, secret: bytes) -> int:
    """Send a header that no client library would."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"POST /telegram/hook HTTP/1.1\r\nHost: x\r\n" + SECRET_HEADER.encode() + b": " + secret
    writer.write(head + b"\r\nContent-Length: 2\r\n\r\n{}")
    status = int((await reader.readline()).split()[1])
    writer.close()
    await writer.wait_closed()
    return status


@pytest.mark.finding("M16")
async def test_two_replicas_handle_everything_once_and_in_order(stage: SimpleNamespace) -> None:
    person = await stage.person()
    async with hooked(stage) as one, hooked(stage) as two:
        await asyncio.gather(*(post(stage, hook.url, said(1, person.chat, "/start")) for hook in (one, two, one)))
        await person.sees("10 credits")
        commands = ("/terms", "/privacy", "/balance", "/language", "/terms", "/privacy", "/balance", "/language")
        for number, command in enumerate(commands, 2):
            hook = one if number % 2 else two
            assert await post(stage, hook.url, said(number, person.chat, command)) == 200
        await asyncio.gather(one.app.inbox.idle(), two.app.inbox.idle())
        await stage.pipeline.until("select 1 from bot.inbox having count(*) = count(processed_at)")
    signs = (
        "10 credits",
        "Terms",
        "Privacy",
        "credits to spend",
        "language",
        *("Terms", "Privacy", "credits to spend"),
    )
    texts = [text for text in await person.bot_texts() if text]  # the example album has none
    assert len(texts) == 9
    assert all(sign in text for sign, text in zip(signs, texts, strict=False)), texts


async def test_what_is_wrong_with_the_webhook_is_said(stage: SimpleNamespace) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        asked = {
            "telegram_webhook_url": "https://bot.example.org/hook",
            "telegram_webhook_secret": SecretStr(SECRET),
            "telegram_webhook_listen": f"127.0.0.1:{port}",
        }
        app: App
        async with build(stage.settings.model_copy(update=asked)) as app:
            with pytest.raises(ExceptionGroup) as caught:
                await app.run()
    assert isinstance(caught.value.exceptions[0], ConfigurationError)
    assert str(port) in str(caught.value.exceptions[0])
    for wrong in (
        {"telegram_webhook_url": "https://x"},
        {"telegram_webhook_secret": "not allowed by Telegram!"},
        {"telegram_webhook_listen": "8443"},
        {"carousel_admin_ids": "@anna"},
    ):
        with pytest.raises(ValidationError, match=r"TELEGRAM_WEBHOOK|CAROUSEL_ADMIN_IDS"):
            Settings.model_validate(wrong)


def test_what_no_database_stores_is_left_out() -> None:
    assert storable({"a\0": ["x\0y", {"b": "\ud83d"}], "n": 1, "z": None}) == {
        "a": ["xy", {"b": "?"}],
        "n": 1,
        "z": None,
    }
    assert storable("🎉 ё") == "🎉 ё"
