"""What a request changes of its parent, and what it takes over. Nothing edits a request: a change is a request of its own.

What must stay true: a picture that was painted and paid is never painted or charged again because of a change next to it; only
the slides that a change names get new pictures, and only those cost credits. Text, order, style, size and language are free.
"""

from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from carousel_pipeline.requests.deck import MAX_SLIDES, MIN_SLIDES, Deck, Slide, roles
from carousel_pipeline.requests.options import Kind, LanguageTag, Options
from carousel_pipeline.requests.price import CREDITS_PER_REPAINT, price_of, price_of_slide
from carousel_pipeline.requests.results import Pictures

Place = Annotated[int, Field(ge=1, le=MAX_SLIDES)]
Arrangement = tuple[Place | None, ...]
"""For every slide, in order, which slide of before it was; None for a new one."""


class Change(BaseModel):
    """How a request follows from another one; the column `carousel.request.change`.

    Attributes:
        base: the request whose stored pictures are taken over; None when none were painted yet (a change of an outline).
        origin: which of the base's slides each slide was; empty when all kept their places.
        pictures: slides whose picture is painted anew.
        language: what the deck is to be translated into.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: UUID | None = None
    origin: Arrangement = ()
    pictures: tuple[Place, ...] = ()
    language: LanguageTag | None = None

    @model_validator(mode="after")
    def _nothing_without_base(self) -> Self:
        if self.base is None and (self.origin or self.pictures or self.language):
            raise ValueError("without a base there is nothing to take over")
        return self

    def taken_from(self, slide: int) -> int | None:
        """Return the base's slide whose picture `slide` keeps; None when it is painted anew."""
        if self.base is None or slide in self.pictures:
            return None
        return self.before(slide)

    def before(self, slide: int) -> int | None:
        """Return which of the base's slides `slide` was; None for a new one."""
        return self.origin[slide - 1] if self.origin else slide

    def price_of_picture(self, slide: int, options: Options) -> int:
        """Return what the picture of `slide` costs: all of a new slide's price, less where another one takes its place."""
        new = self.base is None or self.before(slide) is None or slide not in self.pictures
        return price_of_slide(options) if new else CREDITS_PER_REPAINT


class Version(BaseModel):
    """What a change starts from: an outline, or a carousel that was `made`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    options: Options
    deck: Deck
    made: bool


class Edit(BaseModel):
    """A change with the deck and the options it results in.

    Attributes:
        quoted: the price of what was painted before and never arrived, so never paid.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: Kind
    options: Options
    deck: Deck
    change: Change
    quoted: Annotated[int, Field(ge=0)] | None = None

    @property
    def price(self) -> int:
        """Credits: what was quoted before, the whole deck where nothing was painted yet, else what each new picture costs."""
        if self.quoted is not None:
            return self.quoted
        if self.change.base is None:
            return price_of(self.deck, self.options)
        return sum(self.change.price_of_picture(slide, self.options) for slide in self.change.pictures)


class EditRefusedError(ValueError):
    """A change that cannot be made; `reason` is the key of the words for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"change refused: {reason}")
        self.reason = reason


def retexted(version: Version, slide: int, heading: str, body: str) -> Edit:
    """Return the change of one slide's words.

    Raises:
        EditRefusedError: no such slide.
        pydantic.ValidationError: the words are empty or too long.
    """
    slides = list(version.deck.slides)
    old = _slide(version.deck, slide)
    slides[slide - 1] = Slide(role=old.role, heading=heading, body=body, picture=old.picture)
    return _edit(version, "text", deck=_deck(version.deck, slides))


def repainted(version: Version, slide: int, wish: str | None = None) -> Edit:
    """Return the change of one slide's picture, of the same subject or of `wish`.

    Raises:
        EditRefusedError: no such slide, or nothing was painted yet.
        pydantic.ValidationError: the wish is too long.
    """
    old = _slide(version.deck, slide)
    if not version.made:
        raise EditRefusedError("not_made")
    slides = list(version.deck.slides)
    if wish is not None:
        slides[slide - 1] = Slide.model_validate(old.model_dump() | {"picture": wish})
    return _edit(version, "picture", deck=_deck(version.deck, slides), pictures=(slide,))


def restyled(version: Version, style: str) -> Edit:
    """Return the change of the look; nothing is painted."""
    return _edit(version, "style", options=_options(version.options, style=style))


def resized(version: Version, ratio: str) -> Edit:
    """Return the change of the slides' shape; stored pictures are cut to it, nothing is painted."""
    return _edit(version, "size", options=_options(version.options, ratio=ratio))


def repictured(version: Version, pictures: str) -> Edit:
    """Return an outline's change between a picture for each slide and one for all; the price follows."""
    if version.made:
        raise EditRefusedError("made")
    return _edit(version, "picture", options=_options(version.options, pictures=pictures))


def moved(version: Version, slide: int, to: int) -> Edit:
    """Return the change of one slide's place.

    Raises:
        EditRefusedError: no such slide or place.
    """
    _slide(version.deck, slide)
    _slide(version.deck, to)
    order = [number for number in range(1, len(version.deck.slides) + 1) if number != slide]
    order.insert(to - 1, slide)
    return _arranged(version, tuple(order))


def removed(version: Version, slide: int) -> Edit:
    """Return the deck without one slide.

    Raises:
        EditRefusedError: no such slide, or too few would be left.
    """
    _slide(version.deck, slide)
    if len(version.deck.slides) <= MIN_SLIDES:
        raise EditRefusedError("too_few")
    return _arranged(version, tuple(number for number in range(1, len(version.deck.slides) + 1) if number != slide))


def added(version: Version, after: int, heading: str, body: str) -> Edit:
    """Return the deck with one more slide after slide `after`.

    Raises:
        EditRefusedError: no such slide, or an album takes no more.
        pydantic.ValidationError: the words are empty or too long.
    """
    _slide(version.deck, after)
    if len(version.deck.slides) >= MAX_SLIDES:
        raise EditRefusedError("too_many")
    order: list[int | None] = list(range(1, len(version.deck.slides) + 1))
    order.insert(after, None)
    return _arranged(version, tuple(order), Slide(role="body", heading=heading, body=body))


def undone(version: Version, to: Version) -> Edit:
    """Return the way back to an earlier version: its deck, options, pictures and slides, and nothing is made anew."""
    return Edit(kind="undo", options=to.options, deck=to.deck, change=Change(base=to.id)) if version.made else _no()


def retranslated(version: Version, language: str) -> Edit:
    """Return the change of a made deck's language; its words follow when the writer has translated them."""
    if not version.made:
        raise EditRefusedError("not_made")
    edit = _edit(version, "language", options=_options(version.options, language=language))
    return edit.model_copy(update={"change": Change(base=version.id, language=language)})


def charge_of(change: Change, options: Options, price: int, pictures: Pictures) -> int | None:
    """Return what falls due with the album: every slide that was ordered, without stand-ins; None for the whole price."""
    ordered = set(change.pictures) or {picture.position for picture in pictures.items}
    stand_ins = [item.position for item in pictures.items if item.stand_in and item.position in ordered]
    free = sum(change.price_of_picture(position, options) for position in stand_ins)
    return max(0, price - free) if free and price else None


def _arranged(version: Version, order: Arrangement, fresh: Slide | None = None) -> Edit:
    found = [_slide(version.deck, number) if number else fresh for number in order]
    slides = [slide for slide in found if slide is not None]
    edit = _edit(version, "slides", deck=_deck(version.deck, slides))
    if not version.made:
        return edit
    painted = tuple(place for place, number in enumerate(order, 1) if number is None)
    return edit.model_copy(update={"change": Change(base=version.id, origin=order, pictures=painted)})


def _edit(
    version: Version,
    kind: Kind,
    *,
    deck: Deck | None = None,
    options: Options | None = None,
    pictures: tuple[int, ...] = (),
) -> Edit:
    change = Change(base=version.id, pictures=pictures) if version.made else Change()
    return Edit(kind=kind, options=options or version.options, deck=deck or version.deck, change=change)


def _deck(deck: Deck, slides: list[Slide]) -> Deck:
    placed = [slide.model_copy(update={"role": role}) for slide, role in zip(slides, roles(len(slides)), strict=True)]
    return Deck.model_validate(deck.model_dump() | {"slides": [slide.model_dump() for slide in placed]})


def _options(options: Options, **choice: str) -> Options:
    return Options.model_validate(options.model_dump() | choice)


def _slide(deck: Deck, slide: int) -> Slide:
    if not 1 <= slide <= len(deck.slides):
        raise EditRefusedError("no_slide")
    return deck.slides[slide - 1]


def _no() -> Edit:
    raise EditRefusedError("not_made")
