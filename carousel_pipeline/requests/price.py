"""What a request costs, in credits. The database holds the price that this function quoted, or asks the user again (C12)."""

from carousel_pipeline.requests.deck import Deck

CREDITS_PER_PICTURE = 1
WELCOME_CREDITS = 10


def price_of(deck: Deck) -> int:
    """Return the price of drawing `deck`: one credit a picture, copy and rendering are free."""
    return len(deck.slides) * CREDITS_PER_PICTURE
