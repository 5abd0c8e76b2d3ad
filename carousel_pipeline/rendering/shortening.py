"""By how many characters a copy must shrink, told before anything is drawn, so that a copywriter cuts and not the ellipsis. Pure.

What must stay true: a field cut to `fits` characters is not truncated, with the rest of its deck as it is.
"""

from dataclasses import dataclass
from typing import Literal

from carousel_pipeline.rendering.brand import Brand
from carousel_pipeline.rendering.layout import layout_deck
from carousel_pipeline.rendering.style import Style
from carousel_pipeline.requests import Deck, Ratio

_STEP = 0.96


@dataclass(frozen=True, slots=True)
class Excess:
    """One field that does not fit.

    Attributes:
        position: of the slide, from 1.
        characters: how many are too many, markup and spaces counted.
        fits: how many may stay.
    """

    position: int
    field: Literal["heading", "body"]
    characters: int
    fits: int


def must_shrink(deck: Deck, style: Style, ratio: Ratio, brand: Brand | None = None) -> tuple[Excess, ...]:
    """Return what must become shorter for nothing to be cut; empty for nearly every deck, and then as dear as one layout."""
    found: list[Excess] = []
    for position, warnings in layout_deck(deck, style, ratio, brand).warnings.items():
        for warning in warnings:
            if warning.kind == "truncated":
                text: str = getattr(deck.slides[position - 1], warning.field)
                fits = _fitting(deck, position, warning.field, len(text) - warning.characters, style, ratio, brand)
                found.append(Excess(position, warning.field, len(text) - fits, fits))
    return tuple(found)


def _fitting(
    deck: Deck, position: int, field: Literal["heading", "body"], most: int, style: Style, ratio: Ratio, brand: Brand | None
) -> int:  # fmt: skip
    """Return the length at which the field fits; the ellipsis, hygiene and markup make the first estimate a little wrong."""
    fits = max(1, most)
    while fits > 1 and _cut(_with(deck, position, field, fits), position, field, style, ratio, brand):
        fits = int(fits * _STEP) if fits > 1 / (1 - _STEP) else fits - 1
    return fits


def _cut(deck: Deck, position: int, field: str, style: Style, ratio: Ratio, brand: Brand | None) -> bool:
    warnings = layout_deck(deck, style, ratio, brand).warnings.get(position, ())
    return any(warning.kind == "truncated" and warning.field == field for warning in warnings)


def _with(deck: Deck, position: int, field: str, length: int) -> Deck:
    slides = list(deck.slides)
    slide = slides[position - 1]
    slides[position - 1] = slide.model_copy(update={field: getattr(slide, field)[:length]})
    return deck.model_copy(update={"slides": tuple(slides)})
