"""Operators decide from the chat: only they, each time with a reason, each thing once; and a person is forgotten when asked."""

import json
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr

from bot.app import Pace, build
from bot.house.callbacks import DecidePerson, DecideRequest, Deed, Panel, ShowPerson, StopTelling, Tell
from bot.texts import LOCALES
from carousel_pipeline.cli import carousel
from carousel_pipeline.database import connect
from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.ledger.errors import IllegalTransitionError, NoSuchUserError


async def desk(stage: SimpleNamespace, language: str = "en") -> Any:
    """An operator, who has pressed Start; the stage's next bot knows the id."""
    operator = await stage.person(language)
    stage.settings = stage.settings.model_copy(update={"carousel_admin_ids": str(operator.chat)})
    return operator


def decisions(stage: SimpleNamespace) -> list[dict[str, Any]]:
    statement = "select action, actor, reason, user_id, request_id, detail from ledger.ops_action order by id"
    return list(stage.pipeline.sql(statement, None))


@pytest.mark.parametrize("language", LOCALES)
async def test_an_operator_sees_the_day_a_person_and_a_request(stage: SimpleNamespace, language: str) -> None:
    operator = await desk(stage, language)
    async with stage.bot():
        person = await stage.guest()
        request = await stage.confirmed(person)
        await operator.says("/admin")
        panel = await operator.sees("📝")
        day = "outlines 1, confirmed 1" if language == "en" else "планов 1, подтверждено 1"
        assert day in panel["text"]
        async with stage.http.get(f"{stage.telegram}/sim/chats/{operator.chat}") as answer:
            assert "admin" in [command["command"] for command in (await answer.json())["commands"]]
        await operator.says(f"/admin {person.chat}")
        card = await operator.sees(str(person.chat))
        assert ("held 4" if language == "en" else "отложено 4") in card["text"]
        await operator.presses(card, request[:8])
        story = await operator.sees(request)
        assert "Dagster" in story["text"]
        assert "reserve 4" in story["text"]
        assert "Heading" not in story["text"]
        assert "calm people" not in story["text"]
        await operator.says(f"/admin {request[:6]}")
        await operator.sees(lambda message: message["message_id"] > story["message_id"] and request in message["text"])
        await operator.says("/admin ffffff")
        await operator.sees("Nothing is known" if language == "en" else "ничего не нашлось")


async def test_nobody_else_has_the_command_or_its_buttons(stage: SimpleNamespace) -> None:
    operator = await desk(stage)
    async with stage.bot():
        thief = await stage.guest()
        shown = len(await thief.bot_texts())
        await thief.says("/admin")
        await thief.sees(lambda message: "Today" not in message.get("text", "") and message["message_id"] > shown)
        request = await stage.confirmed(thief)
        for data in (
            Panel(),
            Panel(broadcast=True),
            ShowPerson(tg=operator.chat),
            DecidePerson(deed=Deed.GIVE, tg=thief.chat),
            DecideRequest(deed=Deed.REFUND, id=request),
            Tell(id=1, audience="all"),
            StopTelling(id=1),
        ):
            query = await thief.sends_data(1, data.pack(), crafted=True, inaccessible=True)
            assert "served its time" in (await thief.hears(query))["text"]
        assert decisions(stage) == []


async def test_every_decision_is_made_once_and_kept_with_its_reason(stage: SimpleNamespace) -> None:
    operator = await desk(stage)
    async with stage.bot() as bot:
        person = await stage.guest()
        await operator.says(f"/admin {person.chat}")
        card = await operator.sees(str(person.chat))

        await operator.presses(card, "Give credits")
        await operator.sees("How many credits")
        await operator.says("many, please")
        await operator.sees(lambda message: message["message_id"] > card["message_id"] + 2)
        await operator.says("5 the pictures came late")
        await operator.sees("Given")
        async with stage.http.post(f"{stage.telegram}/sim/updates/replay", json={"last": 1}) as answer:
            assert answer.status < 300
        await stage.pipeline.until("select 1 from ledger.wallet where available = 15")

        request = await stage.confirmed(person)
        await operator.says(f"/admin {request}")
        await operator.presses(await operator.sees(request), "Give back")
        await operator.sees("Why?")
        await operator.says("the user asked for it")
        await operator.sees("is back with the person")
        await person.sees("4 credits are back")

        await operator.presses(card, "Ban")
        await operator.sees("Why?")
        await operator.says("/cancel")
        await operator.sees("Nothing was changed")
        await operator.presses(card, "Ban")
        await operator.says("spam in every text")
        await operator.sees("Banned.")
        await person.says("let me in")
        await person.sees("may not use the bot any more")
        await person.says("/paysupport")
        await bot.inbox.idle()
        refused = sum("may not use the bot" in text for text in await person.bot_texts())
        assert refused == 1, "what was paid is answered"
        await operator.says(f"/admin {person.chat}")
        banned = await operator.sees("🚫 banned")
        await operator.presses(banned, "Let in again")
        await operator.says("it was a misunderstanding")
        await operator.sees("Let in again.")
        await person.says("a text about calm mornings")
        await person.sees("Writing the outline")

    actor = f"telegram:{operator.chat}"
    made = decisions(stage)
    assert [row["action"] for row in made] == ["grant", "release", "ban", "unban"]
    assert {row["actor"] for row in made} == {actor}
    assert made[0]["reason"] == "the pictures came late"
    assert str(made[1]["request_id"]) == request
    assert stage.pipeline.violations() == []


def test_gifts_have_a_cap_a_day_and_a_delivered_carousel_is_given_back_once(
    stage: SimpleNamespace, connect_as: Any
) -> None:
    bot, house = connect_as("led_bot"), connect_as("led_house")
    bot.execute("select bot.meet(7, 'en'), ledger.welcome(7)")
    row = bot.execute("select request_id from ledger.reserve(7, 'order', 4)").fetchone()
    assert stage.pipeline.end(stage.pipeline.begin(str(row["request_id"])), "sent") == "delivered"

    def verdict(statement: str, *values: Any) -> Any:
        return next(iter(house.execute(statement.encode(), values).fetchone().values()))

    refund = "select house.refund(1, %s, 'it looked wrong')"
    assert verdict(refund, row["request_id"]) == "given"
    assert verdict(refund, row["request_id"]) == "already"
    grant = "select house.grant_credits(1, %s, %s, %s, 'a good reason')"
    assert verdict(grant, 7, 200, "a") == "given"
    assert verdict(grant, 7, 200, "a") == "already"
    assert verdict(grant, 7, 97, "b") == "cap"
    assert verdict(grant, 7, 96, "c") == "given"
    assert verdict(grant, 8, 1, "d") == "unknown"
    assert verdict(refund, "00000000-0000-0000-0000-000000000000") == "nothing"
    with pytest.raises(psycopg.Error, match="actor and reason"):
        verdict("select house.set_ban(1, 7, true, ' ')")
    assert stage.pipeline.violations() == []


@pytest.mark.parametrize(
    "statement",
    [
        "select house.grant_credits(1, 1, 1, 'k', 'reason')",
        "select house.set_ban(1, 1, true, 'reason')",
        "select house.broadcast_start(1, 1, 'all', 'reason', 1, 1)",
        "select house.erase(1, 'me', 'reason')",
        "select * from house.person(1)",
        "select * from house.ban",
        "select * from house.broadcast",
    ],
)
def test_the_role_that_strangers_can_reach_has_none_of_it(connect_as: Any, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect_as("led_bot").execute(statement.encode())


@pytest.mark.parametrize(
    "statement", ["select source from carousel.request", "select * from bot.fsm", "select ledger.welcome(1)"]
)
def test_the_operators_role_reads_nobodys_words(connect_as: Any, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect_as("led_house").execute(statement.encode())


async def test_a_login_that_may_not_act_for_operators_is_named(stage: SimpleNamespace, connect_as: Any) -> None:
    server = connect_as(None)
    server.execute("create role lonely login noinherit password 'lonely' in role led_bot, led_pay")
    try:
        url = stage.settings.database_url.get_secret_value().replace("postgres:", "lonely:", 1)
        before, _, after = url.partition("//")
        url = f"{before}//lonely:lonely@{after.partition('@')[2]}"
        asked = {"database_url": SecretStr(url), "carousel_admin_ids": "1"}
        with pytest.raises(ConfigurationError, match="led_house"):
            async with build(stage.settings.model_copy(update=asked)):
                pass
    finally:
        server.execute("drop role lonely")


async def test_a_person_is_forgotten_and_the_books_stay(
    stage: SimpleNamespace, connect_as: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", stage.settings.database_url.get_secret_value())

    def erase(tg: int) -> Result:
        why = ["--actor", "anna", "--reason", "asked by mail"]
        return CliRunner().invoke(carousel, ["ops", "erase", str(tg), *why])

    async with stage.bot(Pace(pause_s=0.1)):
        person = await stage.guest()
        request = await stage.confirmed(person)
        assert isinstance(erase(person.chat).exception, IllegalTransitionError)
        stage.pipeline.deliver(request)
        await person.sees("4 credits charged")
        await stage.outlined(person, "a secret that must go")
    assert erase(person.chat).exit_code == 0
    assert isinstance(erase(person.chat).exception, NoSuchUserError)
    server = connect_as(None)
    everything = server.execute(
        "select table_schema || '.' || table_name as name from information_schema.tables"
        " where table_schema in ('ledger', 'carousel', 'bot', 'house', 'pay') and table_type = 'BASE TABLE'"
    ).fetchall()
    signs = (str(person.chat), "a secret that must go", "calm people", "Heading")
    for table in everything:
        statement = f"select to_jsonb(t) as row from {table['name']} t"  # noqa: S608 (names from the catalogue)
        rows = json.dumps(server.execute(statement.encode()).fetchall(), default=str)
        assert not [sign for sign in signs if sign in rows], table["name"]
    assert stage.pipeline.violations() == []
    sums = server.execute("select sum(charged) as charged from ledger.request").fetchone()
    assert sums == {"charged": 4}
    with connect(stage.settings.database_url.get_secret_value(), "led_bot") as bot:
        assert bot.execute("select is_new from bot.meet(%s, 'en')", [person.chat]).fetchone() == {"is_new": True}
