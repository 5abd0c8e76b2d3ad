"""Choosers under an outline or a carousel: style, size, language, and for outlines also count, tone, telling, words, pictures.

A look or a size changes nothing that was written, so it is there at once. What needs the writer again is a new outline of the
same source. A value from a button is checked against what exists (M6).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from aiogram import Bot, F, Router
from aiogram.fsm.context import FSMContext
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message

from bot import keyboards
from bot.callbacks import (
    Act,
    LookStyle,
    PickCount,
    PickPictures,
    PickSize,
    PickStructure,
    PickStyle,
    PickTone,
    PickTongue,
    PickWords,
    Press,
)
from bot.editor import Editor
from bot.gallery import NOBODY, Gallery
from bot.handlers.common import changeable, expired, key_of, swap, tell
from bot.handlers.outline import Reopener
from bot.models import Card
from bot.notices import Notices
from bot.store import Store
from bot.styles import Languages, Styles
from bot.texts import Html, Texts
from carousel_pipeline.requests import MAX_SLIDES, MIN_SLIDES
from carousel_pipeline.requests.change import repictured, resized, restyled, retranslated

_CHOOSERS: Final[Mapping[Act, Callable[[Texts, Card], InlineKeyboardMarkup]]] = MappingProxyType(
    {
        Act.SIZES: keyboards.sizes,
        Act.COUNTS: keyboards.counts,
        Act.TONES: keyboards.tones,
        Act.STRUCTURES: keyboards.structures,
        Act.WORDS: keyboards.words,
        Act.PICTURES: keyboards.pictures,
    }
)
_CHOOSING: Final = frozenset({*_CHOOSERS, Act.LANGUAGES, Act.BACK, Act.UNFOLD})


def setup() -> Router:
    """Return the router of choosers."""
    router = Router(name="choices")
    register = router.callback_query.register
    register(choose, Press.filter(F.act.in_(_CHOOSING)))
    register(show_gallery, Press.filter(F.act == Act.STYLES))
    register(look_at_style, LookStyle.filter())
    register(pick_style, PickStyle.filter())
    register(pick_size, PickSize.filter())
    register(pick_count, PickCount.filter())
    register(pick_tone, PickTone.filter())
    register(pick_structure, PickStructure.filter())
    register(pick_tongue, PickTongue.filter())
    register(pick_words, PickWords.filter())
    register(pick_pictures, PickPictures.filter())
    return router


async def choose(
    callback: CallbackQuery,
    callback_data: Press,
    t: Texts,
    store: Store,
    notices: Notices,
    languages: Languages,
) -> None:
    """Put a chooser under the message, or its own buttons back."""
    card = await changeable(callback, callback_data.id, t, store)
    if card is None:
        return
    if make := _CHOOSERS.get(callback_data.act):
        await swap(callback, make(t, card), t.pick("choose", callback_data.act.value))
    elif callback_data.act == Act.LANGUAGES:
        await swap(callback, keyboards.tongues(t, card, languages.codes), t.pick("choose", callback_data.act.value))
    else:
        back = (await notices.control(card)).inline if card.made else keyboards.outline(t, card)
        await swap(callback, back or keyboards.folded(t, card.id))


async def show_gallery(
    callback: CallbackQuery, callback_data: Press, t: Texts, store: Store, styles: Styles, gallery: Gallery
) -> None:
    """Show how the styles look, beginning with the chosen one."""
    card = await changeable(callback, callback_data.id, t, store)
    if card is None:
        return
    await callback.answer()
    names, style = styles.named(t.locale), card.options.style
    await gallery.show_style(
        card.chat_id, style, t.locale, _caption(t, names, style), keyboards.gallery(t, card.id, names, style)
    )


async def look_at_style(
    callback: CallbackQuery, callback_data: LookStyle, t: Texts, styles: Styles, gallery: Gallery
) -> None:
    """Show another style in the same message."""
    if callback_data.style not in styles or callback.message is None:
        await expired(callback, t)
        return
    await callback.answer()
    names = styles.named(t.locale)
    await gallery.turn(
        callback.message.chat.id,
        callback.message.message_id,
        callback_data.style,
        t.locale,
        _caption(t, names, callback_data.style),
        keyboards.gallery(t, callback_data.id, names, callback_data.style),
    )


async def pick_style(
    callback: CallbackQuery,
    callback_data: PickStyle,
    t: Texts,
    store: Store,
    styles: Styles,
    editor: Editor,
    state: FSMContext,
    bot: Bot,
) -> None:
    """Take a style; it is remembered for the next texts."""
    if callback_data.style not in styles or callback_data.id == NOBODY:
        await expired(callback, t)
        return
    card = await changeable(callback, callback_data.id, t, store)
    if card is None or card.version is None:
        return
    await state.update_data(style=callback_data.style)
    await tell(callback, await editor.apply(card, restyled(card.version, callback_data.style), key_of(callback), t))
    # The gallery has done its work; what it was opened from shows the choice.
    if isinstance(callback.message, Message) and callback.message.photo:
        await bot.delete_message(callback.message.chat.id, callback.message.message_id)


async def pick_size(
    callback: CallbackQuery, callback_data: PickSize, t: Texts, store: Store, editor: Editor, state: FSMContext
) -> None:
    """Take a size; it is remembered for the next texts."""
    size = callback_data.size.replace("x", ":")
    if size not in keyboards.SIZES:
        await expired(callback, t)
        return
    card = await changeable(callback, callback_data.id, t, store)
    if card is not None and card.version is not None:
        await state.update_data(ratio=size)
        await tell(callback, await editor.apply(card, resized(card.version, size), key_of(callback), t))


async def pick_pictures(
    callback: CallbackQuery, callback_data: PickPictures, t: Texts, store: Store, editor: Editor
) -> None:
    """Have one picture a slide, or one for all; the price follows."""
    card = await changeable(callback, callback_data.id, t, store)
    if card is None or card.version is None:
        return
    if card.made or callback_data.mode not in keyboards.PICTURE_MODES:
        await expired(callback, t)
        return
    await tell(callback, await editor.apply(card, repictured(card.version, callback_data.mode), key_of(callback), t))


async def pick_tongue(
    callback: CallbackQuery,
    callback_data: PickTongue,
    t: Texts,
    store: Store,
    editor: Editor,
    reopener: Reopener,
    languages: Languages,
    *,
    translates: bool,
) -> None:
    """Have the slides in another language: an outline is written anew, a carousel is translated with its pictures."""
    wish = callback_data.language or None
    card = await changeable(callback, callback_data.id, t, store)
    if card is None or card.version is None:
        return
    if wish is not None and wish not in languages.codes:
        await expired(callback, t)
    elif wish is not None and not translates:
        await callback.answer(t("alert.no_translator"), show_alert=True)
    elif not card.made:
        await reopener.reopen(callback, card, {"language": wish}, t)
    elif wish is None or wish == card.version.deck.language:
        await callback.answer(t("alert.same_language"), show_alert=True)
    else:
        await tell(callback, await editor.apply(card, retranslated(card.version, wish), key_of(callback), t))


async def pick_count(
    callback: CallbackQuery, callback_data: PickCount, t: Texts, store: Store, reopener: Reopener
) -> None:
    """Outline the text in another number of slides; it belongs to this text only."""
    count = callback_data.count
    known = count == 0 or MIN_SLIDES <= count <= MAX_SLIDES
    await _write_anew(callback, callback_data.id, {"slides": count or None}, t, store, reopener, known=known)


async def pick_tone(
    callback: CallbackQuery, callback_data: PickTone, t: Texts, store: Store, reopener: Reopener
) -> None:
    """Outline the text in another tone."""
    tone = callback_data.tone
    await _write_anew(callback, callback_data.id, {"tone": tone}, t, store, reopener, known=tone in keyboards.TONES)


async def pick_structure(
    callback: CallbackQuery, callback_data: PickStructure, t: Texts, store: Store, reopener: Reopener
) -> None:
    """Tell the text in another way, or as it wants."""
    name = callback_data.structure
    known = name in {"", *keyboards.STRUCTURES}
    await _write_anew(callback, callback_data.id, {"structure": name or None}, t, store, reopener, known=known)


async def pick_words(
    callback: CallbackQuery, callback_data: PickWords, t: Texts, store: Store, reopener: Reopener
) -> None:
    """Keep the person's words, or let them be rewritten."""
    words = callback_data.words
    await _write_anew(callback, callback_data.id, {"words": words}, t, store, reopener, known=words in keyboards.WORDS)


async def _write_anew(
    callback: CallbackQuery,
    request: UUID,
    choice: dict[str, Any],
    t: Texts,
    store: Store,
    reopener: Reopener,
    *,
    known: bool,
) -> None:
    card = await changeable(callback, request, t, store) if known else None
    if not known or (card is not None and card.made):
        await expired(callback, t)
    elif card is not None:
        await reopener.reopen(callback, card, choice, t)


def _caption(t: Texts, names: dict[str, str], style: str) -> Html:
    return t("gallery.caption", name=names[style], number=list(names).index(style) + 1, total=len(names))
