"""What a request is: its options, the deck it becomes, what it costs. Knows neither Postgres nor Telegram."""

from carousel_pipeline.requests.deck import MAX_SLIDES, MIN_SLIDES, Deck, Role, Slide, album_caption
from carousel_pipeline.requests.options import Kind, Options, PictureMode, Ratio, Structure, Tone, Words
from carousel_pipeline.requests.price import price_of
from carousel_pipeline.requests.source import MAX_SOURCE, SourceError, SourceRefusal, clean_source

__all__ = [
    "MAX_SLIDES",
    "MAX_SOURCE",
    "MIN_SLIDES",
    "Deck",
    "Kind",
    "Options",
    "PictureMode",
    "Ratio",
    "Role",
    "Slide",
    "SourceError",
    "SourceRefusal",
    "Structure",
    "Tone",
    "Words",
    "album_caption",
    "clean_source",
    "price_of",
]
