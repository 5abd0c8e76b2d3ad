"""The books of payments on a real database, and the ruble provider over a socket."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from carousel_pipeline.database import Role, async_pool, connect
from carousel_pipeline.payments import PACKS, StarsPaid
from carousel_pipeline.payments.books import Books
from carousel_pipeline.payments.yookassa import Shop, YooKassa

from .yookassa_server import SECRET, SHOP, Provider


class Shopkeeper:
    """The books with a few short words for what tests keep doing."""

    def __init__(self, url: str, books: Books) -> None:
        self.url = url
        self.books = books
        self._serial = itertools.count(1)

    def sql(self, statement: str, role: Role | None = None, /, **values: Any) -> list[dict[str, Any]]:
        with connect(self.url, role) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    async def order(self, tg: int, pack: str = "small") -> UUID:
        await self.books.agree(tg)
        order = await self.books.open_star_order(tg, PACKS[pack])
        assert order is not None
        return order

    def report(self, tg: int, order: UUID | None, stars: int = 100, charge: str | None = None) -> StarsPaid:
        return StarsPaid(tg, order, charge or f"stx{next(self._serial)}", stars, datetime.now(UTC))

    async def bought(self, tg: int, pack: str = "small") -> StarsPaid:
        report = self.report(tg, await self.order(tg, pack), PACKS[pack].stars)
        assert (await self.books.stars_paid(report, "notice")).verdict == "credited"
        return report

    def wallet(self, tg: int) -> tuple[int, int]:
        [row] = self.sql(
            "select available, debt from ledger.wallet join ledger.app_user on id = user_id where tg_user_id = %(tg)s",
            tg=tg,
        )
        return row["available"], row["debt"]

    def spend(self, tg: int, credits_: int) -> UUID:
        """Have a carousel of so many credits delivered."""
        key = f"tap-{next(self._serial)}"
        [row] = self.sql(
            "select * from ledger.reserve(%(tg)s, %(key)s, %(cost)s)", "led_bot", tg=tg, key=key, cost=credits_
        )
        request: UUID = row["request_id"]
        [claim] = self.sql("select * from ledger.claim(%(id)s, 'run')", "led_pipeline", id=request)
        self.sql("select ledger.rendered(%(id)s, %(fence)s)", "led_pipeline", id=request, fence=claim["fence"])
        [intent] = self.sql(
            "select * from ledger.delivery_begin(%(id)s, %(fence)s)", "led_pipeline", id=request, fence=claim["fence"]
        )
        self.sql("select ledger.delivery_end(%(id)s, 'sent', '{1}')", "led_pipeline", id=intent["delivery_id"])
        return request

    def topics(self) -> list[str]:
        return [row["topic"] for row in self.sql("select topic from ledger.outbox order by id")]


@pytest.fixture
async def till(database_url: str) -> AsyncIterator[Shopkeeper]:
    """The books; whatever a test does to them, the ledger's invariants hold at its end."""
    async with async_pool(database_url, "led_pay", max_size=10) as pool:
        keeper = Shopkeeper(database_url, Books(pool))
        yield keeper
    assert keeper.sql("select * from ledger.invariant_violation") == []


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with Provider().running() as server:
        yield server


@pytest.fixture
async def yookassa(provider: Provider) -> AsyncIterator[YooKassa]:
    async with aiohttp.ClientSession() as http:
        yield YooKassa(http, Shop(SHOP, SECRET), provider.url, pause_s=0.01)
