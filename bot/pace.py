"""Telegram's published pace as buckets: what may be sent now, and how long the rest has to wait. Pure but for the clock.

Telegram says: about one message a second in a chat with short bursts, 20 a minute in a group, 30 a second over all chats. A
bucket that holds B and refills with R a second never lets through more than B + R·t in any t seconds; the figures keep that.

The budget is one process's. Only a broadcast could fill 30 a second for long, and it runs on one replica at a time and leaves
room (see `broadcast`); what replicas say beside it is far below, and Telegram's own 429 is obeyed to the second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from aiogram.methods import SendMediaGroup, TelegramMethod

_COUNTED: Final = ("send", "edit", "copy", "forward")


@dataclass(frozen=True)
class Rate:
    """A bucket's size and what comes into it a second."""

    burst: float
    per_second: float


EVERYBODY: Final = Rate(burst=5, per_second=25)
PRIVATE: Final = Rate(burst=15, per_second=1)
GROUP: Final = Rate(burst=5, per_second=0.25)


class Bucket:
    """Tokens for messages; it may be overdrawn, and then whoever comes waits until it is paid back.

    Args:
        rate: how many and how fast.
        clock: seconds, never going back.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._level = rate.burst
        self._at = clock()

    def take(self, cost: float) -> float:
        """Take tokens and return the seconds to wait before they may be used."""
        self._refill()
        self._level -= cost
        return max(0.0, -self._level / self._rate.per_second)

    def wait(self, cost: float) -> float:
        """Return what `take` would, without taking."""
        self._refill()
        return max(0.0, (cost - self._level) / self._rate.per_second)

    @property
    def full(self) -> bool:
        """Whether it is as if never used."""
        self._refill()
        return self._level >= self._rate.burst

    def _refill(self) -> None:
        now = self._clock()
        self._level = min(self._rate.burst, self._level + (now - self._at) * self._rate.per_second)
        self._at = now


def cost_of(method: TelegramMethod[Any]) -> int:
    """Return how many messages a call is: every item of an album is one, an answer to a button or a "typing" is none."""
    name = method.__api_method__
    if not name.startswith(_COUNTED) or name == "sendChatAction":
        return 0
    return len(method.media) if isinstance(method, SendMediaGroup) else 1


def rate_of(chat: int | str, private: Rate = PRIVATE) -> Rate:
    """Return the pace of a chat; groups and channels have negative ids or names."""
    return private if isinstance(chat, int) and chat > 0 else GROUP
