"""What the bot will not do, said kindly and in the person's language; and nothing is spent on the way."""

from types import SimpleNamespace
from typing import Any

import pytest

LANGUAGES = ("en", "ru")


def _words(language: str, english: str, russian: str) -> str:
    return english if language == "en" else russian


@pytest.mark.parametrize("language", LANGUAGES)
async def test_texts_that_cannot_become_slides(app: SimpleNamespace, language: str) -> None:
    person = await app.stage.guest(language)
    for text, english, russian in (
        ("ab", "too short", "слишком коротко"),
        ("🎉🎉 !!", "not only emoji", "не только эмодзи"),
        ("https://example.org/a/b?c", "cannot open links", "Ссылки я пока не открываю"),
    ):
        await person.says(text)
        await person.sees(_words(language, english, russian))
    await person.sends_document("long.txt", ("слово " * 5_000).encode())
    refusal = await person.sees(_words(language, "I take 20", "не больше 20"))
    assert "29999" in refusal["text"]
    await person.sends_document("empty.txt", b"  \n ")
    await person.sees(_words(language, "no text in it", "нет текста"))
    assert app.dagster.runs == []
    assert app.pipeline.sql("select count(*) as n from carousel.request")[0]["n"] == 0


@pytest.mark.parametrize("language", LANGUAGES)
async def test_files_that_hold_no_text(app: SimpleNamespace, language: str) -> None:
    person = await app.stage.guest(language)
    await person.sends_document("deck.pdf", b"%PDF-1.7")
    await person.sees(_words(language, "I read .txt and .md", "Я читаю файлы .txt"))
    await person.sends_document("fake.txt", bytes(range(256)) * 20)
    await person.sees(_words(language, "could not read text", "Не получилось прочесть текст"))
    await person.sends_document("big.txt", b"a" * 1_000_001)
    await person.sees(_words(language, "too big", "слишком большой"))


def _content(kind: str) -> dict[str, Any]:
    file = {"file_id": "f", "file_unique_id": "u", "file_size": 10}
    size = {"width": 10, "height": 10}
    return {
        "photo": {"photo": [{**file, **size}]},
        "sticker": {"sticker": {**file, **size, "type": "regular", "is_animated": False, "is_video": False}},
        "voice": {"voice": {**file, "duration": 3}},
        "video": {"video": {**file, **size, "duration": 3}},
        "contact": {"contact": {"phone_number": "1", "first_name": "B"}},
        "location": {"location": {"latitude": 1.0, "longitude": 2.0}},
        "dice": {"dice": {"emoji": "🎲", "value": 3}},
    }[kind]


def _update(number: int, person: Any, language: str = "en", **message: Any) -> dict[str, Any]:
    body = {
        "message_id": 9000 + number,
        "date": 1_700_000_000,
        "chat": {"id": person.chat, "type": "private", "first_name": "A"},
        "from": {"id": person.chat, "is_bot": False, "first_name": "A", "language_code": language},
        **message,
    }
    return {"update_id": 900_000_000 + number, "message": body}


@pytest.mark.finding("m33")
@pytest.mark.parametrize("language", LANGUAGES)
async def test_contents_that_are_no_text(app: SimpleNamespace, language: str) -> None:
    person = await app.stage.guest(language)
    for number, (kind, english, russian) in enumerate(
        (
            ("photo", "cannot read pictures", "Картинки я пока не читаю"),
            ("sticker", "A fine sticker", "Отличный стикер"),
            ("voice", "cannot listen", "Слушать я пока не умею"),
            ("video", "cannot watch videos", "Видео я пока не смотрю"),
            ("contact", "carousels of texts", "карусели из текстов"),
            ("location", "carousels of texts", "карусели из текстов"),
            ("dice", "carousels of texts", "карусели из текстов"),
        )
    ):
        await app.bot.inbox.accept([_update(number, person, language, **_content(kind))])
        await person.sees(_words(language, english, russian))


@pytest.mark.finding("m33")
async def test_an_album_is_answered_once_and_its_caption_is_the_text(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    photo = _content("photo")
    await app.bot.inbox.accept([_update(n, person, media_group_id="g1", **photo) for n in range(3)])
    await person.sees("cannot read pictures")
    first = {**photo, "caption": "A post about calm mornings"}
    await app.bot.inbox.accept(
        [_update(n + 10, person, media_group_id="g2", **(first if n == 0 else photo)) for n in range(3)]
    )
    await person.sees("Writing the outline")
    assert sum("cannot read pictures" in text for text in await person.bot_texts()) == 1
    await app.dagster.run("outline")
    assert app.pipeline.sql("select source from carousel.request")[0]["source"] == "A post about calm mornings"


@pytest.mark.finding("m33")
async def test_groups_channels_and_edits_do_no_harm(app: SimpleNamespace) -> None:
    person = await app.stage.guest()
    group = {"id": -100, "type": "supergroup", "title": "G"}
    channel = {"id": -200, "type": "channel", "title": "C"}
    author = {"id": 55, "is_bot": False, "first_name": "B"}
    post = {"message_id": 1, "date": 1_700_000_000, "chat": channel, "text": "news"}
    odd = [
        {"message": {"message_id": 1, "date": 1_700_000_000, "chat": group, "from": author, "text": "hello all"}},
        {"message": {"message_id": 2, "date": 1_700_000_000, "chat": group, "from": author, "text": "/start"}},
        {"channel_post": post},
        {"channel_post": {**post, "text": "/start"}},
        {"edited_channel_post": post},
        {"callback_query": {"id": "1", "from": author, "chat_instance": "1", "inline_message_id": "x", "data": "?"}},
        {"something_of_2031": {"what": "ever"}},
    ]
    await app.bot.inbox.accept([{"update_id": 910_000_000 + number, **update} for number, update in enumerate(odd)])
    await app.bot.inbox.idle()
    assert app.pipeline.sql("select count(*) as n from bot.inbox where processed_at is null", None)[0]["n"] == 0
    message = await person.says("one text")
    await person.sees("Writing the outline")
    await person.edits(message, "another text")
    await person.sees("as you sent it first")


@pytest.mark.finding("M6", "M7", "m31", "m32")
@pytest.mark.parametrize("language", LANGUAGES)
async def test_buttons_that_mean_nothing(app: SimpleNamespace, language: str) -> None:
    person, thief = await app.stage.guest(language), await app.stage.guest(language)
    request, outline = await app.stage.outlined(person)
    key = request.replace("-", "")
    gone = _words(language, "served its time", "уже не работает")
    for data in (
        "?",
        "r:make",
        "r:make:nonsense:1",
        f"s:{key}:no_such_style",
        f"z:{key}:3x2",
        f"n:{key}:99",
        "l:xx",
        f"r:files:{key}:0",
    ):
        query = await person.sends_data(outline["message_id"], data, crafted=True)
        assert gone in (await person.hears(query))["text"], data
    query = await person.sends_data(outline["message_id"], f"r:discard:{key}:0", inaccessible=True)
    await person.hears(query)
    assert app.pipeline.sql("select phase from carousel.request")[0]["phase"] == "discarded"
    theirs, _ = await app.stage.outlined(person, "another text")
    for act in ("make", "discard", "cancel", "styles", "again", "files"):
        query = await thief.sends_data(1, f"r:{act}:{theirs.replace('-', '')}:4", crafted=True, inaccessible=True)
        assert gone in (await thief.hears(query))["text"], act
    assert (
        app.pipeline.sql("select phase from carousel.request order by created_at desc limit 1")[0]["phase"]
        == "outlined"
    )


@pytest.mark.parametrize("language", LANGUAGES)
async def test_no_credits(app: SimpleNamespace, language: str) -> None:
    person = await app.stage.guest(language)
    _, first = await app.stage.outlined(person, slides=8)
    make = _words(language, "Make it", "Сделать")
    await person.presses(first, make)
    await app.dagster.run("carousel")
    _, second = await app.stage.outlined(person, "one more text", slides=5)
    assert _words(language, "too few for now", "пока не хватает") in second["text"]
    answer = await person.hears(await person.presses(second, make))
    assert answer["show_alert"]
    assert _words(language, "you have 2. Nothing was charged", "у вас 2. Ничего не списано") in answer["text"]
    assert app.pipeline.violations() == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_one_outline_at_a_time_and_so_many_a_day(app: SimpleNamespace, language: str) -> None:
    person = await app.stage.guest(language)
    await person.says("the first text")
    run = await app.dagster.run("outline")
    await person.says("the second text")
    await person.sees(_words(language, "still writing your last outline", "Ещё пишу ваш прошлый план"))
    app.pipeline.outline(run["tags"]["carousel/request"])
    outline = await person.sees("1. Heading 1")
    app.pipeline.sql(
        "insert into carousel.request (user_id, chat_id, client_key, source, options, phase)"
        " select user_id, chat_id, 'old:' || n, 'x', '{}', 'failed' from carousel.request, generate_series(1, 40) n",
        None,
    )
    await person.says("the third text")
    await person.sees(_words(language, "a lot of outlines for one day", "На сегодня планов было много"))
    answer = await person.hears(await person.presses(outline, _words(language, "Again", "Ещё вариант")))
    assert _words(language, "come back tomorrow", "приходите завтра") in answer["text"]
    await person.sees("1. Heading 1")
