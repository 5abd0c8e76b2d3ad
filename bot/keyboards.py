"""Keyboards: which buttons stand under which message. Words come from the catalogue, meanings from `callbacks` (m34)."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, get_args
from uuid import UUID

from aiogram.filters.callback_data import CallbackData
from aiogram.types import BotCommand, InlineKeyboardButton, InlineKeyboardMarkup, KeyboardButton, ReplyKeyboardMarkup

from bot.callbacks import (
    Act,
    BrandAct,
    BrandPress,
    HistoryPage,
    LookStyle,
    MoveSlide,
    OwnStyle,
    Part,
    PickAccent,
    PickCount,
    PickLanguage,
    PickPart,
    PickPictures,
    PickSize,
    PickStructure,
    PickStyle,
    PickTone,
    PickTongue,
    PickWords,
    Press,
    SlideAct,
    SlidePress,
)
from bot.gallery import NOBODY
from bot.library import Brand, Made
from bot.models import Card
from bot.texts import LOCALES, Html, Texts, texts
from carousel_pipeline.requests import (
    MAX_SLIDES,
    MIN_SLIDES,
    PictureMode,
    Ratio,
    Structure,
    Tone,
    Words,
    price_of,
)
from carousel_pipeline.requests.price import CREDITS_PER_REPAINT, CREDITS_PER_SLIDE, price_of_slide

COMMANDS: Final = (
    "start", "new", "history", "styles", "brand", "balance", "buy", "referral", "promo", "language", "cancel", "help",
    "paysupport", "terms", "privacy",
)  # fmt: skip
SIZES: Final[tuple[str, ...]] = get_args(Ratio)
TONES: Final[tuple[str, ...]] = get_args(Tone)
STRUCTURES: Final[tuple[str, ...]] = get_args(Structure)
WORDS: Final[tuple[str, ...]] = get_args(Words)
PICTURE_MODES: Final[tuple[str, ...]] = get_args(PictureMode)
ACCENTS: Final = ("e5484d", "f76b15", "ffc53d", "30a46c", "0090ff", "6e56cf", "e93d82", "111111")
_MARKUP: Final = re.compile(r"\*\*|==")
_TITLE: Final = 34
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
    price = card.price or 0
    make = _button(t.count("button.make", price), Press(act=Act.MAKE, id=card.id, price=price))
    first = [
        _press(t("button.slides"), Act.SLIDES, card.id),
        _press(t("button.count"), Act.COUNTS, card.id),
        _press(t("button.style"), Act.STYLES, card.id),
    ]
    second = [
        _press(t("button.size"), Act.SIZES, card.id),
        _press(t("button.tone"), Act.TONES, card.id),
        _press(t("button.tongue"), Act.LANGUAGES, card.id),
    ]
    third = [
        _press(t("button.structure"), Act.STRUCTURES, card.id),
        _press(t("button.words"), Act.WORDS, card.id),
    ]
    last = [_press(t("button.again"), Act.AGAIN, card.id), _press(t("button.discard"), Act.DISCARD, card.id)]
    return _rows([[make], [_paint(t, card)], first, second, third, last])


def _paint(t: Texts, card: Card) -> InlineKeyboardButton:
    slides = len(card.deck.slides) if card.deck else 0
    one, each = slides * CREDITS_PER_SLIDE["panorama"], slides * CREDITS_PER_SLIDE["each"]
    return _press(t("button.pictures", one=one, each=each), Act.PICTURES, card.id)


def tones(t: Texts, card: Card) -> InlineKeyboardMarkup:
    """Return a button for every tone, the chosen one marked."""
    buttons = [
        _button(_mark(t, t.pick("tone", tone), chosen=tone == card.options.tone), PickTone(id=card.id, tone=tone))
        for tone in TONES
    ]
    return _chooser(t, card, buttons, columns=2)


def structures(t: Texts, card: Card) -> InlineKeyboardMarkup:
    """Return a button for every way to tell it, and one that leaves it to the text."""
    wanted = card.options.structure
    buttons = [
        _button(_mark(t, t.pick("structure", name), chosen=name == wanted), PickStructure(id=card.id, structure=name))
        for name in STRUCTURES
    ]
    auto = _button(_mark(t, t("button.auto"), chosen=wanted is None), PickStructure(id=card.id, structure=""))
    return _chooser(t, card, buttons, columns=2, last=auto)


def tongues(t: Texts, card: Card, languages: Sequence[str]) -> InlineKeyboardMarkup:
    """Return a button for every language that slides can be in; for an outline one that keeps the text's own, too."""
    now = card.deck.language if card.deck is not None else None
    buttons = [
        _button(_mark(t, t.language(code), chosen=code == now), PickTongue(id=card.id, language=code))
        for code in languages
    ]
    own = _button(t("button.own_tongue"), PickTongue(id=card.id, language=""))
    return _chooser(t, card, buttons, columns=2, last=None if card.made else own)


def words(t: Texts, card: Card) -> InlineKeyboardMarkup:
    """Return the two ways to treat the person's words."""
    buttons = [
        _button(
            _mark(t, t.pick("words", choice), chosen=choice == card.options.words),
            PickWords(id=card.id, words=choice),
        )
        for choice in WORDS
    ]
    return _chooser(t, card, buttons, columns=1)


def pictures(t: Texts, card: Card) -> InlineKeyboardMarkup:
    """Return the two ways to paint, each with what it costs."""
    if card.deck is None:
        return outline(t, card)
    buttons = []
    for mode in PICTURE_MODES:
        options = card.options.model_copy(update={"pictures": mode})
        name = t.count("pictures.each" if mode == "each" else "pictures.panorama", price_of(card.deck, options))
        buttons.append(
            _button(_mark(t, name, chosen=mode == card.options.pictures), PickPictures(id=card.id, mode=mode))
        )
    return _chooser(t, card, buttons, columns=1)


def numbers(t: Texts, card: Card, act: SlideAct) -> InlineKeyboardMarkup:
    """Return a button for every slide."""
    return _chooser(t, card, _numbers(card, act), columns=5)


def slide(t: Texts, card: Card, number: int) -> InlineKeyboardMarkup:
    """Return what can be done with one slide; what costs credits says so."""
    count = len(card.deck.slides) if card.deck else 0

    def on(key: str, act: SlideAct) -> InlineKeyboardButton:
        return _button(t(key), SlidePress(act=act, id=card.id, slide=number))

    def paid(key: str, price: int, act: SlideAct) -> InlineKeyboardButton:
        return _button(t.count(key, price), SlidePress(act=act, id=card.id, slide=number))

    picture = paid("button.picture_price", CREDITS_PER_REPAINT, SlideAct.PICTURE)
    add = on("button.add", SlideAct.ADD)
    if card.made:
        add = paid("button.add_price", price_of_slide(card.options), SlideAct.ADD)
    changes = [on("button.move", SlideAct.MOVE)]
    changes += [add] if count < MAX_SLIDES else []
    changes += [on("button.remove", SlideAct.REMOVE)] if count > MIN_SLIDES else []
    back = _press(t("button.back"), Act.BACK if card.made else Act.SLIDES, card.id)
    return _rows(
        [
            [on("button.text", SlideAct.TEXT), *([picture] if card.made else [])],
            changes,
            [back],
        ]
    )


def places(t: Texts, card: Card, number: int) -> InlineKeyboardMarkup:
    """Return a button for every place that a slide can go to."""
    count = len(card.deck.slides) if card.deck else 0
    buttons = [
        _button(_mark(t, str(place), chosen=place == number), MoveSlide(id=card.id, slide=number, to=place))
        for place in range(1, count + 1)
    ]
    return _chooser(t, card, buttons, columns=5)


def gallery(t: Texts, request: UUID, names: Mapping[str, str], shown: str) -> InlineKeyboardMarkup:
    """Return a button for every style to look at, and one that takes the one shown; `NOBODY` keeps it for later."""
    looks = [
        _button(_mark(t, name, chosen=style == shown), LookStyle(id=request, style=style))
        for style, name in names.items()
    ]
    name = names.get(shown, shown)
    take: CallbackData = OwnStyle(style=shown) if request == NOBODY else PickStyle(id=request, style=shown)
    rows = [looks[start : start + 3] for start in range(0, len(looks), 3)]
    close = [_button(t("button.stop"), PickPart(part=Part.NONE))]
    return _rows([[_button(t("button.take", name=Html(name)), take)], *rows, close])


def history(t: Texts, page: Sequence[Made], *, more: bool) -> InlineKeyboardMarkup:
    """Return a button for every carousel of a page, and one for the next page."""
    buttons = [_press(t("button.album", number=number), Act.ALBUM, made.id) for number, made in enumerate(page, 1)]
    rows = [buttons[start : start + 3] for start in range(0, len(buttons), 3)]
    older = [[_button(t("button.older"), HistoryPage(after=page[-1].id))]] if more else []
    return _rows([*rows, *older])


def brand(t: Texts, own: Brand) -> InlineKeyboardMarkup:
    """Return what can be set and taken away of a brand."""
    rows = []
    for present, set_key, set_act, drop_key, drop_act in (
        (own.handle, t("brand.set_handle"), BrandAct.HANDLE, t("brand.drop_handle"), BrandAct.NO_HANDLE),
        (own.logo_key, t("brand.set_logo"), BrandAct.LOGO, t("brand.drop_logo"), BrandAct.NO_LOGO),
        (own.accent, t("brand.set_accent"), BrandAct.ACCENT, t("brand.drop_accent"), BrandAct.NO_ACCENT),
    ):
        row = [_button(set_key, BrandPress(act=set_act))]
        rows.append([*row, _button(drop_key, BrandPress(act=drop_act))] if present else row)
    return _rows(rows)


def accents(t: Texts) -> InlineKeyboardMarkup:
    """Return some colours to begin with."""
    buttons = [_button(t.pick("accent", colour), PickAccent(colour=colour)) for colour in ACCENTS]
    rows = [buttons[start : start + 4] for start in range(0, len(buttons), 4)]
    return _rows([*rows, [_button(t("button.stop"), PickPart(part=Part.NONE))]])


def title_of(made: Made) -> str:
    """Return what a carousel is called in a list."""
    plain = _MARKUP.sub("", made.title)
    return plain if len(plain) <= _TITLE else f"{plain[: _TITLE - 1].rstrip()}…"


def repaint(t: Texts, card: Card, number: int) -> InlineKeyboardMarkup:
    """Return the ways to a new picture, each with its price."""
    buttons = [
        _button(
            t.count("button.repaint", CREDITS_PER_REPAINT), SlidePress(act=SlideAct.REPAINT, id=card.id, slide=number)
        ),
        _button(
            t.count("button.describe", CREDITS_PER_REPAINT), SlidePress(act=SlideAct.DESCRIBE, id=card.id, slide=number)
        ),
    ]
    return _chooser(t, card, buttons, columns=1)


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


def control(t: Texts, card: Card, *, undo: bool) -> InlineKeyboardMarkup:
    """Return what can be done with a delivered carousel; `undo` when there is a version before it."""
    slides_ = _numbers(card, SlideAct.OPEN)
    back = [_press(t("button.undo"), Act.UNDO, card.id)] if undo else []
    return _rows(
        [
            *(slides_[start : start + 5] for start in range(0, len(slides_), 5)),
            [_press(t("button.text"), Act.TEXT, card.id), _press(t("button.picture"), Act.PICTURE, card.id)],
            [_press(t("button.style"), Act.STYLES, card.id), _press(t("button.size"), Act.SIZES, card.id)],
            [_press(t("button.translate"), Act.LANGUAGES, card.id), _press(t("button.caption"), Act.CAPTION, card.id)],
            [
                _press(t("button.files"), Act.FILES, card.id),
                _press(t("button.pdf"), Act.PDF, card.id),
                _press(t("button.zip"), Act.ZIP, card.id),
            ],
            [_press(t("button.show"), Act.SHOW, card.id), *back],
            [_press(t("button.new_like"), Act.AGAIN, card.id)],
        ]
    )


def folded(t: Texts, request: UUID) -> InlineKeyboardMarkup:
    """Return the one button of a version that a newer one follows."""
    return _rows([[_press(t("button.unfold"), Act.UNFOLD, request)]])


def refunded(t: Texts, card: Card) -> InlineKeyboardMarkup | None:
    """Return the way to a new outline of a text whose carousel did not arrive; a change has its version before."""
    if card.change.base is not None:
        return None
    return _rows([[_press(t("button.retry"), Act.AGAIN, card.id)]])


def kept(t: Texts, card: Card) -> InlineKeyboardMarkup:
    """Return the button that sends what was finished while its person was away."""
    price = card.price or 0
    return _rows([[_button(t.count("button.kept", price), Press(act=Act.KEPT, id=card.id, price=price))]])


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


def parts(t: Texts, chosen: Part) -> InlineKeyboardMarkup:
    """Return which part of a slide the awaited text is for, and the way out."""
    names = [
        _button(_mark(t, t.pick("part", part.value), chosen=part is chosen), PickPart(part=part))
        for part in (Part.BOTH, Part.HEADING, Part.BODY)
    ]
    return _rows([names, [_button(t("button.stop"), PickPart(part=Part.NONE))]])


def stop(t: Texts) -> InlineKeyboardMarkup:
    """Return the way out of a question."""
    return _rows([[_button(t("button.stop"), PickPart(part=Part.NONE))]])


def _numbers(card: Card, act: SlideAct) -> list[InlineKeyboardButton]:
    count = len(card.deck.slides) if card.deck else 0
    return [_button(str(number), SlidePress(act=act, id=card.id, slide=number)) for number in range(1, count + 1)]


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
