"""`/admin`: for listed people only; to everybody else it is a command that does not exist.

Every decision asks for its reason, which is kept for ever beside the operator's id. What is repeated, by a redelivered message or
two taps, is done once: gifts and drafts carry the message they came from as their key.
"""

import re
from typing import Any
from uuid import UUID

from aiogram import Bot, F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.enums import ChatType
from aiogram.filters import Command, CommandObject, StateFilter
from aiogram.fsm.context import FSMContext
from aiogram.fsm.state import State, StatesGroup
from aiogram.types import BotCommand, BotCommandScopeChat, CallbackQuery, Message, User

from bot import keyboards
from bot.house import views
from bot.house.books import Audience, House
from bot.house.broadcast import Broadcaster
from bot.house.callbacks import (
    DecidePerson,
    DecideRequest,
    Deed,
    Panel,
    ShowPerson,
    ShowRequest,
    StopTelling,
    Tell,
)
from bot.stage import Stage
from bot.texts import Texts
from bot.views import Screen

_REQUESTS = 6
_MOMENTS = 18
_LEAST_REASON = 5
_LONGEST_TELLING = 4000
_AUDIENCES: tuple[Audience, ...] = ("all", "en", "ru")
_BEGINNING = re.compile(r"[0-9a-f]{6,32}")
_GIFT = re.compile(r"(\d{1,4})\s+(\S.*)", re.DOTALL)


class Deciding(StatesGroup):
    """What an operator's next message is: the reason of what is being decided, or the text of a broadcast."""

    reason = State()
    telling = State()


def listed(event: Message | CallbackQuery, house: House) -> bool:
    """Whether this is an operator."""
    return event.from_user is not None and event.from_user.id in house.admins


def setup() -> Router:
    """Return the operators' router; it is asked before the others, or a reason would become a carousel."""
    router = Router(name="house")
    router.message.filter(F.chat.type == ChatType.PRIVATE, listed)
    router.callback_query.filter(listed)
    router.message.register(leave, StateFilter(Deciding), F.text.startswith("/"))
    router.message.register(admin, Command("admin"))
    router.message.register(write_telling, StateFilter(Deciding.telling), F.text)
    router.message.register(decide, StateFilter(Deciding.reason), F.text)
    router.callback_query.register(show_panel, Panel.filter(~F.broadcast))
    router.callback_query.register(ask_telling, Panel.filter(F.broadcast))
    router.callback_query.register(show_person, ShowPerson.filter())
    router.callback_query.register(show_request, ShowRequest.filter())
    router.callback_query.register(ask_about_person, DecidePerson.filter())
    router.callback_query.register(ask_about_request, DecideRequest.filter())
    router.callback_query.register(ask_before_telling, Tell.filter())
    router.callback_query.register(stop_telling, StopTelling.filter())
    return router


async def leave(message: Message, state: FSMContext, t: Texts) -> None:
    """Give up what was being decided; the command itself goes on to whom it belongs, except a mere "no"."""
    await state.set_state(None)
    if (message.text or "").split("@")[0] == "/cancel":
        await message.answer(t("admin.left"))
        return
    raise SkipHandler


async def admin(message: Message, command: CommandObject, t: Texts, house: House, bot: Bot) -> None:
    """Show today's figures, or whom or what the command names."""
    wanted = (command.args or "").strip().lower()
    if not wanted:
        screen = views.panel(t, await house.numbers())
        await message.answer(screen.text, reply_markup=screen.inline)
        # Nobody else sees the command in their menu.
        mine = BotCommand(command="admin", description=str(t("admin.command")))
        await bot.set_my_commands([*keyboards.commands(t), mine], BotCommandScopeChat(chat_id=message.chat.id))
        return
    digits = wanted.replace("-", "")
    if wanted.isdecimal() and (screen_of := await _person(t, house, int(wanted))):
        await message.answer(screen_of.text, reply_markup=screen_of.inline)
    elif _BEGINNING.fullmatch(digits) and (found := await house.requests_from(digits)):
        if len(found) > 1:
            await message.answer(t("admin.several"))
        elif (screen_of := await _request(t, house, found[0].id)) is not None:
            await message.answer(screen_of.text, reply_markup=screen_of.inline)
    else:
        await message.answer(t("admin.nobody"))


async def show_panel(callback: CallbackQuery, t: Texts, house: House, stage: Stage) -> None:
    """Bring the figures up to date."""
    await _show(callback, stage, views.panel(t, await house.numbers()))


async def show_person(callback: CallbackQuery, callback_data: ShowPerson, t: Texts, house: House, stage: Stage) -> None:
    """Show a person below what is there."""
    await _say(callback, t, stage, await _person(t, house, callback_data.tg))


async def show_request(
    callback: CallbackQuery, callback_data: ShowRequest, t: Texts, house: House, stage: Stage
) -> None:
    """Show a request below what is there."""
    await _say(callback, t, stage, await _request(t, house, callback_data.id))


async def ask_about_person(
    callback: CallbackQuery, callback_data: DecidePerson, state: FSMContext, t: Texts, stage: Stage
) -> None:
    """Ask why, before anything is done to a person."""
    asked = t("admin.ask_gift") if callback_data.deed is Deed.GIVE else t("admin.ask_reason")
    await _ask(callback, state, stage, Screen(asked), deed=callback_data.deed, tg=callback_data.tg)


async def ask_about_request(
    callback: CallbackQuery, callback_data: DecideRequest, state: FSMContext, t: Texts, stage: Stage
) -> None:
    """Ask why, before anything is done to a request."""
    await _ask(callback, state, stage, Screen(t("admin.ask_reason")), deed=callback_data.deed, id=str(callback_data.id))


async def ask_telling(callback: CallbackQuery, state: FSMContext, t: Texts, stage: Stage) -> None:
    """Ask for the text that everybody shall hear."""
    await state.set_state(Deciding.telling)
    await callback.answer()
    await stage.say(callback.from_user.id, Screen(t("admin.ask_telling")))


async def write_telling(
    message: Message, event_from_user: User, state: FSMContext, t: Texts, house: House, stage: Stage
) -> None:
    """Keep the text, show it as people will see it, and ask who shall hear it."""
    body = message.html_text
    if len(body) > _LONGEST_TELLING:
        await message.answer(t("admin.too_long", limit=_LONGEST_TELLING))
        return
    await state.set_state(None)
    draft = await house.draft(event_from_user.id, f"{message.chat.id}:{message.message_id}", body)
    await stage.say(message.chat.id, Screen(body))
    await stage.say(message.chat.id, views.draft(t, draft))


async def ask_before_telling(
    callback: CallbackQuery, callback_data: Tell, state: FSMContext, t: Texts, stage: Stage
) -> None:
    """Ask why, before everybody hears it."""
    audience = callback_data.audience
    if audience not in _AUDIENCES:
        await callback.answer(t("alert.gone"), show_alert=True)
        return
    screen = Screen(t("admin.ask_reason"))
    await _ask(callback, state, stage, screen, deed="tell", broadcast=callback_data.id, audience=audience)


async def stop_telling(
    callback: CallbackQuery, callback_data: StopTelling, t: Texts, house: House, stage: Stage
) -> None:
    """Stop at once, without a question."""
    stopped = await house.stop(callback.from_user.id, callback_data.id)
    await callback.answer(None if stopped else t("admin.over"))
    figures = await house.figures(callback_data.id)
    if figures is not None and callback.message is not None:
        await stage.edit(callback.message.chat.id, callback.message.message_id, views.telling(t, figures))


async def decide(
    message: Message,
    event_from_user: User,
    state: FSMContext,
    t: Texts,
    house: House,
    stage: Stage,
    broadcaster: Broadcaster,
) -> None:
    """Take the message as the reason and do what was asked for."""
    reason, gift = (message.text or "").strip(), 0
    wish: dict[str, Any] = (await state.get_data()).get("house") or {}
    if wish.get("deed") == Deed.GIVE:
        written = _GIFT.fullmatch(reason)
        gift, reason = (int(written[1]), written[2].strip()) if written else (0, "")
    if len(reason) < _LEAST_REASON or (wish.get("deed") == Deed.GIVE and not 1 <= gift <= 1000):
        await message.answer(t("admin.ask_gift") if wish.get("deed") == Deed.GIVE else t("admin.ask_reason"))
        return
    await state.set_state(None)
    me = event_from_user.id
    match wish:
        case {"deed": Deed.GIVE, "tg": int(tg)}:
            key = f"{message.chat.id}:{message.message_id}"
            await message.answer(t.pick("admin_verdict", await house.grant(me, tg, gift, key, reason)))
        case {"deed": Deed.BAN | Deed.UNBAN as deed, "tg": int(tg)}:
            changed = await house.set_ban(me, tg, reason, banned=deed == Deed.BAN)
            await message.answer(t.pick("admin_verdict", deed if changed else "already"))
        case {"deed": Deed.REFUND, "id": str(request)}:
            await message.answer(t.pick("admin_verdict", await house.refund(me, UUID(request), reason)))
        case {"deed": "tell", "broadcast": int(broadcast), "audience": "all" | "en" | "ru" as audience}:
            shown = await stage.say(message.chat.id, Screen(t("admin.begins")))
            if not await house.start(me, broadcast, audience, reason, chat=message.chat.id, message=shown):
                await stage.edit(message.chat.id, shown, Screen(t("admin.over")))
            broadcaster.hint()
        case _:
            await message.answer(t("admin.left"))


async def _person(t: Texts, house: House, tg: int) -> Screen | None:
    someone = await house.person(tg)
    return views.person(t, tg, someone, await house.requests_of(tg, _REQUESTS)) if someone else None


async def _request(t: Texts, house: House, request: UUID) -> Screen | None:
    found = await house.requests_from(request.hex)
    return views.request(t, found[0], await house.story(request, _MOMENTS), house.dagster) if found else None


async def _ask(callback: CallbackQuery, state: FSMContext, stage: Stage, screen: Screen, **wish: Any) -> None:
    await state.set_state(Deciding.reason)
    await state.update_data(house=wish)
    await callback.answer()
    await stage.say(callback.from_user.id, screen)


async def _say(callback: CallbackQuery, t: Texts, stage: Stage, screen: Screen | None) -> None:
    await callback.answer(None if screen else t("admin.nobody"))
    if screen:
        await stage.say(callback.from_user.id, screen)


async def _show(callback: CallbackQuery, stage: Stage, screen: Screen) -> None:
    await callback.answer()
    if callback.message is not None:
        await stage.edit(callback.message.chat.id, callback.message.message_id, screen)
