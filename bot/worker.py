"""Rows that wait in Postgres, worked on side by side: claim a few, do them, be woken or look again.

A row that nobody finished comes back by itself when its lease is over, so a lost database or a stopped process loses nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

import psycopg
from psycopg_pool import PoolTimeout

_log = logging.getLogger(__name__)
_POLL_S: Final = 1.0

Item = TypeVar("Item")


class Worker(Generic[Item]):
    """Does `do` for each row that `claim` gives out.

    Args:
        name: of the rows, for the log.
        claim: takes at most so many rows under a lease.
        do: works on one row; handles its own errors.
        parallel: how many rows at once.
    """

    def __init__(
        self,
        name: str,
        claim: Callable[[int], Awaitable[Sequence[Item]]],
        do: Callable[[Item], Awaitable[None]],
        *,
        parallel: int,
    ) -> None:
        self._name = name
        self._claim = claim
        self._do = do
        self._parallel = parallel
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def hint(self) -> None:
        """Hear that a row was written."""
        self._news.set()

    async def run(self) -> None:
        """Work for ever."""
        while True:
            self._news.clear()
            try:
                while await self._take():
                    pass
            except (psycopg.OperationalError, PoolTimeout) as error:
                _log.warning("%s not reachable: %s", self._name, type(error).__name__)
            await heard(self._news, _POLL_S)

    async def drain(self) -> None:
        """Wait for what was begun."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self) -> bool:
        room = self._parallel - len(self._tasks)
        if room <= 0:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            return True
        items = await self._claim(room)
        for item in items:
            task = asyncio.ensure_future(self._do(item))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(items) == room


async def heard(news: asyncio.Event, within_s: float) -> None:
    """Return at news, or when `within_s` seconds have passed without."""
    try:
        async with asyncio.timeout(within_s):
            await news.wait()
    except TimeoutError:
        return
