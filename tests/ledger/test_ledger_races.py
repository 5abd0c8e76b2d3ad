"""Many clients at once, each with a connection of its own, all started by one barrier."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest

from carousel_pipeline.database import Role, Row, connect

Client = psycopg.Connection[Row]
SAM = 4242


@pytest.fixture
def at_once(database_url: str) -> Iterator[Callable[..., list[Any]]]:
    """Run a function in so many threads at the same moment and return what each returned or raised."""

    def start(count: int, role: Role, work: Callable[[Client, int], Any]) -> list[Any]:
        barrier = threading.Barrier(count)

        def one(number: int) -> Any:
            with connect(database_url, role) as connection:
                barrier.wait(timeout=30)
                try:
                    return work(connection, number)
                except psycopg.Error as error:
                    return error.sqlstate

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    return start


def _first(connection: Client, statement: str, *values: object) -> Any:
    row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    return next(iter(row.values()))


@pytest.mark.finding("C11")
def test_two_first_messages_make_one_user(books: Any, at_once: Any) -> None:
    users = at_once(8, "led_bot", lambda c, _: _first(c, "select ledger.get_or_create_user(%s)", SAM))
    assert len(set(users)) == 1
    assert books.value(None, "select count(*) from ledger.wallet") == 1


@pytest.mark.finding("C11", "M16")
def test_the_welcome_gift_is_given_once_to_eight_first_messages(books: Any, at_once: Any) -> None:
    gifts = at_once(8, "led_bot", lambda c, _: _first(c, "select ledger.welcome(%s)", SAM))
    assert Counter(gifts) == {True: 1, False: 7}
    assert books.wallet(SAM) == (10, 0)


@pytest.mark.finding("M16", "C12")
def test_fifty_taps_with_credits_for_one(books: Any, at_once: Any) -> None:
    books.topup(SAM, 7)
    taps = at_once(
        50, "led_bot", lambda c, n: _first(c, "select request_id from ledger.reserve(%s, %s, 7)", SAM, f"tap-{n}")
    )
    assert Counter(type(tap) for tap in taps) == {UUID: 1, str: 49}
    assert set(taps) - {tap for tap in taps if isinstance(tap, UUID)} == {"LD007"}
    assert books.wallet(SAM) == (0, 7)


@pytest.mark.finding("M16")
def test_fifty_times_the_same_tap_is_one_request(books: Any, at_once: Any) -> None:
    books.topup(SAM, 70)
    taps = at_once(50, "led_bot", lambda c, _: _first(c, "select request_id from ledger.reserve(%s, 'tap', 7)", SAM))
    assert len(set(taps)) == 1
    assert books.wallet(SAM) == (63, 7)


def test_eight_runs_claim_and_one_works(books: Any, at_once: Any) -> None:
    request = books.reserve(SAM, 0)
    verdicts = at_once(
        8, "led_pipeline", lambda c, n: _first(c, "select verdict from ledger.claim(%s, %s)", request, f"run-{n}")
    )
    assert Counter(verdicts) == {"run": 1, "busy": 7}


def test_eight_intents_and_one_album(books: Any, at_once: Any) -> None:
    request = books.reserve(SAM, 0)
    fence = books.rendered(request)
    begin = "select verdict from ledger.delivery_begin(%s, %s)"
    verdicts = at_once(8, "led_pipeline", lambda c, _: _first(c, begin, request, fence))
    assert Counter(verdicts) == {"send": 1, "sending": 7}


def test_refund_and_delivery_exclude_each_other(books: Any, at_once: Any) -> None:
    books.topup(SAM, 70)
    for _ in range(5):
        request = books.reserve(SAM, 7)
        delivery = books.sending(request)
        books.later(request)

        def end(c: Client, number: int, request: UUID = request, delivery: int = delivery) -> Any:
            if number % 2:
                return _first(c, "select ledger.delivery_end(%s, 'sent', '{1}')", delivery)
            return _first(c, "select ledger.release(%s, null, 'timeout')::text", request)

        at_once(6, "led_pipeline", end)
        assert books.state(request) == "delivered"
    assert books.wallet(SAM) == (35, 0)


def test_the_house_pays_no_more_than_its_cap_to_eight_reruns(books: Any, at_once: Any) -> None:
    requests = []
    for user in range(8):
        books.topup(user, 7)
        requests.append(books.refunded(user, 7))
    books.value("led_ops", "select ledger.ops_rule('second_lives_per_day', 3, 'ann', 'a small budget')")
    rerun = "select verdict from ledger.second_life(%s, 'rerun')"
    verdicts = at_once(8, "led_pipeline", lambda c, n: _first(c, rerun, requests[n]))
    assert Counter(verdicts) == {"run": 3, "capped": 5}


@pytest.mark.parametrize(("wallets", "calls"), [(20, 60), (1, 40)], ids=["20 wallets", "one hot wallet"])
def test_eight_clients_doing_everything_lose_nothing_and_never_deadlock(
    books: Any, at_once: Any, database_url: str, seed: int, wallets: int, calls: int
) -> None:
    paid = dict.fromkeys(range(1, wallets + 1), 0)
    lock = threading.Lock()

    def work(bot: Client, number: int) -> list[str]:
        chance = random.Random(seed + number)  # noqa: S311 - a test's dice
        refusals = []
        with connect(database_url, "led_pipeline") as run, connect(database_url, "led_pay") as pay:
            for step in range(calls):
                user = chance.randint(1, wallets)
                try:
                    if chance.random() < 0.4:
                        _first(pay, "select ledger.topup(%s, 'stars', %s, 5, now())", user, f"{number}-{step}")
                        with lock:
                            paid[user] += 5
                    else:
                        _live(bot, run, user, f"{number}-{step}", chance)
                except psycopg.Error as error:
                    refusals.append(error.sqlstate or "")
        return refusals

    refusals = {code for codes in at_once(8, "led_bot", work) for code in codes}
    assert refusals <= {"LD007"}
    for user, total in paid.items():
        spent = books.value(
            None,
            "select coalesce(sum(charged), 0) from ledger.request join ledger.app_user u on u.id = user_id "
            "where tg_user_id = %s",
            user,
        )
        available, held = books.wallet(user)
        assert available + held + spent == total


def _live(bot: Client, run: Client, user: int, key: str, chance: random.Random) -> None:
    cost = chance.randint(0, 4)
    request = _first(bot, "select request_id from ledger.reserve(%s, %s, %s)", user, key, cost)
    if chance.random() < 0.2:
        _first(bot, "select ledger.cancel(%s, %s)", user, request)
    fence = _first(run, "select fence from ledger.claim(%s, %s)", request, key)
    if chance.random() < 0.2:
        _first(run, "select ledger.release(%s, %s, 'failed')", request, fence)
    _first(run, "select ledger.rendered(%s, %s)", request, fence)
    delivery = _first(run, "select delivery_id from ledger.delivery_begin(%s, %s)", request, fence)
    if delivery is not None:
        outcome = chance.choice(["sent", "sent", "rejected", "unknown"])
        _first(run, "select ledger.delivery_end(%s, %s, '{1}')", delivery, outcome)
        if outcome == "unknown":
            _first(bot, "select ledger.user_resolve(%s, true)", request)
        elif outcome == "rejected":
            _first(run, "select ledger.release(%s, %s, 'failed')", request, fence)
