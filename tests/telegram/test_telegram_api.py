"""Real aiogram against the local Telegram, over sockets."""

import asyncio
import hashlib
from typing import Any

import aiohttp
import pytest
from aiogram import Bot, Dispatcher, F
from aiogram.exceptions import TelegramBadRequest, TelegramConflictError, TelegramForbiddenError, TelegramRetryAfter
from aiogram.types import (
    BotCommand,
    BufferedInputFile,
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    InputRichBlockParagraph,
    InputRichBlockPhoto,
    InputRichBlockSlideshow,
    InputRichMessage,
    KeyboardButton,
    LabeledPrice,
    Message,
    ReplyKeyboardMarkup,
    ReplyParameters,
)
from aiogram.webhook.aiohttp_server import SimpleRequestHandler
from aiohttp import web

pytestmark = pytest.mark.asyncio(loop_scope="session")


def keyboard(data: str = "yes", **extra: Any) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="Yes", callback_data=data, **extra)]])


def upload(content: bytes, name: str = "slide.jpg") -> BufferedInputFile:
    return BufferedInputFile(content, name)


async def test_a_bot_polls_answers_edits_and_ends_the_waiting_of_a_button(bot: Bot, sim: Any, chat: int) -> None:
    dispatcher = Dispatcher()

    @dispatcher.message(F.text)
    async def on_text(message: Message) -> None:
        await message.answer(f"<b>{message.text}</b>", parse_mode="HTML", reply_markup=keyboard())

    @dispatcher.callback_query(F.data == "yes")
    async def on_yes(query: CallbackQuery) -> None:
        assert isinstance(query.message, Message)
        await query.message.edit_text("done")
        await query.answer("thanks")

    polling = asyncio.create_task(dispatcher.start_polling(bot, handle_signals=False, close_bot_session=False))
    await sim.say(chat, "hello")
    after = 0
    while (event := await sim.until(chat, "message", after))["message"]["from"]["is_bot"] is False:
        after = event["n"]
    sent = event["message"]
    assert sent["text"] == "hello"
    assert sent["entities"] == [{"type": "bold", "offset": 0, "length": 5}]
    query_id = await sim.press(chat, sent["message_id"], "yes")
    edit = await sim.until(chat, "edit", event["n"])
    assert edit["message"]["text"] == "done"
    assert "reply_markup" not in edit["message"]
    answer = await sim.until(chat, "callback_answer", event["n"])
    assert (answer["callback_query_id"], answer["text"], answer["show_alert"]) == (query_id, "thanks", False)
    await dispatcher.stop_polling()
    await polling
    assert (await sim.call("GET", "/sim/updates"))["pending"] == []


async def test_unconfirmed_updates_come_again_and_polling_really_waits(bot: Bot, sim: Any, chat: int) -> None:
    assert await bot.get_updates(timeout=0) == []
    waiting = asyncio.create_task(bot.get_updates(timeout=10))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await sim.say(chat, "one")
    [first] = await waiting
    assert [update.update_id for update in await bot.get_updates(timeout=0)] == [first.update_id]
    assert await bot.get_updates(offset=first.update_id + 1, timeout=0) == []
    replayed = await sim.call("POST", "/sim/updates/replay", json={"last": 1})
    assert replayed == {"replayed": 1}
    again = await bot.get_updates(offset=first.update_id + 1, timeout=0)
    assert [update.update_id for update in again] == [first.update_id]


@pytest.mark.usefixtures("sim")
async def test_two_pollers_conflict(bot: Bot) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=10))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(bot.get_updates(timeout=1))
    with pytest.raises(TelegramConflictError, match="terminated by other getUpdates request"):
        await first
    assert await second == []


@pytest.mark.finding("C8")
async def test_a_webhook_gets_every_update_in_order_with_its_secret_until_it_says_ok(
    bot: Bot, sim: Any, chat: int
) -> None:
    seen: list[tuple[str | None, str | None]] = []
    failures = [500, 503]
    got_all = asyncio.Event()

    async def hook(request: web.Request) -> web.Response:
        update = await request.json()
        if failures:
            return web.Response(status=failures.pop())
        seen.append((request.headers.get("X-Telegram-Bot-Api-Secret-Token"), update["message"]["text"]))
        if len(seen) == 3:
            got_all.set()
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        await bot.set_webhook(f"http://127.0.0.1:{port}/hook", secret_token="s3cret-Token_x")
        with pytest.raises(TelegramConflictError, match="webhook is active"):
            await bot.get_updates(timeout=0)
        for text in ("a", "b", "c"):
            await sim.say(chat, text)
        async with asyncio.timeout(40):
            await got_all.wait()
        info = await bot.get_webhook_info()
        assert info.last_error_message == "Wrong response from the webhook: 500 Internal Server Error"
        assert seen == [("s3cret-Token_x", "a"), ("s3cret-Token_x", "b"), ("s3cret-Token_x", "c")]
        await bot.delete_webhook()
    finally:
        await runner.cleanup()
    assert "s3cret" not in str(await sim.log())


async def test_aiograms_own_webhook_handler_understands_us(bot: Bot, sim: Any, chat: int) -> None:
    dispatcher = Dispatcher()
    got: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    @dispatcher.message()
    async def on_message(message: Message) -> None:
        got.set_result(message.text)

    app = web.Application()
    SimpleRequestHandler(dispatcher, bot, secret_token="another-Secret_1", handle_in_background=False).register(
        app, path="/h"
    )
    app.on_shutdown.clear()
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        await bot.set_webhook(f"http://127.0.0.1:{runner.addresses[0][1]}/h", secret_token="another-Secret_1")
        await sim.say(chat, "through the hook")
        assert await asyncio.wait_for(got, 10) == "through the hook"
        await bot.delete_webhook()
    finally:
        await runner.cleanup()


async def test_an_album_keeps_order_ids_and_bytes(bot: Bot, sim: Any, chat: int, draw: Any) -> None:
    pictures = [draw(colour) for colour in ("red", "green", "blue")]
    album = await bot.send_media_group(
        chat,
        [
            InputMediaPhoto(media=upload(one), caption="cap" if not place else None)
            for place, one in enumerate(pictures)
        ],
    )
    assert len({message.media_group_id for message in album}) == 1
    assert [message.message_id for message in album] == sorted(message.message_id for message in album)
    assert [message.caption for message in album] == ["cap", None, None]
    for message, content in zip(album, pictures, strict=True):
        assert message.photo is not None
        sizes = [(size.width, size.height) for size in message.photo]
        assert sizes == [(72, 90), (256, 320), (640, 800), (1024, 1280), (1080, 1350)]
        file = await bot.get_file(message.photo[-1].file_id)
        assert file.file_path is not None
        downloaded = await bot.download_file(file.file_path)
        assert downloaded is not None
        assert downloaded.read() == content
    again = await bot.send_media_group(
        chat, [InputMediaPhoto(media=message.photo[-1].file_id) for message in album if message.photo]
    )
    assert [message.photo[-1].file_unique_id for message in again if message.photo] == [
        message.photo[-1].file_unique_id for message in album if message.photo
    ]
    entry = next(call for call in await sim.log() if call["method"] == "sendMediaGroup")
    assert [file["sha256"] for file in entry["files"]] == [hashlib.sha256(one).hexdigest() for one in pictures]
    assert [message["message_id"] for message in entry["result"]] == [message.message_id for message in album]


async def test_smaller_sizes_are_real_pictures(bot: Bot, sim: Any, chat: int, draw: Any) -> None:
    message = await bot.send_photo(chat, upload(draw("teal", (1600, 900), "PNG"), "a.png"))
    assert message.photo is not None
    async with sim.http.get(f"{sim.url}/sim/files/{message.photo[1].file_id}") as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"
        small = await answer.read()
    assert small[:2] == b"\xff\xd8"
    async with sim.http.get(f"{sim.url}/sim/files/{message.photo[-1].file_id}") as answer:
        assert answer.headers["Content-Type"] == "image/png"


async def test_documents_keep_name_bytes_and_may_form_an_album(bot: Bot, sim: Any, chat: int, draw: Any) -> None:
    content = bytes(range(256)) * 400
    sent = await bot.send_document(chat, upload(content, "слайды.zip"), caption="<i>all</i>", parse_mode="HTML")
    assert sent.document is not None
    assert (sent.document.file_name, sent.document.mime_type, sent.document.file_size) == (
        "слайды.zip",
        "application/zip",
        len(content),
    )
    async with sim.http.get(f"{sim.url}/sim/files/{sent.document.file_id}") as answer:
        assert await answer.read() == content
        assert answer.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''%D1%81")
    files = [InputMediaDocument(media=upload(draw(), f"0{n}_slide.jpg")) for n in (1, 2)]
    album = await bot.send_media_group(chat, files)
    assert [message.document.file_name for message in album if message.document] == ["01_slide.jpg", "02_slide.jpg"]
    resent = await bot.send_document(chat, sent.document.file_id)
    assert resent.document is not None
    assert resent.document.file_id == sent.document.file_id


async def test_edits_of_every_kind(bot: Bot, sim: Any, chat: int, draw: Any) -> None:
    text = await bot.send_message(chat, "one", reply_markup=keyboard())
    edited = await bot.edit_message_text("two", chat_id=chat, message_id=text.message_id, reply_markup=keyboard("no"))
    assert isinstance(edited, Message)
    assert edited.edit_date is not None
    with pytest.raises(TelegramBadRequest, match="message is not modified: specified new message content"):
        await bot.edit_message_text("two", chat_id=chat, message_id=text.message_id, reply_markup=keyboard("no"))
    await bot.edit_message_reply_markup(chat_id=chat, message_id=text.message_id)
    photo = await bot.send_photo(chat, upload(draw()), caption="c")
    await bot.edit_message_caption(chat_id=chat, message_id=photo.message_id, caption="<b>d</b>", parse_mode="HTML")
    await bot.edit_message_media(
        InputMediaDocument(media=upload(b"pdf", "a.pdf"), caption="e"), chat_id=chat, message_id=photo.message_id
    )
    shown = {message["message_id"]: message for message in await sim.messages(chat)}
    assert shown[text.message_id]["text"] == "two"
    assert "reply_markup" not in shown[text.message_id]
    changed = shown[photo.message_id]
    assert ("photo" in changed, changed["document"]["file_name"], changed["caption"]) == (False, "a.pdf", "e")
    await bot.delete_message(chat, text.message_id)
    assert await bot.delete_messages(chat, [photo.message_id, 9999])
    assert await sim.messages(chat) == []


async def test_replies_forwards_copies_and_pins(bot: Bot, sim: Any, chat: int, draw: Any) -> None:
    asked = await sim.say(chat, "a question")
    reply = await bot.send_message(chat, "an answer", reply_parameters=ReplyParameters(message_id=asked))
    assert reply.reply_to_message is not None
    assert reply.reply_to_message.text == "a question"
    other = await sim.user(first_name="Ben")
    forwarded = await bot.forward_message(other, chat, asked)
    assert forwarded.forward_origin is not None
    album = await bot.send_media_group(chat, [InputMediaPhoto(media=upload(draw(c))) for c in ("red", "blue")])
    copies = await bot.copy_messages(other, chat, [message.message_id for message in album])
    groups = {message.get("media_group_id") for message in (await sim.messages(other))[-2:]}
    assert len(copies) == 2
    assert len(groups) == 1
    assert groups != {album[0].media_group_id}
    copy = await bot.copy_message(other, chat, album[0].message_id, caption="new")
    assert (await sim.messages(other))[-1]["caption"] == "new"
    await bot.pin_chat_message(other, copy.message_id)
    pinned = (await bot.get_chat(other)).pinned_message
    assert pinned is not None
    assert pinned.message_id == copy.message_id
    await bot.unpin_chat_message(other)


async def test_what_a_bot_says_about_itself_reaches_the_menu(bot: Bot, sim: Any) -> None:
    english = [BotCommand(command="start", description="Begin")]
    russian = [BotCommand(command="start", description="Начать")]
    await bot.set_my_commands(english)
    await bot.set_my_commands(russian, language_code="ru")
    await bot.set_my_description("Makes carousels")
    await bot.set_my_name("Slides")
    await bot.set_my_name("")
    assert [command.description for command in await bot.get_my_commands(language_code="ru")] == ["Начать"]
    assert (await bot.get_me()).first_name == "Carousel"
    ann, boris = await sim.user(), await sim.user(language_code="ru")
    assert (await sim.call("GET", f"/sim/chats/{ann}"))["commands"][0]["description"] == "Begin"
    state = await sim.call("GET", f"/sim/chats/{boris}")
    assert state["commands"][0]["description"] == "Начать"
    assert state["description"] == "Makes carousels"


async def test_reply_keyboards_belong_to_the_chat(bot: Bot, sim: Any, chat: int) -> None:
    rows = [[KeyboardButton(text="New"), KeyboardButton(text="Help")]]
    await bot.send_message(chat, "choose", reply_markup=ReplyKeyboardMarkup(keyboard=rows, one_time_keyboard=True))
    shown = (await sim.call("GET", f"/sim/chats/{chat}"))["keyboard"]
    assert [button["text"] for button in shown["keyboard"][0]] == ["New", "Help"]
    await sim.say(chat, "New")
    assert (await sim.call("GET", f"/sim/chats/{chat}"))["keyboard"] is None


@pytest.mark.usefixtures("sim")
async def test_an_invoice_is_shown_and_its_payload_kept(bot: Bot, chat: int) -> None:
    message = await bot.send_invoice(
        chat, "50 credits", "For slides", "pack-50", "XTR", [LabeledPrice(label="50", amount=250)]
    )
    assert message.invoice is not None
    assert message.invoice.total_amount == 250
    assert message.reply_markup is not None
    assert message.reply_markup.inline_keyboard[0][0].pay
    with pytest.raises(TelegramBadRequest, match="STARS_INVOICE_INVALID"):
        await bot.send_invoice(chat, "a", "b", "c", "XTR", [LabeledPrice(label="x", amount=1)] * 2)


async def test_a_rich_message_carries_a_slideshow(bot: Bot, sim: Any, chat: int, draw: Any) -> None:
    slides = [InputRichBlockPhoto(photo=InputMediaPhoto(media=upload(draw(colour)))) for colour in ("red", "blue")]
    blocks = [InputRichBlockParagraph(text="Swipe"), InputRichBlockSlideshow(blocks=slides)]
    message = await bot.send_rich_message(chat, InputRichMessage(blocks=blocks))
    assert message.rich_message is not None
    show = (await sim.messages(chat))[-1]["rich_message"]["blocks"][1]
    assert [block["photo"][-1]["width"] for block in show["blocks"]] == [1080, 1080]


@pytest.mark.finding("m31")
async def test_presses_may_be_late_crafted_or_without_a_message(bot: Bot, sim: Any, chat: int) -> None:
    sent = await bot.send_message(chat, "choose", reply_markup=keyboard())
    late = await sim.press(chat, sent.message_id, "yes", age_s=3600)
    with pytest.raises(
        TelegramBadRequest, match="query is too old and response timeout expired or query ID is invalid"
    ):
        await bot.answer_callback_query(late)
    fresh = await sim.press(chat, sent.message_id, "yes")
    assert await bot.answer_callback_query(fresh)
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await bot.answer_callback_query(fresh)
    await sim.press(chat, sent.message_id, "gone", inaccessible=True)
    await sim.press(chat, sent.message_id, "forged", crafted=True)
    updates = await bot.get_updates(timeout=0)
    queries = [update.callback_query for update in updates if update.callback_query]
    assert [query.data for query in queries] == ["yes", "yes", "gone", "forged"]
    assert queries[2].message is not None
    assert not isinstance(queries[2].message, Message)


async def test_a_blocked_bot_is_told_so(bot: Bot, sim: Any, chat: int) -> None:
    await sim.call("POST", f"/sim/chats/{chat}/block")
    with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
        await bot.send_message(chat, "x")
    [update] = await bot.get_updates(timeout=0)
    assert update.my_chat_member is not None
    assert update.my_chat_member.new_chat_member.status == "kicked"
    await sim.call("POST", f"/sim/chats/{chat}/unblock")
    await bot.send_message(chat, "x")
    stranger = await sim.user(started=False)
    with pytest.raises(TelegramForbiddenError, match="bot can't initiate conversation with a user"):
        await bot.send_message(stranger, "x")


async def test_user_edits_and_files_arrive(bot: Bot, sim: Any, chat: int, draw: Any) -> None:
    said = await sim.say(chat, "typo")
    await sim.call("PUT", f"/sim/chats/{chat}/messages/{said}", json={"text": "fixed"})
    form = aiohttp.FormData()
    form.add_field("caption", "look")
    form.add_field("photo", draw(), filename="a.jpg")
    await sim.call("POST", f"/sim/chats/{chat}/messages", data=form)
    updates = await bot.get_updates(timeout=0)
    assert [update.event_type for update in updates] == ["message", "edited_message", "message"]
    photo = updates[-1].message
    assert photo is not None
    assert photo.photo is not None
    downloaded = await bot.download(photo.photo[-1])
    assert downloaded is not None
    assert downloaded.read() == draw()


async def test_realistic_limits_ask_to_wait(bot: Bot, sim: Any, chat: int, draw: Any) -> None:
    await sim.call("POST", "/sim/limits", json={"active": True})
    try:
        for number in range(20):
            await bot.send_message(chat, str(number))
        with pytest.raises(TelegramRetryAfter) as too_fast:
            await bot.send_media_group(chat, [InputMediaPhoto(media=upload(draw())) for _ in range(2)])
        assert 1 <= too_fast.value.retry_after <= 2
    finally:
        await sim.call("POST", "/sim/limits", json={"active": False})
