"""What must be true of a settled request, by the journal and by what Telegram really took.

Nothing here asks the code under test: the credits come from the tables, the albums from the local Telegram's log, the wish for a
second album from what the user pressed.
"""

from typing import Any, Final
from uuid import UUID

import psycopg

from carousel_pipeline.database import Row, query

from .world import PRICE, Story, calls

START: Final = 10
LATE: Final = ("sendMediaGroup:accepted_late", "sendMediaGroup:paused")

_BOOKS: Final = b"""
select r.state, r.charged, r.epoch, w.available, w.held,
       (select count(*) from ledger.outbox o where o.dedupe_key in (select 'resend:' || d.id from ledger.delivery d
                                                                     where d.request_id = r.id)) as resends,
       (select coalesce(jsonb_agg(jsonb_build_array(t.kind, t.credit_code, t.amount, t.epoch) order by t.id), '[]')
          from ledger.transfer t where t.request_id = r.id) as journal,
       (select count(*) from carousel.album a where a.request_id = r.id) as kept,
       (select count(*) from ledger.delivery d where d.request_id = r.id and d.state = 'sent'
                                                 and cardinality(d.message_ids) > 0) as known
  from ledger.request r join ledger.wallet w on w.user_id = r.user_id where r.id = %s
"""


def violations(owner: psycopg.Connection[Row]) -> list[Row]:
    """Return what the ledger itself finds wrong, in the whole database."""
    return owner.execute(query("ledger.violations")).fetchall()


def check(owner: psycopg.Connection[Row], telegram_url: str, story: Story) -> list[str]:
    """Return what is wrong with a case that has ended: nothing, always."""
    books = books_of(owner, story.request)
    if not story.over or books is None or books["state"] not in {"delivered", "released"}:
        return [f"stuck: {books and books['state']}"]
    albums = [call for call in calls(telegram_url, story.chat) if call["complete"] and len(call["result"]) == PRICE]
    # An album that Telegram took after the user had said that there was none could be known to nobody.
    late = sum(fault.partition(".")[2] in LATE for fault in story.faults)
    return _wallet(books) + money(books, PRICE) + sending(books, len(albums), late=late) + _words(books, story)


def books_of(owner: psycopg.Connection[Row], request: UUID) -> Row | None:
    """Return what the tables know about a request that was confirmed; None for any other."""
    return owner.execute(_BOOKS, [request]).fetchone()


def _wallet(books: Row) -> list[str]:
    """Return what is wrong with the wallet of somebody who had this one request alone."""
    paid = total(books, "reserve") - total(books, "release", "user_available")
    wrong = []
    if books["held"] != 0 or START - books["available"] != paid:
        wrong.append(f"lost credits: {books['available']} available, {books['held']} held")
    if books["state"] == "delivered" and books["charged"] != PRICE:
        wrong.append(f"wrong charge: {books['charged']}")
    if books["state"] == "released" and books["available"] != START:
        wrong.append(f"refund missing: {books['available']}")
    return wrong


def money(books: Row, price: int) -> list[str]:
    """Return what is wrong with what a settled request was charged, when `price` stood on the button."""
    reserved, captured = total(books, "reserve"), total(books, "capture")
    back = total(books, "release", "user_available")
    housed = total(books, "second_life") + total(books, "reopen")
    wrong = []
    if captured > price:
        wrong.append(f"double charge: {captured}")
    if back > reserved or (back + captured > reserved and not housed):
        wrong.append(f"double refund: {back} of {reserved}, {captured} charged")
    if books["state"] == "released" and back != reserved:
        wrong.append(f"refund missing: {back} of {reserved}")
    return wrong


def total(books: Row, kind: str, credit: str | None = None) -> int:
    """Return the credits of one kind in a request's journal."""
    return sum(amount for what, to, amount, _ in books["journal"] if what == kind and credit in {None, to})


def sending(books: Row, albums: int, *, late: int = 0) -> list[str]:
    """Return what is wrong with the albums in the chat; `late` of them nobody could know of."""
    wrong = []
    if albums > 1 + books["resends"]:
        wrong.append(f"duplicate: {albums} albums, asked again {books['resends']} times")
    if books["state"] == "delivered" and albums == 0:
        wrong.append("charged without an album")
    if books["state"] == "released" and albums > late:
        wrong.append(f"refunded with {albums} albums in the chat")
    return wrong


def _words(books: Row, story: Story) -> list[str]:
    topic = "delivered" if books["state"] == "delivered" else "notify_refund"
    return [] if topic in story.told else [f"nobody was told: {topic}"]


def needless_question(story: Story) -> bool:
    """Whether the user was asked about an album whose end no fault had hidden."""
    return bool(story.answers) and not any(".sendMediaGroup:" in fault for fault in story.faults)


def identify(rows: list[Row], stories: dict[UUID, Any]) -> list[str]:
    """Return violations as words, with the case of a request where it is known."""
    by_id = {str(request): case for request, case in stories.items()}
    return [f"{row['rule']}: {row['detail']} ({by_id.get(row['id'], row['id'])})" for row in rows]
