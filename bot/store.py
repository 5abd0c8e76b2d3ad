"""The bot's only way to Postgres: each method is one call of a named query, in autocommit, as role led_bot.

No connection leaves a method in a transaction (C4, C6): there is none to leave, every step is one statement.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from bot.metrics import Figure
from bot.models import (
    Balance,
    Card,
    Draft,
    Knocked,
    Opened,
    Operation,
    OutboxItem,
    Person,
    Queue,
    Taken,
)
from bot.throttle import Limit
from carousel_pipeline.database import query
from carousel_pipeline.requests import Options

Pool = AsyncConnectionPool[psycopg.AsyncConnection[dict[str, Any]]]
Row = dict[str, Any]


class Store:
    """Named queries of `sql/queries/bot.sql` over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def _rows(self, name: str, **values: Any) -> list[Row]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query(f"bot.{name}"), values)
            return await cursor.fetchall() if cursor.description else []

    async def _one(self, name: str, **values: Any) -> Row:
        return (await self._rows(name, **values))[0]

    async def meet(self, tg: int, locale: str) -> Person:
        """Return the person behind a Telegram id, made on the first call; `locale` counts then only."""
        return Person.of(await self._one("meet", tg=tg, locale=locale))

    async def set_locale(self, tg: int, locale: str) -> None:
        """Speak `locale` with this person from now on."""
        await self._rows("set_locale", tg=tg, locale=locale)

    async def ping(self) -> None:
        """Ask the database anything, or raise what keeps it from answering."""
        async with self._pool.connection() as connection:
            await connection.execute(query("monitoring.ping"))

    async def figures(self) -> list[Figure]:
        """Return what `/metrics` shows of the database."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query("monitoring.figures"))
            return [Figure(row["name"], row["labels"], row["value"]) for row in await cursor.fetchall()]

    async def set_blocked(self, user: int, *, blocked: bool) -> None:
        """Note that a person blocked the bot, or writes again."""
        await self._rows("set_blocked", user=user, blocked=blocked)

    async def welcome(self, tg: int) -> bool:
        """Give the welcome credits once per account; False when they were given before."""
        return bool((await self._one("welcome", tg=tg))["granted"])

    async def referred(self, tg: int, code: str) -> bool:
        """Note who brought a new person; False when the person is not new, or there is no such link."""
        return bool((await self._one("referred", tg=tg, code=code))["bound"])

    async def balance(self, tg: int) -> Balance:
        """Return what a person may spend and what is held."""
        return Balance.of(await self._one("balance", tg=tg))

    async def statement(self, tg: int, limit: int) -> list[Operation]:
        """Return the last operations, newest first."""
        return [Operation.of(row) for row in await self._rows("statement", tg=tg, limit=limit)]

    async def inbox_put(self, bot: int, knocks: Sequence[Row], limit: Limit) -> list[Knocked]:
        """Store updates, each `{lane, essential, body}`, as far as the pace allows, and return what became of each."""
        pace = {"burst": limit.burst, "per_second": limit.per_second}
        return [Knocked.of(row) for row in await self._rows("inbox_put", bot=bot, updates=Jsonb(list(knocks)), **pace)]

    async def inbox_next(self, bot: int, lane: int, done: int | None, attempts: int) -> Taken | None:
        """Finish the update `done` and take the lane's next one; None when there is none or it has to wait."""
        rows = await self._rows("inbox_next", bot=bot, lane=lane, done=done, attempts=attempts)
        return Taken.of(rows[0]) if rows else None

    async def inbox_done(self, bot: int, ids: Sequence[int]) -> None:
        """Note that updates were answered and forget what they said."""
        await self._rows("inbox_done", bot=bot, ids=list(ids))

    async def inbox_postpone(self, bot: int, update: int, wait: timedelta) -> None:
        """Let an update be tried again after `wait`, without counting the attempt."""
        await self._rows("inbox_postpone", bot=bot, id=update, wait=wait)

    async def inbox_late(self, bot: int, attempts: int, limit: int) -> list[int]:
        """Return the lanes that have updates nobody answered in time."""
        return [row["lane"] for row in await self._rows("inbox_late", bot=bot, attempts=attempts, limit=limit)]

    async def inbox_forget(self) -> None:
        """Delete what is old enough that Telegram no longer redelivers it."""
        await self._rows("inbox_forget")

    async def draft_put(self, chat: int, message: int, tg: int, body: str) -> None:
        """Keep one message of a source until the pause."""
        await self._rows("draft_put", chat=chat, message=message, tg=tg, body=body)

    async def draft_edit(self, chat: int, message: int, body: str) -> bool:
        """Replace the text of a message that is still being collected; False when it is not."""
        return bool(await self._rows("draft_edit", chat=chat, message=message, body=body))

    async def draft_take(self, chat: int) -> list[Draft]:
        """Return what was collected in a chat, in the order it was written; it stays until `draft_drop`."""
        return [Draft.of(row) for row in await self._rows("draft_take", chat=chat)]

    async def draft_drop(self, chat: int, messages: Sequence[int]) -> None:
        """Forget collected messages."""
        await self._rows("draft_drop", chat=chat, messages=list(messages))

    async def draft_chats(self) -> list[int]:
        """Return the chats in which something waits, after a restart."""
        return [row["chat_id"] for row in await self._rows("draft_chats")]

    async def open_request(self, tg: int, chat: int, key: str, source: str, options: Options, message: int) -> Opened:
        """Open a request whose outline will be shown in `message`.

        Raises:
            psycopg.Error: SQLSTATE LC001 too many outlines today, LC002 one is being written, LD008 restricted.
        """
        wish = Jsonb(options.model_dump(mode="json"))
        row = await self._one(
            "open_request", tg=tg, chat=chat, client_key=key, source=source, options=wish, message=message
        )
        return Opened.of(row)

    async def open_child(self, tg: int, parent: UUID, options: Options, message: int) -> Opened:
        """Open another outline of the parent's source; `request_id` is None when the parent is not this person's.

        Raises:
            psycopg.Error: as `open_request`.
        """
        wish = Jsonb(options.model_dump(mode="json"))
        return Opened.of(await self._one("open_child", tg=tg, parent=parent, options=wish, message=message))

    async def confirm(self, tg: int, request: UUID, price: int) -> str:
        """Hold the price and send the request off: `confirmed`, `already`, `price_changed`, `not_ready` or `gone`.

        Raises:
            psycopg.Error: SQLSTATE LD007 not enough credits, LD008 restricted.
        """
        return str((await self._one("confirm", tg=tg, id=request, price=price))["verdict"])

    async def discard(self, tg: int, request: UUID) -> bool:
        """Give up an outline; False when it is not this person's or no longer an outline."""
        return bool((await self._one("discard", tg=tg, id=request))["discarded"])

    async def cancel(self, tg: int, request: UUID) -> str:
        """Stop a confirmed request before anything is sent; the ledger's verdict."""
        return str((await self._one("cancel", tg=tg, id=request))["verdict"])

    async def resolve(self, tg: int, request: UUID, *, got: bool) -> str:
        """Say whether an album arrived; the request's state after that, or `gone`."""
        return str((await self._one("resolve", tg=tg, id=request, got=got))["verdict"])

    async def card(self, request: UUID) -> Card | None:
        """Return everything to show about a request."""
        rows = await self._rows("card", id=request)
        return Card.of(rows[0]) if rows else None

    async def open_cards(self, tg: int) -> list[Card]:
        """Return a person's outlines of today and running carousels, newest first."""
        return [Card.of(row) for row in await self._rows("open_cards", tg=tg)]

    async def running_requests(self) -> list[UUID]:
        """Return the requests whose progress is being shown, after a restart."""
        return [row["id"] for row in await self._rows("running_cards")]

    async def queue(self, request: UUID) -> Queue:
        """Return a request's place and the usual time."""
        return Queue.of(await self._one("queue_place", id=request))

    async def message_put(self, request: UUID, kind: str, chat: int, message: int) -> None:
        """Note which message shows a request's outline, progress or control."""
        await self._rows("message_put", id=request, kind=kind, chat=chat, message=message)

    async def message_drop(self, request: UUID, kind: str) -> None:
        """Forget such a message."""
        await self._rows("message_drop", id=request, kind=kind)

    async def outbox_claim(self, topics: Sequence[str], limit: int, lease: timedelta) -> list[OutboxItem]:
        """Take due rows of `topics`; they come back after `lease` unless done."""
        rows = await self._rows("outbox_claim", topics=list(topics), limit=limit, lease=lease)
        return [OutboxItem.of(row) for row in rows]

    async def outbox_done(self, item: int) -> None:
        """Finish a row."""
        await self._rows("outbox_done", id=item)

    async def outbox_failed(self, item: int, error: str, retry_in: timedelta, attempts: int) -> None:
        """Give a row back for later; after `attempts` tries it is dead."""
        await self._rows("outbox_failed", id=item, error=error, retry_in=retry_in, attempts=attempts)

    async def due(self, limit: int, after: UUID | None) -> list[UUID]:
        """Return requests whose time is over, a page that follows the id `after`."""
        return [row["id"] for row in await self._rows("due", limit=limit, after=after)]

    async def settle_due(self, request: UUID) -> str:
        """Settle one of them: `released`, `asked`, `charged` or `waiting`."""
        return str((await self._one("settle_due", id=request))["verdict"])

    async def fail_stale_outlines(self, age: timedelta) -> int:
        """Give up outlines that nobody finished; return how many."""
        return int((await self._one("fail_stale_outlines", age=age))["failed"])
