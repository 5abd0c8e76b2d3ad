"""The ledger as run processes and sensors use it, in a session of role `led_pipeline`.

Each method is one call of the SQL API and may be repeated as it is after `LedgerUnavailableError`: the database knows what
it has done already, and an intent to send by the word that its sender made for it. A caller that can open another connection
lets the ledger do so: between the intent and the album's end a lost answer would cost the user a question.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID

import psycopg

from carousel_pipeline.database import query
from carousel_pipeline.ledger.errors import LedgerUnavailableError, NoSuchRequestError, ledger_errors
from carousel_pipeline.ledger.settlement import Hold
from carousel_pipeline.sessions import Session

State = Literal["reserved", "running", "rendered", "delivered", "delivery_unknown", "released"]
ClaimVerdict = Literal["run", "busy", "done", "refunded", "capped"]
IntentVerdict = Literal["send", "fenced", "sending", "unknown", "sent", "reserved", "running", "delivered", "released"]
DueVerdict = Literal["released", "asked", "charged", "waiting"]

LEASE: Final = timedelta(minutes=5)
_PAGE: Final = 500
_AGAIN_S: Final = (0.1, 1.0, 4.0)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The answer to a claim; anything but `run` is a clean skip.

    Attributes:
        fence: token that every later call of this attempt carries.
        verdict: `run`; `busy` (another run's lease lives); `done` (delivered or in doubt); `refunded`; `capped` (no
            second life left today).
    """

    fence: int
    verdict: ClaimVerdict


@dataclass(frozen=True, slots=True)
class Intent:
    """The answer to an intended delivery; send only on `send`.

    Attributes:
        delivery_id: the intent to end, None when there is none.
        verdict: `send`, `fenced`, the live delivery's state, or the request's state when it is not rendered.
    """

    delivery_id: int | None
    verdict: IntentVerdict


class PipelineLedger:
    """Claims, heartbeats, deliveries, releases.

    Args:
        connection: of role `led_pipeline`, in autocommit.
        another: opens one more of the kind; every call that got no answer is then repeated over such a one.
    """

    def __init__(
        self, connection: Session, another: Callable[[], AbstractContextManager[Session]] | None = None
    ) -> None:
        self._connection = connection
        self._another = another

    def claim(self, request_id: UUID, run_id: str, lease: timedelta = LEASE) -> Attempt:
        """Take the request for a run, with a new fence when the verdict is `run`."""
        row = self._call("ledger.claim", id=request_id, run=run_id, lease=lease)
        return Attempt(row["fence"], row["verdict"])

    def second_life(self, request_id: UUID, run_id: str, lease: timedelta = LEASE) -> Attempt:
        """As `claim`, but a refunded request is reopened on the house, within the day's cap, for a run that is new to it."""
        row = self._call("ledger.second_life", id=request_id, run=run_id, lease=lease)
        return Attempt(row["fence"], row["verdict"])

    def heartbeat(self, request_id: UUID, fence: int, lease: timedelta = LEASE) -> bool:
        """Prolong the lease; False: the attempt is over, stop working."""
        return self._call("ledger.heartbeat", id=request_id, fence=fence, lease=lease)["alive"] is True

    def rendered(self, request_id: UUID, fence: int) -> bool:
        """Say that the slides are ready; False: the attempt is over."""
        return self._call("ledger.rendered", id=request_id, fence=fence)["done"] is True

    def delivery_begin(
        self, request_id: UUID, fence: int, charge: int | None = None, intent: UUID | None = None
    ) -> Intent:
        """Commit the intent to send.

        Args:
            request_id: the request.
            fence: the attempt's token.
            charge: credits the album costs should its fate stay unknown; None for the whole cost.
            intent: made for this one attempt to send; asked again with it, the ledger repeats its `send`. Without one it
                says `sending`, as to everybody else.
        """
        row = self._call("ledger.delivery_begin", id=request_id, fence=fence, charge=charge, intent=intent)
        return Intent(row["delivery_id"], row["verdict"])

    def arrived(
        self,
        request_id: UUID,
        delivery_id: int,
        kind: Literal["photo", "document"],
        messages: Sequence[int],
        files: Sequence[str],
    ) -> State:
        """Store the album, charge what its intent says, release the rest: all of it, or nothing.

        Args:
            request_id: the request.
            delivery_id: the intent that came to its end.
            kind: what Telegram made of the slides.
            messages: ids of the album's messages, in order.
            files: their file ids, in the same order, for instant re-sends.
        """
        row = self._call(
            "ledger.arrived", id=request_id, delivery=delivery_id, kind=kind, messages=list(messages), files=list(files)
        )
        state: State = row["state"]
        return state

    def rejected(self, delivery_id: int, error: str) -> State:
        """Say that nothing arrived, for certain."""
        return self._end(delivery_id, "rejected", error)

    def in_doubt(self, delivery_id: int, error: str) -> State:
        """Say that nobody knows: the hold stays, the user is asked."""
        return self._end(delivery_id, "unknown", error)

    def release(self, request_id: UUID, fence: int | None, reason: str) -> bool:
        """Give the hold back; None as fence: only if the lease or deadline has passed. False: nothing was released."""
        return self._call("ledger.release", id=request_id, fence=fence, reason=reason)["released"] is True

    def open_holds(self, grace: timedelta = timedelta(0)) -> Iterator[Hold]:
        """Yield every open hold that has not changed for `grace`, page by page."""
        after: UUID | None = None
        while True:
            rows = self._rows("ledger.open_holds", grace=grace, limit=_PAGE, after=after)
            yield from (Hold(**row) for row in rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1]["id"]

    def open_hold(self, request_id: UUID) -> Hold | None:
        """Return the open hold of one request, None when there is none."""
        rows = self._rows("ledger.open_hold", id=request_id)
        return Hold(**rows[0]) if rows else None

    def due(self) -> Iterator[UUID]:
        """Yield every request whose time is over, page by page."""
        after: UUID | None = None
        while True:
            rows = self._rows("ledger.due", limit=_PAGE, after=after)
            yield from (row["id"] for row in rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1]["id"]

    def settle_due(self, request_id: UUID) -> DueVerdict:
        """Settle one overdue request by the clock: refund it, ask about it, or after long silence charge it."""
        verdict: DueVerdict = self._call("ledger.settle_due", id=request_id)["verdict"]
        return verdict

    def prune(self, age: timedelta, limit: int = 10_000) -> int:
        """Remove at most `limit` each of handled outbox and inbox rows older than `age` (a week at least)."""
        removed: int = self._call("ledger.prune", age=age, limit=limit)["removed"]
        return removed

    def _end(self, delivery_id: int, outcome: Literal["rejected", "unknown"], error: str) -> State:
        state: State = self._call("ledger.delivery_end", delivery=delivery_id, outcome=outcome, error=error)["state"]
        return state

    def _call(self, name: str, **parameters: object) -> dict[str, Any]:
        rows = self._rows(name, **parameters)
        if not rows:
            raise NoSuchRequestError("no such request")
        return rows[0]

    def _rows(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        try:
            return _ask(self._connection, name, parameters)
        except LedgerUnavailableError:
            if self._another is None:
                raise
            for wait_s in _AGAIN_S:
                time.sleep(wait_s)
                with suppress(LedgerUnavailableError, psycopg.OperationalError), self._another() as connection:
                    return _ask(connection, name, parameters)
            raise


def _ask(connection: Session, name: str, parameters: dict[str, object]) -> list[dict[str, Any]]:
    with ledger_errors():
        return connection.execute(query(name), parameters).fetchall()
