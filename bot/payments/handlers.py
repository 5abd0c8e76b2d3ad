"""Commands and buttons about money: handlers only translate. What comes as a payment is the cashier's, see `cashier`."""

import logging
import re
from typing import Final

from aiogram import Bot, F, Router
from aiogram.enums import ChatType
from aiogram.filters import Command, CommandObject, StateFilter
from aiogram.fsm.context import FSMContext
from aiogram.types import CallbackQuery, LabeledPrice, Message, User

from bot.payments import views
from bot.payments.callbacks import Agree, BuyPack, ReturnPack, StopMonthly, Way
from bot.payments.desk import Desk
from bot.store import Store
from bot.texts import Texts
from bot.views import Screen
from carousel_pipeline.payments import MONTHLY, PACKS, TERMS_VERSION, Pack
from carousel_pipeline.payments.stars import XTR
from carousel_pipeline.payments.yookassa import YooKassaAnswerError, YooKassaRefusedError, YooKassaUnavailableError

_log = logging.getLogger(__name__)
_PURCHASES: Final = 10
_MONTH_S: Final = 2_592_000
_EMAIL_STATE: Final = "payments:email"
_EMAIL: Final = re.compile(r"[^@\s,;<>]{1,64}@[^@\s,;<>.]+(\.[^@\s,;<>.]+)+")
_LONGEST_EMAIL: Final = 254


def setup() -> Router:
    """Return the router of the payment room; only private chats, money is nobody else's business."""
    router = Router(name="payments")
    router.message.filter(F.chat.type == ChatType.PRIVATE)
    router.message.register(shop, Command("buy"))
    router.message.register(support, Command("paysupport"))
    router.message.register(promo, Command("promo"))
    router.message.register(invite, Command("referral"))
    # Only one word with an @: whoever writes something else meanwhile has changed their mind.
    router.message.register(email, StateFilter(_EMAIL_STATE), F.text.regexp(r"^\s*\S+@\S*\s*$"))
    router.callback_query.register(agree, Agree.filter())
    router.callback_query.register(buy, BuyPack.filter())
    router.callback_query.register(give_back, ReturnPack.filter())
    router.callback_query.register(stop_monthly, StopMonthly.filter())
    return router


async def shop(message: Message, event_from_user: User, t: Texts, desk: Desk, store: Store) -> None:
    """Show what is for sale; before the first purchase, the terms."""
    await _show(message, await _shop(event_from_user.id, t, desk, store))


async def agree(callback: CallbackQuery, callback_data: Agree, t: Texts, desk: Desk, store: Store) -> None:
    """Keep the consent and go on to the packs."""
    if callback_data.version != TERMS_VERSION:
        await callback.answer(t("alert.gone"), show_alert=True)
        return
    await desk.books.agree(callback.from_user.id)
    await callback.answer()
    if isinstance(callback.message, Message):
        screen = await _shop(callback.from_user.id, t, desk, store)
        await callback.message.edit_text(screen.text, reply_markup=screen.inline)


async def buy(
    callback: CallbackQuery, callback_data: BuyPack, t: Texts, desk: Desk, bot: Bot, state: FSMContext
) -> None:
    """Make an order and ask for its price."""
    pack = _pack(desk, callback_data)
    if pack is None or callback.message is None:
        await callback.answer(t("alert.gone"), show_alert=True)
        return
    chat, tg = callback.message.chat.id, callback.from_user.id
    if callback_data.way is Way.RUBLES:
        await state.set_state(_EMAIL_STATE)
        await state.update_data(pack=pack.id)
        await callback.answer()
        await bot.send_message(chat, t("rubles.email"))
        return
    order = await desk.books.open_star_order(tg, pack, monthly=callback_data.way is Way.MONTHLY)
    await callback.answer()
    if order is None:
        screen = views.terms(t)
        await bot.send_message(chat, screen.text, reply_markup=screen.inline)
        return
    title, about = str(t.count("invoice.title", pack.credits)), str(t.count("invoice.about", pack.credits))
    prices = [LabeledPrice(label=title, amount=pack.stars)]
    if callback_data.way is Way.STARS:
        await bot.send_invoice(chat, title, about, str(order), XTR, prices)
        return
    link = await bot.create_invoice_link(title, about, str(order), XTR, prices, subscription_period=_MONTH_S)
    screen = views.monthly(t, pack, link)
    await bot.send_message(chat, screen.text, reply_markup=screen.inline)


async def email(message: Message, event_from_user: User, t: Texts, desk: Desk, state: FSMContext) -> None:
    """Take the address for the receipt, which the provider keeps and we do not, and ask for the payment."""
    address = (message.text or "").strip()
    pack = PACKS.get(str((await state.get_data()).get("pack")))
    if pack is None or pack.kopecks is None or desk.yookassa is None:
        await state.set_state(None)
        await message.answer(t("alert.gone"))
        return
    if len(address) > _LONGEST_EMAIL or not _EMAIL.fullmatch(address):
        await message.answer(t("rubles.no_email"))
        return
    await state.set_state(None)
    order = await desk.books.open_rub_order(event_from_user.id, pack)
    if order is None:
        await _show(message, views.terms(t))
        return
    try:
        payment = await desk.yookassa.create(
            order=order.order_id,
            key=order.idempotence_key,
            kopecks=pack.kopecks,
            description=str(t.count("invoice.title", pack.credits)),
            email=address,
            return_url=f"https://t.me/{desk.name}",
        )
    except (YooKassaUnavailableError, YooKassaRefusedError, YooKassaAnswerError) as error:
        # Nobody has the address of a payment that may have been made: it can only run out.
        _log.warning("no ruble payment: %s", error)
        await message.answer(t("rubles.down"))
        return
    await desk.books.name_rub_order(order.order_id, payment.id)
    if payment.confirmation_url is None:
        await message.answer(t("rubles.down"))
        return
    await _show(message, views.pay_rubles(t, pack, payment.confirmation_url))


async def support(message: Message, event_from_user: User, t: Texts, desk: Desk) -> None:
    """Show a person's packs, and the way back of those that are unspent."""
    packs = await desk.books.purchases(event_from_user.id, _PURCHASES)
    await _show(message, views.support(t, packs, await desk.books.subscriptions(event_from_user.id), desk.contact))


async def give_back(callback: CallbackQuery, callback_data: ReturnPack, t: Texts, desk: Desk) -> None:
    """Ask once, then return the pack; no human is needed."""
    tg = callback.from_user.id
    packs = await desk.books.purchases(tg, _PURCHASES)
    pack = next((pack for pack in packs if pack.number == callback_data.number), None)
    if pack is None or not isinstance(callback.message, Message):
        await callback.answer(t("alert.gone"), show_alert=True)
        return
    if not callback_data.sure and pack.state == "unspent":
        await callback.answer()
        await _show(callback.message, views.ask_return(t, pack))
        return
    verdict = await desk.books.begin_refund(tg, pack.number)
    await callback.answer(str(t.pick("return", verdict)), show_alert=verdict != "begun")
    if verdict == "begun":
        await callback.message.edit_text(t.count("paysupport.begun", pack.credits, stars=pack.price))


async def stop_monthly(callback: CallbackQuery, callback_data: StopMonthly, t: Texts, desk: Desk, bot: Bot) -> None:
    """Stop a monthly plan; what is paid stays."""
    plans = await desk.books.subscriptions(callback.from_user.id)
    plan = next((plan for plan in plans if plan.order_id == callback_data.order), None)
    if plan is None:
        await callback.answer(t("alert.gone"), show_alert=True)
        return
    await bot.edit_user_star_subscription(callback.from_user.id, plan.charge, is_canceled=True)
    await desk.books.cancel_subscription(callback.from_user.id, plan.order_id)
    await callback.answer(str(t("monthly.stopped")), show_alert=True)


async def promo(message: Message, command: CommandObject, event_from_user: User, t: Texts, desk: Desk) -> None:
    """Credit a promo code."""
    code = (command.args or "").strip()
    if not code:
        await message.answer(t("promo.ask"))
        return
    await message.answer(views.redeemed(t, await desk.books.redeem(event_from_user.id, code)))


async def invite(message: Message, event_from_user: User, t: Texts, desk: Desk) -> None:
    """Show a person's referral link."""
    await message.answer(views.invitation(t, await desk.books.invitation(event_from_user.id), desk.name))


async def _shop(tg: int, t: Texts, desk: Desk, store: Store) -> Screen:
    if not await desk.books.agreed(tg):
        return views.terms(t)
    plan = MONTHLY if desk.monthly else None
    return views.shop(t, await store.balance(tg), PACKS, rubles=desk.yookassa is not None, monthly=plan)


def _pack(desk: Desk, wish: BuyPack) -> Pack | None:
    if wish.way is Way.MONTHLY:
        return MONTHLY if desk.monthly and wish.what == MONTHLY.id else None
    pack = PACKS.get(wish.what)
    if wish.way is Way.RUBLES and (desk.yookassa is None or pack is None or pack.kopecks is None):
        return None
    return pack


async def _show(message: Message, screen: Screen) -> None:
    await message.answer(screen.text, reply_markup=screen.keyboard)
