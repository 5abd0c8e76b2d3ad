"""How often one person may knock: a bucket of tokens each, for every kind of update (M5), kept in Postgres for all replicas.

The database decides, in the statement that stores the update (`bot.inbox_put`): only what is let in costs a token, so knocking on
while locked out never makes it longer (m35), and a bucket is a locked row, so a burst that arrives at two replicas at once is
counted exactly (m36). Here is only what spares the database the question when its answer is known: after a refusal, until the
moment the next token comes. Nothing can make that moment earlier, so this is exact too.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import Final

_KEPT: Final = 20_000


@dataclass(frozen=True)
class Limit:
    """How fast one person may be.

    Attributes:
        burst: updates at once; a long text comes as five messages, a forwarded thread as a dozen.
        per_second: how many more a second.
    """

    burst: int = 30
    per_second: float = 1.5


class Verdict(StrEnum):
    """What becomes of an update that knocks; of a rush that is refused the first is told so, the others are not."""

    LET_IN = "let_in"
    SAY_WAIT = "say_wait"
    IGNORE = "ignore"
    KNOWN = "known"


class Lockouts:
    """Who has been refused, and until when asking again is useless.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self._until: OrderedDict[int, float] = OrderedDict()

    def holds(self, lane: int) -> bool:
        """Whether no token can have come since the last refusal."""
        return self.clock() < self._until.get(lane, 0.0)

    def refused(self, lane: int, asked_at: float, wait_s: float) -> None:
        """Remember a refusal.

        Args:
            lane: whose.
            asked_at: the clock before the database was asked: it decided later, so this never overshoots.
            wait_s: seconds until the next token.
        """
        self._until[lane] = asked_at + wait_s
        self._until.move_to_end(lane)
        while len(self._until) > _KEPT:
            self._until.popitem(last=False)
