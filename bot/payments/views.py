"""What the payment room says: pure functions from what is known to a screen, as `bot.views`."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from bot.models import Balance
from bot.payments.callbacks import Agree, BuyPack, ReturnPack, StopMonthly, Way
from bot.texts import Html, Texts
from bot.views import Screen, number
from carousel_pipeline.payments.books import Invitation, Purchase, Receipt, Redeemed, Reward, Subscription
from carousel_pipeline.payments.packs import TERMS_VERSION, Pack

_UNITS: Final = MappingProxyType({"stars": 1, "rub": 100})


def terms(t: Texts) -> Screen:
    """Return the question that comes before the first purchase."""
    return Screen(t("buy.terms"), _keyboard([_button(t("buy.agree"), Agree(version=TERMS_VERSION).pack())]))


def shop(t: Texts, balance: Balance, packs: Mapping[str, Pack], *, rubles: bool, monthly: Pack | None) -> Screen:
    """Return everything that is for sale, with its price."""
    buttons = [
        _button(t.count("buy.pack", pack.credits, stars=pack.stars), BuyPack(what=pack.id, way=Way.STARS).pack())
        for pack in packs.values()
    ]
    if monthly is not None:
        data = BuyPack(what=monthly.id, way=Way.MONTHLY).pack()
        buttons.append(_button(t.count("buy.monthly", monthly.credits, stars=monthly.stars), data))
    if rubles:
        buttons += [
            _button(
                t.count("buy.rubles", pack.credits, rubles=money(pack.kopecks, "rub")),
                BuyPack(what=pack.id, way=Way.RUBLES).pack(),
            )
            for pack in packs.values()
            if pack.kopecks is not None
        ]
    return Screen(t.count("buy.title", balance.available), _keyboard(*([button] for button in buttons)))


def monthly(t: Texts, pack: Pack, link: str) -> Screen:
    """Return the way to a subscription's invoice, which opens by a link only."""
    button = InlineKeyboardButton(text=str(t("monthly.open", stars=pack.stars)), url=link)
    return Screen(t.count("monthly.text", pack.credits, stars=pack.stars), _keyboard([button]))


def pay_rubles(t: Texts, pack: Pack, link: str) -> Screen:
    """Return the way to the ruble provider's page."""
    sum_ = money(pack.kopecks or 0, "rub")
    button = InlineKeyboardButton(text=str(t("rubles.open", rubles=sum_)), url=link)
    return Screen(t.count("rubles.text", pack.credits, rubles=sum_), _keyboard([button]))


def support(t: Texts, packs: Sequence[Purchase], plans: Sequence[Subscription], contact: str | None) -> Screen:
    """Return a person's packs and what can be done about each."""
    rows = [pack_row(t, pack) for pack in packs]
    plan_rows = [
        t.count(
            "paysupport.plan" if plan.state == "active" else "paysupport.plan_ends",
            plan.credits,
            stars=plan.stars,
            date=plan.paid_until.strftime("%d.%m.%Y"),
        )
        for plan in plans
    ]
    buttons = [
        [_button(t.count("paysupport.return", pack.credits, stars=pack.price), ReturnPack(number=pack.number).pack())]
        for pack in packs
        if pack.state == "unspent"
    ]
    buttons += [
        [_button(t.count("paysupport.stop", plan.credits), StopMonthly(order=plan.order_id).pack())]
        for plan in plans
        if plan.state == "active"
    ]
    parts = [t("paysupport.title"), *(["\n".join(rows)] if rows else [t("paysupport.none")]), *plan_rows]
    parts.append(t("paysupport.contact", contact=contact) if contact else t("paysupport.owner"))
    return Screen("\n\n".join(parts), _keyboard(*buttons) if buttons else None)


def ask_return(t: Texts, pack: Purchase) -> Screen:
    """Return the question before a pack is returned."""
    yes = _button(
        t.count("paysupport.sure", pack.credits, stars=pack.price), ReturnPack(number=pack.number, sure=True).pack()
    )
    return Screen(t.count("paysupport.ask", pack.credits, stars=pack.price), _keyboard([yes]))


def pack_row(t: Texts, pack: Purchase) -> Html:
    """Return one line about a pack."""
    price = t("price.stars" if pack.source == "stars" else "price.rub", sum=money(pack.price, pack.source))
    state = t.pick("pack_state", pack.state)
    return t.count("paysupport.pack", pack.credits, price=price, date=pack.paid_at.strftime("%d.%m.%Y"), state=state)


def credited(t: Texts, receipt: Receipt) -> Html:
    """Return the good news."""
    return t.count("paid.credited", receipt.credits, available=receipt.available)


def reversed_(t: Texts, receipt: Receipt) -> Html:
    """Return that a payment was taken back by the buyer's store, and what that means."""
    if receipt.debt:
        return t.count("paid.reversed_debt", receipt.credits, debt=receipt.debt)
    return t.count("paid.reversed", receipt.credits, available=receipt.available)


def refunded(t: Texts, receipt: Receipt) -> Html:
    """Return that the Stars of a returned pack are back."""
    return t("paid.refunded", stars=receipt.price, available=receipt.available)


def rewarded(t: Texts, reward: Reward) -> Html:
    """Return that a friend's first paid carousel brought credits."""
    return t.count("referral.rewarded", reward.credits or 0, available=reward.available or 0)


def redeemed(t: Texts, answer: Redeemed) -> Html:
    """Return what became of a promo code."""
    return (
        t.count("promo.credited", answer.credits) if answer.credits is not None else t.pick("promo_no", answer.verdict)
    )


def invitation(t: Texts, mine: Invitation, bot_name: str) -> Html:
    """Return a person's link and what it brought."""
    link = f"https://t.me/{bot_name}?start=r_{mine.code}"
    return t.count("referral.text", mine.reward, link=link, friends=mine.friends, rewarded=mine.rewarded)


def money(amount: int | None, source: str) -> str:
    """Return a price without its currency, from Stars or kopecks."""
    whole, rest = divmod(amount or 0, _UNITS[source])
    return f"{number(whole)},{rest:02}" if rest else number(whole)


def _button(text: str, data: str) -> InlineKeyboardButton:
    return InlineKeyboardButton(text=str(text), callback_data=data)


def _keyboard(*rows: list[InlineKeyboardButton]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=list(rows))
