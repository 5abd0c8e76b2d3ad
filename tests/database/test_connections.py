"""Connections act as their role, give up in time, and never stay in a transaction."""

from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from carousel_pipeline.database import async_connect, async_pool, connect, ensure_database, migrate, query


def test_a_connection_acts_as_its_role_from_the_beginning(database_url: str) -> None:
    with connect(database_url, "led_bot") as connection:
        row = connection.execute("select current_user::text, current_setting('application_name') as name").fetchone()
        assert row == {"current_user": "led_bot", "name": "carousel led_bot"}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select ledger.release(gen_random_uuid(), 1, 'mine')")


@pytest.mark.finding("C4")
def test_nothing_waits_for_ever(database_url: str) -> None:
    with connect(database_url, "led_bot") as connection:
        rows = connection.execute(
            "select name, setting || unit as value from pg_settings where name in "
            "('lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout')"
        ).fetchall()
    assert {row["name"]: row["value"] for row in rows} == {
        "lock_timeout": "2000ms",
        "statement_timeout": "10000ms",
        "idle_in_transaction_session_timeout": "15000ms",
    }


@pytest.mark.finding("C4", "C6")
async def test_a_crashing_handler_holds_no_lock_and_leaves_no_transaction(database_url: str, connect_as: Any) -> None:
    connect_as(None).execute("select ledger.get_or_create_user(1)")
    lock = "select * from ledger.wallet for update"
    async with async_pool(database_url, "led_owner", max_size=1) as pool:
        with pytest.raises(ZeroDivisionError):
            await _crash(pool, lock)
        async with pool.connection() as connection:
            assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        connect_as(None).execute(f"{lock} nowait".encode())


async def _crash(pool: Any, lock: str) -> None:
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(lock)
        raise ZeroDivisionError


async def test_a_pool_outlives_a_restart_of_its_server(database_url: str, connect_as: Any) -> None:
    async with async_pool(database_url, "led_bot", min_size=2, max_size=2) as pool:
        await pool.wait()
        connect_as(None).execute("select pg_terminate_backend(pid) from pg_stat_activity where usename is not null "
                                 "and application_name = 'carousel led_bot'")  # fmt: skip
        for _ in range(3):
            async with pool.connection() as connection:
                assert await (await connection.execute("select 1 as one")).fetchone() == {"one": 1}


async def test_a_listening_connection_is_like_any_other(database_url: str) -> None:
    async with await async_connect(database_url, "led_bot") as connection:
        row = await (await connection.execute("select current_user::text as me")).fetchone()
    assert row == {"me": "led_bot"}


@pytest.mark.finding("m37")
def test_credentials_and_names_with_special_characters_work(empty_database_url: str) -> None:
    login, password, name = "an@login:/?#", "p@ss:w/ord?#%&+ é'\"", "a base/%?#"
    with connect(empty_database_url, None) as server:
        role = psycopg.sql.Identifier(login)
        server.execute(psycopg.sql.SQL("create role {} login createdb password {}").format(role, password))
        host = psycopg.conninfo.conninfo_to_dict(empty_database_url)
        url = f"postgresql://{quote(login, safe='')}:{quote(password, safe='')}@127.0.0.1:{host['port']}/{quote(name, safe='')}"
        try:
            ensure_database(url)
            ensure_database(url)
            with connect(url, None) as connection:
                assert connection.info.dbname == name
        finally:
            server.execute(psycopg.sql.SQL("drop database {} with (force)").format(psycopg.sql.Identifier(name)))
            server.execute(psycopg.sql.SQL("drop role {}").format(role))


def test_a_database_that_cannot_be_reached_is_an_error_and_not_created(postgres: Any) -> None:
    with pytest.raises(psycopg.OperationalError):
        ensure_database(make_conninfo(postgres.url("nobody_has_it"), password="wrong"))


def test_a_query_that_does_not_exist_is_an_error() -> None:
    assert query("ledger.claim").startswith(b"select fence")
    with pytest.raises(KeyError):
        query("ledger.no_such_query")


def test_migrating_is_part_of_the_template(database_url: str) -> None:
    assert migrate(database_url) == []
