"""One text from the first word to the files, as a person lives it, with everything that can happen on the way."""

from types import SimpleNamespace
from uuid import UUID

import pytest

from bot.app import Pace
from bot.keyboards import COMMANDS


@pytest.mark.finding("M4", "M8", "M16", "C12", "C13")
async def test_from_a_text_to_the_files(app: SimpleNamespace) -> None:
    stage = app.stage
    person = await stage.guest()
    hello = next(text for text in await person.bot_texts() if text)
    assert "Anna" in hello
    assert "DEMO" in hello

    request, outline = await stage.outlined(person)
    for words in ("4 slides", "English", "1. Heading 1", "Body of slide 1", "4 credits", "after it 6", "DEMO"):
        assert words in outline["text"]

    first = await person.presses(outline, "Make it")
    second = await person.sends_data(outline["message_id"], f"r:make:{UUID(request).hex}:4", crafted=True)
    await person.hears(first)
    assert "You pay once" in (await person.hears(second))["text"]
    run = await app.dagster.run("carousel", request)
    assert run["tags"]["dagster/partition"] == request
    progress = await person.sees("4 credits are set aside. You pay only")
    assert "You are next" in progress["text"]
    assert "In the works" in (await person.sees("1. Heading 1"))["text"]
    app.pipeline.progress(request, "pictures", 2, 4)
    await person.sees("Pictures 2/4")
    app.pipeline.deliver(request)
    control = await person.sees("4 credits charged, 6 left")
    await person.no_longer_sees("Your carousel")

    await person.presses(control, "Files")
    first = await person.sees(lambda message: message.get("document", {}).get("file_name") == "04_heading-4.jpg")
    await person.presses(control, "Files")
    await person.sees(lambda message: "document" in message and message["message_id"] == first["message_id"] + 4)
    names = [message["document"]["file_name"] for message in await person.messages() if "document" in message]
    assert names == [f"0{number}_heading-{number}.jpg" for number in (1, 2, 3, 4)] * 2
    documents = [call for call in await stage.calls("sendMediaGroup") if '"document"' in call["params"]["media"]]
    assert ["attach://" in call["params"]["media"] for call in documents] == [True, False], "the second costs no upload"

    await person.presses(control, "New like this")
    again = (await app.dagster.run("outline"))["tags"]["carousel/request"]
    app.pipeline.outline(again, 3)
    await person.sees("after it 3")
    parents = app.pipeline.sql("select parent_id, source from carousel.request where id = %(id)s", id=again)[0]
    assert str(parents["parent_id"]) == request
    assert parents["source"] == "Five habits of calm people"
    assert len([run for run in app.dagster.runs if run["job"] == "carousel"]) == 1
    assert app.pipeline.violations() == []


async def test_choices_open_new_requests_and_are_remembered(app: SimpleNamespace) -> None:
    person = await app.stage.guest("ru")
    first, outline = await app.stage.outlined(person)
    await person.presses(outline, "Формат")
    sizes = await person.sees(lambda message: "'z:" in str(message.get("reply_markup")))
    assert "1. Heading 1" in sizes["text"]
    await person.presses(sizes, "Назад")
    outline = await person.sees(lambda message: "Сделать" in str(message.get("reply_markup")))
    await person.presses(outline, "Формат")
    sizes = await person.sees(lambda message: "'z:" in str(message.get("reply_markup")))
    await person.presses(sizes, "9:16")
    outline = await person.sees("9:16")
    assert outline["message_id"] == sizes["message_id"]
    assert "4 слайда" in outline["text"]
    await person.presses(outline, "Сколько")
    await person.presses(await person.sees(lambda message: "'n:" in str(message.get("reply_markup"))), "3")
    third = (await app.dagster.run("outline"))["tags"]["carousel/request"]
    rows = app.pipeline.sql("select id, parent_id, phase, options, source from carousel.request order by created_at")
    assert [row["phase"] for row in rows] == ["discarded", "discarded", "drafting"]
    assert [str(row["parent_id"]) for row in rows] == ["None", first, str(rows[1]["id"])]
    assert len([run for run in app.dagster.runs if run["job"] == "outline"]) == 2, "a size needs no writer"
    assert str(rows[2]["id"]) == third
    assert rows[2]["options"]["ratio"] == "9:16"
    assert rows[2]["options"]["slides"] == 3
    assert len({row["source"] for row in rows}) == 1
    app.pipeline.sql("select carousel.outline_failed(%(id)s, 'refused')", id=third)
    failed = await person.sees("автор не взялся")
    await person.presses(failed, "Попробовать ещё раз")
    app.pipeline.outline((await app.dagster.run("outline"))["tags"]["carousel/request"], 3)
    outline = await person.sees("3 слайда")
    await person.presses(outline, "Убрать")
    await person.sees("План убран")
    await app.stage.outlined(person, "another text")
    newest = app.pipeline.sql("select options from carousel.request order by created_at desc limit 1")[0]["options"]
    assert newest["ratio"] == "9:16"
    assert newest["slides"] is None


@pytest.mark.finding("C1", "m32")
async def test_cancelled_failed_and_in_doubt(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    request = await app.stage.confirmed(person)
    progress = await person.sees("Your carousel")
    await person.presses(progress, "Cancel")
    back = await person.sees("4 credits are back")
    assert "Cancelled" in back["text"]
    assert "balance: 10" in back["text"]
    await person.no_longer_sees("Your carousel")

    request = await app.stage.confirmed(person)
    app.pipeline.sql(
        "select ledger.release(%(id)s, %(fence)s, 'pictures failed')", id=request, fence=app.pipeline.claim(request)
    )
    await person.sees("something broke on our side")

    request = await app.stage.confirmed(person)
    delivery = app.pipeline.begin(request)
    too_late = await person.hears(
        await person.sends_data(1, f"r:cancel:{UUID(request).hex}:0", crafted=True, inaccessible=True)
    )
    assert "too late" in too_late["text"]
    app.pipeline.end(delivery, "unknown")
    question = await person.sees("Did the album arrive?")
    assert "charges 4 credits" in question["text"]
    await person.presses(question, "Send again")
    await person.sees("Sending the album again")
    await app.dagster.run("carousel", request)
    app.pipeline.end(app.pipeline.begin(request), "unknown")
    question = await person.sees("Did the album arrive?")
    await person.presses(question, "Got it")
    await person.sees("4 credits charged, 6 left")
    late = await person.hears(
        await person.sends_data(1, f"r:got:{UUID(request).hex}:0", crafted=True, inaccessible=True)
    )
    assert "settled already" in late["text"]

    request = await app.stage.confirmed(person)
    app.pipeline.end(app.pipeline.begin(request), "sent", charge=3)
    partly = await person.sees("3 credits charged, 3 left")
    assert "Not every picture worked out, a pattern stands in: 1 credit is back" in partly["text"]
    assert app.pipeline.violations() == []


async def test_a_price_that_changed_is_asked_again(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    request, outline = await app.stage.outlined(person)
    app.pipeline.sql("update carousel.request set price = 5 where id = %(id)s", None, id=request)
    answer = await person.hears(await person.presses(outline, "Make it"))
    assert "price has changed" in answer["text"]
    outline = await person.sees("5 credits")
    await person.presses(outline, "Make it")
    await person.sees("5 credits are set aside")


async def test_several_messages_forwards_and_files_are_one_text(stage: SimpleNamespace) -> None:
    async with stage.bot(Pace(pause_s=1.5)):
        person = await stage.guest()
        await person.says("The first thought.")
        message = await person.says("The second thouht.")
        await person.edits(message, "The second thought.")
        await person.sends_document("notes.md", "\ufeffThe third: мысль.".encode())
        await stage.dagster.run("outline")
    source = stage.pipeline.sql("select source from carousel.request")[0]["source"]
    assert source == "The first thought.\n\nThe second thought.\n\nThe third: мысль."


@pytest.mark.finding("m30", "m34")
async def test_commands_words_and_languages(app: SimpleNamespace) -> None:
    person = await app.stage.guest("ru")
    async with app.stage.http.get(f"{app.stage.telegram}/sim/chats/{person.chat}") as answer:
        commands = {command["command"]: command["description"] for command in (await answer.json())["commands"]}
    assert set(commands) == set(COMMANDS)
    assert commands["balance"] == "кредиты и последние операции"
    await person.says("/start")
    await person.sees("На балансе <b>10".replace("<b>", ""))
    for command, words in (
        ("/new", "Пришлите, о чём"), ("✨ Новая карусель", "Пришлите, о чём"), ("/help", "Как это работает"),
        ("❓ Help", "Как это работает"),
        ("/terms", "Условия"), ("/privacy", "Приватность"), ("/nonsense", "Как это работает"), ("/cancel", "Отменять нечего"),
    ):  # fmt: skip
        await person.says(command)
        await person.sees(words)
    await person.says("/language")
    await person.presses(await person.sees("На каком языке"), "English")
    await person.sees("I speak English now")
    request = await app.stage.confirmed(person)
    await person.says("/cancel")
    await person.sees("Stopping the carousel")
    await person.sees("4 credits are back")
    await app.stage.outlined(person)
    await person.says("/cancel")
    await person.sees("Discarded. It cost nothing")
    await person.says("💳 Balance")
    balance = await person.sees("10 credits to spend")
    assert "+4 · returned “Heading 1”" in balance["text"]
    assert "−4 · set aside “Heading 1”" in balance["text"]
    assert "+10 · gift" in balance["text"]
    assert request
