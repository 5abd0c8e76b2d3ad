"""Keyboards: which buttons stand under which message. Words come from the catalogue, meanings from `callbacks` (m34)."""

from collections.abc import Mapping, Sequence
from typing import Final, get_args
from uuid import UUID

from aiogram.filters.callback_data import CallbackData
from aiogram.types import BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, KeyboardButton, ReplyKeyboardMarkup

from bot.callbacks import Act, PickCount, PickLanguage, PickSize, PickStyle, Press
from bot.models import Card
from bot.texts import LOCALES, Html, Texts, texts
from carousel_pipeline.requests import MAX_SLIDES, MIN_SLIDES, Ratio

COMMANDS: Final = (
    "start", "new", "balance", "buy", "language", "cancel", "referral", "promo", "paysupport", "help", "terms", "privacy",
)  # fmt: skip
SIZES: Final[tuple[str, ...]] = get_args(Ratio)
_COUNTS: Final = range(MIN_SLIDES, MAX_SLIDES + 1)


def menu(t: Texts) -> ReplyKeyboardMarkup:
    """Return the keyboard that stands where the letters would."""
    return ReplyKeyboardMarkup(
        keyboard=[[_key(t("menu.new"))], [_key(t("menu.balance")), _key(t("menu.help"))]],
        resize_keyboard=True,
        is_persistent=True,
        input_field_placeholder=t("menu.hint"),
    )


def commands(t: Texts) -> list[BotCommand]:
    """Return the commands that work, with what they do."""
    return [BotCommand(command=name, description=str(t.pick("command", name))) for name in COMMANDS]


def languages() -> InlineKeyboardMarkup:
    """Return a button for every language of the interface, each in its own words."""
    return _rows([[_button(texts(locale)("language.own"), PickLanguage(locale=locale)) for locale in LOCALES]])


def outline(t: Texts, card: Card) -> InlineKeyboardMarkup:
    """Return what can be done with an outline."""
    return _rows(
        [
            [_button(t("button.make"), Press(act=Act.MAKE, id=card.id, price=card.price or 0))],
            [_press(t("button.style"), Act.STYLES, card.id), _press(t("button.size"), Act.SIZES, card.id)],
            [_press(t("button.count"), Act.COUNTS, card.id), _press(t("button.again"), Act.AGAIN, card.id)],
            [_press(t("button.discard"), Act.DISCARD, card.id)],
        ]
    )


def styles(t: Texts, card: Card, names: Mapping[str, str]) -> InlineKeyboardMarkup:
    """Return a button for every style, the chosen one marked."""
    buttons = [
        _button(_mark(t, name, chosen=style == card.options.style), PickStyle(id=card.id, style=style))
        for style, name in names.items()
    ]
    return _chooser(t, card, buttons, columns=2)


def sizes(t: Texts, card: Card) -> InlineKeyboardMarkup:
    """Return a button for every ratio, the chosen one marked."""
    buttons = [
        _button(
            _mark(t, t.pick("size", size), chosen=size == card.options.ratio),
            PickSize(id=card.id, size=size.replace(":", "x")),
        )
        for size in SIZES
    ]
    return _chooser(t, card, buttons, columns=2)


def counts(t: Texts, card: Card) -> InlineKeyboardMarkup:
    """Return a button for every number of slides, and one that leaves it to the text."""
    buttons = [
        _button(_mark(t, str(count), chosen=count == card.options.slides), PickCount(id=card.id, count=count))
        for count in _COUNTS
    ]
    auto = _button(_mark(t, t("button.auto"), chosen=card.options.slides is None), PickCount(id=card.id, count=0))
    return _chooser(t, card, buttons, columns=4, last=auto)


def failed_outline(t: Texts, request: UUID) -> InlineKeyboardMarkup:
    """Return the second try of an outline that did not work out."""
    return _rows([[_press(t("button.retry"), Act.RETRY, request)]])


def progress(t: Texts, request: UUID) -> InlineKeyboardMarkup:
    """Return the way out of a running carousel."""
    return _rows([[_press(t("button.cancel"), Act.CANCEL, request)]])


def control(t: Texts, request: UUID) -> InlineKeyboardMarkup:
    """Return what can be done with a delivered carousel."""
    return _rows([[_press(t("button.files"), Act.FILES, request), _press(t("button.again"), Act.AGAIN, request)]])


def refunded(t: Texts, request: UUID) -> InlineKeyboardMarkup:
    """Return the way to a new outline of a text whose carousel did not arrive."""
    return _rows([[_press(t("button.retry"), Act.AGAIN, request)]])


def in_doubt(t: Texts, request: UUID) -> InlineKeyboardMarkup:
    """Return the two answers that only the person in the chat can give."""
    return _rows([[_press(t("button.got"), Act.GOT, request), _press(t("button.resend"), Act.RESEND, request)]])


def _chooser(
    t: Texts,
    card: Card,
    buttons: Sequence[InlineKeyboardButton],
    *,
    columns: int,
    last: InlineKeyboardButton | None = None,
) -> InlineKeyboardMarkup:
    rows = [list(buttons[start : start + columns]) for start in range(0, len(buttons), columns)]
    extra = [[last]] if last else []
    return _rows([*rows, *extra, [_press(t("button.back"), Act.BACK, card.id)]])


def _mark(t: Texts, name: str, *, chosen: bool) -> str:
    return t("button.chosen", name=Html(name)) if chosen else name


def _press(text: str, act: Act, request: UUID) -> InlineKeyboardButton:
    return _button(text, Press(act=act, id=request))


def _button(text: str, data: CallbackData) -> InlineKeyboardButton:
    return InlineKeyboardButton(text=str(text), callback_data=data.pack())


def _key(text: str) -> KeyboardButton:
    return KeyboardButton(text=str(text))


def _rows(rows: list[list[InlineKeyboardButton]]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=rows)
