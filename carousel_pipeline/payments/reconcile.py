"""Reading Telegram's own list of transactions and entering what the books do not have.

Updates get lost: a crash after the acknowledgement, a day of downtime, a webhook that points nowhere. The list does not. So every
few minutes, and at every start, what came since the last look is compared, from one page before it, because nobody says that the
list is stable while it grows. The position moves only after a page is entered.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carousel_pipeline.payments.books import Books
from carousel_pipeline.payments.stars import PAGE, StarsPaid, Transaction, read_transactions

Fetch = Callable[[int, int], Awaitable[Sequence[Mapping[str, Any]]]]
"""Telegram's transactions after an offset, at most so many, oldest first."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a walk found.

    Attributes:
        seen: transactions that were looked at.
        verdicts: how often the books answered what; `credited` and `charged_back` are reports that had been lost.
    """

    seen: int
    verdicts: Mapping[str, int]


async def walk(fetch: Fetch, position: int) -> AsyncIterator[tuple[int, list[Transaction]]]:
    """Yield pages of transactions with how many are behind their end, from one page before `position` to the newest.

    Raises:
        TransactionsError: the list cannot be read.
    """
    offset = max(0, position - PAGE)
    page = read_transactions(await fetch(offset, PAGE))
    if not page and offset:
        # The list is shorter than it was: another bot's cursor, or Telegram forgot old rows. Counting starts anew.
        offset, page = 0, read_transactions(await fetch(0, PAGE))
    while page:
        offset += len(page)
        yield offset, page
        if len(page) < PAGE:
            return
        page = read_transactions(await fetch(offset, PAGE))


def cursor_of(bot_id: int) -> str:
    """Return the name under which a bot's position in its list is kept."""
    return f"stars:{bot_id}"


async def reconcile_stars(fetch: Fetch, books: Books, cursor: str) -> Reconciled:
    """Enter every payment and refund that Telegram lists and the books lack.

    Args:
        fetch: asks Telegram.
        books: where to.
        cursor: the list's name, see `cursor_of`.

    Raises:
        TransactionsError: the list cannot be read.
        psycopg.OperationalError: the database is away; the next walk begins where this one stopped.
    """
    verdicts: Counter[str] = Counter()
    seen = 0
    async for behind, page in walk(fetch, await books.position(cursor)):
        for event in (transaction.event for transaction in page):
            if isinstance(event, StarsPaid):
                verdicts[(await books.stars_paid(event, "reconciliation")).verdict] += 1
            elif event is not None:
                verdicts[await books.stars_returned(event)] += 1
        await books.move(cursor, behind)
        seen += len(page)
    return Reconciled(seen, verdicts)
