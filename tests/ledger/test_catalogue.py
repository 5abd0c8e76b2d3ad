"""Rules about the schema itself, asked of the catalogue: nobody has to remember them when a table or function is added."""

# ruff: noqa: S608 - the statements are made of names in this file and in the catalogue

import re
import secrets
from itertools import product
from typing import Any, Final

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from carousel_pipeline.database import connect
from carousel_pipeline.ledger.errors import LedgerError, ledger_errors

# Whatever schema a migration adds is ours.
OURS: Final = "(select nspname::text from pg_namespace where nspname !~ '^(pg_|information_schema$|public$)')"

READS: Final = {
    "led_bot": {"wallet", "request", "delivery", "outbox", "rule"},
    "led_pipeline": {"wallet", "request", "delivery", "outbox", "rule"},
    "led_pay": {"rule", "rub_order"},
    "led_analyst": {"account", "entry", "second_life_log", "rule", "invariant_violation"},
}  # fmt: skip
CALLS: Final = {
    "led_bot": {
        "get_or_create_user", "reserve", "welcome", "balance", "statement", "cancel", "user_resolve", "rub_order_open",
        "due", "settle_due", "outbox_claim", "outbox_done", "outbox_failed", "inbox_put",
    },
    "led_pipeline": {
        "claim", "heartbeat", "rendered", "delivery_begin", "delivery_end", "release", "second_life", "open_holds",
        "prune", "due", "settle_due", "outbox_claim", "outbox_done", "outbox_failed",
    },
    "led_pay": {
        "topup", "chargeback", "promo", "rub_order_settle", "inbox_put", "inbox_claim", "inbox_done", "inbox_failed",
    },
    "led_ops": {"ops_release", "ops_reopen", "ops_resolve", "ops_rule", "ops_outbox", "ops_erase", "promo"},
    "led_analyst": set(),
}  # fmt: skip
ROLES: Final = tuple(CALLS)
# Outside functions a role writes nothing but the bot's state of its chats and the roll-ups, neither of which is money.
WRITES: Final = {
    "led_bot": {"bot.fsm", "bot.draft", "bot.document", "bot.message", "bot.inbox", "bot.bucket"},
    "led_pipeline": {
        "usage.day", "usage.stale_day", "usage.daily", "usage.daily_failure", "usage.daily_seconds", "usage.daily_call",
        "usage.daily_money", "usage.daily_person", "usage.check_result",
    },
    "led_pay": set(),
    "led_ops": {"usage.price"},
    "led_analyst": set(),
}  # fmt: skip


@pytest.fixture
def catalogue(database_url: str) -> Any:
    with connect(database_url, None) as connection:
        yield connection


def _column(connection: Any, statement: str) -> list[Any]:
    return [next(iter(row.values())) for row in connection.execute(statement.encode())]


TABLES: Final = "select relname from pg_class where relnamespace = 'ledger'::regnamespace and relkind in ('r', 'v')"
FUNCTIONS: Final = "select oid::regprocedure::text, proname from pg_proc where pronamespace = 'ledger'::regnamespace"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_and_writes_exactly_what_is_declared(catalogue: Any, role: str) -> None:
    """Role x object x verb, for every table and view there is."""
    verbs = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
    tables = _column(catalogue, TABLES)
    reads = set(tables) if role == "led_ops" else READS[role]
    for table, verb in product(tables, verbs):
        [allowed] = _column(catalogue, f"select has_table_privilege('{role}', 'ledger.{table}', '{verb}')")
        assert allowed == (verb == "SELECT" and table in reads), (role, table, verb)
        if verb in {"INSERT", "UPDATE", "REFERENCES"}:
            [some] = _column(catalogue, f"select has_any_column_privilege('{role}', 'ledger.{table}', '{verb}')")
            assert not some, (role, table, verb)


@pytest.mark.parametrize("role", ROLES)
def test_outside_functions_a_role_writes_only_what_is_declared(catalogue: Any, role: str) -> None:
    """Role x object x verb again, for every schema that any migration has made."""
    written = _column(
        catalogue,
        "select c.oid::regclass::text from pg_class c "
        f"where c.relnamespace::regnamespace::text in {OURS} and c.relkind in ('r', 'p', 'v', 'm', 'f') "
        f"and (has_table_privilege('{role}', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') "
        f"or has_any_column_privilege('{role}', c.oid, 'INSERT, UPDATE, REFERENCES'))",
    )
    assert set(written) == WRITES[role]
    assert not _column(
        catalogue,
        "select c.oid::regclass::text from pg_class c "
        f"where c.relnamespace::regnamespace::text in {OURS} "
        f"and case c.relkind when 'S' then has_sequence_privilege('{role}', c.oid, 'UPDATE') else false end",
    )


def test_the_analyst_sees_requests_without_the_key_that_is_made_from_a_telegram_id(catalogue: Any) -> None:
    hidden = _column(
        catalogue,
        "select attname from pg_attribute where attrelid = 'ledger.request'::regclass and attnum > 0 "
        "and not has_column_privilege('led_analyst', attrelid, attnum, 'SELECT') order by 1",
    )
    assert hidden == ["client_key", "meta"]
    assert not _column(
        catalogue,
        "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid "
        f"where c.relnamespace::regnamespace::text in {OURS} and a.attname like '%tg%' "
        "and has_schema_privilege('led_analyst', c.relnamespace, 'USAGE') "
        "and has_column_privilege('led_analyst', c.oid, a.attnum, 'SELECT')",
    )


@pytest.mark.parametrize("role", ROLES)
def test_a_role_calls_exactly_what_is_declared(catalogue: Any, role: str) -> None:
    functions = catalogue.execute(FUNCTIONS.encode()).fetchall()
    allowed = {
        row["proname"]
        for row in functions
        if _column(catalogue, f"select has_function_privilege('{role}', '{row['oid']}', 'EXECUTE')") == [True]
    }
    assert allowed == CALLS[role]


def test_no_role_can_become_another_or_make_anything(catalogue: Any) -> None:
    for role in ROLES:
        [row] = catalogue.execute(f"select * from pg_roles where rolname = '{role}'".encode()).fetchall()
        assert not any(row[key] for key in ("rolsuper", "rolcreaterole", "rolcreatedb", "rolcanlogin", "rolbypassrls"))
        for other in (*ROLES, "led_owner"):
            if other != role:
                assert _column(catalogue, f"select pg_has_role('{role}', '{other}', 'MEMBER')") == [False]
        for schema in (*_column(catalogue, OURS[1:-1]), "public"):
            assert _column(catalogue, f"select has_schema_privilege('{role}', '{schema}', 'CREATE')") == [False]


@pytest.mark.parametrize("role", ROLES)
def test_the_refusals_are_real_for_a_login_of_that_role_alone(catalogue: Any, database_url: str, role: str) -> None:
    login, password = f"only_{role}", secrets.token_urlsafe()
    catalogue.execute(f"create role {login} login password '{password}' in role {role}".encode())
    statements = (
        "update ledger.wallet set available = 1000000",
        "insert into ledger.transfer (idem_key, kind) values ('gift', 'promo')",
        "delete from ledger.transfer",
        "truncate ledger.request",
        "select ledger._post('k', 'promo', 'promo', 'user_available', 1, 5)",
        "update ledger.app_user set restricted = false",
        "alter table ledger.transfer disable trigger all",
        "create table ledger.mine ()",
        "set role led_owner",
        *(f"set role {other}" for other in ROLES if other != role),
        *(() if role == "led_ops" else ("select tg_user_id from ledger.app_user", "select * from ledger.inbox")),
    )
    try:
        with connect(make_conninfo(database_url, user=login, password=password), None) as connection:
            for statement in statements:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
    finally:
        catalogue.execute(f"drop role {login}".encode())


def test_public_may_call_nothing(catalogue: Any) -> None:
    assert not _column(
        catalogue,
        "select p.oid::regprocedure::text from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a "
        f"where p.pronamespace::regnamespace::text in {OURS} and a.grantee = 0",
    )


def test_everything_belongs_to_the_owner_who_cannot_log_in(catalogue: Any) -> None:
    assert not _column(
        catalogue,
        f"select oid::regclass::text from pg_class where relnamespace::regnamespace::text in {OURS} "
        "and relowner <> 'led_owner'::regrole and relnamespace <> 'migration'::regnamespace "
        f"union all select oid::regprocedure::text from pg_proc where pronamespace::regnamespace::text in {OURS} "
        "and proowner <> 'led_owner'::regrole",
    )


def test_no_function_can_be_hijacked_by_a_search_path(catalogue: Any) -> None:
    """Every function that runs with its owner's rights, and every trigger, fixes its search_path and ends it with pg_temp."""
    assert not _column(
        catalogue,
        f"select oid::regprocedure::text from pg_proc where pronamespace::regnamespace::text in {OURS} "
        "and (prosecdef or prorettype = 'trigger'::regtype) "
        "and not exists (select from unnest(proconfig) set where set ~ '^search_path=.*pg_temp$')",
    )


@pytest.mark.finding("M1")
def test_every_foreign_key_states_what_happens_on_delete_and_money_restricts(catalogue: Any) -> None:
    silent = _column(
        catalogue,
        "select conname from pg_constraint where contype = 'f' and confdeltype = 'a' "
        f"and connamespace::regnamespace::text in {OURS}",
    )
    assert silent == []
    assert set(
        _column(
            catalogue,
            "select confdeltype from pg_constraint where contype = 'f' and connamespace = 'ledger'::regnamespace",
        )
    ) == {"r"}


@pytest.mark.finding("m9")
def test_no_index_repeats_the_beginning_of_another(catalogue: Any) -> None:
    assert not _column(
        catalogue,
        "select a.indexrelid::regclass::text || ' is in ' || b.indexrelid::regclass "
        "from pg_index a join pg_index b on a.indrelid = b.indrelid and a.indexrelid <> b.indexrelid "
        "join pg_class c on c.oid = a.indrelid join pg_class x on x.oid = a.indexrelid join pg_class y on y.oid = b.indexrelid "
        f"where c.relnamespace::regnamespace::text in {OURS} and x.relam = y.relam "
        "and (b.indkey::text || ' ') like (a.indkey::text || ' %') "
        "and coalesce(pg_get_expr(a.indpred, a.indrelid), '') = coalesce(pg_get_expr(b.indpred, b.indrelid), '') "
        "and coalesce(pg_get_expr(a.indexprs, a.indrelid), '') = coalesce(pg_get_expr(b.indexprs, b.indrelid), '') "
        "and (not a.indisunique or a.indkey::text = b.indkey::text)",
    )


@pytest.mark.finding("M2")
def test_every_foreign_key_of_a_growing_table_can_be_looked_up(catalogue: Any) -> None:
    """A RESTRICT or a join must not read a whole table: some index begins with the referencing column."""
    assert not _column(
        catalogue,
        "select c.conname from pg_constraint c where c.contype = 'f' and c.connamespace = 'ledger'::regnamespace "
        "and not exists (select 1 from pg_index i where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1]) "
        "and c.conname not in ('reversal_user_fk', 'transfer_request_fk')",
    )


def test_every_constraint_has_a_name_of_ours(catalogue: Any) -> None:
    generated = _column(
        catalogue,
        f"select conname from pg_constraint where connamespace::regnamespace::text in {OURS} and contype in ('c', 'f', 'p', 'u') "
        "and conname ~ '_(check[0-9]*|fkey[0-9]*|pkey|key[0-9]*)$'",
    )
    assert generated == []


def test_every_refusal_becomes_an_error_of_the_domain(catalogue: Any) -> None:
    """Whatever constraint or unique index refuses, callers see a LedgerError, never psycopg's own."""
    names = catalogue.execute(
        b"select conname as name, case contype when 'c' then '23514' when 'f' then '23503' else '23505' end as code "
        b"from pg_constraint where connamespace = 'ledger'::regnamespace and contype in ('c', 'f', 'p', 'u') "
        b"union select indexrelid::regclass::text, '23505' from pg_index "
        b"where indisunique and indrelid::regclass::text like 'ledger.%'"
    ).fetchall()
    assert len(names) > 40
    raise_as = "do $$ begin raise exception using errcode = '{}', constraint = '{}', message = 'broken'; end $$"
    for row in names:
        with pytest.raises(LedgerError), ledger_errors():
            catalogue.execute(raise_as.format(row["code"], row["name"]).encode())
    for number in range(1, 13):
        with pytest.raises(LedgerError), ledger_errors():
            catalogue.execute(raise_as.format(f"LD{number:03}", "").encode())


def test_every_legal_account_exists(catalogue: Any) -> None:
    [legal] = _column(catalogue, "select prosrc from pg_proc where oid = 'ledger.legal'::regproc")
    accounts = _column(catalogue, "select code from ledger.account")
    for account in accounts:
        assert re.search(rf"\b{account}\b", legal)
    for code in ("sales_stars", "sales_rub", "revenue", "goodwill", "bad_debt", "promo", "user_held", "user_available"):
        assert code in accounts


@pytest.mark.finding("m6", "M2")
def test_every_limit_has_an_order(catalogue: Any) -> None:
    bodies = _column(
        catalogue,
        f"select prosrc from pg_proc where pronamespace::regnamespace::text in {OURS} and prosrc ~* '\\mlimit\\M'",
    )
    assert bodies
    for body in bodies:
        assert body.lower().count("order by") >= body.lower().count(" limit ")
