"""One text to many people: each hears it at most once, it goes on after a restart, it stops at a word, nobody is annoyed."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from bot.house.broadcast import Broadcaster
from bot.storage import AdvisoryLocks
from bot.store import Store
from carousel_pipeline.database import async_pool

TEXT = "Seven new <b>styles</b> are here"


async def told(people: list[Any]) -> list[int]:
    """How often each of them heard it."""
    return [sum("new styles are here" in text for text in await person.bot_texts()) for person in people]


def states(stage: SimpleNamespace) -> dict[str, int]:
    rows = stage.pipeline.sql("select state, count(*) as n from house.recipient group by state", None)
    return {row["state"]: row["n"] for row in rows}


async def begin(stage: SimpleNamespace, operator: Any) -> dict[str, Any]:
    """Walk the operator's way up to the first figures; returns their message."""
    await operator.says("/admin")
    await operator.presses(await operator.sees("Today"), "Tell everybody")
    await operator.sees("Send the text")
    await operator.says("Seven new styles are here")
    await operator.presses(await operator.sees("Who shall hear it?"), "Everybody")
    await operator.sees("Why?")
    await operator.says("news of the month")
    await stage.pipeline.until("select 1 from house.broadcast where state <> 'draft'")
    return await operator.sees(lambda message: "heard by" in message.get("text", ""))


async def test_everybody_hears_it_once_except_who_left_or_is_banned(stage: SimpleNamespace) -> None:
    operator = await stage.person()
    stage.settings = stage.settings.model_copy(update={"carousel_admin_ids": str(operator.chat)})
    async with stage.bot():
        people = [await stage.guest() for _ in range(4)]
        russian, gone, banned, leaves = [await stage.guest("ru"), *people[:3]]
        await gone.blocks()
        await stage.pipeline.until("select 1 from bot.person where blocked_at is not null")
        await operator.says(f"/admin {banned.chat}")
        await operator.presses(await operator.sees(str(banned.chat)), "Ban")
        await operator.says("spam in every text")
        await operator.sees("Banned.")
        async with stage.http.post(f"{stage.telegram}/sim/chats/{leaves.chat}/block", json={}) as answer:
            assert answer.status < 300
        stage.pipeline.sql("update bot.person set blocked_at = null where blocked_at > now() - interval '1 s'", None)
        await begin(stage, operator)
        await operator.sees("Told")
        assert await told([russian, people[3]]) == [1, 1]
        assert await told([gone, banned, leaves]) == [0, 0, 0]
        row = stage.pipeline.sql("select reason, detail from ledger.ops_action where action = 'broadcast'", None)[0]
        assert row["reason"] == "news of the month"
        counts = stage.pipeline.sql("select everybody, en, ru from house.broadcast_draft(1, 'k', 'x')", "led_house")
        assert counts == [{"everybody": 3, "en": 2, "ru": 1}]


async def test_it_stops_at_a_word(stage: SimpleNamespace) -> None:
    operator = await stage.person()
    stage.settings = stage.settings.model_copy(update={"carousel_admin_ids": str(operator.chat)})
    async with stage.bot():
        people = [await stage.guest() for _ in range(2)]
        stage.pipeline.sql(
            "insert into ledger.app_user (tg_user_id) select 9000 + n from generate_series(1, 300) n;"
            "insert into ledger.wallet (user_id) select id from ledger.app_user u where not exists"
            " (select 1 from ledger.wallet w where w.user_id = u.id);"
            "insert into bot.person (user_id, locale) select id, 'en' from ledger.app_user on conflict do nothing",
            None,
        )
        await operator.presses(await begin(stage, operator), "Stop")
        stopped = await operator.sees("Stopped")
        assert "of 303" in stopped["text"]
        await stage.pipeline.until("select 1 from house.recipient where state = 'sending' having count(*) = 0")
        before = states(stage)
        assert before["waiting"] > 200
        await operator.says("/admin")
        await operator.sees("Today")
        assert states(stage) == before
        assert max(await told(people)) == 1


@pytest.mark.finding("M16")
async def test_after_a_crash_it_goes_on_and_nobody_hears_it_twice(stage: SimpleNamespace) -> None:
    async with stage.bot():
        people = [await stage.guest() for _ in range(6)]
    stage.pipeline.sql("select * from house.broadcast_draft(1, 'draft', %(text)s)", "led_house", text=TEXT)
    stage.pipeline.sql("select house.broadcast_start(1, 1, 'all', 'a good reason', null, null)", "led_house")
    # The process died after two were taken: one message had left, of the other nobody knows.
    taken = stage.pipeline.sql("select tg_user_id from house.broadcast_take(2)", "led_bot")
    first = next(person for person in people if person.chat == taken[0]["tg_user_id"])
    async with stage.http.post(f"{stage.telegram}/bot{TOKEN}/sendMessage", json=_message(first.chat)) as answer:
        assert answer.status == 200
    async with stage.bot(), stage.bot():
        await stage.pipeline.until("select 1 from house.recipient where state = 'sent' having count(*) = 4")
        stage.pipeline.sql("update house.recipient set at = at - interval '3 minutes' where state = 'sending'", None)
        await stage.pipeline.until("select 1 from house.broadcast where state = 'done'")
    assert states(stage) == {"sent": 4, "in_doubt": 2}
    assert sorted(await told(people)) == [0, 1, 1, 1, 1, 1]


async def test_what_certainly_never_left_is_told_later(stage: SimpleNamespace, database_url: str) -> None:
    async with stage.bot() as app:
        person = await stage.guest()
        await stage.fault(method="sendMessage", code=429, retry_after=60, times=1)
        stage.pipeline.sql("select * from house.broadcast_draft(1, 'draft', %(text)s)", "led_house", text=TEXT)
        stage.pipeline.sql("select house.broadcast_start(1, 1, 'all', 'a good reason', null, null)", "led_house")
        async with async_pool(database_url, "led_bot") as pool:
            store, locks = Store(pool), AdvisoryLocks(pool)
            [recipient] = stage.pipeline.sql("select * from house.broadcast_take(1)", "led_bot")
            await Broadcaster(app.bot, store, SimpleNamespace(), pool, locks)._tell(SimpleNamespace(**recipient))
        assert states(stage) == {"waiting": 1}
    async with stage.bot():
        await person.sees("new styles are here")
        await stage.pipeline.until("select 1 from house.broadcast where state = 'done'")
    await asyncio.sleep(0)
    assert await told([person]) == [1]


TOKEN = "123456789:AAtestTokenOfTheLocalTelegram0123456"


def _message(chat: int) -> dict[str, Any]:
    return {"chat_id": chat, "text": TEXT, "parse_mode": "HTML"}
