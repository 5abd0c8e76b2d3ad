"""Telegram's limits are kept before it has to say so, and obeyed to the second when it does."""

import asyncio
import logging
from types import SimpleNamespace

import pytest
from aiogram.exceptions import TelegramRetryAfter
from aiogram.methods import (
    AnswerCallbackQuery,
    EditMessageText,
    SendChatAction,
    SendDocument,
    SendMediaGroup,
    SendMessage,
)
from aiogram.types import InputMediaPhoto

from bot.pace import EVERYBODY, GROUP, PRIVATE, Bucket, Rate, cost_of, rate_of


@pytest.mark.parametrize(("rate", "seconds", "most"), [(GROUP, 60, 20), (EVERYBODY, 1, 30), (PRIVATE, 60, 75)])
def test_no_window_of_time_holds_more_than_telegram_allows(rate: Rate, seconds: float, most: int) -> None:
    now = [0.0]
    bucket = Bucket(rate, clock=lambda: now[0])
    sent: list[float] = []
    for _ in range(400):
        sent.append(now[0] + bucket.take(1))
        now[0] += 0.01
    for begin in sent:
        assert sum(begin <= at < begin + seconds - 1e-9 for at in sent) <= most


def test_a_rest_fills_the_bucket_and_an_album_is_as_many_messages_as_it_has_pictures() -> None:
    now = [0.0]
    bucket = Bucket(Rate(burst=3, per_second=0.5), clock=lambda: now[0])
    assert bucket.full
    assert bucket.take(3) == 0
    assert bucket.wait(1) == 2
    assert bucket.take(2) == 4
    now[0] = 100.0
    assert bucket.full
    assert bucket.wait(1) == 0
    album = SendMediaGroup(chat_id=1, media=[InputMediaPhoto(media="x")] * 7)
    assert [cost_of(method) for method in (album, SendMessage(chat_id=1, text="x"))] == [7, 1]
    assert cost_of(EditMessageText(chat_id=1, message_id=1, text="x")) == 1
    assert cost_of(SendDocument(chat_id=1, document="x")) == 1
    assert cost_of(AnswerCallbackQuery(callback_query_id="1")) == 0
    assert cost_of(SendChatAction(chat_id=1, action="typing")) == 0
    assert [rate_of(chat) for chat in (5, -5, "@channel")] == [PRIVATE, GROUP, GROUP]


async def test_a_rush_of_messages_is_slowed_down_before_telegram_minds(
    app: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    """The local Telegram refuses what is faster than the published pace; not one refusal is seen."""
    people = [await app.stage.person() for _ in range(9)]
    async with app.stage.http.post(f"{app.stage.telegram}/sim/limits", json={"active": True}) as answer:
        assert answer.status < 300
    caplog.set_level(logging.INFO, "bot.sender")
    try:
        chats = [people[0].chat] * 16 + [person.chat for person in people[1:] for _ in range(4)]
        await asyncio.gather(*(app.bot.bot.send_message(chat, f"{n}") for n, chat in enumerate(chats)))
    finally:
        async with app.stage.http.post(f"{app.stage.telegram}/sim/limits", json={"active": False}) as answer:
            assert answer.status < 300
    assert [record.getMessage() for record in caplog.records if "waits" in record.getMessage()] == []
    assert await people[0].bot_texts() == [str(n) for n in range(16)]


async def test_a_long_flood_wait_is_obeyed_and_the_update_waits_in_the_inbox(stage: SimpleNamespace) -> None:
    person = await stage.person()
    async with stage.bot() as bot:
        await stage.fault(method="sendMessage", code=429, retry_after=40, times=1)
        await person.says("/terms")
        await stage.pipeline.until("select 1 from bot.inbox where leased_until > now() + interval '30 s'")
        await person.says("/privacy")
        await stage.pipeline.until("select 1 from bot.inbox having count(*) = 2")
        with pytest.raises(TelegramRetryAfter) as caught:
            await bot.bot.send_message(person.chat, "in vain")
        assert 30 < caught.value.retry_after <= 41
        async with stage.http.get(f"{stage.telegram}/sim/faults") as answer:
            assert [fault["hits"] for fault in (await answer.json())["faults"]] == [1]
        assert await person.bot_texts() == []
        assert stage.pipeline.sql("select max(attempts) as n from bot.inbox", None)[0]["n"] == 0
    stage.pipeline.sql("update bot.inbox set leased_until = now() - interval '2 s'", None)
    async with stage.bot():
        await person.sees("Privacy")
    texts = await person.bot_texts()
    assert ["Terms" in text for text in texts] == [True, False]


async def test_a_group_that_became_a_supergroup_is_followed(app: SimpleNamespace) -> None:
    new = await app.stage.person()
    await app.stage.fault(method="sendMessage", migrate_to=new.chat, times=1)
    await app.bot.bot.send_message(-1001, "hello")
    await app.bot.bot.send_message(-1001, "again")
    assert await new.bot_texts() == ["hello", "again"]


async def test_progress_is_edited_when_there_is_room_and_never_queued(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    request = await app.stage.confirmed(person)
    await person.sees("Your carousel")
    before = len(await app.stage.calls("editMessageText"))
    await app.stage.fault(method="sendMessage", kind="delay", delay_s=1.5, times=1)
    slow = asyncio.create_task(app.bot.bot.send_message(person.chat, "something else"))
    for done in range(1, 60):
        app.pipeline.progress(request, "pictures", min(done, 4), 4)
    await slow
    await person.sees("Pictures 4/4")
    assert len(await app.stage.calls("editMessageText")) - before <= 2
