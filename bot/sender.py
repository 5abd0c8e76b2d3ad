"""Everything the bot says goes out through here: per chat one call at a time, in order, at Telegram's pace.

A request middleware of aiogram's session, so a handler, the outbox and the progress board cannot get around it. What it knows:

- Telegram's limits are kept before it has to say so: see `pace`.
- 429 means wait exactly as long as asked, for this chat only; a flood wait also hides in the words of a 400. A short wait is
  waited for; a long one is told to the caller at once, and until it is over nobody asks Telegram about this chat again.
- "message is not modified" is success, whoever edited first. A group that became a supergroup is followed to its new id.
- A press that was answered before, or that nobody waits for any more, needs no answer: what its handler does next is done. (A
  press that a crash caught right after its answer was handled again, failed at answering, and left a hold nobody was told about.)
- What may safely be repeated (an edit, an answer, a look-up) is repeated after a network error or an HTML 502, which aiogram
  calls `ClientDecodeError`. A send is repeated only when it certainly never left; else the caller decides.
"""

import asyncio
import logging
import math
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiogram import Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.methods import TelegramMethod
from aiogram.methods.base import TelegramType

from bot.pace import EVERYBODY, PRIVATE, Bucket, Rate, cost_of, rate_of
from bot.polling import GetRawUpdates

_log = logging.getLogger(__name__)
_FLOOD: Final = re.compile(r"too many requests: retry after (\d+)", re.IGNORECASE)
_REPEATABLE: Final = ("get", "edit", "answer", "set", "delete")
_TRIES: Final = 4
_LONGEST_WAIT_S: Final = 10.0
_MANY_LANES: Final = 2_000


class _Lane:
    def __init__(self, rate: Rate) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
        self.not_before = 0.0
        self.bucket = Bucket(rate)

    def idle(self, now: float) -> bool:
        return self.users == 0 and self.not_before <= now and self.bucket.full


class Sender(BaseRequestMiddleware):
    """One queue per chat.

    Args:
        private: the pace of a private chat.
    """

    def __init__(self, private: Rate = PRIVATE) -> None:
        self._private = private
        self._lanes: dict[int | str, _Lane] = {}
        self._everybody = Bucket(EVERYBODY)
        self._moved: dict[int | str, int] = {}

    async def __call__(
        self, make_request: NextRequestMiddlewareType[TelegramType], bot: Bot, method: TelegramMethod[TelegramType]
    ) -> Any:
        """Send `method` when it is its turn.

        Raises:
            aiogram.exceptions.TelegramRetryAfter: not now, and not for long: nothing was sent.
            aiogram.exceptions.AiogramError: what Telegram answered, or that the outcome is unknown.
        """
        if method.__api_method__ == GetRawUpdates.__api_method__:
            return await make_request(bot, method)
        chat = getattr(method, "chat_id", None)
        if chat is None:
            return await self._send(make_request, bot, method, _Lane(self._private))
        if chat in self._moved:
            chat = self._moved[chat]
            method = method.model_copy(update={"chat_id": chat})
        async with self._turn(chat) as lane:
            return await self._send(make_request, bot, method, lane)

    def busy(self, chat: int) -> bool:
        """Whether something else waits to be said in `chat`, or it is too early for another message there."""
        lane = self._lanes.get(chat)
        return lane is not None and (lane.users > 0 or self.wait_of(chat) > 0)

    def wait_of(self, chat: int) -> float:
        """Return the seconds until another message may be sent to `chat`; those who wait there already not counted."""
        lane = self._lanes.get(chat)
        if lane is None:
            return 0.0
        return max(lane.bucket.wait(1), lane.not_before - asyncio.get_running_loop().time(), 0.0)

    @asynccontextmanager
    async def _turn(self, chat: int | str) -> AsyncIterator[_Lane]:
        lane = self._lanes.setdefault(chat, _Lane(rate_of(chat, self._private)))
        lane.users += 1
        try:
            async with lane.lock:
                yield lane
        finally:
            lane.users -= 1
            if len(self._lanes) > _MANY_LANES:
                now = asyncio.get_running_loop().time()
                self._lanes = {chat: lane for chat, lane in self._lanes.items() if not lane.idle(now)}

    async def _send(
        self,
        make_request: NextRequestMiddlewareType[TelegramType],
        bot: Bot,
        method: TelegramMethod[TelegramType],
        lane: _Lane,
    ) -> Any:
        loop = asyncio.get_running_loop()
        cost = cost_of(method)
        if cost:
            await asyncio.sleep(max(lane.bucket.take(cost), self._everybody.take(cost)))
        for attempt in range(1, _TRIES + 1):
            left = lane.not_before - loop.time()
            if left > _LONGEST_WAIT_S:
                raise TelegramRetryAfter(method, "Telegram asked to leave this chat alone", math.ceil(left))
            await asyncio.sleep(max(0.0, left))
            try:
                return await make_request(bot, method)
            except TelegramMigrateToChat as error:
                _log.info("a group became a supergroup")
                self._moved[getattr(method, "chat_id", 0)] = error.migrate_to_chat_id
                method = method.model_copy(update={"chat_id": error.migrate_to_chat_id})
            except (
                TelegramBadRequest,
                TelegramRetryAfter,
                TelegramNetworkError,
                TelegramServerError,
                ClientDecodeError,
            ) as error:
                if is_not_modified(error) or is_answered(error, method):
                    return True
                asked = flood_wait(error)
                if asked is not None:
                    lane.not_before = loop.time() + asked + _jitter()
                wait = retry_wait(error, method, attempt)
                if wait is None or attempt == _TRIES:
                    raise
                _log.info("%s waits %.1f s: %s", method.__api_method__, wait, type(error).__name__)
                lane.not_before = max(lane.not_before, loop.time() + wait)
        raise AssertionError("unreachable")  # pragma: no cover


def is_not_modified(error: Exception) -> bool:
    """Whether Telegram refused an edit because the message looks like that already."""
    return isinstance(error, TelegramBadRequest) and "message is not modified" in error.message


def is_answered(error: Exception, method: TelegramMethod[Any]) -> bool:
    """Whether Telegram refused an answer to a press because it got one already, or because the press is too old."""
    pressed = method.__api_method__ == "answerCallbackQuery"
    return pressed and isinstance(error, TelegramBadRequest) and "query is too old" in error.message


def flood_wait(error: Exception) -> float | None:
    """Return the seconds that Telegram asked to wait, said aloud or hidden in a 400; None when it did not."""
    if isinstance(error, TelegramRetryAfter):
        return float(error.retry_after)
    if isinstance(error, TelegramBadRequest) and (flood := _FLOOD.search(error.message)):
        return float(flood[1])
    return None


def retry_wait(error: Exception, method: TelegramMethod[Any], attempt: int) -> float | None:
    """Return the seconds to wait before `method` is sent again, None when it must not be.

    Args:
        error: what the `attempt`-th try ended with.
        method: the call.
        attempt: 1 for the first try.
    """
    asked = flood_wait(error)
    if asked is not None:
        # An album may be half sent when a 400 hides the wait: the one who sent it decides, see delivery.
        half_sent = isinstance(error, TelegramBadRequest) and method.__api_method__ == "sendMediaGroup"
        return None if half_sent else asked + _jitter()
    if isinstance(error, TelegramBadRequest | TelegramEntityTooLarge):
        return None
    never_left = isinstance(error.__cause__, aiohttp.ClientConnectorError)
    if never_left or method.__api_method__.startswith(_REPEATABLE):
        return 0.3 * float(2**attempt) + _jitter()
    return None


def _jitter() -> float:
    return random.uniform(0.05, 0.3)  # noqa: S311 (spreads retries, guards nothing)
