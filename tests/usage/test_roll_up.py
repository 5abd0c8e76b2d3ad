"""The roll-up is right: a second opinion in plain SQL, by hand on a few rows, and however the days are built."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal

from carousel_pipeline.database import Row, connect, query
from carousel_pipeline.usage.bench import TABLES, disagreeing, roll_up_plainly
from carousel_pipeline.usage.build import build, known_days, stale_days, usage_session
from carousel_pipeline.usage.history import SECOND, imagine
from carousel_pipeline.usage.rollup import SOURCES, Days, Facts, roll_up

pytestmark = pytest.mark.xdist_group("usage")

DAY = date(2026, 3, 29)


def test_plain_sql_finds_the_same_rows(past: psycopg.Connection[Row]) -> None:
    roll_up_plainly(past)
    assert {table: disagreeing(past, table) for table in TABLES} == dict.fromkeys(TABLES, 0)
    counts = past.execute(b"select count(*) as n, sum(requests) as requests from usage.daily").fetchone()
    assert counts is not None
    assert counts["n"] > 1000
    assert counts["requests"] == 2500


def test_nothing_differs_from_the_ledger_and_the_ledger_from_itself(past: psycopg.Connection[Row]) -> None:
    assert past.execute(query("usage.differences")).fetchall() == []
    assert past.execute(query("ledger.violations")).fetchall() == []


def test_built_again_nothing_changes(own_past_url: str) -> None:
    with usage_session(own_past_url) as session, connect(own_past_url, None) as owner:
        roll_up_plainly(owner)
        days = known_days(session)
        build(session, days[-3:])
        build(session, [days[7], days[2], days[3]])
        assert {table: disagreeing(owner, table) for table in TABLES} == dict.fromkeys(TABLES, 0)
        assert stale_days(session) == []


def test_a_past_is_the_same_for_the_same_seed() -> None:
    until = datetime(2026, 11, 20, tzinfo=UTC)
    first, second = (dict(imagine(300, 20, 7, until)) for _ in range(2))
    for table, frame in first.items():
        assert_frame_equal(frame, second[table])


# ---------- by hand -----------------------------------------------------------------------------------


def _frame(name: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(SOURCES[name]))


def _at(seconds: float, day: date = DAY) -> int:
    return int((datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() + seconds) * SECOND)


def _request(number: int, **changed: object) -> dict[str, object]:
    return {
        "request": number, "opened": _at(10), "outlined": _at(15), "confirmed": _at(40), "user_id": 1, "kind": "carousel",
        "style": "bold", "language": "ru", "slides": 7, "phase": "confirmed", "failure": None, "state": "delivered",
    } | changed  # fmt: skip


def _transfer(
    number: int | None, kind: str, debit: str, credit: str, amount: int, at: int, epoch: int = 1
) -> dict[str, object]:
    return {"request": number, "epoch": epoch, "kind": kind, "debit_code": debit, "credit_code": credit, "user_id": 1,
            "amount": amount, "at": at}  # fmt: skip


def _attempt(number: int | None, **changed: object) -> dict[str, object]:
    return {
        "request": number, "id": 1, "step": "copy", "provider": "anthropic", "model": "writer-1", "outcome": "ok",
        "started": _at(11), "ended": _at(15), "tokens_in": 100, "tokens_out": 50, "images": 0, "cost": 0.002,
    } | changed  # fmt: skip


def _facts(**frames: list[dict[str, object]]) -> Facts:
    return Facts(**{name: _frame(name, frames.get(name, [])) for name in SOURCES})


def _one(days: Days) -> Row:
    [row] = days.daily.to_dicts()
    return row


def test_no_facts_are_no_rows() -> None:
    assert all(frame.is_empty() for frame in roll_up(_facts(), [DAY]).tables().values())


def test_a_delivered_carousel_with_a_stand_in() -> None:
    held, back = ("user_available", "user_held"), ("user_held", "user_available")
    days = roll_up(
        _facts(
            requests=[_request(1)],
            events=[{"request": 1, "id": n, "dst": dst, "reason": None, "at": _at(at)}
                    for n, (dst, at) in enumerate((("running", 41), ("rendered", 60), ("delivered", 63)))],
            deliveries=[{"request": 1, "state": "rejected"}, {"request": 1, "state": "sent"}],
            transfers=[_transfer(1, "reserve", *held, 7, _at(40)), _transfer(1, "capture", "user_held", "revenue", 6, _at(63)),
                       _transfer(1, "release", *back, 1, _at(63))],
            attempts=[_attempt(1), _attempt(1, id=2, step="picture", provider="gemini", model="painter-1", images=1, cost=0.039),
                      _attempt(1, id=3, step="picture", provider="gemini", model="painter-1", outcome="refused", cost=None),
                      _attempt(1, id=4, step="picture", provider="offline", model="procedural", outcome="stand_in", cost=0.0)],
        ),
        [DAY],
    )  # fmt: skip
    row = _one(days)
    wanted = {
        "requests": 1, "outlined": 1, "confirmed": 1, "delivered": 1, "refunded": 0, "open": 0, "slides": 7, "stand_ins": 1,
        "sends": 2, "sends_rejected": 1, "held": 7, "charged": 6, "released": 1, "calls": 4, "calls_cost_unknown": 1,
        "cost_usd": 0.041, "cost_charged_usd": 0.041, "cost_free_usd": 0.0, "writer": "writer-1", "painter": "painter-1",
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted
    [seconds] = days.daily_seconds.select(
        "outline_s", "choice_s", "queue_s", "making_s", "sending_s", "total_s"
    ).to_dicts()
    assert seconds == {
        "outline_s": [5],
        "choice_s": [25],
        "queue_s": [1],
        "making_s": [19],
        "sending_s": [3],
        "total_s": [23],
    }


def test_a_refund_and_its_second_life_on_the_house() -> None:
    house = [_transfer(1, "second_life", "goodwill", "user_held", 7, _at(900), 2),
             _transfer(1, "capture", "user_held", "revenue", 7, _at(920), 2)]  # fmt: skip
    events = [
        ("running", 41, None),
        ("released", 50, "images"),
        ("running", 901, None),
        ("rendered", 910, None),
        ("delivered", 920, None),
    ]
    first = [_transfer(1, "reserve", "user_available", "user_held", 7, _at(40)),
             _transfer(1, "release", "user_held", "user_available", 7, _at(50))]  # fmt: skip
    days = roll_up(
        _facts(
            requests=[_request(1)],
            events=[
                {"request": 1, "id": n, "dst": dst, "reason": why, "at": _at(at)}
                for n, (dst, at, why) in enumerate(events)
            ],
            transfers=first + house,
            attempts=[_attempt(1)],
        ),
        [DAY],
    )
    row = _one(days)
    wanted = {"delivered": 1, "held": 7, "charged": 0, "released": 7, "held_house": 7, "charged_house": 7, "released_house": 0,
              "cost_house_usd": 0.002, "cost_charged_usd": 0.0}  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted
    assert days.daily_failure.is_empty()
    [making] = days.daily_seconds["making_s"].to_list()
    assert making == [9], "of the attempt that arrived, not of the first"


@pytest.mark.parametrize("words", ["Ann: she asked nicely", "Слишком долго", "a" * 65, ""])
def test_words_never_become_a_reason_or_a_style(words: str) -> None:
    released = [{"request": 1, "id": 1, "dst": "released", "reason": words, "at": _at(50)}]
    days = roll_up(_facts(requests=[_request(1, state="released", style=words)], events=released), [DAY])
    assert days.daily_failure.select("style", "reason").to_dicts() == [{"style": "other", "reason": "other"}]


def test_what_is_booked_or_called_counts_on_its_own_day_and_what_belongs_to_a_request_on_the_requests() -> None:
    next_day = DAY + timedelta(days=1)
    late = _at(30, next_day)
    facts = _facts(
        requests=[_request(1, opened=_at(86_399.9), confirmed=late)],
        transfers=[_transfer(1, "reserve", "user_available", "user_held", 7, late),
                   _transfer(None, "topup", "sales_stars", "user_available", 50, late)],
        attempts=[_attempt(1, started=late, ended=late + SECOND)],
    )  # fmt: skip
    today, tomorrow = roll_up(facts, [DAY]), roll_up(facts, [next_day])
    assert (_one(today)["held"], _one(today)["cost_usd"], today.daily_money.height, today.daily_call.height) == (
        7,
        0.002,
        0,
        0,
    )
    assert tomorrow.daily.is_empty()
    assert tomorrow.daily_money["credits"].sum() == 57
    assert tomorrow.daily_person.to_dicts() == [
        {"day": next_day, "user_id": 1, "requests": 0, "confirmed": 0, "delivered": 0, "charged": 0, "bought": 50}
    ]
    assert tomorrow.daily_call["seconds"].to_list() == [[1.0]]


def test_a_day_of_a_clock_change_has_24_hours() -> None:
    """Days are UTC days: on this one, Berlin and Kiev lose an hour and we do not."""
    rows = [
        _request(hour, opened=_at(3600 * hour), outlined=None, confirmed=None, phase="drafting", state=None)
        for hour in range(26)
    ]
    days = roll_up(_facts(requests=rows), [DAY, DAY + timedelta(days=1)])
    assert days.daily.select("day", "requests").rows() == [(DAY, 24), (DAY + timedelta(days=1), 2)]
