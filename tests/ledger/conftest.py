"""The ledger under test: a connection per role, and short words for what the tests keep saying."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

import psycopg
import pytest

from carousel_pipeline.database import Role, Row
from carousel_pipeline.ledger import PipelineLedger
from carousel_pipeline.ledger.errors import ledger_errors
from carousel_pipeline.ledger.operators import OperatorLedger

Connect = Callable[[Role | None], psycopg.Connection[Row]]


class Books:
    """One database; every call goes through the role that may make it."""

    def __init__(self, connect_as: Connect) -> None:
        self._connect_as = connect_as
        self._connections: dict[Role | None, psycopg.Connection[Row]] = {}
        self._serial = itertools.count(1)
        self.pipeline = PipelineLedger(self.role("led_pipeline"))
        self.operator = OperatorLedger(self.role("led_ops"))

    def role(self, role: Role | None) -> psycopg.Connection[Row]:
        if role not in self._connections:
            self._connections[role] = self._connect_as(role)
        return self._connections[role]

    def rows(self, role: Role | None, statement: str, *values: object) -> list[Row]:
        return self.role(role).execute(statement.encode(), values).fetchall()

    def value(self, role: Role | None, statement: str, *values: object) -> Any:
        [row] = self.rows(role, statement, *values)
        [value] = row.values()
        return value

    def bot(self, statement: str, *values: object) -> Any:
        return self.value("led_bot", statement, *values)

    def pay(self, statement: str, *values: object) -> Any:
        return self.value("led_pay", statement, *values)

    def do(self, statement: str, *values: object) -> None:
        """Act as superuser: time travel and tampering."""
        self.role(None).execute(statement.encode(), values)

    def topup(self, tg: int, amount: int, charge: str | None = None) -> str:
        charge = charge or f"charge-{next(self._serial)}"
        assert self.pay("select ledger.topup(%s, 'stars', %s, %s, now())", tg, charge, amount)
        return charge

    def reserve(self, tg: int, cost: int, key: str | None = None) -> UUID:
        [row] = self.rows("led_bot", "select * from ledger.reserve(%s, %s, %s)", tg, key or self.key(), cost)
        assert row["created"]
        return row["request_id"]

    def key(self) -> str:
        return f"tap-{next(self._serial)}"

    def rendered(self, request: UUID, run: str = "run-1") -> int:
        attempt = self.pipeline.claim(request, run)
        assert attempt.verdict == "run"
        assert self.pipeline.rendered(request, attempt.fence)
        return attempt.fence

    def delivered(self, delivery: int | None, ids: Sequence[int], charge: int | None = None) -> str:
        """As a run says it, but without the album's files."""
        ended = "select ledger.delivery_end(%s, 'sent', %s, null, %s)"
        with ledger_errors():
            state: str = self.value("led_pipeline", ended, delivery, list(ids), charge)
        return state

    def sending(self, request: UUID, run: str = "run-1", charge: int | None = None) -> int:
        intent = self.pipeline.delivery_begin(request, self.rendered(request, run), charge)
        assert intent.verdict == "send"
        assert intent.delivery_id is not None
        return intent.delivery_id

    def refunded(self, tg: int, cost: int) -> UUID:
        request = self.reserve(tg, cost)
        assert self.pipeline.release(request, 0, "failed")
        return request

    def in_doubt(self, tg: int, cost: int) -> tuple[UUID, int]:
        request = self.reserve(tg, cost)
        delivery = self.sending(request)
        assert self.pipeline.in_doubt(delivery, "read timeout") == "delivery_unknown"
        return request, delivery

    def later(self, request: UUID, by: str = "2 hours") -> None:
        """Let time pass for one request."""
        self.do(
            "update ledger.request set lease_until = lease_until - %s::interval, deadline = deadline - %s::interval "
            "where id = %s",
            by, by, request,
        )  # fmt: skip

    def state(self, request: UUID) -> str:
        return self.value(None, "select state from ledger.request where id = %s", request)

    def wallet(self, tg: int) -> tuple[int, int]:
        [row] = self.rows("led_bot", "select * from ledger.balance(%s)", tg)
        return row["available"], row["held"]

    def debt(self, tg: int) -> tuple[int, bool]:
        [row] = self.rows(
            None,
            "select debt, restricted from ledger.wallet join ledger.app_user on id = user_id where tg_user_id = %s",
            tg,
        )
        return row["debt"], row["restricted"]

    def outbox(self, topic: str) -> list[dict[str, Any]]:
        rows = self.rows(None, "select payload from ledger.outbox where topic = %s order by id", topic)
        return [row["payload"] for row in rows]

    def journal(self, request: UUID) -> list[tuple[str, int]]:
        rows = self.rows(None, "select kind, amount from ledger.transfer where request_id = %s order by id", request)
        return [(row["kind"], row["amount"]) for row in rows]

    def violations(self) -> list[Row]:
        return self.operator.violations()


@pytest.fixture
def books(connect_as: Connect) -> Iterator[Books]:
    """An empty ledger; whatever a test does to it through the API, the invariants hold at its end."""
    opened = Books(connect_as)
    yield opened
    assert opened.violations() == []


@pytest.fixture
def tampered(connect_as: Connect) -> Books:
    """An empty ledger that the test may break."""
    return Books(connect_as)
