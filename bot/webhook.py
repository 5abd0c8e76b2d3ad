"""Updates over HTTPS instead of polling: any number of replicas at one address, nothing acknowledged before it is stored.

aiogram's own receiver answers 200 and works afterwards, so what a crash catches is lost; it calls a header with a letter beyond
ASCII an error of the server; and without a secret it lets everybody in. Here (C8):

- the secret is compared as bytes, in constant time, before a byte of the body is read; wrong, empty, missing or strange is 403;
- 200 means: stored, or not wanted. While the database is away the answer is 503 and Telegram comes again;
- a body has a length limit and a time limit, and what is no update is 400.

The process speaks plain HTTP: TLS ends at the proxy that TELEGRAM_WEBHOOK_URL names.
"""

import asyncio
import hmac
import json
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramBadRequest, TelegramRetryAfter, TelegramUnauthorizedError
from aiohttp import web
from psycopg_pool import PoolTimeout

from bot.errors import postpone
from bot.inbox import UNDERSTOOD, Inbox, well_formed
from bot.listening import listening
from carousel_pipeline.errors import ConfigurationError

_log = logging.getLogger(__name__)
SECRET_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 (a header's name)
_MAX_BODY: Final = 1024**2
_BODY_WITHIN_S: Final = 10.0
_CLOSE_WITHIN_S: Final = 10.0
_CONNECTIONS: Final = 40


class Webhook:
    """What answers Telegram's calls.

    Args:
        inbox: where updates go.
        path: the only path that is answered; the one of TELEGRAM_WEBHOOK_URL.
        secret: TELEGRAM_WEBHOOK_SECRET, at least 16 characters.
    """

    def __init__(self, inbox: Inbox, path: str, secret: str) -> None:
        self._inbox = inbox
        self._path = path or "/"
        self._secret = secret.encode()

    @property
    def route(self) -> web.RouteDef:
        """What the HTTP server has to answer; anything else is 404 or 405."""
        return web.post(self._path, self._receive)

    async def _receive(self, request: web.Request) -> web.Response:
        shown = request.headers.get(SECRET_HEADER, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(shown, self._secret):
            return _refused(web.HTTPForbidden.status_code)
        if (request.content_length or 0) > _MAX_BODY:
            return _refused(web.HTTPRequestEntityTooLarge.status_code)
        try:
            async with asyncio.timeout(_BODY_WITHIN_S):
                update: Any = json.loads(await request.read())
        except (ValueError, RecursionError):
            return _refused(web.HTTPBadRequest.status_code)
        except TimeoutError:
            return _refused(web.HTTPRequestTimeout.status_code)
        if not well_formed(update):
            return _refused(web.HTTPBadRequest.status_code)
        try:
            await self._inbox.accept([update])
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("an update was not stored, Telegram will come again: %s", type(error).__name__)
            return web.Response(status=503, headers={"Retry-After": "2"})
        return web.Response()


def _refused(status: int) -> web.Response:
    response = web.Response(status=status)
    # Nobody reads what is left of the body.
    response.force_close()
    return response


async def receive(
    bot: Bot, inbox: Inbox, *, url: str, secret: str, others: Sequence[web.RouteDef], address: tuple[str, int]
) -> None:
    """Listen on host and port, tell Telegram to come to `url`, and feed `inbox` for ever; `others` are answered beside.

    Replicas do the same with the same words. Stopping leaves the webhook set: the others go on, or updates wait at Telegram.

    Raises:
        ConfigurationError: the port is taken, Telegram refuses the address, or does not know the token.
    """
    async with _answering([Webhook(inbox, urlsplit(url).path, secret).route, *others], address):
        await _announce(bot, url, secret)
        _log.info("updates come by webhook")
        await asyncio.Event().wait()


async def answer_http(routes: Sequence[web.RouteDef], address: tuple[str, int]) -> None:
    """Answer `routes` on host and port for ever: what a bot that polls still has to hear over HTTP.

    Raises:
        ConfigurationError: the port is taken.
    """
    async with _answering(routes, address):
        await asyncio.Event().wait()


def _answering(routes: Sequence[web.RouteDef], address: tuple[str, int]) -> AbstractAsyncContextManager[None]:
    app = web.Application(client_max_size=_MAX_BODY)
    app.router.add_routes(routes)
    return listening(app, address, "TELEGRAM_WEBHOOK_LISTEN", close_within_s=_CLOSE_WITHIN_S)


async def _announce(bot: Bot, url: str, secret: str) -> None:
    failures = 0
    while True:
        try:
            await bot.set_webhook(
                url, secret_token=secret, allowed_updates=sorted(UNDERSTOOD), max_connections=_CONNECTIONS
            )
        except TelegramUnauthorizedError:
            raise ConfigurationError(
                "TELEGRAM_BOT_TOKEN is not known to Telegram: get a new one from @BotFather"
            ) from None
        except TelegramBadRequest as error:
            raise ConfigurationError(f"TELEGRAM_WEBHOOK_URL: Telegram refuses it: {error.message}") from None
        except AiogramError as error:
            failures += 1
            asked = float(error.retry_after) if isinstance(error, TelegramRetryAfter) else 0.0
            _log.warning("webhook not set (%s), trying again", type(error).__name__)
            await asyncio.sleep(max(asked, min(10.0, postpone(failures).total_seconds())))
        else:
            return
