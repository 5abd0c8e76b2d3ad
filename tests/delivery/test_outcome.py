"""What a failed send means: refused, to be sent again, or unknown. One row per class of failure (C3)."""

import pytest
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import SendMediaGroup
from aiohttp import ClientConnectorError, ServerDisconnectedError
from aiohttp.client_reqrep import ConnectionKey

from carousel_pipeline.delivery import Refused, Unknown, WaitAndResend, read_failure

METHOD = SendMediaGroup(chat_id=1, media=[])
KEY = ConnectionKey("127.0.0.1", 1, is_ssl=False, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)


def network_error(cause: BaseException) -> TelegramNetworkError:
    error = TelegramNetworkError(METHOD, "network")
    error.__cause__ = cause
    return error


@pytest.mark.finding("C3")
@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (TelegramRetryAfter(METHOD, "flood", 7), WaitAndResend(7.0, "flood_wait")),
        (TelegramForbiddenError(METHOD, "bot was blocked by the user"), Refused("blocked")),
        (TelegramEntityTooLarge(METHOD, "too large"), Refused("too_large")),
        (TelegramBadRequest(METHOD, "Bad Request: PHOTO_INVALID_DIMENSIONS"), Refused("too_large")),
        (TelegramBadRequest(METHOD, "Bad Request: wrong file identifier/HTTP URL specified"), Refused("unknown_file")),
        (TelegramBadRequest(METHOD, "Bad Request: chat not found"), Refused("refused")),
        (TelegramUnauthorizedError(METHOD, "Unauthorized"), Refused("refused")),
        (
            TelegramBadRequest(
                METHOD, 'failed to send message #1 with the error message "Too Many Requests: retry after 8"'
            ),
            Unknown("flood_wait_inside_album"),
        ),
        (TelegramServerError(METHOD, "Bad Gateway"), Unknown("telegram_5xx")),
        (network_error(TimeoutError()), Unknown("connection_lost")),
        (network_error(ServerDisconnectedError()), Unknown("connection_lost")),
        (network_error(ClientConnectorError(KEY, OSError(111, "refused"))), WaitAndResend(2.0, "not_connected")),
        (ClientDecodeError("not json", ValueError("x"), "<html>"), Unknown("unreadable_answer")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failed_send_is_read_as(error: Exception, meaning: Refused | Unknown | WaitAndResend) -> None:
    assert read_failure(error) == meaning


def test_a_bug_of_ours_is_not_taken_for_an_answer() -> None:
    with pytest.raises(ZeroDivisionError):
        read_failure(ZeroDivisionError())
