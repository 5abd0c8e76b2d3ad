"""Everything the bot says goes out through here: per chat one call at a time, in order, at Telegram's pace.

A request middleware of aiogram's session, so a handler, the outbox and the progress board cannot get around it. What it knows:

- 429 means wait exactly as long as asked, for this chat only; a flood wait also hides in the words of a 400.
- "message is not modified" is success, whoever edited first.
- What may safely be repeated (an edit, an answer, a look-up) is repeated after a network error or an HTML 502, which aiogram
  calls `ClientDecodeError`. A send is repeated only when it certainly never left; else the caller decides.
"""

import asyncio
import logging
import random
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from aiogram import Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.methods import TelegramMethod
from aiogram.methods.base import TelegramType

from bot.polling import GetRawUpdates

_log = logging.getLogger(__name__)
_FLOOD: Final = re.compile(r"too many requests: retry after (\d+)", re.IGNORECASE)
_REPEATABLE: Final = ("get", "edit", "answer", "set", "delete")
_TRIES: Final = 4
_LONGEST_WAIT_S: Final = 120.0


@dataclass
class _Lane:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    not_before: float = 0.0


class Sender(BaseRequestMiddleware):
    """One queue per chat."""

    def __init__(self) -> None:
        self._lanes: defaultdict[int | str, _Lane] = defaultdict(_Lane)

    async def __call__(
        self, make_request: NextRequestMiddlewareType[TelegramType], bot: Bot, method: TelegramMethod[TelegramType]
    ) -> Any:
        """Send `method` when it is its turn.

        Raises:
            aiogram.exceptions.AiogramError: what Telegram answered, or that the outcome is unknown.
        """
        if method.__api_method__ == GetRawUpdates.__api_method__:
            return await make_request(bot, method)
        chat = getattr(method, "chat_id", None)
        if chat is None:
            return await self._send(make_request, bot, method, _Lane())
        async with self._turn(chat) as lane:
            return await self._send(make_request, bot, method, lane)

    def busy(self, chat: int) -> bool:
        """Whether something else waits to be said in `chat`, or Telegram asked to be left alone there."""
        return chat in self._lanes

    @asynccontextmanager
    async def _turn(self, chat: int | str) -> AsyncIterator[_Lane]:
        lane = self._lanes[chat]
        lane.users += 1
        try:
            async with lane.lock:
                yield lane
        finally:
            lane.users -= 1
            if lane.users == 0:
                self._lanes.pop(chat, None)

    async def _send(
        self,
        make_request: NextRequestMiddlewareType[TelegramType],
        bot: Bot,
        method: TelegramMethod[TelegramType],
        lane: _Lane,
    ) -> Any:
        loop = asyncio.get_running_loop()
        for attempt in range(1, _TRIES + 1):
            await asyncio.sleep(max(0.0, lane.not_before - loop.time()))
            try:
                return await make_request(bot, method)
            except (
                TelegramBadRequest,
                TelegramRetryAfter,
                TelegramNetworkError,
                TelegramServerError,
                ClientDecodeError,
            ) as error:
                if is_not_modified(error):
                    return True
                wait = retry_wait(error, method, attempt)
                if wait is None or attempt == _TRIES:
                    raise
                _log.info("%s waits %.1f s: %s", method.__api_method__, wait, type(error).__name__)
                lane.not_before = loop.time() + wait
        raise AssertionError("unreachable")  # pragma: no cover


def is_not_modified(error: Exception) -> bool:
    """Whether Telegram refused an edit because the message looks like that already."""
    return isinstance(error, TelegramBadRequest) and "message is not modified" in error.message


def retry_wait(error: Exception, method: TelegramMethod[Any], attempt: int) -> float | None:
    """Return the seconds to wait before `method` is sent again, None when it must not be.

    Args:
        error: what the `attempt`-th try ended with.
        method: the call.
        attempt: 1 for the first try.
    """
    jitter = random.uniform(0.05, 0.3)  # noqa: S311 (spreads retries, guards nothing)
    if isinstance(error, TelegramRetryAfter):
        return float(error.retry_after) + jitter if error.retry_after <= _LONGEST_WAIT_S else None
    if isinstance(error, TelegramBadRequest):
        flood = _FLOOD.search(error.message)
        # An album may be half sent by then: the one who sent it decides, see delivery.
        if flood is None or method.__api_method__ == "sendMediaGroup":
            return None
        return float(flood[1]) + jitter
    if isinstance(error, TelegramEntityTooLarge):
        return None
    never_left = isinstance(error.__cause__, aiohttp.ClientConnectorError)
    if never_left or method.__api_method__.startswith(_REPEATABLE):
        return 0.3 * float(2**attempt) + jitter
    return None
