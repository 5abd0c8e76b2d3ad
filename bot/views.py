"""What a message says: pure functions from what is known to a screen. Nothing here talks to Telegram or to a database.

Every screen that has to do with credits says what happens to them.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from aiogram.types import InlineKeyboardMarkup, ReplyKeyboardMarkup

from bot import keyboards
from bot.callbacks import Part
from bot.library import ClosedProvider
from bot.models import Balance, Card, Operation, Queue
from bot.texts import Html, Texts
from carousel_pipeline.requests import MAX_SOURCE, Options, SourceError, SourceRefusal, price_of

_HEADING: Final = 90
_START: Final = 110
WRITER: Final = "anthropic"
PAINTER: Final = "gemini"
_TITLE: Final = 40
_FLAG: Final = 60
_FLAGS: Final = 2
_SIGNS: Final = MappingProxyType({1: "+", 0: "", -1: "−"})  # noqa: RUF001 (a minus sign, as wide as the plus)
_REASONS: Final = MappingProxyType(
    {"cancelled": "cancelled", "timeout": "timeout", "images": "pictures", "delivery_receipt": "sending"}
)
_EMPHASIS: Final = re.compile(r"\*\*|==")
_ITEM: Final = re.compile(r"\s*(?:[-•]|\d+[.)])\s+")


@dataclass(frozen=True)
class Screen:
    """One message.

    Attributes:
        text: Telegram HTML, at most 4,096 characters without its tags.
        keyboard: the buttons under it, or where the letters would be.
    """

    text: str
    keyboard: InlineKeyboardMarkup | ReplyKeyboardMarkup | None = None

    @property
    def inline(self) -> InlineKeyboardMarkup | None:
        """The buttons under the message; an edit can have no others."""
        return self.keyboard if isinstance(self.keyboard, InlineKeyboardMarkup) else None


def start(t: Texts, name: str, balance: Balance, *, gift: bool, demo: bool) -> Screen:
    """Return the first screen; `gift` when the welcome credits were given just now."""
    money = t.count("start.gift" if gift else "start.balance", balance.available)
    return Screen(_paragraphs(t("start.hello", name=name), money, t("demo.note") if demo else None), keyboards.menu(t))


def ask_source(t: Texts) -> Screen:
    """Return the invitation to write."""
    return Screen(t("new.ask", limit=number(MAX_SOURCE)), keyboards.menu(t))


def outline(t: Texts, card: Card, style: str, *, demo: bool) -> Screen:
    """Return an outline that waits for a decision; `style` is the style's name."""
    price = card.price or 0
    money = t.count(
        "outline.price" if card.available >= price else "outline.short",
        price,
        available=card.available,
        after=card.available - price,
    )
    cheapest = price_of(card.deck, Options(pictures="panorama")) if card.deck else price
    cheaper = t.count("outline.cheaper", cheapest) if cheapest < price and card.available < price else None
    notes = _paragraphs(
        _lines(_choices(t, card, style), money, cheaper), t("outline.free"), t("demo.note") if demo else None
    )
    return Screen(_paragraphs(_slides(t, card), notes), keyboards.outline(t, card))


def settled_outline(t: Texts, card: Card, style: str) -> Screen:
    """Return an outline that was confirmed: the same words without buttons, and what became of it."""
    if card.money == "released":
        money = t("outline.not_made")
    elif card.money != "delivered":
        money = t.count("outline.confirmed", card.price or 0)
    elif card.charged and not card.on_the_house:
        money = t.count("outline.made", card.charged)
    else:
        money = t("outline.made_free")
    return Screen(_paragraphs(_slides(t, card), _lines(_choices(t, card, style), money)))


def failed_outline(t: Texts, card: Card) -> Screen:
    """Return the end of an outline that could not be written."""
    reason = t.pick("outline_reason", outline_reason(card.failure))
    return Screen(t("outline.failed", reason=reason), keyboards.failed_outline(t, card.id))


def outline_reason(failure: str | None) -> str:
    """Return which of our explanations fits the pipeline's reason."""
    return failure if failure in {"refused", "timeout"} else "other"


def progress(t: Texts, card: Card, queue: Queue) -> Screen:
    """Return how far a confirmed carousel is."""
    step, done, total = card.step or "queued", card.done or 0, card.total or 0
    rows: list[Html] = []
    if step == "queued":
        rows = [t.count("progress.ahead", queue.ahead) if queue.ahead else t("progress.next")]
        if queue.made_s is not None and queue.pace_s is not None:
            rows.append(t.count("progress.estimate", _tidy(queue.made_s + queue.pace_s * queue.ahead)))
    else:
        rows = [t("progress.copy")]
        rows.append(
            t("progress.pictures", done=done, total=total) if step == "pictures" else t("progress.pictures_done")
        )
        if step == "rendering":
            rows.append(t("progress.rendering", done=done, total=total))
        if step == "sending":
            rows += [t("progress.rendering_done"), t("progress.sending")]
    held = t.count("progress.held", card.price) if card.price else None
    keyboard = None if step == "sending" else keyboards.progress(t, card.id)
    return Screen(_paragraphs(_lines(t("progress.title"), *rows), held), keyboard)


def delivered(t: Texts, card: Card, *, undo: bool = False) -> Screen:
    """Return the control message under an album: what it cost, what came back, what can be done with it."""
    charged = card.charged or 0
    back = (card.price or 0) - charged
    change = card.change.base is not None
    partly = None
    if card.on_the_house:
        money = t("done.house", available=card.available)
    elif charged:
        money = t.count("done.charged", charged, available=card.available)
        partly = t.count("done.returned", back) if back > 0 else None
    elif change and back > 0:
        money = t("done.not_repainted", available=card.available)
    else:
        money = t("done.changed" if change else "done.free", available=card.available)
    text = _paragraphs(_lines(money, partly), None if change else t("done.hint"))
    return Screen(text, keyboards.control(t, card, undo=undo))


def folded(t: Texts, card: Card) -> Screen:
    """Return the control message of a version that a newer one follows."""
    return Screen(t("done.older"), keyboards.folded(t, card.id))


def kept(t: Texts, card: Card) -> Screen:
    """Return what was finished while its person was away, and what it costs to have it now."""
    title = words(card.deck.slides[0].heading, _TITLE) if card.deck else ""
    return Screen(t.count("kept.text", card.price or 0, title=title), keyboards.kept(t, card))


def ask_text(t: Texts, card: Card, number: int, part: Part) -> Screen:
    """Return the question for a slide's new words, with the present ones to copy."""
    slide = card.deck.slides[number - 1] if card.deck else None
    now = "\n".join(line for line in (slide.heading, slide.body) if line) if slide else ""
    if slide and part is not Part.BOTH:
        now = slide.heading if part is Part.HEADING else slide.body or slide.heading
    hint = t.pick("ask_part", part.value)
    return Screen(t("edit.ask_text", number=number, now=now, hint=hint), keyboards.parts(t, part))


def ask_new_slide(t: Texts, after: int, price: int) -> Screen:
    """Return the question for the words of one more slide."""
    money = t.count("edit.add_price", price) if price else None
    return Screen(_paragraphs(t("edit.ask_slide", after=after), money), keyboards.stop(t))


def ask_picture(t: Texts, number: int, price: int) -> Screen:
    """Return the question for what a slide's picture shall show."""
    return Screen(t.count("edit.ask_picture", price, slide=number), keyboards.stop(t))


def caption(t: Texts, card: Card) -> list[str]:
    """Return the post's text and its hashtags, each to be copied whole; empty when the deck has none."""
    if card.deck is None:
        return []
    parts = [card.deck.caption, " ".join(card.deck.hashtags)]
    return [t("caption.copy", text=part) for part in parts if part]


def refunded(t: Texts, card: Card, reason: str, credits_back: int) -> Screen:
    """Return what failed and what came back."""
    if credits_back:
        money = t.count("refund.back", credits_back, available=card.available)
    elif card.change.base is not None:
        money = t("refund.change", available=card.available)
    else:
        money = t("refund.nothing", available=card.available)
    what = "language" if card.kind == "language" and refund_reason(reason) == "other" else refund_reason(reason)
    return Screen(_paragraphs(t.pick("refund", what), money), keyboards.refunded(t, card))


def refund_reason(reason: str) -> str:
    """Return which of our explanations fits the ledger's reason: a failed step, `cancelled` or `timeout`."""
    return _REASONS.get(reason, "other")


def ask_arrival(t: Texts, card: Card) -> Screen:
    """Return the question whether an album arrived."""
    question = t.count("ask.text", card.price) if card.price else t("ask.free")
    return Screen(question, keyboards.in_doubt(t, card.id))


def busy(t: Texts, closed: Sequence[ClosedProvider], wanted: str) -> Html | None:
    """Return that the service of `wanted` is away and for how long; None while it is not."""
    minutes = max((one.minutes for one in closed if one.provider == wanted), default=0)
    return t.count("busy.provider", minutes) if minutes else None


def no_credits(t: Texts, price: int, available: int) -> Html:
    """Return what is missing, for a message or an alert."""
    return t.count("credits.short", price, available=available)


def source_refusal(t: Texts, error: SourceError) -> Html:
    """Return why a text cannot become a carousel."""
    if error.refusal is SourceRefusal.TOO_LONG:
        return t.count("refusal.too_long", error.length, limit=number(MAX_SOURCE))
    return t.pick("refusal", error.refusal.value)


def balance(t: Texts, now: Balance, operations: list[Operation], packs: list[Html]) -> Screen:
    """Return the balance, the last operations with the carousel they belong to, and the last packs that were bought."""
    held = t.count("balance.held", now.held) if now.held else None
    rows = [_operation(t, operation) for operation in operations]
    last = _lines(t("balance.last"), *rows) if rows else None
    bought = _lines(t("balance.packs"), *packs) if packs else None
    text = _paragraphs(_lines(t.count("balance.available", now.available), held), last, bought, t("balance.rule"))
    return Screen(text, keyboards.menu(t))


def plain(text: Html) -> str:
    """Return a text for where Telegram takes no HTML, such as an alert; at most 200 characters."""
    return re.sub(r"<[^>]+>", "", text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")[:200]


def words(marked: str, limit: int) -> str:
    """Return a slide's text without its markup, in one line of at most `limit` characters; list items stand between dots."""
    line = ""
    for row in marked.splitlines():
        text = " ".join(_EMPHASIS.sub("", _ITEM.sub("", row)).split())
        if line and text:
            line += " · " if _ITEM.match(row) and not line.endswith((".", "!", "?", ":", "…", ",", ";")) else " "
        line += text
    return line if len(line) <= limit else f"{line[: limit - 1].rsplit(' ', 1)[0].rstrip(' ,;:—–-·')}…"


def _slides(t: Texts, card: Card) -> Html:
    if card.deck is None:
        return Html("")
    slides = card.deck.slides
    title = t.count("outline.title", len(slides), language=t.language(card.deck.language))
    rows = []
    for number, slide in enumerate(slides, 1):
        heading, start_ = words(slide.heading, _HEADING), words(slide.body, _START)
        rows.append(
            t("outline.slide", number=number, heading=heading, start=start_)
            if start_
            else t("outline.heading", number=number, heading=heading)
        )
        if slide.unsourced:
            flagged = ", ".join(words(claim, _FLAG) for claim in slide.unsourced[:_FLAGS])
            rows.append(t("outline.unsourced", claims=flagged))
    return _paragraphs(title, Html("\n".join(rows)))


def _choices(t: Texts, card: Card, style: str) -> Html:
    options = card.options
    chosen = [
        t.pick("tone", options.tone) if options.tone != "neutral" else None,
        t.pick("structure", options.structure) if options.structure else None,
        t.pick("words", options.words) if options.words != "rewrite" else None,
        t("outline.each") if options.pictures == "each" else None,
    ]
    first = t("outline.choices", style=style, size=t.pick("size", options.ratio))
    return Html(" · ".join([first, *(choice for choice in chosen if choice)]))


def _operation(t: Texts, operation: Operation) -> Html:
    values: dict[str, str | int] = {
        "sign": _SIGNS[operation.direction],
        "amount": operation.amount,
        "what": t.pick("operation", operation.kind),
        "date": operation.at.strftime("%d.%m"),
    }
    if operation.title:
        return t("balance.row_title", title=words(operation.title, _TITLE), **values)
    return t("balance.row", **values)


def _tidy(seconds: float) -> int:
    return max(5, math.ceil(seconds / 5) * 5)


def number(value: int) -> str:
    """Return a number with thin groups of thousands, as both languages read it."""
    return f"{value:,}".replace(",", " ")


def _paragraphs(*parts: str | None) -> Html:
    return Html("\n\n".join(part for part in parts if part))


def _lines(*parts: str | None) -> Html:
    return Html("\n".join(part for part in parts if part))
