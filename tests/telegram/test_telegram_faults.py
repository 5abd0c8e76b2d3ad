"""Bad days on demand, as aiogram sees them; the log says what really arrived."""

import time
from typing import Any

import pytest
from aiogram import Bot
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramBadRequest,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.types import BufferedInputFile, InputMediaPhoto

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def arrived(sim: Any) -> list[str]:
    return [call["method"] for call in await sim.log()]


@pytest.mark.finding("C3")
@pytest.mark.parametrize(
    ("fault", "error", "accepted"),
    [
        ({"code": 500}, TelegramServerError, False),
        ({"code": 500, "when": "after"}, TelegramServerError, True),
        ({"retry_after": 3}, TelegramRetryAfter, False),
        ({"code": 400, "description": "Bad Request: odd"}, TelegramBadRequest, False),
        ({"kind": "drop"}, TelegramNetworkError, False),
        ({"kind": "drop", "when": "after"}, TelegramNetworkError, True),
        ({"kind": "cut"}, TelegramNetworkError, True),
        ({"kind": "html"}, ClientDecodeError, False),
        ({"kind": "html", "when": "after"}, ClientDecodeError, True),
        ({"kind": "garbage"}, ClientDecodeError, False),
        ({"kind": "garbage", "when": "after"}, ClientDecodeError, True),
    ],
    ids=str,
)
async def test_a_fault_is_seen_by_the_bot_and_the_log_tells_the_truth(
    bot: Bot,
    sim: Any,
    chat: int,
    fault: dict[str, Any],
    error: type[Exception],
    accepted: bool,  # noqa: FBT001 -- a column of the table above
) -> None:
    await sim.fault(method="sendMessage", **fault)
    with pytest.raises(error) as raised:
        await bot.send_message(chat, "x")
    assert (await arrived(sim) == ["sendMessage"]) is accepted
    assert (len(await sim.messages(chat)) == 1) is accepted
    if isinstance(raised.value, TelegramRetryAfter):
        assert raised.value.retry_after == 3
    await bot.send_message(chat, "the next one passes")
    [spent] = (await sim.call("GET", "/sim/faults"))["faults"]
    assert (spent["hits"], spent["times"]) == (1, 0)


async def test_faults_count_skip_and_can_be_taken_back(bot: Bot, sim: Any, chat: int) -> None:
    await sim.fault(method="SENDMESSAGE", code=500, skip=1, times=2)
    await bot.send_message(chat, "1")
    for _ in range(2):
        with pytest.raises(TelegramServerError):
            await bot.send_message(chat, "x")
    await bot.send_message(chat, "2")
    await sim.fault(method="*", code=500, times=None)
    for _ in range(3):
        with pytest.raises(TelegramServerError):
            await bot.get_me()
    assert await bot.get_updates(timeout=0) == []
    await sim.call("DELETE", "/sim/faults")
    await bot.get_me()
    assert [message["text"] for message in await sim.messages(chat)] == ["1", "2"]


async def test_a_timeout_before_or_after_acceptance_looks_the_same_to_the_bot(bot: Bot, sim: Any, chat: int) -> None:
    await sim.fault(method="sendMessage", kind="delay", delay_s=30, when="after")
    started = time.monotonic()
    with pytest.raises(TelegramNetworkError, match="timeout"):
        await bot.send_message(chat, "x", request_timeout=1)
    assert time.monotonic() - started < 25
    assert await arrived(sim) == ["sendMessage"]


@pytest.mark.finding("C3")
async def test_a_flood_wait_hides_in_a_400_and_half_the_album_is_there(
    bot: Bot, sim: Any, chat: int, draw: Any
) -> None:
    await sim.fault(method="sendMediaGroup", kind="hidden_flood", sent=2, retry_after=8)
    media = [InputMediaPhoto(media=BufferedInputFile(draw(c), "a.jpg")) for c in ("red", "green", "blue", "black")]
    with pytest.raises(TelegramBadRequest) as refused:
        await bot.send_media_group(chat, media)
    wanted = 'failed to send message #3 with the error message "Too Many Requests: retry after 8"'
    assert refused.value.message == f"Bad Request: {wanted}"
    assert len(await sim.messages(chat)) == 2
    [entry] = await sim.log()
    assert (entry["complete"], len(entry["result"])) == (False, 2)


@pytest.mark.finding("M16")
async def test_updates_may_be_delivered_twice(bot: Bot, sim: Any, chat: int) -> None:
    await sim.fault(method="getUpdates", kind="duplicate")
    await sim.say(chat, "once")
    [first] = await bot.get_updates(timeout=0)
    [second] = await bot.get_updates(offset=first.update_id + 1, timeout=0)
    assert second.update_id == first.update_id
    assert await bot.get_updates(offset=first.update_id + 1, timeout=0) == []


async def test_polling_survives_faults_too(bot: Bot, sim: Any, chat: int) -> None:
    await sim.fault(method="getUpdates", kind="cut")
    await sim.say(chat, "still there")
    with pytest.raises(TelegramNetworkError):
        await bot.get_updates(timeout=0)
    [update] = await bot.get_updates(timeout=0)
    assert update.message is not None
    assert update.message.text == "still there"
