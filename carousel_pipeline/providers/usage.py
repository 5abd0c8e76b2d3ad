"""What calls cost: list prices per million tokens, and the sum of what was used.

A price can be set for a model that is not listed (`ANTHROPIC_PRICE`, `GEMINI_PRICE`); one that has none costs what the dearest
listed model would, so a new model id can make a figure too high and never too low. `carousel doctor` says so.
"""

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

_MILLION = 1_000_000


class Price(BaseModel):
    """USD per million tokens: what is read, text that is written (thinking too), pictures that are made."""

    model_config = ConfigDict(frozen=True)

    read: float
    text: float
    picture: float = 0.0

    def __str__(self) -> str:
        """Return the price in words."""
        pictures = f", {self.picture:g} for pictures" if self.picture else ""
        return f"${self.read:g} read, {self.text:g} written{pictures} a million tokens"


# List prices of November 2026, from the vendors' documents and, for pictures, three pages that agree.
LIST_PRICES: Mapping[str, Price] = MappingProxyType(
    {
        "claude-haiku-5-5": Price(read=0.10, text=0.50),
        "claude-haiku-4-5": Price(read=1.0, text=5.0),
        "claude-sonnet-5-5": Price(read=2.0, text=10.0),
        "claude-opus-5-5": Price(read=4.0, text=20.0),
        "claude-fable-5-2": Price(read=8.0, text=40.0),
        "gemini-nano-banana-2.1": Price(read=1.5, text=7.5, picture=30.0),
        "gemini-3.1-flash-lite-image": Price(read=1.5, text=7.5, picture=30.0),
        "gemini-3.1-flash-image": Price(read=1.5, text=7.5, picture=60.0),
        "gemini-3-pro-image": Price(read=2.0, text=12.0, picture=120.0),
    }
)
_DEAREST = Price(
    read=max(price.read for price in LIST_PRICES.values()),
    text=max(price.text for price in LIST_PRICES.values()),
    picture=max(price.picture for price in LIST_PRICES.values()),
)


def price_of_model(model: str, given: str | None = None) -> Price:
    """Return a model's price: the one that was `given` as `read/text` or `read/text/picture`, else the listed, else the dearest.

    Raises:
        ValueError: `given` is no such price.
    """
    if given is not None:
        return parse_price(given)
    return LIST_PRICES.get(model, _DEAREST)


def parse_price(text: str) -> Price:
    """Return the price in `0.10/0.50` or `1.5/7.5/30`, USD per million tokens.

    Raises:
        ValueError: the text is no such price.
    """
    try:
        figures = [float(part) for part in text.split("/")]
        read, written, *rest = figures
    except ValueError:
        raise ValueError(
            f"{text!r} is no price: write USD per million tokens as read/text or read/text/picture"
        ) from None
    if len(rest) > 1 or min(figures) < 0:
        raise ValueError(f"{text!r} is no price: two or three figures, none below zero")
    return Price(read=read, text=written, picture=rest[0] if rest else 0.0)


class Usage(BaseModel):
    """What one call, or all calls for one thing, took; zeros when nothing left this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    images: int = 0
    cost_usd: float = 0.0
    duration_s: float = 0.0

    def plus(self, other: "Usage") -> "Usage":
        """Return the sum; the model stays this one's."""
        return self.model_copy(
            update={
                name: getattr(self, name) + getattr(other, name)
                for name in ("input_tokens", "output_tokens", "images", "cost_usd", "duration_s")
            }
        )


def used(model: str, price: Price, *, read: int, text: int, picture: int = 0, images: int = 0) -> Usage:
    """Return the usage of one call from its tokens."""
    cost = (read * price.read + text * price.text + picture * price.picture) / _MILLION
    return Usage(model=model, input_tokens=read, output_tokens=text + picture, images=images, cost_usd=cost)
