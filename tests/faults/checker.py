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
    books = owner.execute(_BOOKS, [story.request]).fetchone()
    if not story.over or books is None or books["state"] not in {"delivered", "released"}:
        return [f"stuck: {books and books['state']}"]
    albums = [call for call in calls(telegram_url, story.chat) if call["complete"] and len(call["result"]) == PRICE]
    return _money(books) + _albums(books, len(albums), story) + _words(books, story)


def _money(books: Row) -> list[str]:
    def total(kind: str, credit: str | None = None) -> int:
        return sum(amount for what, to, amount, _ in books["journal"] if what == kind and credit in {None, to})

    reserved, captured = total("reserve"), total("capture")
    back = total("release", "user_available")
    housed = total("second_life") + total("reopen")
    wrong = []
    if books["held"] != 0 or START - books["available"] != reserved - back:
        wrong.append(f"lost credits: {books['available']} available, {books['held']} held")
    if captured > PRICE or (books["state"] == "delivered" and books["charged"] != PRICE):
        wrong.append(f"double charge: {captured}")
    if back > reserved or (back and not housed and captured):
        wrong.append(f"double refund: {back} of {reserved}, {captured} charged")
    if books["state"] == "released" and books["available"] != START:
        wrong.append(f"refund missing: {books['available']}")
    return wrong


def _albums(books: Row, albums: int, story: Story) -> list[str]:
    wrong = []
    late = sum(fault.partition(".")[2] in LATE for fault in story.faults)
    if albums > 1 + books["resends"]:
        wrong.append(f"duplicate: {albums} albums, asked again {books['resends']} times")
    if books["state"] == "delivered" and albums == 0:
        wrong.append("charged without an album")
    # An album that Telegram took after the user had said that there was none could be known to nobody.
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
