"""Telegram's list of transactions against the books, by the pipeline: it may look and say, it may not credit.

Whoever breaks into the process that reads strangers' pictures must not be able to mint credits. So what is missing is named in
the database, and the bot, which may credit, asks Telegram itself.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from psycopg import Connection
from psycopg.types.json import Jsonb

from carousel_pipeline.database import Row, query
from carousel_pipeline.payments.books import Health
from carousel_pipeline.payments.reconcile import Fetch, cursor_of, walk
from carousel_pipeline.payments.stars import StarsPaid

PATIENCE: Final = timedelta(minutes=10)
"""How long the bot may take to enter what Telegram lists: the goal for a payment whose report was lost."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What a look found.

    Attributes:
        seen: transactions that were compared.
        missing: those that the books did not have; the bot was asked to look.
        overdue: those of them that are older than `PATIENCE`.
        health: what waits for a human.
    """

    seen: int
    missing: int
    overdue: int
    health: Health


async def audit_stars(fetch: Fetch, books: Connection[Row], bot_id: int) -> Audit:
    """Compare what Telegram lists since the last look that found nothing missing.

    Args:
        fetch: asks Telegram.
        books: a connection of role led_pipeline.
        bot_id: whose list it is.

    Raises:
        TransactionsError: the list cannot be read.
        psycopg.Error: the database is away or refuses.
    """
    cursor = {"name": f"{cursor_of(bot_id)}:audit"}
    [start] = books.execute(query("payments.cursor_at"), cursor).fetchall()
    late = datetime.now(UTC) - PATIENCE
    seen = missing = overdue = 0
    async for behind, page in walk(fetch, start["position"]):
        events = [(one.event, one.at) for one in page if one.event is not None]
        rows = [
            {"charge": event.charge, "direction": "in" if isinstance(event, StarsPaid) else "out"}
            for event, _ in events
        ]
        lacking = [row["n"] for row in books.execute(query("payments.stars_audit"), {"seen": Jsonb(rows)})]
        seen += len(page)
        missing += len(lacking)
        overdue += sum(events[number - 1][1] < late for number in lacking)
        if not missing:
            books.execute(query("payments.cursor_to"), {**cursor, "position": behind})
    [health] = books.execute(query("payments.health")).fetchall()
    return Audit(seen, missing, overdue, Health(**health))
