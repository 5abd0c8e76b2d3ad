"""Long polling that acknowledges an update only when it is stored.

aiogram's own polling moves the offset on before a handler ran, so a crash loses what was in memory; and one update it cannot
parse makes the whole batch unreadable for ever. Here updates are plain JSON until stored, then parsed one by one.
"""

import asyncio
import logging
from typing import Any, Final

import psycopg
from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramConflictError, TelegramRetryAfter, TelegramUnauthorizedError
from aiogram.methods import TelegramMethod
from psycopg_pool import PoolTimeout

from bot.errors import SecondPollerError, postpone
from bot.inbox import UNDERSTOOD, Inbox
from carousel_pipeline.errors import ConfigurationError

_log = logging.getLogger(__name__)
_WAIT_S: Final = 25
_CONFLICTS: Final = 8


class GetRawUpdates(TelegramMethod[list[dict[str, Any]]]):
    """`getUpdates`, with the updates as they came."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int | None = None
    timeout: int = _WAIT_S
    limit: int = 100
    allowed_updates: tuple[str, ...] = tuple(sorted(UNDERSTOOD))


async def poll(bot: Bot, inbox: Inbox) -> None:
    """Feed `inbox` for ever.

    Raises:
        ConfigurationError: Telegram does not know the token.
        SecondPollerError: somebody else keeps polling with the same token.
    """
    offset: int | None = None
    failures = conflicts = 0
    while True:
        try:
            updates = await bot(GetRawUpdates(offset=offset), request_timeout=_WAIT_S + 15)
            await inbox.accept(updates)
        except TelegramUnauthorizedError:
            raise ConfigurationError(
                "TELEGRAM_BOT_TOKEN is not known to Telegram: get a new one from @BotFather"
            ) from None
        except TelegramConflictError:
            # A process that was killed a moment ago may still have its last question open at Telegram's side.
            conflicts += 1
            if conflicts > _CONFLICTS:
                raise SecondPollerError(
                    "another process polls with TELEGRAM_BOT_TOKEN: stop it, or use the webhook"
                ) from None
            await asyncio.sleep(1.0)
        except (AiogramError, psycopg.OperationalError, PoolTimeout, OSError) as error:
            failures += 1
            asked = float(error.retry_after) if isinstance(error, TelegramRetryAfter) else 0.0
            wait = max(asked, min(5.0, postpone(failures).total_seconds() / 2))
            _log.warning("no updates (%s), asking again in %.1f s", type(error).__name__, wait)
            await asyncio.sleep(wait)
        else:
            failures = conflicts = 0
            if updates:
                offset = max(update["update_id"] for update in updates) + 1
