"""Asking Telegram for its transactions, without aiogram's types: see `stars`."""

from collections.abc import Mapping, Sequence
from typing import Any

from carousel_pipeline import lean as _lean  # noqa: F401 (comes before every import of aiogram, see there)

# isort: split
from aiogram import Bot
from aiogram.methods import TelegramMethod

from carousel_pipeline.payments.reconcile import Fetch


class GetRawStarTransactions(TelegramMethod[dict[str, Any]]):
    """`getStarTransactions`, with the transactions as they came."""

    __returning__ = dict[str, Any]
    __api_method__ = "getStarTransactions"

    offset: int
    limit: int


def fetch_by(bot: Bot) -> Fetch:
    """Return a function that reads a page of the bot's transactions.

    It raises `aiogram.exceptions.AiogramError` when Telegram refuses or does not answer.
    """

    async def fetch(offset: int, limit: int) -> Sequence[Mapping[str, Any]]:
        page = await bot(GetRawStarTransactions(offset=offset, limit=limit))
        rows: Sequence[Mapping[str, Any]] = page.get("transactions") or []
        return rows

    return fetch
