"""How often one person may knock: a bucket of tokens each, for every kind of update (M5).

Only what is let in costs a token, so knocking on while locked out never makes it longer (m35), and there is no await between
the look and the count, so a burst arriving at once is counted exactly (m36).
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from time import monotonic
from typing import Final

_KEPT: Final = 20_000


class Verdict(Enum):
    """What to do with an update."""

    LET_IN = auto()
    SAY_WAIT = auto()
    IGNORE = auto()


@dataclass
class _Bucket:
    tokens: float
    at: float
    told: bool = False


class Limiter:
    """Token buckets by person.

    Args:
        burst: how many updates at once; a long text comes as five messages, a forwarded thread as a dozen.
        per_second: how many more a second.
        clock: seconds, never going back.
    """

    def __init__(self, burst: int = 30, per_second: float = 1.5, clock: Callable[[], float] = monotonic) -> None:
        self._burst = burst
        self._rate = per_second
        self._clock = clock
        self._buckets: OrderedDict[int, _Bucket] = OrderedDict()

    def knock(self, person: int) -> Verdict:
        """Count one update of `person`; the first refusal of a rush is said aloud, the others are not."""
        now = self._clock()
        bucket = self._buckets.setdefault(person, _Bucket(self._burst, now))
        self._buckets.move_to_end(person)
        while len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens >= 1:
            bucket.told &= bucket.tokens < self._burst / 2
            bucket.tokens -= 1
            return Verdict.LET_IN
        first = not bucket.told
        bucket.told = True
        return Verdict.SAY_WAIT if first else Verdict.IGNORE
