"""The chat page in a real browser, with a small aiogram bot on the other side."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiogram import Bot, Dispatcher, F
from aiogram.filters import CommandStart
from aiogram.types import (
    BotCommand,
    BufferedInputFile,
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    KeyboardButton,
    Message,
    ReplyKeyboardMarkup,
)
from playwright.async_api import Page, async_playwright, expect

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed (apt-get install chromium)"),
]


# A machine that is busy is no failure.
expect.set_options(timeout=30_000)


@pytest_asyncio.fixture(loop_scope="session")
async def page(sim: Any) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = await browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, locale="en-GB")
        page = await context.new_page()
        errors: list[str] = []
        foreign: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: request.url.startswith(sim.url) or foreign.append(request.url))
        yield page
        await browser.close()
        assert errors == []
        assert [url for url in foreign if not url.startswith(("data:", "blob:"))] == []


@pytest_asyncio.fixture(loop_scope="session")
async def talking(bot: Bot, sim: Any, draw: Any) -> AsyncIterator[None]:  # noqa: ARG001 -- sim resets the chats first
    dispatcher = Dispatcher()
    buttons = [
        [
            InlineKeyboardButton(text="Toast", callback_data="toast"),
            InlineKeyboardButton(text="Alert", callback_data="alert"),
        ],
        [InlineKeyboardButton(text="Never", callback_data="never")],
    ]

    @dispatcher.message(CommandStart())
    async def on_start(message: Message) -> None:
        rows = [[KeyboardButton(text="Help me")]]
        await message.answer(
            "<b>Hello</b> &lt;you&gt;", parse_mode="HTML", reply_markup=ReplyKeyboardMarkup(keyboard=rows)
        )

    @dispatcher.message(F.document)
    async def on_document(message: Message) -> None:
        assert message.document is not None
        await message.answer(f"got {message.document.file_name}")

    @dispatcher.message()
    async def on_text(message: Message) -> None:
        if message.text == "Help me":
            await message.answer("Send a text")
            return
        progress = await message.answer("Working 0/7")
        await progress.edit_text("Working 7/7")
        media = [
            InputMediaPhoto(media=BufferedInputFile(draw(colour), "a.jpg"))
            for colour in ("red", "green", "blue", "gray") * 2
        ]
        await message.answer_media_group(media[:7])
        await message.answer("Ready", reply_markup=InlineKeyboardMarkup(inline_keyboard=buttons))

    @dispatcher.callback_query(F.data != "never")
    async def on_press(query: CallbackQuery) -> None:
        await query.answer(f"{query.data} shown", show_alert=query.data == "alert")

    await bot.delete_my_commands(language_code="ru")
    await bot.set_my_commands([BotCommand(command="start", description="Begin again")])
    polling = asyncio.create_task(dispatcher.start_polling(bot, handle_signals=False, close_bot_session=False))
    yield
    await dispatcher.stop_polling()
    await polling


async def _answer_a_message(page: Page, sim: Any) -> None:
    await page.get_by_text("got заметка.txt").dblclick()
    await expect(page.get_by_test_id("reply-bar")).to_contain_text("got заметка.txt")
    await page.get_by_test_id("reply-cancel").click()
    await expect(page.get_by_test_id("reply-bar")).to_be_hidden()
    await page.get_by_text("Send a text").dblclick()
    await page.get_by_role("textbox", name="Message").fill("Help me")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_test_id("quote").last).to_contain_text("Send a text")
    await expect(page.get_by_test_id("message").filter(has_text="Send a text")).to_have_count(3)
    [user] = (await sim.call("GET", "/sim/users"))["users"]
    answered = [said for said in await sim.messages(user["chat_id"]) if said.get("text") == "Help me"][-1]
    assert answered["reply_to_message"]["text"] == "Send a text"
    await page.get_by_test_id("quote").last.click()


@pytest.mark.usefixtures("talking")
async def test_a_person_starts_writes_gets_an_album_presses_and_attaches(page: Page, sim: Any, tmp_path: Path) -> None:
    await page.goto(sim.url)
    await page.get_by_role("button", name="Start").click()
    hello = page.get_by_test_id("message").last
    await expect(hello).to_contain_text("Hello <you>")
    await expect(hello.locator("strong")).to_have_text("Hello")

    await page.get_by_role("button", name="Help me").click()
    await expect(page.get_by_text("Send a text")).to_be_visible()

    await page.get_by_role("textbox", name="Message").fill("Seven slides about <script>alert(1)</script> tea")
    await page.get_by_role("button", name="Send").click()
    album = page.get_by_test_id("album")
    await expect(album).to_have_attribute("data-count", "7")
    await expect(page.get_by_text("Working 7/7")).to_be_visible()
    for picture in await album.get_by_role("img").all():
        await expect(picture).to_have_js_property("complete", value=True)
        assert await picture.evaluate("image => image.naturalWidth") == 640

    await page.get_by_role("button", name="Toast").click()
    await expect(page.get_by_test_id("toast")).to_have_text("toast shown")
    await page.get_by_role("button", name="Alert").click()
    await expect(page.get_by_test_id("alert")).to_contain_text("alert shown")
    await page.get_by_test_id("alert-ok").click()
    never = page.get_by_role("button", name="Never")
    await never.click()
    await expect(never).to_have_attribute("aria-busy", "true")

    await page.get_by_role("button", name="Photo 3 of 7").click()
    viewer = page.get_by_test_id("lightbox")
    await expect(viewer.get_by_test_id("lightbox-counter")).to_have_text("3 / 7")
    await page.keyboard.press("ArrowRight")
    await expect(viewer.get_by_test_id("lightbox-counter")).to_have_text("4 / 7")
    await page.get_by_role("button", name="Close").click()
    await expect(viewer).to_be_hidden()

    note = tmp_path / "заметка.txt"
    note.write_text("text")
    await page.get_by_test_id("file-input").set_input_files(note)
    await expect(page.get_by_text("got заметка.txt")).to_be_visible()

    await _answer_a_message(page, sim)
    before = await page.get_by_test_id("message").count()
    await page.reload()
    await expect(page.get_by_test_id("message")).to_have_count(before)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.usefixtures("talking")
async def test_language_people_and_commands(page: Page, sim: Any) -> None:
    expect.set_options(timeout=10_000)
    await page.goto(f"{sim.url}/?user=Вера&lang=ru&start=r_CODE")
    await page.get_by_role("button", name="Начать").click()
    await expect(page.get_by_text("/start r_CODE")).to_be_visible()
    [user] = (await sim.call("GET", "/sim/users"))["users"]
    assert (user["first_name"], user["language_code"]) == ("Вера", "ru")

    await page.get_by_role("textbox", name="Сообщение").fill("/")
    await page.get_by_role("menuitem", name="Begin again").click()
    await expect(page.get_by_test_id("message").filter(has_text="/start")).to_have_count(2)

    await page.get_by_role("textbox", name="Сообщение").fill("слово " * 1500)
    await expect(page.get_by_test_id("hint")).to_have_text("Уйдёт сообщениями: 3")

    await page.get_by_test_id("people").click()
    await page.get_by_test_id("language-en").click()
    await expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    await page.get_by_test_id("people").click()
    await page.get_by_test_id("block").click()
    await page.get_by_role("button", name="Unblock").click()
    await expect(page.get_by_role("textbox", name="Message")).to_be_visible()
