"""A small made-up past, rolled up: made once for all tests that only look at it."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from carousel_pipeline.database import Row, connect, ensure_database, migrate
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.usage.build import build, known_days, usage_session
from carousel_pipeline.usage.checks import run_checks
from carousel_pipeline.usage.history import generate_history

REQUESTS = 2500
DAYS = 40


@pytest.fixture(scope="session")
def past_url(postgres: EmbeddedPostgres) -> str:
    """The URL of a database with a past of 40 days that is rolled up and checked; nobody changes it."""
    url = postgres.url("usage_past")
    ensure_database(url)
    migrate(url)
    generate_history(url, requests=REQUESTS, days=DAYS, seed=4)
    with usage_session(url) as session:
        build(session, known_days(session))
        run_checks(session)
    return url


@pytest.fixture
def past(past_url: str) -> Iterator[psycopg.Connection[Row]]:
    """A connection to the past that leaves no trace."""
    with connect(past_url, None) as connection, connection.transaction(force_rollback=True):
        yield connection


@pytest.fixture
def own_past_url(postgres: EmbeddedPostgres, past_url: str) -> Iterator[str]:
    """The URL of a copy of the past that a test may change."""
    name = sql.Identifier("usage_past_copy")
    del past_url
    with connect(postgres.url("postgres"), None) as server:
        server.execute(sql.SQL("create database {} template usage_past").format(name))
        yield postgres.url("usage_past_copy")
        server.execute(sql.SQL("drop database {} with (force)").format(name))
