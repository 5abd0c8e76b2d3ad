"""A hundred words of Python say what the ledger must do; Hypothesis looks for a sequence of calls on which they disagree.

The model knows nothing of fences, journals or triggers: only who has how much, and what became of each request. Calls come
from every role in any order, time jumps, runs die, answers are lost and calls repeated.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

OPEN = {"reserved", "running", "rendered", "delivery_unknown"}
USERS = st.integers(1, 3)


@dataclass
class Request:
    """What the model knows of one request."""

    user: int
    cost: int
    state: str = "reserved"
    funded_by: str = "user"
    fence: int = 0
    alive: bool = False
    delivery: int | None = None
    intended: int | None = None
    late: list[int] = field(default_factory=list)
    superseded: list[int] = field(default_factory=list)


@dataclass
class Purse:
    """What the model knows of one user."""

    available: int = 0
    debt: int = 0


class Model(RuleBasedStateMachine):
    """The calls of the SQL API, each beside what it must do."""

    books: Any
    offset = 0
    requests = Bundle("requests")
    payments = Bundle("payments")

    def __init__(self) -> None:
        super().__init__()
        type(self).offset += 1000
        self.base = self.offset
        self.purses = {user: Purse() for user in range(1, 4)}
        self.known: dict[UUID, Request] = {}

    def tg(self, user: int) -> int:
        return self.base + user

    def receive(self, user: int, amount: int) -> None:
        purse = self.purses[user]
        paid = min(purse.debt, amount)
        purse.debt -= paid
        purse.available += amount - paid

    def settle(self, request: Request, state: str, charged: int) -> None:
        if request.funded_by == "user":
            self.receive(request.user, request.cost - charged)
        request.state, request.alive = state, False

    def held(self, user: int) -> int:
        return sum(r.cost for r in self.known.values() if r.user == user and r.state in OPEN)

    @rule(target=payments, user=USERS, amount=st.integers(1, 9), times=st.integers(1, 2))
    def pays(self, user: int, amount: int, times: int) -> tuple[int, str, int]:
        charge = self.books.key()
        for time in range(times):
            fresh = self.books.pay("select ledger.topup(%s, 'stars', %s, %s, now())", self.tg(user), charge, amount)
            assert fresh == (time == 0)
        self.receive(user, amount)
        return user, charge, amount

    @rule(
        payment=consumes(payments),
        kinds=st.lists(st.sampled_from(["chargeback", "buyer_refund"]), min_size=1, max_size=2),
    )
    def takes_the_money_back(self, payment: tuple[int, str, int], kinds: list[str]) -> None:
        user, charge, amount = payment
        for time, kind in enumerate(kinds):
            reverse = "select ledger.chargeback(%s, 'stars', %s, %s, %s)"
            assert self.books.pay(reverse, self.tg(user), charge, amount, kind) == (time == 0)
        purse = self.purses[user]
        taken = min(purse.available, amount)
        purse.available -= taken
        purse.debt += amount - taken

    @rule(target=requests, user=USERS, cost=st.integers(0, 6), times=st.integers(1, 2))
    def confirms(self, user: int, cost: int, times: int) -> Any:
        purse, key = self.purses[user], self.books.key()
        statement = "select request_id from ledger.reserve(%s, %s, %s)"
        if purse.debt or purse.available < cost:
            with pytest.raises(psycopg.Error) as refused:
                self.books.bot(statement, self.tg(user), key, cost)
            assert refused.value.sqlstate == ("LD008" if purse.debt else "LD007")
            return multiple()
        [request] = {self.books.bot(statement, self.tg(user), key, cost) for _ in range(times)}
        purse.available -= cost
        self.known[request] = Request(user, cost)
        return request

    @rule(request=requests, run=st.sampled_from("AB"))
    def claims(self, request: UUID, run: str) -> None:
        self._claim(request, run, self.books.pipeline.claim(request, run))

    def _claim(self, request: UUID, run: str, attempt: Any) -> None:
        it = self.known[request]
        expected = {"delivered": "done", "delivery_unknown": "done", "released": "refunded"}.get(it.state)
        if expected is None:
            expected = "busy" if it.alive and run != self.runs.get(request) else "run"
        assert attempt.verdict == expected
        if expected == "run":
            assert attempt.fence > it.fence
            self.runs[request] = run
            self.worked.add((request, run))
            it.state, it.fence, it.alive = "running", attempt.fence, True

    @property
    def runs(self) -> dict[UUID, str]:
        return self.__dict__.setdefault("_runs", {})

    @rule(request=requests, run=st.sampled_from("CD"))
    def remakes_on_the_house(self, request: UUID, run: str) -> None:
        it = self.known[request]
        anew = it.state == "released" and (request, run) not in self.worked
        attempt = self.books.pipeline.second_life(request, run)
        if anew:
            it.state, it.funded_by, it.alive = "reserved", "house", False
            it.superseded, it.late = [], []
        self._claim(request, run, attempt)

    @property
    def worked(self) -> set[tuple[UUID, str]]:
        """A run that has worked on a request gets no second life for it: it was cancelled or replaced, not asked again."""
        return self.__dict__.setdefault("_worked", set())

    @rule(request=requests, stale=st.booleans())
    def renders(self, request: UUID, *, stale: bool) -> None:
        it = self.known[request]
        fence = it.fence - stale
        expected = not stale and it.state in {"running", "rendered"}
        assert self.books.pipeline.rendered(request, fence) == expected
        if expected:
            it.state = "rendered"

    @rule(request=requests, stale=st.booleans(), charge=st.none() | st.integers(0, 6))
    def intends(self, request: UUID, *, stale: bool, charge: int | None) -> None:
        it = self.known[request]
        charge = None if charge is None else min(charge, it.cost)
        intent = self.books.pipeline.delivery_begin(request, it.fence - stale, charge)
        if stale:
            assert intent.verdict == "fenced"
        elif it.delivery is not None:
            assert (intent.delivery_id, intent.verdict) == (it.delivery, self._live(it))
        elif it.state == "rendered":
            assert intent.verdict == "send"
            it.delivery, it.intended = intent.delivery_id, charge
        else:
            assert intent.verdict == it.state

    def _live(self, it: Request) -> str:
        return {"delivered": "sent", "delivery_unknown": "unknown"}.get(it.state, "sending")

    @rule(
        request=requests,
        outcome=st.sampled_from(["sent", "sent", "rejected", "unknown"]),
        charge=st.none() | st.integers(0, 6),
    )
    def ends(self, request: UUID, outcome: str, charge: int | None) -> None:
        it = self.known[request]
        if it.delivery is None:
            return
        charge = None if charge is None else min(charge, it.cost)
        statement = "select ledger.delivery_end(%s, %s, %s, 'error', %s)"
        ids = [1] if outcome == "sent" else None
        answers = {self.books.value("led_pipeline", statement, it.delivery, outcome, ids, charge) for _ in range(2)}
        if it.state in {"running", "rendered", "delivery_unknown"}:
            if outcome == "sent":
                fee = charge if charge is not None else it.intended
                self.settle(it, "delivered", it.cost if fee is None else fee)
            elif it.late:
                self._promote(it)
            elif outcome == "unknown":
                it.state, it.alive = "delivery_unknown", False
            else:
                it.delivery = None
                it.state = "rendered" if it.state == "delivery_unknown" else it.state
        assert answers == {it.state}

    def _promote(self, it: Request) -> None:
        it.delivery = it.late[0]
        self.settle(it, "delivered", it.cost)

    @rule(request=requests)
    def arrives_after_send_again(self, request: UUID) -> None:
        it = self.known[request]
        if not it.superseded:
            return
        delivery = it.superseded.pop()
        state = self.books.delivered(delivery, [9], it.cost)
        if it.state in {"running", "rendered", "delivery_unknown"}:
            if it.delivery is not None and it.state != "delivery_unknown":
                it.late.append(delivery)
            else:
                it.delivery = delivery
                self.settle(it, "delivered", it.cost)
        assert state == it.state

    @rule(request=requests, got=st.booleans())
    def answers(self, request: UUID, *, got: bool) -> None:
        it = self.known[request]
        state = self.books.bot("select ledger.user_resolve(%s, %s)", request, got)
        if it.state == "delivery_unknown":
            if got:
                self.settle(it, "delivered", it.cost if it.intended is None else it.intended)
            else:
                assert it.delivery is not None
                it.superseded.append(it.delivery)
                it.delivery, it.state, it.fence, it.alive = None, "rendered", it.fence + 1, False
                self.runs.pop(request, None)
        assert state == it.state

    @rule(request=requests, fenced=st.booleans())
    def gives_up(self, request: UUID, *, fenced: bool) -> None:
        it = self.known[request]
        released = self.books.pipeline.release(request, it.fence - fenced, "failed")
        assert released == (not fenced and self._give_up(it))

    def _give_up(self, it: Request) -> bool:
        if it.state not in OPEN:
            return False
        if it.delivery is not None:
            if it.late:
                self._promote(it)
            else:
                it.state, it.alive = "delivery_unknown", False
            return False
        self.settle(it, "released", 0)
        return True

    @rule(request=requests)
    def cancels(self, request: UUID) -> None:
        it = self.known[request]
        verdict = self.books.bot("select ledger.cancel(%s, %s)", self.tg(it.user), request)
        if it.state not in {"reserved", "running", "rendered"}:
            assert verdict == it.state
        elif it.delivery is not None:
            assert verdict == "sending"
        else:
            assert verdict == "cancelled"
            self.settle(it, "released", 0)

    @rule(request=requests)
    def time_passes_and_the_clock_settles(self, request: UUID) -> None:
        it = self.known[request]
        self.books.later(request, "100 hours")
        verdict = self.books.pipeline.settle_due(request)
        if it.state == "delivery_unknown":
            self.settle(it, "delivered", it.cost if it.intended is None else it.intended)
            assert verdict == "charged"
        elif it.state in OPEN:
            released = self._give_up(it)
            assert verdict == ("released" if released else "charged" if it.state == "delivered" else "asked")
        else:
            assert verdict in {"waiting", "charged"}

    @rule(request=requests)
    def the_worker_is_killed(self, request: UUID) -> None:
        self.books.do(
            "update ledger.request set lease_until = now() - interval '1 s' where id = %s and lease_until > now()",
            request,
        )
        self.known[request].alive = False

    @rule(request=requests, funding=st.sampled_from(["house", "user"]))
    def an_operator_reopens(self, request: UUID, funding: str) -> None:
        it = self.known[request]
        statement = "select ledger.ops_reopen(%s, %s, 'ann', 'the customer asked')"
        purse = self.purses[it.user]
        if it.state != "released" or (funding == "user" and purse.available < it.cost):
            with pytest.raises(psycopg.Error) as refused:
                self.books.value("led_ops", statement, request, funding)
            assert refused.value.sqlstate in {"LD004", "LD007"}
            return
        self.books.value("led_ops", statement, request, funding)
        if funding == "user":
            purse.available -= it.cost
        it.state, it.funded_by, it.alive = "reserved", funding, False
        it.superseded, it.late = [], []
        self.runs.pop(request, None)

    @rule(request=requests)
    def an_operator_refunds(self, request: UUID) -> None:
        it = self.known[request]
        done = self.books.value("led_ops", "select ledger.ops_release(%s, 'ann', 'enough')", request)
        assert done == (it.state in OPEN)
        if done:
            it.delivery = None
            self.settle(it, "released", 0)

    @invariant()
    def wallets_and_requests_are_as_the_model_says(self) -> None:
        for user, purse in self.purses.items():
            assert self.books.wallet(self.tg(user)) == (purse.available, self.held(user))
        states = {row["id"]: row["state"] for row in self.books.rows(None, "select id, state from ledger.request")}
        for request, it in self.known.items():
            assert states[request] == it.state

    def teardown(self) -> None:
        violations = [row for row in self.books.violations() if not row["rule"].startswith("I7")]
        assert violations == []


@pytest.fixture
def model(books: Any) -> Iterator[type[Model]]:
    for name in ("second_lives_per_day", "second_life_credits_per_day"):
        books.value("led_ops", "select ledger.ops_rule(%s, 1000000, 'ann', 'no cap in this test')", name)
    Model.books = books
    yield Model
    books.do("update ledger.request set deadline = now() + interval '1 hour' where state <> 'delivered'")


@pytest.mark.finding("C1", "M16")
def test_the_ledger_does_what_the_model_says(model: type[Model]) -> None:
    run_state_machine_as_test(
        model,
        settings=settings(
            max_examples=25, stateful_step_count=30, deadline=None, database=None, print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
