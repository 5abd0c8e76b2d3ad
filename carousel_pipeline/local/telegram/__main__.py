"""`python -m carousel_pipeline.local.telegram`: run the local Telegram until a signal ends it.

With `--port 0` a free port is taken; the address is printed as the first line on stdout in every case, for whoever started us.
"""

import argparse
import asyncio
import logging
import os
import re
import signal
import sys
from pathlib import Path

from aiohttp import web

from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.local.telegram.server import TelegramServer
from carousel_pipeline.local.telegram.state import World

_HOST = "127.0.0.1"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m carousel_pipeline.local.telegram", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--home", type=Path, required=True, help="folder for chats and files; they survive a restart")
    parser.add_argument("--token", help="the bot's token; default: TELEGRAM_BOT_TOKEN")
    parser.add_argument("--dagster-url", help="linked on the chat page")
    parser.add_argument("--realistic-limits", action="store_true", help="refuse what is faster than Telegram allows")
    return parser


async def _serve(arguments: argparse.Namespace, token: str) -> None:
    world = World(arguments.home, int(token.partition(":")[0]))
    server = TelegramServer(
        world, token, realistic_limits=arguments.realistic_limits, dagster_url=arguments.dagster_url
    )
    # No access log: its lines would hold the token.
    runner = web.AppRunner(server.application(), access_log=None, handle_signals=False, shutdown_timeout=0.5)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        await runner.setup()
        site = web.TCPSite(runner, _HOST, arguments.port)
        try:
            await site.start()
        except OSError:
            raise ConfigurationError(
                f"port {arguments.port} is taken; choose another --port, or 0 for a free one"
            ) from None
        port = runner.addresses[0][1]
        sys.stdout.write(f"http://{_HOST}:{port}\n")
        sys.stdout.flush()
        await stopped.wait()
    finally:
        await runner.cleanup()
        world.close()


def main() -> int:
    """Run the server; 2 when it cannot start, with the reason on stderr."""
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    token = arguments.token or os.environ.get("TELEGRAM_BOT_TOKEN", "")
    if not re.fullmatch(r"\d{1,19}:[A-Za-z0-9_-]{3,}", token):
        sys.stderr.write("--token (or TELEGRAM_BOT_TOKEN) looks like 123456789:letters_and_digits\n")
        return 2
    try:
        asyncio.run(_serve(arguments, token))
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
