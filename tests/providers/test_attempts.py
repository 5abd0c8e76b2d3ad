"""Every call is a row written around it, on a real PostgreSQL; limits and the breaker are shared by all who ask it."""

# ruff: noqa: S608 - the statements are made of names in this file

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from carousel_pipeline.providers import Call, CallFailedError, Ended, Failure, Usage, decide, recorded
from carousel_pipeline.records.attempts import AttemptLog, Limits, cost_of
from carousel_pipeline.requests import Options

Connection = psycopg.Connection[dict[str, Any]]
LIMITS = Limits(calls=60, usd_per_day=25.0)
PICTURE = Call("picture", "gemini", "gemini-nano-banana-2.1", 3)
COPY = Call("copy", "anthropic", "claude-haiku-5-5")


class Calls:
    """One request and the connections that see it."""

    def __init__(self, connect_as: Callable[[Any], Connection]) -> None:
        self.admin = connect_as(None)
        self.bot = connect_as("led_bot")
        self.connect = connect_as
        row = self.bot.execute(
            "select request_id from carousel.open_request(1, 1, 'test:1', 'a text', %s)",
            [Jsonb(Options().model_dump(mode="json"))],
        ).fetchone()
        assert row is not None
        self.request: UUID = row["request_id"]

    def log(self, limits: Limits = LIMITS, run: str = "run-1") -> AttemptLog:
        return AttemptLog(self.connect("led_pipeline"), self.request, run, limits)

    def rows(self) -> list[dict[str, Any]]:
        return self.admin.execute("select * from carousel.attempt order by id").fetchall()

    def state(self, provider: str = "gemini") -> dict[str, Any]:
        row = self.bot.execute(
            "select failures, opened_until > clock_timestamp() as open, opened_until, reason "
            "from carousel.provider_state where provider = %s",
            [provider],
        ).fetchone()
        assert row is not None
        return row

    def time_passes(self, interval: str) -> None:
        self.admin.execute("update carousel.provider_state set opened_until = opened_until - %s::interval", [interval])

    def refused(self, log: AttemptLog, call: Call = PICTURE) -> Failure:
        with pytest.raises(CallFailedError) as caught:
            log.begin(call)
        return caught.value.failure


@pytest.fixture
def calls(connect_as: Callable[[Any], Connection]) -> Calls:
    return Calls(connect_as)


def usage(usd: float = 0.0336) -> Usage:
    return Usage(model="m", input_tokens=100, output_tokens=1320, images=1, cost_usd=usd)


def fail(log: AttemptLog, failure: Failure, call: Call = PICTURE) -> None:
    with pytest.raises(CallFailedError), recorded(log, call):
        raise CallFailedError(failure)


DOWN = Failure("gemini", "m", "http", 503, "UNAVAILABLE")
LOCKED = Failure("gemini", "m", "http", 403, "PERMISSION_DENIED")


def test_a_call_is_on_record_before_it_is_made_and_with_what_it_took_after(calls: Calls) -> None:
    with recorded(calls.log(), PICTURE) as record:
        [before] = calls.rows()
        assert (before["outcome"], before["ended_at"], before["cost_usd"]) == ("pending", None, None)
        record.usage, record.request_id = usage(), "resp_1"
    [row] = calls.rows()
    assert (row["outcome"], row["run_id"], row["step"], row["slide"]) == ("ok", "run-1", "picture", 3)
    assert (row["tokens_in"], row["tokens_out"], row["images"], float(row["cost_usd"])) == (100, 1320, 1, 0.0336)
    assert row["provider_request_id"] == "resp_1"
    assert row["ended_at"] >= row["started_at"]
    assert cost_of(calls.connect("led_pipeline"), calls.request) == 0.0336


def test_a_call_that_nobody_ended_is_closed_by_the_next_one_for_the_same_slide_alone(calls: Calls) -> None:
    calls.log().begin(PICTURE)
    other = calls.log().begin(Call("picture", "gemini", "m", 4))
    with recorded(calls.log(run="run-2"), PICTURE):
        pass
    assert [row["outcome"] for row in calls.rows()] == ["abandoned", "pending", "ok"]
    assert calls.rows()[0]["cost_usd"] is None
    assert calls.rows()[1]["id"] == other


def test_an_answer_that_comes_after_its_row_was_abandoned_still_counts_what_it_cost(calls: Calls) -> None:
    log = calls.log()
    slow = log.begin(PICTURE)
    calls.log(run="run-2").begin(PICTURE)
    log.end(slow, Ended("ok", usage(), health="up"))
    assert float(calls.rows()[0]["cost_usd"]) == 0.0336
    log.end(slow, Ended("failed", usage(9.0)))
    assert cost_of(calls.connect("led_pipeline"), calls.request) == 0.0336


def test_an_interrupted_call_is_abandoned_and_one_that_was_turned_away_cost_nothing(calls: Calls) -> None:
    with pytest.raises(KeyboardInterrupt), recorded(calls.log(), PICTURE):
        raise KeyboardInterrupt
    fail(calls.log(), DOWN)
    fail(calls.log(), Failure("gemini", "m", "no_answer", code="TimeoutError"))
    rows = calls.rows()
    assert [row["outcome"] for row in rows] == ["abandoned", "retryable", "retryable"]
    assert [row["cost_usd"] for row in rows] == [None, 0, None]
    assert [row["error"] for row in rows] == ["KeyboardInterrupt", "http_503 UNAVAILABLE", "no_answer TimeoutError"]


def test_a_database_that_goes_away_takes_no_result_with_it(calls: Calls) -> None:
    connection = calls.connect("led_pipeline")
    log = AttemptLog(connection, calls.request, "run-1", LIMITS)
    with recorded(log, PICTURE) as record:
        record.usage = usage()
        connection.close()
    assert [row["outcome"] for row in calls.rows()] == ["pending"]


def test_five_failures_in_a_row_open_the_breaker_for_everybody_and_a_probe_closes_it(calls: Calls) -> None:
    for _ in range(4):
        fail(calls.log(), DOWN)
    assert not calls.state()["open"]
    fail(calls.log(), DOWN)
    assert calls.state()["open"]
    assert calls.state()["reason"] == "http_503 UNAVAILABLE"
    refused = calls.refused(calls.log(run="run-2"))
    assert refused.kind == "open"
    assert refused.retry_after_s is not None
    assert 0 < refused.retry_after_s <= 30
    assert len(calls.rows()) == 5
    calls.time_passes("31 seconds")
    probe = calls.log()
    number = probe.begin(PICTURE)
    assert calls.refused(calls.log(run="run-3"), Call("picture", "gemini", "m", 5)).kind == "open"
    probe.end(number, Ended("ok", usage(), health="up"))
    assert calls.state() == {"failures": 0, "open": None, "opened_until": None, "reason": None}
    with recorded(calls.log(), PICTURE):
        pass


def test_a_probe_that_fails_opens_it_for_longer_and_one_that_dies_leaves_the_next(calls: Calls) -> None:
    for _ in range(5):
        fail(calls.log(), DOWN)
    calls.time_passes("31 seconds")
    fail(calls.log(), DOWN)
    wait = calls.refused(calls.log()).retry_after_s
    assert wait is not None
    assert 30 < wait <= 60
    calls.time_passes("61 seconds")
    calls.log().begin(PICTURE)
    calls.time_passes("3 minutes")
    calls.log().begin(PICTURE)


def test_a_success_in_between_is_a_provider_that_works(calls: Calls) -> None:
    for _ in range(3):
        fail(calls.log(), DOWN)
        fail(calls.log(), DOWN)
        with recorded(calls.log(), PICTURE):
            pass
    assert not calls.state()["open"]


def test_a_key_that_does_not_work_opens_it_at_once_and_only_for_its_provider(calls: Calls) -> None:
    fail(calls.log(), LOCKED)
    assert calls.state()["open"]
    assert calls.refused(calls.log()).kind == "open"
    with recorded(calls.log(), COPY):
        pass
    assert not calls.state("anthropic")["open"]


def test_a_request_has_so_many_calls_a_day_to_one_provider(calls: Calls) -> None:
    few = Limits(calls=2, usd_per_day=25)
    for _ in range(2):
        with recorded(calls.log(few), PICTURE):
            pass
    failure = calls.refused(calls.log(few))
    assert (failure.kind, decide(failure, 0).act) == ("request_limit", "degrade")
    with recorded(calls.log(few), COPY):
        pass
    with recorded(calls.log(few), Call("picture", "offline", "procedural", 3)):
        pass
    calls.admin.execute("update carousel.attempt set started_at = started_at - interval '25 hours'")
    with recorded(calls.log(few), PICTURE):
        pass


def test_a_day_has_so_much_money_a_provider_unknown_costs_counted_and_the_front_door_hears_of_it(calls: Calls) -> None:
    poor = Limits(calls=60, usd_per_day=0.08)
    with recorded(calls.log(poor), PICTURE) as record:
        record.usage = usage()
    fail(calls.log(poor), Failure("gemini", "m", "no_answer"))
    failure = calls.refused(calls.log(poor))
    assert (failure.kind, decide(failure, 0).act) == ("day_limit", "degrade")
    assert decide(Failure("anthropic", "m", "day_limit"), 0).act == "stop"
    assert calls.state()["open"]
    assert calls.state()["reason"] == "day_limit"
    calls.admin.execute(
        "update carousel.provider_state set day = day - 1, opened_until = opened_until - interval '1 day'"
    )
    with recorded(calls.log(poor), PICTURE) as record:
        record.usage = usage()
    assert not calls.state()["open"]


def test_roles_see_what_they_need_and_write_through_the_two_functions_alone(calls: Calls) -> None:
    calls.log().begin(PICTURE)
    for role, table, allowed in [
        ("led_bot", "provider_state", True),
        ("led_bot", "attempt", False),
        ("led_analyst", "attempt", True),
        ("led_ops", "attempt", True),
        ("led_pipeline", "attempt", True),
    ]:
        connection = calls.connect(role)
        if allowed:
            connection.execute(f"select * from carousel.{table}".encode())
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select * from carousel.{table}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"delete from carousel.{table}".encode())
