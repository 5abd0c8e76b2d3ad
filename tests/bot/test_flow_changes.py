"""Changes as a person makes them: of an outline before paying, and of a carousel after the album."""

import io
import json
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from carousel_pipeline.artifacts import content_key, open_store

from .conftest import deck_of

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000002000000020802000000fdd49a73"
    "0000001049444154789c63f8cfc0f01f0c815c00001dd204fcd0b5a4b60000000049454e44ae426082"
)


def buttons(sign: str) -> Any:
    """A message whose buttons hold `sign`, in their words or in their data."""
    return lambda message: sign in json.dumps(message.get("reply_markup", {}), ensure_ascii=False)


def newest(app: SimpleNamespace) -> dict[str, Any]:
    rows: list[dict[str, Any]] = app.pipeline.sql(
        "select id, kind, change, options, deck, price, phase, parent_id from carousel.request order by created_at desc limit 1"
    )
    return rows[0]


def headings(app: SimpleNamespace) -> list[str]:
    return [slide["heading"] for slide in newest(app)["deck"]["slides"]]


async def deliver(app: SimpleNamespace, person: Any, request: str, slides: int) -> dict[str, Any]:
    """Play the run: slides, PDF and ZIP stored, an album that Telegram really has; returns the control message."""
    store = open_store(app.stage.settings.artifacts_url)
    for role in ("pdf", "zip"):
        data = f"{role} of {request}".encode()
        key = content_key(data, role)
        store.put(key, data, content_type=f"application/{role}")
        app.pipeline.named(
            "requests.keep_artifact", id=request, role=role, position=1, recipe="r", sha256="0" * 64, key=key,
            content_type=f"application/{role}", bytes=len(data), width=1080, height=1350, meta=Jsonb({}),
        )  # fmt: skip
    app.pipeline.keep_slides(request, slides)
    bot = app.bot.bot
    url = f"{app.stage.telegram}/bot{bot.token}/sendPhoto"
    messages, files = [], []
    for _ in range(slides):
        form = aiohttp.FormData({"chat_id": str(person.chat)})
        form.add_field("photo", io.BytesIO(PIXEL), filename="1.png")
        async with app.stage.http.post(url, data=form) as answer:
            sent = (await answer.json())["result"]
        messages.append(sent["message_id"])
        files.append(sent["photo"][-1]["file_id"])
    delivery = app.pipeline.begin(request)
    app.pipeline.named("ledger.arrived", id=request, delivery=delivery, kind="photo", messages=messages, files=files)
    control: dict[str, Any] = await person.sees(buttons(f"r:caption:{UUID(request).hex}"))
    return control


async def test_an_outline_is_changed_slide_by_slide_before_anybody_pays(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    first, outline = await app.stage.outlined(person)

    await person.presses(outline, "Edit")
    numbers = await person.sees(buttons("e:open"))
    await person.presses(numbers, "2")
    await person.presses(await person.sees(buttons("e:text")), "Text")
    question = await person.sees("Slide 2 says now")
    assert "Heading **2**\nBody of slide 2" in question["text"]
    await person.says("x" * 201)
    await person.sees("it does not fit")
    await person.says("A better heading\nand a better body")
    outline = await person.sees(lambda message: "2. A better heading" in message.get("text", ""))
    await person.no_longer_sees("Slide 2 says now")
    assert outline["message_id"] > question["message_id"], "the outline is what was written last"
    assert newest(app)["kind"] == "text"
    assert str(newest(app)["parent_id"]) == first

    await person.presses(outline, "Edit")
    await person.presses(await person.sees(buttons("e:open")), "3")
    await person.presses(await person.sees(buttons("e:move")), "Move")
    await person.presses(await person.sees(buttons('"p:')), "2")
    outline = await person.sees(lambda message: "3. A better heading" in message.get("text", ""))

    await person.presses(outline, "Edit")
    await person.presses(await person.sees(buttons("e:open")), "1")
    await person.presses(await person.sees(buttons("e:add")), "Add")
    assert "Its picture costs 1 credit" in (await person.sees("A slide after slide 1"))["text"]
    await person.says("Quite new")
    outline = await person.sees(buttons("Make it · 5"))
    assert headings(app) == ["Heading **1**", "Quite new", "Heading **3**", "A better heading", "Heading **4**"]

    await person.presses(outline, "Edit")
    await person.presses(await person.sees(buttons("e:open")), "4")
    await person.presses(await person.sees(buttons("e:del")), "Remove")
    outline = await person.sees(buttons("Make it · 4"))
    assert headings(app) == ["Heading **1**", "Quite new", "Heading **3**", "Heading **4**"]

    assert len([run for run in app.dagster.runs if run["job"] == "outline"]) == 1, "none of it needed the writer"
    await person.presses(outline, "Make it")
    run = await app.dagster.run("edit")
    assert run["tags"]["carousel/request"] == str(newest(app)["id"])
    assert app.pipeline.violations() == []


async def test_an_outline_is_changed_in_its_look_and_its_telling(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    _, outline = await app.stage.outlined(person)
    await person.presses(outline, "Pictures: 4 or 12")
    await person.presses(await person.sees(buttons('"i:')), "One a slide · 12")
    outline = await person.sees(buttons("Make it · 12"))
    assert "a picture for every slide" in outline["text"]
    assert "too few for now" in outline["text"]
    assert "One picture for all slides: 4 credits" in outline["text"]
    await person.presses(outline, "Pictures")
    await person.presses(await person.sees(buttons('"i:')), "One for all · 4")
    outline = await person.sees(buttons("Make it · 4"))
    assert "a picture for every slide" not in outline["text"]
    await person.presses(outline, "Style")
    gallery = await person.sees(lambda message: "photo" in message and buttons('"v:')(message))
    await person.presses(gallery, "Night")
    gallery = await person.sees(buttons("Take “Night”"))
    await person.presses(gallery, "Take")
    outline = await person.sees("Night · ")

    await person.presses(outline, "Tone")
    await person.presses(await person.sees(buttons('"t:')), "Bold")
    app.pipeline.outline((await app.dagster.run("outline"))["tags"]["carousel/request"], 3)
    outline = await person.sees(lambda message: "Bold" in message.get("text", "") and buttons("Make it")(message))
    await person.presses(outline, "Size")
    await person.presses(await person.sees(buttons('"z:')), "1:1")
    await person.sees("1:1 square")
    assert not [message for message in await person.messages() if "photo" in message and buttons('"v:')(message)]


@pytest.mark.finding("M16", "C12")
async def test_a_carousel_is_changed_after_the_album(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    first = await app.stage.confirmed(person)
    control = await deliver(app, person, first, 4)

    await person.presses(control, "2")
    await person.presses(await person.sees(buttons("e:text")), "Text")
    question = await person.sees("Slide 2 says now")
    await person.presses(question, "Heading")
    await person.sees("the text stays")
    await person.says("Only the heading")
    second = (await app.dagster.run("edit"))["tags"]["carousel/request"]
    assert newest(app)["change"] == {"base": first}
    assert newest(app)["deck"]["slides"][1]["body"] == "Body of slide 2"
    assert newest(app)["price"] == 0
    control = await deliver(app, person, second, 4)
    assert "free of charge. Your balance: 6" in control["text"]
    older = await person.sees("An older version")
    await person.presses(older, "Buttons")
    await person.sees(buttons(f"e:open:{UUID(first).hex}"))

    press = {"message": control["message_id"], "data": f"r:undo:{UUID(second).hex}:0"}
    await person.sends_data(press["message"], press["data"])
    third = (await app.dagster.run("edit"))["tags"]["carousel/request"]
    again = await person.hears(await person.sends_data(press["message"], press["data"]))
    assert "You pay once" in again["text"], "the second tap finds the first one's"
    assert newest(app)["kind"] == "undo"
    assert newest(app)["change"] == {"base": first}
    control = await deliver(app, person, third, 4)
    assert "Undo" not in json.dumps(control), "there is nothing before the first version"
    assert app.pipeline.violations() == []


@pytest.mark.finding("C12")
async def test_a_new_picture_costs_what_the_button_says(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    third = await app.stage.confirmed(person)
    control = await deliver(app, person, third, 4)
    await person.presses(control, "Picture")
    await person.presses(await person.sees(buttons("e:pic")), "3")
    await person.presses(await person.sees(buttons("e:new")), "Another one · 1")
    fourth = (await app.dagster.run("edit"))["tags"]["carousel/request"]
    assert newest(app)["change"] == {"base": third, "pictures": [3]}
    await person.sees("1 credit is set aside")
    delivery = app.pipeline.begin(fourth)
    app.pipeline.end(delivery, "sent", charge=0)
    control = refused = await person.sees("the old one stays. Nothing was charged")
    assert "balance: 6" in refused["text"]

    await person.presses(control, "3")
    await person.presses(await person.sees(buttons("e:pic")), "Picture")
    await person.presses(await person.sees(buttons("e:ask")), "Say what to paint")
    await person.sees("what shall the picture show")
    await person.says("a lighthouse at dusk")
    await app.dagster.run("edit")
    assert newest(app)["deck"]["slides"][2]["picture"] == "a lighthouse at dusk"

    control = await person.sees(buttons("e:new"))
    await person.presses(control, "Back")
    control = await person.sees(buttons(f"r:langs:{UUID(fourth).hex}"))
    await person.presses(control, "Translate")
    answer = await person.hears(await person.presses(await person.sees(buttons('"g:')), "German"))
    assert "DEMO cannot translate" in answer["text"]
    assert app.pipeline.violations() == []


async def test_a_carousel_is_translated_where_somebody_can_and_its_pictures_stay(stage: Any) -> None:
    stage.settings = stage.settings.model_copy(update={"anthropic_api_key": SecretStr("sk-ant-0123456789abcdefghij")})
    async with stage.bot() as running:
        app = SimpleNamespace(stage=stage, bot=running, dagster=stage.dagster, pipeline=stage.pipeline)
        person = await stage.guest()
        first = await stage.confirmed(person)
        control = await deliver(app, person, first, 4)
        await person.presses(control, "Translate")
        chooser = await person.sees(buttons('"g:'))
        query = await person.presses(chooser, "German")
        assert "It is free" in (await person.hears(query))["text"]
        second = (await app.dagster.run("edit"))["tags"]["carousel/request"]
        opened = newest(app)
        assert (opened["change"], opened["price"]) == ({"base": first, "language": "de"}, 0)
        german = deck_of(4, "de").model_dump(mode="json")
        assert app.pipeline.named("requests.translated", id=second, deck=Jsonb(german)) == [{"done": True}]
        control = await deliver(app, person, second, 4)
        assert "free of charge. Your balance: 6" in control["text"]
        assert newest(app)["deck"]["language"] == "de"
        # The buttons under the translation start from it: its own language is no wish any more.
        await person.presses(control, "Translate")
        query = await person.presses(await person.sees(buttons(f'"g:{UUID(second).hex}')), "German")
        assert "in this language already" in (await person.hears(query))["text"]
        assert app.pipeline.violations() == []


async def test_files_caption_slideshow_and_history(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    await person.says("/history")
    await person.sees("Nothing here yet")
    request = await app.stage.confirmed(person)
    app.pipeline.sql(
        "update carousel.request set deck = deck || %(more)s where id = %(id)s", None, id=request,
        more=Jsonb({"caption": "Five habits.", "hashtags": ["#calm", "#habits"]}),
    )  # fmt: skip
    control = await deliver(app, person, request, 4)
    for label, name in (("PDF", "heading-1.pdf"), ("ZIP", "heading-1.zip")):
        for _ in range(2):
            await person.presses(control, label)
            await person.sees(lambda message, name=name: message.get("document", {}).get("file_name") == name)
    await person.presses(control, "Caption")
    await person.sees("Five habits.")
    await person.sees("#calm #habits")
    await person.presses(control, "Slideshow")
    await person.sees(lambda message: "rich_message" in message)
    await person.says("/history")
    history = await person.sees("1. Heading 1 · 4 slides")
    photos = len([message for message in await person.messages() if "photo" in message])
    await person.presses(history, "📨 1")
    await person.sees(lambda message: "media_group_id" in message and message["message_id"] > history["message_id"])
    album = [message for message in await person.messages() if "photo" in message][photos:]
    assert len({message["media_group_id"] for message in album}) == 1
    assert len(album) == 4
    resent = (await app.stage.calls("sendMediaGroup"))[-1]
    assert "attach://" not in resent["params"]["media"], "nothing was uploaded"
    crafted = await person.hears(await person.sends_data(1, f"h:{UUID(int=7).hex}", crafted=True, inaccessible=True))
    assert "served its time" in crafted["text"]


async def test_a_brand_is_set_up_and_taken_away(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    await person.says("/brand")
    brand = await person.sees("Name: none")
    await person.presses(brand, "Name")
    await person.sees("Send the name")
    await person.says("@anna")
    brand = await person.sees("Name: @anna")
    await person.presses(brand, "Colour")
    question = await person.sees("Choose a colour")
    await person.says("red")
    await person.sees("A colour looks like")
    await person.presses(question, "🟢")
    brand = await person.sees("Colour: #30a46c")
    await person.presses(brand, "Logo")
    await person.sees("Send your logo")
    await person.sends_document("logo.svg", b"<svg/>")
    await person.sees("could not take this as a logo")
    await person.sends_document("logo.png", PIXEL)
    brand = await person.sees("Logo: set")
    row = app.pipeline.sql("select handle, logo_key, accent from carousel.brand")[0]
    assert (row["handle"], row["accent"]) == ("@anna", "#30a46c")
    assert open_store(app.stage.settings.artifacts_url).get(row["logo_key"]) == PIXEL
    await person.presses(brand, "🗑 Name")
    await person.sees(lambda message: "Name: none" in message.get("text", "") and "Logo: set" in message["text"])
    await person.says("/styles")
    gallery = await person.sees(buttons('"v:'))
    await person.presses(gallery, "Night")
    await person.presses(await person.sees(buttons("Take “Night”")), "Take")
    await person.sees(lambda message: "your next carousels" in message.get("caption", ""))
    await person.says("/brand")
    await person.presses(await person.sees("Name: none"), "Name")
    await person.says("/cancel")
    await person.sees("Left as it was")
    await app.stage.outlined(person)
    assert newest(app)["options"]["style"] == "night"


async def test_what_was_finished_while_somebody_was_away_is_kept(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    request = await app.stage.confirmed(person)
    await person.blocks()
    app.pipeline.keep_slides(request, 4)
    fence = app.pipeline.claim(request)
    app.pipeline.sql("select ledger.rendered(%(id)s, %(fence)s)", id=request, fence=fence)
    intent = app.pipeline.sql("select * from ledger.delivery_begin(%(id)s, %(fence)s)", id=request, fence=fence)[0]
    app.pipeline.sql("select ledger.delivery_end(%(d)s, 'rejected', null, 'blocked')", d=intent["delivery_id"])
    app.pipeline.sql("select ledger.release(%(id)s, %(fence)s, 'delivery_receipt')", id=request, fence=fence)
    await person._post("unblock")
    offer = await person.sees("its 4 credits went back to you")
    await person.presses(offer, "Send it · 4")
    run = await app.dagster.run("edit")
    kept = newest(app)
    assert (kept["kind"], kept["change"], kept["price"]) == ("again", {"base": request}, 4)
    assert run["tags"]["carousel/request"] == str(kept["id"])
    late = await person.hears(
        await person.sends_data(1, f"r:kept:{UUID(request).hex}:3", crafted=True, inaccessible=True)
    )
    assert "served its time" in late["text"]
    assert app.pipeline.violations() == []


async def test_while_a_provider_rests_nobody_waits_for_it(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    request, outline = await app.stage.outlined(person)
    for provider in ("anthropic", "gemini"):
        app.pipeline.sql(
            "insert into carousel.provider_state (provider, failures, opened_until, reason)"
            " values (%(provider)s, 5, clock_timestamp() + interval '150 seconds', 'test')", None, provider=provider,
        )  # fmt: skip
    for label in ("Make it", "Again"):
        answer = await person.hears(await person.presses(outline, label))
        assert "resting for about 3 minutes. Nothing was charged" in answer["text"]
    await person.says("another text for later")
    await person.sees("resting for about 3 minutes")
    assert app.pipeline.sql("select phase from carousel.request") == [{"phase": "outlined"}]
    assert request


@pytest.mark.finding("M6", "m32")
async def test_a_crafted_change_touches_nothing(app: SimpleNamespace) -> None:
    person, stranger = await app.stage.guest(), await app.stage.guest()
    request, _ = await app.stage.outlined(person)
    name = UUID(request).hex
    for data in (
        f"e:text:{name}:11", f"e:open:{name}:0", f"p:{name}:1:99", f"s:{name}:no_such_style", f"i:{name}:none",
        f"t:{name}:rude", f"u:{name}:haiku", f"w:{name}:none", f"g:{name}:xx", f"e:new:{name}:1", "a:123456",
    ):  # fmt: skip
        answer = await person.hears(await person.sends_data(1, data, crafted=True, inaccessible=True))
        assert answer["text"], data
    for data in (f"e:del:{name}:1", f"r:undo:{name}:0", f"i:{name}:panorama", f"r:caption:{name}:0"):
        answer = await stranger.hears(await stranger.sends_data(1, data, crafted=True, inaccessible=True))
        assert "served its time" in answer["text"], data
    assert len(app.pipeline.sql("select 1 from carousel.request")) == 1


@pytest.mark.finding("C12")
async def test_a_change_that_costs_more_than_there_is_says_so(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    request = await app.stage.confirmed(person)
    control = await deliver(app, person, request, 4)
    spent = await app.stage.confirmed(person, slides=6)
    await person.presses(control, "1")
    await person.presses(await person.sees(buttons("e:pic")), "Picture")
    answer = await person.hears(await person.presses(await person.sees(buttons("e:new")), "Another one"))
    assert "This costs 1 credit, and you have 0. Nothing was charged" in answer["text"]
    assert str(newest(app)["id"]) == spent
    assert app.pipeline.violations() == []
