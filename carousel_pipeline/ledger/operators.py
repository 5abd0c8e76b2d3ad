"""What an operator decides, on one connection of role `led_ops`. Every decision has an actor and a reason and is kept."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from psycopg import Connection

from carousel_pipeline.database import Row, query
from carousel_pipeline.ledger.errors import NoSuchRequestError, ledger_errors
from carousel_pipeline.ledger.pipeline import State

Funding = Literal["house", "user"]


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything the ledger knows about one request; each row as the table has it, oldest first."""

    request: Row
    transfers: list[Row]
    deliveries: list[Row]
    events: list[Row]
    actions: list[Row]


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decides, and why; both are kept for ever."""

    actor: str
    reason: str


class OperatorLedger:
    """`carousel ops`: show, release, reopen, grant, resolve, rules."""

    def __init__(self, connection: Connection[Row]) -> None:
        self._connection = connection

    def show(self, request_id: UUID) -> Dossier:
        """Return what the ledger knows about a request.

        Raises:
            NoSuchRequestError: it was never confirmed.
        """
        found = self._rows("ledger.show_request", id=request_id)
        if not found:
            raise NoSuchRequestError(f"no confirmed request has the id {request_id}")
        return Dossier(
            request=found[0],
            transfers=self._rows("ledger.show_transfers", id=request_id),
            deliveries=self._rows("ledger.show_deliveries", id=request_id),
            events=self._rows("ledger.show_events", id=request_id)[::-1],
            actions=self._rows("ledger.show_actions", id=request_id),
        )

    def release(self, request_id: UUID, decision: Decision) -> bool:
        """Give the hold back, even in doubt; False when it is settled already."""
        return self._decide("ledger.ops_release", decision, id=request_id)["released"] is True

    def reopen(self, request_id: UUID, funding: Funding, decision: Decision) -> int:
        """Hold and dispatch a refunded request once more and return its new epoch.

        Raises:
            IllegalTransitionError: it is not refunded.
            InsufficientCreditsError: the user is to pay and cannot.
        """
        epoch: int = self._decide("ledger.ops_reopen", decision, id=request_id, funding=funding)["epoch"]
        return epoch

    def grant(self, tg_user_id: int, credits_: int, key: str, decision: Decision) -> bool:
        """Give credits; `key` makes a repeated command one gift. False: that gift was given before."""
        row = self._decide("ledger.ops_grant", decision, tg=tg_user_id, credits=credits_, key=key)
        return row["granted"] is True

    def resolve(self, request_id: UUID, decision: Decision, *, got: bool) -> State:
        """Answer for the user whether the album arrived: charge it, or send it again. Returns the request's state."""
        state: State = self._decide("ledger.ops_resolve", decision, id=request_id, got=got)["state"]
        return state

    def dead_letter(self, outbox_id: int, decision: Decision, *, retry: bool) -> bool:
        """Try a message again from the beginning, or give it up; False: there is none waiting under this id."""
        return self._decide("ledger.ops_outbox", decision, id=outbox_id, retry=retry)["changed"] is True

    def rules(self) -> list[Row]:
        """Return the figures that may be tuned: name, value, note."""
        return self._rows("ledger.rules")

    def tune(self, name: str, value: int, decision: Decision) -> int:
        """Set one of them, from the next call of the ledger on, and return what it was.

        Raises:
            OutOfRangeError: there is no such figure, or it cannot be negative.
        """
        before: int = self._decide("ledger.ops_rule", decision, rule=name, value=value)["before"]
        return before

    def violations(self) -> list[Row]:
        """Return the broken invariants: none, always."""
        return self._rows("ledger.violations")

    def _decide(self, name: str, decision: Decision, **parameters: object) -> Row:
        return self._rows(name, actor=decision.actor, reason=decision.reason, **parameters)[0]

    def _rows(self, name: str, **parameters: object) -> list[Row]:
        with ledger_errors():
            return self._connection.execute(query(name), parameters).fetchall()
