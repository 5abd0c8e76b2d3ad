"""The operators' way to Postgres: role led_house, which can do this and nothing else.

The bot's own role has none of it: whatever strangers can reach cannot give credits away. Every deed names who did it and why, and
becomes a row of ledger.ops_action in the same transaction; gifts have a cap a day in the database.
"""

import uuid
from typing import Any, Literal
from uuid import UUID

from bot.house.models import Brief, BroadcastDraft, BroadcastFigures, Moment, Numbers, Someone
from bot.store import Pool
from carousel_pipeline.database import query

Audience = Literal["all", "en", "ru"]


class House:
    """What operators may ask and do.

    Args:
        admins: their Telegram ids; empty: nobody may, and `pool` need not be open.
        pool: connections of role led_house.
        dagster: address of Dagster's pages, without a slash at the end.
    """

    def __init__(self, admins: frozenset[int], pool: Pool, dagster: str) -> None:
        self.admins = admins
        self.dagster = dagster
        self._pool = pool

    async def _rows(self, name: str, **values: Any) -> list[dict[str, Any]]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query(f"house.{name}"), values)
            return await cursor.fetchall()

    async def numbers(self) -> Numbers:
        """Return today's figures."""
        return Numbers.of((await self._rows("numbers"))[0])

    async def person(self, tg: int) -> Someone | None:
        """Return the person behind a Telegram id, None when nobody with it has ever written."""
        rows = await self._rows("person", tg=tg)
        return Someone.of(rows[0]) if rows else None

    async def requests_of(self, tg: int, limit: int) -> list[Brief]:
        """Return a person's last requests, newest first."""
        return [Brief.of(row) for row in await self._rows("requests_of", tg=tg, limit=limit)]

    async def requests_from(self, beginning: str) -> list[Brief]:
        """Return the requests whose id begins so, at most two.

        Args:
            beginning: up to 32 hexadecimal digits without dashes.
        """
        low, high = beginning.ljust(32, "0"), beginning.ljust(32, "f")
        return [Brief.of(row) for row in await self._rows("requests_from", low=uuid.UUID(low), high=uuid.UUID(high))]

    async def story(self, request: UUID, limit: int) -> list[Moment]:
        """Return what happened to a request, newest first."""
        return [Moment.of(row) for row in await self._rows("story", id=request, limit=limit)]

    async def grant(self, admin: int, tg: int, gift: int, key: str, reason: str) -> str:
        """Give credits: `given`, `already` (the same key), `cap`, or `unknown`."""
        row = await self._rows("grant", admin=admin, tg=tg, credits=gift, key=key, reason=reason)
        return str(row[0]["verdict"])

    async def refund(self, admin: int, request: UUID, reason: str) -> str:
        """Give back what is held, or give anew what was charged: `released`, `given`, `already`, `cap` or `nothing`."""
        return str((await self._rows("refund", admin=admin, id=request, reason=reason))[0]["verdict"])

    async def set_ban(self, admin: int, tg: int, reason: str, *, banned: bool) -> bool:
        """Ban somebody or let them in again; False when it is so already."""
        rows = await self._rows("set_ban", admin=admin, tg=tg, banned=banned, reason=reason)
        return bool(rows[0]["changed"])

    async def draft(self, admin: int, key: str, body: str) -> BroadcastDraft:
        """Keep a text that may be told; the same key is the same draft."""
        return BroadcastDraft.of((await self._rows("draft", admin=admin, key=key, body=body))[0])

    async def start(
        self, admin: int, broadcast: int, audience: Audience, reason: str, *, chat: int, message: int
    ) -> bool:
        """Begin to tell it; `message` in `chat` will show how far it is. False: it is no draft of this admin any more."""
        rows = await self._rows(
            "start", admin=admin, id=broadcast, audience=audience, reason=reason, chat=chat, message=message
        )
        return bool(rows[0]["started"])

    async def stop(self, admin: int, broadcast: int) -> bool:
        """Stop at once; False: it is over already."""
        return bool((await self._rows("stop", admin=admin, id=broadcast))[0]["stopped"])

    async def figures(self, broadcast: int) -> BroadcastFigures | None:
        """Return how far a broadcast is."""
        rows = await self._rows("figures", id=broadcast)
        return BroadcastFigures.of(rows[0]) if rows else None
