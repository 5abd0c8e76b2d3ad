"""What a request costs, in credits. The database holds the price that this function quoted, or asks the user again (C12)."""

from carousel_pipeline.requests.deck import Deck
from carousel_pipeline.requests.options import Options

CREDITS_PER_PICTURE = 1
WELCOME_CREDITS = 10
SLIDES_PER_PANORAMA = 7


def price_of(deck: Deck, options: Options | None = None) -> int:
    """Return the price of drawing `deck`: one credit a painted picture, copy and rendering are free."""
    return pictures_for(len(deck.slides), options or Options()) * CREDITS_PER_PICTURE


def pictures_for(slides: int, options: Options) -> int:
    """Return how many pictures are painted for so many slides."""
    return slides if options.pictures == "each" else -(-slides // SLIDES_PER_PANORAMA)
