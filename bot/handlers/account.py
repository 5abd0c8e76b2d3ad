"""Commands and the words of the reply keyboard."""

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandObject, CommandStart
from aiogram.fsm.context import FSMContext
from aiogram.types import BotCommandScopeChat, CallbackQuery, Message, User

from bot import keyboards, views
from bot.callbacks import PickLanguage
from bot.collector import Collector
from bot.gallery import Gallery
from bot.notices import Notices
from bot.payments.desk import Desk
from bot.payments.views import pack_row
from bot.store import Store
from bot.styles import Styles
from bot.texts import LOCALES, Texts, texts
from bot.waiting import asked, forget

_STYLE_LINK = "s_"
_FRIEND_LINK = "r_"
_OPERATIONS = 8
_PACKS = 3


def words_of(key: str) -> frozenset[str]:
    """Return what a button of the reply keyboard says, in every language: people keep old keyboards."""
    return frozenset(str(texts(locale)(key)) for locale in LOCALES)


def setup() -> Router:
    """Return the router of commands."""
    router = Router(name="account")
    router.message.register(start, CommandStart())
    router.message.register(ask_source, Command("new"))
    router.message.register(balance, Command("balance"))
    router.message.register(help_, Command("help"))
    router.message.register(terms, Command("terms"))
    router.message.register(privacy, Command("privacy"))
    router.message.register(language, Command("language"))
    router.message.register(cancel, Command("cancel"))
    router.message.register(ask_source, F.text.in_(words_of("menu.new")))
    router.message.register(balance, F.text.in_(words_of("menu.balance")))
    router.message.register(help_, F.text.in_(words_of("menu.help")))
    router.callback_query.register(set_language, PickLanguage.filter())
    return router


async def start(
    message: Message,
    command: CommandObject,
    event_from_user: User,
    t: Texts,
    store: Store,
    styles: Styles,
    state: FSMContext,
    gallery: Gallery,
    *,
    demo: bool,
) -> None:
    """Greet and show an example; the welcome credits are given once, however often somebody starts."""
    await forget(state)
    style = (command.args or "").removeprefix(_STYLE_LINK)
    if style in styles:
        await state.update_data(style=style)
    if (command.args or "").startswith(_FRIEND_LINK):
        await store.referred(event_from_user.id, (command.args or "").removeprefix(_FRIEND_LINK))
    gift = await store.welcome(event_from_user.id)
    if gift:
        await gallery.example(message.chat.id, t.locale)
    screen = views.start(t, event_from_user.first_name, await store.balance(event_from_user.id), gift=gift, demo=demo)
    await message.answer(screen.text, reply_markup=screen.keyboard)


async def ask_source(message: Message, t: Texts, state: FSMContext) -> None:
    """Invite to write; whatever was asked before is no longer waited for."""
    await forget(state)
    screen = views.ask_source(t)
    await message.answer(screen.text, reply_markup=screen.keyboard)


async def balance(message: Message, event_from_user: User, t: Texts, store: Store, desk: Desk) -> None:
    """Show the credits, where they went, and the packs they came from."""
    tg = event_from_user.id
    packs = [pack_row(t, pack) for pack in await desk.books.purchases(tg, _PACKS)]
    screen = views.balance(t, await store.balance(tg), await store.statement(tg, _OPERATIONS), packs)
    await message.answer(screen.text, reply_markup=screen.keyboard)


async def help_(message: Message, t: Texts) -> None:
    """Say how it works."""
    await message.answer(t("help.text"), reply_markup=keyboards.menu(t))


async def terms(message: Message, t: Texts) -> None:
    """Say what both sides may expect."""
    await message.answer(t("terms.text"))


async def privacy(message: Message, t: Texts) -> None:
    """Say what is stored."""
    await message.answer(t("privacy.text"))


async def language(message: Message, t: Texts) -> None:
    """Offer the languages of the interface."""
    await message.answer(t("language.ask"), reply_markup=keyboards.languages())


async def set_language(callback: CallbackQuery, callback_data: PickLanguage, t: Texts, store: Store, bot: Bot) -> None:
    """Speak another language from now on."""
    if callback_data.locale not in LOCALES:
        await callback.answer(t("alert.gone"), show_alert=True)
        return
    await store.set_locale(callback.from_user.id, callback_data.locale)
    chosen = texts(callback_data.locale)
    await callback.answer()
    if callback.message is not None:
        chat = callback.message.chat.id
        await bot.send_message(chat, chosen("language.set"), reply_markup=keyboards.menu(chosen))
        # The list of commands follows Telegram's own language otherwise.
        await bot.set_my_commands(keyboards.commands(chosen), BotCommandScopeChat(chat_id=chat))


async def cancel(
    message: Message,
    event_from_user: User,
    t: Texts,
    store: Store,
    collector: Collector,
    notices: Notices,
    state: FSMContext,
) -> None:
    """Stop the newest thing going on: a question of ours, a text being collected, an outline, or a running carousel."""
    if await asked(state):
        await forget(state)
        await message.answer(t("cancel.question"))
        return
    if await collector.forget(message.chat.id):
        await message.answer(t("cancel.collected"))
        return
    cards = await store.open_cards(event_from_user.id)
    if not cards:
        await message.answer(t("cancel.nothing"))
    elif cards[0].running:
        verdict = await store.cancel(event_from_user.id, cards[0].id)
        await message.answer(t("cancel.asked") if verdict == "cancelled" else t("alert.too_late"))
    elif await store.discard(event_from_user.id, cards[0].id):
        await notices.show_discarded(cards[0])
        await message.answer(t("cancel.collected"))
