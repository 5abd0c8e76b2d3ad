"""Waiting for something to change, without polling."""

import asyncio


class Signal:
    """Wakes everybody who waits, every time it is set off."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def set_off(self) -> None:
        """Wake all who wait now."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    async def wait(self, timeout_s: float) -> bool:
        """Wait for the next `set_off`; false when `timeout_s` seconds passed first."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await asyncio.wait_for(waiter, timeout_s)
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._waiting.discard(waiter)
