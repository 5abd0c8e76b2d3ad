"""Everything that is for sale, and for how much: the one place where a price is written (n13, n14).

An order row copies what its pack was worth, so a change here never changes an invoice that somebody holds already.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

TERMS_VERSION: Final = 1
"""Counts up when the terms change in a way that buyers have to agree to anew."""


@dataclass(frozen=True, slots=True)
class Pack:
    """Credits that are sold together; they do not expire.

    Attributes:
        id: its name in orders, for ever.
        credits: how many.
        stars: price in Telegram Stars.
        kopecks: price in 1/100 ruble; None where it is not sold for rubles.
    """

    id: str
    credits: int
    stars: int
    kopecks: int | None = None


def _by_id(*packs: Pack) -> Mapping[str, Pack]:
    return MappingProxyType({pack.id: pack for pack in packs})


PACKS: Final = _by_id(
    Pack("small", credits=30, stars=100, kopecks=199_00),
    Pack("medium", credits=150, stars=450, kopecks=899_00),
    Pack("large", credits=450, stars=1200, kopecks=2390_00),
)

MONTHLY: Final = Pack("monthly", credits=180, stars=450)
"""What a subscription brings every 30 days; Telegram knows no other period."""
