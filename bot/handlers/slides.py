"""One slide of an outline or of a carousel: its text, its picture, its place; add one, remove one.

Questions are asked in a message of their own, answered in the next message, and forgotten when something else is pressed.
"""

from collections.abc import Callable
from types import MappingProxyType

from aiogram import F, Router
from aiogram.enums import ChatType
from aiogram.fsm.context import FSMContext
from aiogram.types import CallbackQuery, Message
from pydantic import ValidationError

from bot import keyboards, views
from bot.callbacks import Act, MoveSlide, Part, PickPart, Press, SlideAct, SlidePress
from bot.editor import Editor
from bot.handlers.account import words_of
from bot.handlers.common import changeable, expired, key_of, mine, swap, tell
from bot.library import Library
from bot.stage import Stage
from bot.store import Store
from bot.texts import Texts
from bot.waiting import Awaits, Waiting, ask, asked, forget
from bot.words import BODY, HEADING, PICTURE, Words
from carousel_pipeline.requests.change import (
    Edit,
    EditRefusedError,
    Version,
    added,
    moved,
    removed,
    repainted,
    retexted,
)
from carousel_pipeline.requests.price import CREDITS_PER_REPAINT

_MENU = frozenset().union(*(words_of(key) for key in ("menu.new", "menu.balance", "menu.help")))
_LISTS = MappingProxyType({Act.SLIDES: SlideAct.OPEN, Act.TEXT: SlideAct.TEXT, Act.PICTURE: SlideAct.PICTURE})
ANSWER = F.text & ~F.text.startswith("/") & ~F.text.in_(_MENU)


class Answers:
    """Turns the answer to a question about a slide into a change."""

    def __init__(self, store: Store, stage: Stage, editor: Editor) -> None:
        self._store = store
        self._stage = stage
        self._editor = editor

    async def take(
        self, message: Message, waiting: Waiting, t: Texts, state: FSMContext, edit: Callable[[Version], Edit]
    ) -> None:
        """Make the change, or say why not; what can be said better is waited for again."""
        chat, tg = message.chat.id, message.chat.id
        card = await mine(self._store, tg, waiting.request) if waiting.request else None
        if card is None or card.version is None or waiting.slide > len(card.version.deck.slides):
            await self.close(state, chat)
            await self._stage.say(chat, views.Screen(t("alert.gone")))
            return
        try:
            wish = edit(card.version)
        except ValidationError:
            limits = {"heading": HEADING, "body": BODY, "picture": PICTURE}
            await self._stage.say(chat, views.Screen(t("edit.too_long", n=len(message.text or ""), **limits)))
            return
        except EditRefusedError as error:
            await self.close(state, chat)
            await self._stage.say(chat, views.Screen(t.pick("edit_no", error.reason)))
            return
        said = await self._editor.apply(card, wish, f"tg:{chat}:{message.message_id}", t, below=True)
        await self.close(state, chat)
        if said.alert and said.text:
            await self._stage.say(chat, views.Screen(said.text))

    async def close(self, state: FSMContext, chat: int) -> None:
        """Take an open question back."""
        if waiting := await asked(state):
            await self._stage.erase(chat, waiting.message)
        await forget(state)


def setup() -> Router:
    """Return the router of slides."""
    router = Router(name="slides")
    router.message.filter(F.chat.type == ChatType.PRIVATE)
    register = router.callback_query.register
    register(choose_slide, Press.filter(F.act.in_(set(_LISTS))))
    register(open_slide, SlidePress.filter(F.act == SlideAct.OPEN))
    register(ask_text, SlidePress.filter(F.act == SlideAct.TEXT))
    register(ask_new_slide, SlidePress.filter(F.act == SlideAct.ADD))
    register(ask_picture, SlidePress.filter(F.act == SlideAct.DESCRIBE))
    register(offer_picture, SlidePress.filter(F.act == SlideAct.PICTURE))
    register(repaint, SlidePress.filter(F.act == SlideAct.REPAINT))
    register(offer_places, SlidePress.filter(F.act == SlideAct.MOVE))
    register(move, MoveSlide.filter())
    register(remove, SlidePress.filter(F.act == SlideAct.REMOVE))
    register(pick_part, PickPart.filter())
    router.message.register(take_text, Awaits("text"), ANSWER)
    router.message.register(take_slide, Awaits("slide"), ANSWER)
    router.message.register(take_picture, Awaits("picture"), ANSWER)
    return router


async def choose_slide(callback: CallbackQuery, callback_data: Press, t: Texts, store: Store) -> None:
    """Ask which slide."""
    if card := await changeable(callback, callback_data.id, t, store):
        markup = keyboards.numbers(t, card, _LISTS[callback_data.act])
        await swap(callback, markup, t.pick("choose", callback_data.act.value))


async def open_slide(callback: CallbackQuery, callback_data: SlidePress, t: Texts, store: Store) -> None:
    """Show what can be done with a slide."""
    card = await changeable(callback, callback_data.id, t, store)
    if card is not None and card.version is not None:
        if not 1 <= callback_data.slide <= len(card.version.deck.slides):
            await expired(callback, t)
            return
        heading = views.words(card.version.deck.slides[callback_data.slide - 1].heading, 90)
        toast = t("choose.slide", number=callback_data.slide, heading=heading)
        await swap(callback, keyboards.slide(t, card, callback_data.slide), toast)


async def ask_text(
    callback: CallbackQuery,
    callback_data: SlidePress,
    t: Texts,
    store: Store,
    stage: Stage,
    state: FSMContext,
    answers: Answers,
) -> None:
    """Ask for a slide's new words."""
    card = await changeable(callback, callback_data.id, t, store)
    if card is None or card.version is None:
        return
    number = callback_data.slide
    if not 1 <= number <= len(card.version.deck.slides):
        await expired(callback, t)
        return
    await callback.answer()
    await answers.close(state, card.chat_id)
    message = await stage.say(card.chat_id, views.ask_text(t, card, number, Part.BOTH))
    await ask(state, "text", message, request=card.id, slide=number)


async def ask_new_slide(
    callback: CallbackQuery,
    callback_data: SlidePress,
    t: Texts,
    store: Store,
    stage: Stage,
    state: FSMContext,
    answers: Answers,
) -> None:
    """Ask for the words of one more slide."""
    card = await changeable(callback, callback_data.id, t, store)
    if card is None or card.version is None:
        return
    try:
        price = added(card.version, callback_data.slide, "-", "").price - (0 if card.made else card.price or 0)
    except EditRefusedError as error:
        await callback.answer(t.pick("edit_no", error.reason), show_alert=True)
        return
    await callback.answer()
    await answers.close(state, card.chat_id)
    message = await stage.say(card.chat_id, views.ask_new_slide(t, callback_data.slide, price))
    await ask(state, "slide", message, request=card.id, slide=callback_data.slide)


async def ask_picture(
    callback: CallbackQuery,
    callback_data: SlidePress,
    t: Texts,
    store: Store,
    stage: Stage,
    state: FSMContext,
    answers: Answers,
) -> None:
    """Ask what a slide's picture shall show."""
    card = await changeable(callback, callback_data.id, t, store)
    if card is None or not card.made:
        return
    await callback.answer()
    await answers.close(state, card.chat_id)
    message = await stage.say(card.chat_id, views.ask_picture(t, callback_data.slide, CREDITS_PER_REPAINT))
    await ask(state, "picture", message, request=card.id, slide=callback_data.slide)


async def offer_picture(callback: CallbackQuery, callback_data: SlidePress, t: Texts, store: Store) -> None:
    """Show the ways to another picture, with their price."""
    if card := await changeable(callback, callback_data.id, t, store):
        if not card.made:
            await expired(callback, t)
            return
        toast = t("choose.repaint", number=callback_data.slide)
        await swap(callback, keyboards.repaint(t, card, callback_data.slide), toast)


async def repaint(
    callback: CallbackQuery, callback_data: SlidePress, t: Texts, store: Store, editor: Editor, library: Library
) -> None:
    """Paint another picture for one slide."""
    card = await changeable(callback, callback_data.id, t, store)
    if card is None or card.version is None:
        return
    if busy := views.busy(t, await library.closed_providers(), views.PAINTER):
        await callback.answer(views.plain(busy), show_alert=True)
        return
    try:
        edit = repainted(card.version, callback_data.slide)
    except EditRefusedError as error:
        await callback.answer(t.pick("edit_no", error.reason), show_alert=True)
        return
    await tell(callback, await editor.apply(card, edit, key_of(callback), t))


async def offer_places(callback: CallbackQuery, callback_data: SlidePress, t: Texts, store: Store) -> None:
    """Ask where a slide goes."""
    if card := await changeable(callback, callback_data.id, t, store):
        await swap(callback, keyboards.places(t, card, callback_data.slide), t("choose.place"))


async def move(callback: CallbackQuery, callback_data: MoveSlide, t: Texts, store: Store, editor: Editor) -> None:
    """Give a slide another place."""
    card = await changeable(callback, callback_data.id, t, store)
    if card is None or card.version is None:
        return
    if callback_data.slide == callback_data.to:
        await callback.answer()
        return
    try:
        edit = moved(card.version, callback_data.slide, callback_data.to)
    except EditRefusedError as error:
        await callback.answer(t.pick("edit_no", error.reason), show_alert=True)
        return
    await tell(callback, await editor.apply(card, edit, key_of(callback), t))


async def remove(callback: CallbackQuery, callback_data: SlidePress, t: Texts, store: Store, editor: Editor) -> None:
    """Take a slide out."""
    card = await changeable(callback, callback_data.id, t, store)
    if card is None or card.version is None:
        return
    try:
        edit = removed(card.version, callback_data.slide)
    except EditRefusedError as error:
        await callback.answer(t.pick("edit_no", error.reason), show_alert=True)
        return
    await tell(callback, await editor.apply(card, edit, key_of(callback), t))


async def pick_part(
    callback: CallbackQuery,
    callback_data: PickPart,
    t: Texts,
    store: Store,
    stage: Stage,
    state: FSMContext,
) -> None:
    """Ask for another part of the same slide, or wait no longer."""
    waiting = await asked(state)
    await callback.answer()
    if callback.message is None:
        return
    chat, message = callback.message.chat.id, callback.message.message_id
    if callback_data.part is Part.NONE or waiting is None or waiting.message != message:
        await forget(state)
        await stage.erase(chat, message)
        return
    card = await mine(store, callback.from_user.id, waiting.request) if waiting.request else None
    if card is not None and waiting.what == "text":
        await ask(state, "text", message, request=card.id, slide=waiting.slide, part=callback_data.part)
        await stage.edit(chat, message, views.ask_text(t, card, waiting.slide, callback_data.part))


async def take_text(message: Message, waiting: Waiting, t: Texts, answers: Answers, state: FSMContext) -> None:
    """Take a slide's new words."""

    def edit(version: Version) -> Edit:
        old = version.deck.slides[waiting.slide - 1]
        words = Words.read(message.text or "", waiting.part, old.heading, old.body)
        return retexted(version, waiting.slide, words.heading, words.body)

    await answers.take(message, waiting, t, state, edit)


async def take_slide(message: Message, waiting: Waiting, t: Texts, answers: Answers, state: FSMContext) -> None:
    """Take the words of one more slide."""

    def edit(version: Version) -> Edit:
        words = Words.read(message.text or "", Part.BOTH, "", "")
        return added(version, waiting.slide, words.heading, words.body)

    await answers.take(message, waiting, t, state, edit)


async def take_picture(message: Message, waiting: Waiting, t: Texts, answers: Answers, state: FSMContext) -> None:
    """Take what a slide's picture shall show, and paint it."""
    await answers.take(
        message, waiting, t, state, lambda version: repainted(version, waiting.slide, (message.text or "").strip())
    )
