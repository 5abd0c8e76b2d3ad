"""Where YooKassa's notifications arrive: checked, stored, answered; what they mean is asked later (`till`).

Two wrongs are ruled out: believing what anybody can write, and refusing everything for want of a signature that is never sent.
"""

import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

import psycopg
from aiohttp import web
from psycopg_pool import PoolTimeout

from carousel_pipeline.networks import Network, sender
from carousel_pipeline.payments.books import Books
from carousel_pipeline.payments.notifications import MAX_BODY, NotificationError, genuine, read_notification

_log = logging.getLogger(__name__)
PATH: Final = "/yookassa"


def routes(books: Books, stored: Callable[[], None], proxies: Sequence[Network]) -> list[web.RouteDef]:
    """Return the routes of the ruble provider, for the bot's HTTP server.

    Args:
        books: where notifications are stored.
        stored: called when one was.
        proxies: our own, whose word about a request's origin is taken.
    """

    async def notified(request: web.Request) -> web.Response:
        address = sender(request.remote, request.headers.getall("X-Forwarded-For", []), proxies)
        if not genuine(address):
            # Not a line each: whoever knocks all day must not fill the log.
            _log.debug("a notification from an address that is not YooKassa's was refused")
            return _refused(HTTPStatus.FORBIDDEN)
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY:
                return _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            notice = read_notification(bytes(body))
        except NotificationError:
            return _refused(HTTPStatus.BAD_REQUEST)
        try:
            await books.keep("yk_webhook", notice.key, {"event": notice.event, "payment": notice.payment})
        except (psycopg.OperationalError, PoolTimeout) as error:
            # It will come again, for a day.
            _log.warning("a notification was not stored: %s", type(error).__name__)
            return _refused(HTTPStatus.SERVICE_UNAVAILABLE)
        stored()
        return web.Response()

    return [web.post(PATH, notified)]


def _refused(status: HTTPStatus) -> web.Response:
    response = web.Response(status=status)
    response.force_close()
    return response
