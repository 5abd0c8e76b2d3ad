"""The payment room put together: what the rest of the bot needs of it, and nothing more."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiogram import Bot
from aiogram.types import User
from aiohttp import web

from bot.outbox import Work
from bot.payments.cashier import Window
from bot.payments.desk import Desk
from bot.payments.notices import PaymentNotices
from bot.payments.reconciler import Reconciler
from bot.payments.till import Till
from bot.payments.webhook import routes
from bot.store import Store
from carousel_pipeline.database import async_pool
from carousel_pipeline.networks import networks
from carousel_pipeline.payments.books import Books
from carousel_pipeline.payments.reconcile import cursor_of
from carousel_pipeline.payments.telegram import fetch_by
from carousel_pipeline.payments.yookassa import API, Shop, YooKassa
from carousel_pipeline.settings import Settings

_CONNECTIONS = 6


@dataclass(frozen=True, slots=True)
class Payments:
    """An open payment room.

    Attributes:
        cashier: takes updates about money, before they are acknowledged.
        till: enters what the cashier stored.
        desk: what handlers work with.
        works: its topics of the outbox.
        tasks: what runs for ever, by name.
        routes: of the ruble provider's notifications; empty when rubles are off.
    """

    cashier: Window
    till: Till
    desk: Desk
    works: Mapping[str, Work]
    tasks: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]
    routes: Sequence[web.RouteDef]

    async def drain(self) -> None:
        """Finish what was begun."""
        await self.cashier.drain()
        await self.till.drain()


@asynccontextmanager
async def open_payments(
    bot: Bot, me: User, settings: Settings, http: aiohttp.ClientSession, store: Store, every_s: float
) -> AsyncIterator[Payments]:
    """Open the room on connections of role led_pay.

    Args:
        bot: Telegram.
        me: who the bot is.
        settings: the database, and what is switched on.
        http: for the ruble provider.
        store: the rest of the bot's database.
        every_s: seconds between two reconciliations.
    """
    database = settings.database_url.get_secret_value() if settings.database_url else ""
    yookassa = ruble_provider(settings, http)
    async with async_pool(database, "led_pay", max_size=_CONNECTIONS) as pool:
        books = Books(pool)
        till = Till(books, yookassa)
        reconciler = Reconciler(fetch_by(bot), cursor_of(bot.id), books, yookassa, every_s)
        proxies = networks(settings.yookassa_trusted_proxies or "")
        yield Payments(
            cashier=Window(bot, books, till.hint),
            till=till,
            desk=Desk(books, me.username or "", settings.stars_subscriptions, yookassa, settings.support_contact),
            works=PaymentNotices(bot, books, store, reconciler.now).works,
            tasks={"till": till.run, "reconciler": reconciler.run},
            routes=routes(books, till.hint, proxies) if yookassa else (),
        )


def ruble_provider(settings: Settings, http: aiohttp.ClientSession) -> YooKassa | None:
    """Return the ruble provider, None when it is off."""
    if settings.yookassa_shop_id is None or settings.yookassa_secret_key is None:
        return None
    shop = Shop(
        settings.yookassa_shop_id,
        settings.yookassa_secret_key.get_secret_value(),
        settings.yookassa_tax_system,
        settings.yookassa_vat_code,
    )
    return YooKassa(http, shop, settings.yookassa_api_url or API)
