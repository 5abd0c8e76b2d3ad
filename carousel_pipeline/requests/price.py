"""What a request costs, in credits. The database holds the price that this module quoted, or asks the user again (C12).

People pay for slides, not for calls of a model: one wide picture across the deck is the default and makes a slide cheap; in the
rich mode a picture is painted for every slide alone.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from carousel_pipeline.requests.deck import Deck
from carousel_pipeline.requests.options import Options, PictureMode

CREDITS_PER_SLIDE: Final[Mapping[PictureMode, int]] = MappingProxyType({"panorama": 1, "each": 3})
CREDITS_PER_REPAINT: Final = 1
WELCOME_CREDITS: Final = 10


def price_of(deck: Deck, options: Options | None = None) -> int:
    """Return the price of drawing `deck`: its slides; copy and rendering are free."""
    return len(deck.slides) * price_of_slide(options or Options())


def price_of_slide(options: Options) -> int:
    """Return what one slide with a picture costs, in a new deck or added to one."""
    return CREDITS_PER_SLIDE[options.pictures]
