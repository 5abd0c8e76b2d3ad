"""Did it arrive? One pure function from what Telegram or the network said to what may be done next.

Nothing may be sent again unless it is certain that nothing arrived: the Bot API has no idempotency key, and the predecessor
counted every answer as delivered (C3). A flood wait can hide in a 400 with half of the album already in the chat
(rubenlagus/TelegramBots#1520), so that 400 is *unknown*, not refused.
"""

from dataclasses import dataclass
from typing import Literal

import regex
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiohttp import ClientConnectorError

_UNFIT = regex.compile(
    r"too big|PHOTO_INVALID_DIMENSIONS|IMAGE_PROCESS_FAILED|PHOTO_SAVE_FILE_INVALID", regex.IGNORECASE
)
_UNKNOWN_FILE = regex.compile(r"wrong (?:file|remote file) identifier|wrong file_id|FILE_REFERENCE", regex.IGNORECASE)
_HIDDEN_FLOOD_WAIT = regex.compile(r"too many requests: retry after \d+", regex.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Arrived:
    """Telegram confirmed every item: message ids and the file ids of the largest sizes, in order."""

    message_ids: tuple[int, ...]
    file_ids: tuple[str, ...]
    kind: Literal["photo", "document"] = "photo"


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not delivered, and sending the same again is pointless; `reason` is a word for records and messages.

    `too_large` and `unknown_file` may be tried in another form: other bytes, or the bytes instead of a file id.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class WaitAndResend:
    """Certainly not delivered; may be sent again after `seconds`."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """May or may not have arrived: never sent again by itself, the user is asked."""

    reason: str


Outcome = Arrived | Refused | WaitAndResend | Unknown


def read_failure(error: Exception) -> Refused | WaitAndResend | Unknown:
    """Return what a failed send means.

    Raises:
        Exception: `error` itself, when it is nothing that a send can raise (a bug of ours).
    """
    match error:
        case TelegramRetryAfter():
            return WaitAndResend(float(error.retry_after), "flood_wait")
        case TelegramForbiddenError():
            return Refused("blocked")
        case TelegramEntityTooLarge():
            return Refused("too_large")
        case TelegramBadRequest():
            return _bad_request(error.message)
        case TelegramServerError():
            return Unknown("telegram_5xx")
        case TelegramNetworkError() if isinstance(error.__cause__, ClientConnectorError):
            return WaitAndResend(2.0, "not_connected")
        case TelegramNetworkError():
            return Unknown("connection_lost")
        case ClientDecodeError():
            return Unknown("unreadable_answer")
        case TelegramAPIError():
            return Refused("refused")
        case _:
            raise error


def _bad_request(message: str) -> Refused | Unknown:
    if _HIDDEN_FLOOD_WAIT.search(message):
        return Unknown("flood_wait_inside_album")
    if _UNFIT.search(message):
        return Refused("too_large")
    return Refused("unknown_file" if _UNKNOWN_FILE.search(message) else "refused")
