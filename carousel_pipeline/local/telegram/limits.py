"""Telegram's published pace, switched on when wanted: about one message a second per chat with short bursts, 30 a second in all.

Every album item counts as a message. The exact limits are not published; these are the documented ones.
"""

import math
import time
from typing import Final

from carousel_pipeline.local.telegram.refusals import too_many_requests

_PER_CHAT_PER_S: Final = 1.0
_CHAT_BURST: Final = 20.0
_TOTAL_PER_S: Final = 30.0


class _Bucket:
    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst, self._level, self._at = rate, burst, burst, time.monotonic()

    def wait_s(self, cost: int) -> float:
        now = time.monotonic()
        self._level, self._at = min(self._burst, self._level + (now - self._at) * self._rate), now
        return max(0.0, (min(cost, self._burst) - self._level) / self._rate)

    def take(self, cost: int) -> None:
        self._level -= cost


class Limits:
    """Counts what the bot sends.

    Args:
        active: whether to refuse what is too fast.
    """

    def __init__(self, *, active: bool) -> None:
        self.active = active
        self._chats: dict[int, _Bucket] = {}
        self._total = _Bucket(_TOTAL_PER_S, _TOTAL_PER_S)

    def spend(self, chat_id: int, messages: int = 1) -> None:
        """Count `messages` to a chat.

        Raises:
            RefusedError: 429 with the seconds to wait.
        """
        if not self.active:
            return
        chat = self._chats.setdefault(chat_id, _Bucket(_PER_CHAT_PER_S, _CHAT_BURST))
        wait_s = max(chat.wait_s(messages), self._total.wait_s(messages))
        if wait_s > 0:
            raise too_many_requests(math.ceil(wait_s))
        chat.take(messages)
        self._total.take(messages)
