"""Steps of size between a style's smallest and largest type, and the ones that the slides of a deck share. Pure."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

STEPS = 24
_OUTLIER = 6
_FEW = 3


class Steps(NamedTuple):
    """Sizes of heading and body, from 0 (smallest) to `STEPS` (largest)."""

    heading: int
    body: int


def deck_steps(found: Sequence[tuple[str, int]]) -> list[int]:
    """Return the step of size, of headings or bodies, that each slide's deck has for its role."""
    shared: dict[str, int] = {}
    for role in {role for role, _ in found}:
        steps = sorted(step for other, step in found if other == role)
        outlier = len(steps) >= _FEW and steps[1] - steps[0] >= _OUTLIER
        shared[role] = steps[1] if outlier else steps[0]
    return [shared[role] for role, _ in found]


def largest(low: int, high: int, fits: Callable[[int], bool]) -> int:
    """Return the largest step up to `high` that fits; `low` is taken to."""
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
