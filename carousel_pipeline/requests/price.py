"""What a request costs, in credits. The database holds the price that this function quoted, or asks the user again (C12)."""

from collections.abc import Iterable

from carousel_pipeline.requests.deck import Deck
from carousel_pipeline.requests.options import Options
from carousel_pipeline.requests.results import StoredPicture

CREDITS_PER_PICTURE = 1
WELCOME_CREDITS = 10
SLIDES_PER_PANORAMA = 7


def price_of(deck: Deck, options: Options | None = None) -> int:
    """Return the price of drawing `deck`: one credit a painted picture, copy and rendering are free."""
    return pictures_for(len(deck.slides), options or Options()) * CREDITS_PER_PICTURE


def not_charged(pictures: Iterable[StoredPicture]) -> int:
    """Return how many credits stand-ins take off the price: one a refused picture, however many slides were cut from it."""
    return len({picture.strip or picture.position for picture in pictures if picture.stand_in}) * CREDITS_PER_PICTURE


def pictures_for(slides: int, options: Options) -> int:
    """Return how many pictures are painted for so many slides."""
    return slides if options.pictures == "each" else -(-slides // SLIDES_PER_PANORAMA)
