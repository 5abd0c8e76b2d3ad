"""A server of the bot's on an address of its own, closed with the process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from carousel_pipeline.errors import ConfigurationError


@asynccontextmanager
async def listening(
    app: web.Application, address: tuple[str, int], setting: str, *, close_within_s: float
) -> AsyncIterator[None]:
    """Serve `app` until the block ends.

    Args:
        app: what answers.
        address: host and port.
        setting: where the address came from, for the words when it is taken.
        close_within_s: how long requests that have begun may take to end.

    Raises:
        ConfigurationError: the port is taken.
    """
    host, port = address
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=close_within_s)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise ConfigurationError(
                f"{setting}: {host}:{port} cannot be listened on ({error.strerror}); choose another port"
            ) from None
        yield
    finally:
        await runner.cleanup()
