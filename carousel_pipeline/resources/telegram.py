"""The plain Telegram client of the delivery step."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import dagster as dg

from carousel_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from aiogram import Bot


class Telegram(dg.ConfigurableResource[None]):
    """Opens a client for the bot that the settings name."""

    @asynccontextmanager
    async def client(self) -> AsyncIterator["Bot"]:
        """Open a client whose session is closed on the way out."""
        from carousel_pipeline.delivery import telegram_bot  # noqa: PLC0415 - aiogram costs seconds; only a run pays them
        from carousel_pipeline.settings import get_settings  # noqa: PLC0415 - read in the run process, never at import

        settings = get_settings()
        if settings.telegram_bot_token is None:
            raise ConfigurationError("TELEGRAM_BOT_TOKEN is not set: nothing can be delivered")
        bot = telegram_bot(settings.telegram_bot_token.get_secret_value(), settings.telegram_api_url)
        try:
            yield bot
        finally:
            await bot.session.close()
