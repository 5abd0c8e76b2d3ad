"""What became of everything that people asked for: by the journal, by what Telegram took, by what stood on the buttons.

The local Telegram's own log is the truth about albums. One whose message ids the ledger knows belongs to that delivery; any
other one belongs to the last attempt to send in its chat that was begun before it, whose end nobody learned or which sent twice.
"""

import asyncio
import contextlib
import json
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import psycopg

from carousel_pipeline.database import Row, connect, query

from ..faults.checker import books_of, money, sending, violations  # noqa: TID252 - tests are no package
from .people import Story

_ID: Final = 36
_TOLD: Final = 10

_OPEN: Final = b"""
select (select count(*) from carousel.request where phase = 'drafting') as drafting,
       (select count(*) from ledger.request where state in ('reserved', 'running', 'rendered')) as running,
       (select count(*) from ledger.outbox where done_at is null and not dead) as outbox,
       (select count(*) from bot.inbox where processed_at is null) as inbox
"""
# A run that Dagster takes for running though its process is dead keeps a place that somebody waits for.
_ACTIVE_RUNS: Final = b"""
select count(*) as runs from runs where status in ('QUEUED', 'NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING')
"""
_REQUESTS: Final = b"""
select r.id, r.chat_id, r.kind, r.phase, r.source, r.price, r.failure, l.state,
       exists (select 1 from ledger.outbox o where o.topic = case l.state when 'delivered' then 'delivered'
               when 'released' then 'notify_refund' else 'ask_user' end
               and o.payload ->> 'request_id' = r.id::text and o.done_at is not null) as told
  from carousel.request r left join ledger.request l on l.id = r.id order by r.created_at, r.id
"""
_DELIVERIES: Final = b"""
select d.id, d.request_id, r.chat_id, d.message_ids, extract(epoch from d.created_at) as began
  from ledger.delivery d join carousel.request r on r.id = d.request_id order by d.created_at
"""
_DEAD: Final = b"""
select topic || ' ' || coalesce(payload ->> 'request_id', '') || ': ' || coalesce(last_error, '') as what
  from ledger.outbox where dead
union all select source || ': ' || coalesce(last_error, '') from ledger.inbox where dead
"""
_WALLETS: Final = b"""
select u.tg_user_id as tg, w.available, w.held,
       coalesce((select sum(case t.credit_code when 'user_available' then t.amount else 0 end
                          - case t.debit_code when 'user_available' then t.amount else 0 end)
                   from ledger.transfer t where t.user_id = u.id), 0)::bigint as journal,
       coalesce((select sum(t.amount) from ledger.transfer t where t.user_id = u.id and t.kind = 'promo'), 0)::bigint as gifts,
       coalesce((select sum(t.amount) from ledger.transfer t where t.user_id = u.id and t.kind = 'reserve'), 0)::bigint
         as reserved,
       coalesce((select sum(t.amount) from ledger.transfer t where t.user_id = u.id and t.kind = 'release'
                    and t.credit_code = 'user_available'), 0)::bigint as returned
  from ledger.app_user u join ledger.wallet w on w.user_id = u.id
"""


@dataclass(frozen=True)
class Album:
    """An album that Telegram took.

    Attributes:
        at: seconds since the epoch.
        messages: ids of its messages.
    """

    chat: int
    at: float
    messages: tuple[int, ...]


class Witness:
    """Reads Telegram's log as it grows; it keeps the last 20,000 calls only."""

    def __init__(self, where: Callable[[], str]) -> None:
        self._where = where
        self._after = 0
        self.calls = 0
        self.albums: list[Album] = []

    async def run(self) -> None:
        while True:
            await asyncio.to_thread(self.read)
            await asyncio.sleep(10)

    def read(self) -> None:
        """Take in what is new; nothing while the stack restarts."""
        with contextlib.suppress(urllib.error.URLError, OSError, ValueError):
            found = get(self._where(), f"/sim/log?after={self._after}&limit=100000")
            for call in found["calls"]:
                if call["method"] == "sendMediaGroup":
                    messages = tuple(int(message["message_id"]) for message in call["result"])
                    self.albums.append(Album(int(call["params"]["chat_id"]), call["at"], messages))
            self.calls += len(found["calls"])
            self._after = found["next"]


@dataclass
class Verdict:
    """What is to be reported.

    Attributes:
        ends: requests by their end.
        kinds: confirmed requests by kind.
        wrong: what must not be, by sort.
        stories: what the ledger tells about the first wrong requests.
    """

    ends: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    stories: dict[str, dict[str, list[str]]] = field(default_factory=dict)


def get(address: str, path: str) -> Any:
    with urllib.request.urlopen(address + path, timeout=20) as answer:
        return json.loads(answer.read())


async def settled(url: Callable[[], str], limit_s: float) -> tuple[float, dict[str, int]]:
    """Wait until nothing is open; return after how many seconds, and what is still open after the limit."""
    began = time.monotonic()
    still: dict[str, int] = {"unknown": 1}
    while any(still.values()) and time.monotonic() < began + limit_s:
        await asyncio.sleep(1)
        with contextlib.suppress(psycopg.Error):
            still = await asyncio.to_thread(_open, url())
    return round(time.monotonic() - began, 1), {what: count for what, count in still.items() if count}


def _open(url: str) -> dict[str, int]:
    with connect(url, None) as session:
        row = session.execute(_OPEN).fetchone()
    with connect(urlsplit(url)._replace(path="/dagster").geturl(), None) as session:
        runs = session.execute(_ACTIVE_RUNS).fetchone()
    assert row is not None
    assert runs is not None
    return {**row, **runs}


def judge(url: str, stories: Sequence[Story], albums: Sequence[Album], unread: Sequence[Any]) -> Verdict:
    """Return what became of everything, once nothing is open any more.

    Args:
        url: of the database.
        stories: of everybody who came.
        albums: all that Telegram took.
        unread: updates that the bot did not fetch.
    """
    verdict = Verdict()
    with connect(url, None) as owner:
        requests = owner.execute(_REQUESTS).fetchall()
        arrived = _albums_by_request(owner, requests, albums, verdict)
        quoted = {request: price for story in stories for request, price in story.quoted.items()}
        for request in requests:
            _request(owner, request, arrived[request["id"]], quoted, verdict)
        _wallets(owner, verdict)
        about = {line[:_ID] for found in verdict.wrong.values() for line in found}
        mine = [row["id"] for row in requests if str(row["id"]) in about]
        verdict.stories = {str(request): _story(owner, request) for request in mine[:_TOLD]}
        verdict.wrong["dead letters"] += [row["what"] for row in owner.execute(_DEAD)]
        verdict.wrong["violations"] += [f"{row['rule']}: {row['detail']} ({row['id']})" for row in violations(owner)]
    texts = "\n".join(str(request["source"]) for request in requests)
    verdict.wrong["texts lost"] += [mark for story in stories for mark in story.texts if f"{mark}:" not in texts]
    verdict.wrong["updates unread"] += [str(update) for update in unread]
    verdict.wrong = {sort: found for sort, found in verdict.wrong.items() if found}
    return verdict


def _story(owner: psycopg.Connection[Row], request: UUID) -> dict[str, list[str]]:
    parts = ("show_events", "show_deliveries", "show_transfers")
    return {
        part: [
            str({key: str(value) for key, value in row.items()})
            for row in owner.execute(query(f"ledger.{part}"), {"id": request})
        ]
        for part in parts
    }


def _request(
    owner: psycopg.Connection[Row], request: Row, albums: list[Album], quoted: dict[UUID, int], verdict: Verdict
) -> None:
    """Count one request's end, and what is wrong with it."""
    about = f"{request['id']} ({request['kind']}, chat {request['chat_id']})"
    books = books_of(owner, request["id"])
    if books is None:
        verdict.ends[request["phase"]] += 1
        if request["phase"] in {"drafting", "confirmed"}:
            verdict.wrong["stuck"].append(f"{about}: {request['phase']}")
        return
    verdict.kinds[request["kind"]] += 1
    verdict.ends[books["state"]] += 1
    if books["state"] not in {"delivered", "released", "delivery_unknown"}:
        verdict.wrong["stuck"].append(f"{about}: {books['state']}")
        return
    if not request["told"]:
        verdict.wrong["nobody was told"].append(f"{about}: {books['state']}")
    # A change whose buttons nobody saw in time was not quoted by a button that names it: its own price stands.
    price = quoted.get(request["id"], request["price"])
    if books["state"] != "delivery_unknown":
        verdict.wrong["money"] += [f"{about}: {wrong}" for wrong in money(books, price)]
    verdict.wrong["albums"] += [f"{about}: {wrong}" for wrong in sending(books, len(albums))]


def _albums_by_request(
    owner: psycopg.Connection[Row], requests: Sequence[Row], albums: Sequence[Album], verdict: Verdict
) -> dict[UUID, list[Album]]:
    """Give every album to the request it was sent for; the example in the greeting is nobody's."""
    found: dict[UUID, list[Album]] = {request["id"]: [] for request in requests}
    deliveries = owner.execute(_DELIVERIES).fetchall()
    by_message = {(row["chat_id"], id_): row for row in deliveries for id_ in row["message_ids"] or ()}
    taken: Counter[int] = Counter()
    for album in albums:
        delivery = by_message.get((album.chat, album.messages[0]))
        if delivery is None:
            begun = [row for row in deliveries if row["chat_id"] == album.chat and row["began"] <= album.at + 0.1]
            delivery = begun[-1] if begun else None
        if delivery is None:
            continue
        taken[delivery["id"]] += 1
        found[delivery["request_id"]].append(album)
    for row in deliveries:
        if row["message_ids"] and not taken[row["id"]]:
            verdict.wrong["albums"].append(f"{row['request_id']}: charged for messages that Telegram does not know")
        if taken[row["id"]] > 1:
            verdict.wrong["albums"].append(f"{row['request_id']}: sent {taken[row['id']]} times by one attempt")
    return found


def _wallets(owner: psycopg.Connection[Row], verdict: Verdict) -> None:
    for row in owner.execute(_WALLETS):
        owned = row["gifts"] - row["reserved"] + row["returned"]
        if not row["available"] == row["journal"] == owned:
            verdict.wrong["credits"].append(
                f"person {row['tg']}: {row['available']} available, {owned} by gifts and orders"
            )
