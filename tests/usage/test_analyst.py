"""What an analyst may see: everything about the business, nothing about a person. Asked of the catalogue, column by column."""

import re
from itertools import product
from typing import Any, Final

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from carousel_pipeline.database import Row, connect

pytestmark = pytest.mark.xdist_group("usage")

# Everything else in the database is hidden, whatever is added to it later.
SEES: Final = {
    "carousel.attempt": {"id", "request_id", "run_id", "step", "slide", "provider", "model", "started_at", "ended_at", "outcome",
                         "tokens_in", "tokens_out", "images", "cost_usd", "provider_request_id", "error"},
    "carousel.audit": {"id", "checked_at", "violations", "rules"},
    "ledger.account": {"code", "per_user", "note"},
    "ledger.entry": {"transfer_id", "code", "user_id", "amount", "created_at"},
    "ledger.rule": {"name", "value", "note"},
    "ledger.invariant_violation": {"rule", "id", "detail"},
    "ledger.second_life_log": {"request_id", "epoch", "run_id", "credits", "created_at"},
    "ledger.transfer": {"id", "kind", "debit_code", "credit_code", "user_id", "request_id", "epoch", "amount", "remainder",
                        "event_at", "created_at"},
    "ledger.request_event": {"id", "request_id", "src", "dst", "fence", "created_at"},
    "ledger.delivery": {"id", "request_id", "epoch", "fence", "state", "charge", "created_at", "updated_at"},
    "ledger.request": {"id", "user_id", "kind", "cost", "charged", "state", "epoch", "fence", "run_id", "lease_until", "deadline",
                       "created_at", "updated_at"},
}  # fmt: skip
SOURCES: Final = {f"source_{name}" for name in ("request", "event", "transfer", "attempt", "delivery")}
PERSONAL: Final = re.compile(
    r"tg_|telegram|chat|message_id|file_id|source|deck|options|client_key|idem_key|charge_id|meta$|secret|token$|body|phone|handle"
)
COLUMNS: Final = """
  select n.nspname || '.' || c.relname as name, c.relkind as kind, a.attname as column, c.oid as oid, a.attnum as number
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
   where n.nspname !~ '^(pg_|information_schema)' and c.relkind in ('r', 'v', 'm', 'p', 'f') and a.attnum > 0
     and not a.attisdropped"""


@pytest.fixture
def catalogue(past: psycopg.Connection[Row]) -> psycopg.Connection[Row]:
    return past


def _seen(catalogue: psycopg.Connection[Row], role: str, verb: str) -> dict[str, set[str]]:
    seen: dict[str, set[str]] = {}
    statement = (
        f"select name, \"column\" from ({COLUMNS}) x where has_column_privilege('{role}', oid, number, '{verb}')"  # noqa: S608
    )
    for row in catalogue.execute(statement.encode()):
        seen.setdefault(row["name"], set()).add(row["column"])
    return seen


def test_the_analyst_reads_usage_and_the_harmless_part_of_the_ledger_column_by_column(catalogue: Any) -> None:
    seen = _seen(catalogue, "led_analyst", "SELECT")
    usage = {name for name in seen if name.startswith("usage.")}
    assert {name: columns for name, columns in seen.items() if name not in usage} == SEES
    tables = {row["name"] for row in catalogue.execute(COLUMNS.encode()) if row["name"].startswith("usage.")}
    assert usage == tables - {f"usage.{name}" for name in SOURCES}


@pytest.mark.parametrize("verb", ["INSERT", "UPDATE", "REFERENCES"])
def test_the_analyst_writes_nothing(catalogue: Any, verb: str) -> None:
    assert _seen(catalogue, "led_analyst", verb) == {}


def test_the_analyst_calls_nothing_of_ours(catalogue: Any) -> None:
    callable_ = catalogue.execute(
        b"select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
        b"where n.nspname !~ '^(pg_|information_schema)' and has_function_privilege('led_analyst', p.oid, 'EXECUTE')"
    ).fetchall()
    assert callable_ == []


def test_no_column_that_the_analyst_sees_is_about_a_person(catalogue: Any) -> None:
    for name, columns in _seen(catalogue, "led_analyst", "SELECT").items():
        found = {column for column in columns if PERSONAL.search(column)}
        assert found <= ({"source"} if name == "usage.difference" else set()), name


def test_no_value_that_the_analyst_sees_is_a_telegram_id_a_text_or_a_payment(catalogue: Any) -> None:
    """The made-up past has all three, everywhere where they may be; every cell is looked at."""
    ids = {str(row["tg"]) for row in catalogue.execute(b"select tg_user_id as tg from ledger.app_user")}
    secret = re.compile("once wrote|past:|:past|Thought|run past|7000000")
    assert ids
    for name, columns in _seen(catalogue, "led_analyst", "SELECT").items():
        listed = ", ".join(f'"{column}"' for column in sorted(columns))
        for row in catalogue.execute(f"select ({listed})::text as cells from {name}".encode()):  # noqa: S608 - names of the catalogue
            assert not secret.search(row["cells"]), name
            assert not ids & set(re.split(r"[(),]", row["cells"])), name


def test_the_refusals_are_real_for_a_login_of_the_analyst(own_past_url: str) -> None:
    with connect(own_past_url, None) as owner:
        owner.execute(b"create role only_an_analyst login password 'made-up-for-a-test' in role led_analyst")
    try:
        url = make_conninfo(own_past_url, user="only_an_analyst", password="made-up-for-a-test")
        with connect(url, "led_analyst") as analyst:
            assert analyst.execute(b"select sum(requests) as n from usage.daily").fetchone() == {"n": 2500}
            for statement in (
                b"select tg_user_id from ledger.app_user", b"select source from carousel.request",
                b"select * from ledger.transfer", b"select note from ledger.request_event", b"select error from ledger.delivery",
                b"select * from usage.source_request", b"select * from bot.person", b"select * from ledger.inbox",
                b"select * from pay.purchase", b"delete from usage.daily", b"update usage.price set usd_per_credit = 9",
                b"select usage.mark_stale()", b"create table usage.mine ()",
                b"insert into usage.check_result (name, passed, detail) values ('totals', true, '')",
            ):  # fmt: skip
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    analyst.execute(statement)
    finally:
        with connect(own_past_url, None) as owner:
            owner.execute(b"drop role only_an_analyst")


def test_the_pipeline_reads_sources_through_views_and_writes_only_what_it_builds(catalogue: Any) -> None:
    written = {
        name
        for verb in ("INSERT", "UPDATE")
        for name in _seen(catalogue, "led_pipeline", verb)
        if name.startswith("usage.")
    }
    assert written == {f"usage.{name}" for name in ("day", "daily", "daily_failure", "daily_seconds", "daily_call", "daily_money",
                                                    "daily_person", "check_result")}  # fmt: skip
    columns = {
        row["column"] for row in catalogue.execute(COLUMNS.encode()) if row["name"].removeprefix("usage.") in SOURCES
    }
    assert not {column for column in columns if PERSONAL.search(column)}


def test_every_column_is_explained(catalogue: Any) -> None:
    silent = catalogue.execute(
        f"select name, \"column\" from ({COLUMNS}) x where name like 'usage.%' and name not like 'usage.source_%' "  # noqa: S608 - ours
        "and col_description(oid, number) is null".encode()
    ).fetchall()
    assert silent == []
    unnamed = catalogue.execute(
        f"select distinct name from ({COLUMNS}) x where name like 'usage.%' and obj_description(oid, 'pg_class') is null".encode()  # noqa: S608
    ).fetchall()
    assert unnamed == []


def test_a_schema_is_only_read_where_it_is_open(catalogue: Any) -> None:
    for schema, verb in product(("bot", "house", "pay", "migration"), ("USAGE", "CREATE")):
        [row] = catalogue.execute(
            f"select has_schema_privilege('led_analyst', '{schema}', '{verb}') as may".encode()
        ).fetchall()
        assert not row["may"], schema
