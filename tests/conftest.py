"""What every room's tests share: a clean environment and a real PostgreSQL with the real migrations (C10).

Each xdist worker has a server of its own in a temporary folder. The migrations run once, into a template; a test that
asks for `database_url` gets a copy of it that nobody else sees.
"""

import itertools
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from carousel_pipeline.database import Role, Row, connect, ensure_database, migrate
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.settings import Settings, get_settings

_FOREIGN = ("PG", "AWS_", "DAGSTER_", "CAROUSEL_", "TELEGRAM_", "ANTHROPIC_", "GEMINI_", "GOOGLE_", "S3_")
# The one thing that may come from outside: servers that take the place of our fakes, and what they ask for. The tests that say so
# (fixture `outside`) run against them; the environment of all others stays empty.
_SERVERS = (
    *("TELEGRAM_API_URL", "TELEGRAM_BOT_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"),
    *("GEMINI_BASE_URL", "GEMINI_API_VERSION", "GEMINI_API_KEY"),
)
_OUTSIDE = {name: os.environ[name] for name in _SERVERS if os.environ.get(name)}
_ROOMY = 4 * 2**30
_serial = itertools.count(1)
_finished: list[str] = []

Connect = Callable[[Role | None], psycopg.Connection[Row]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a failing random test be replayed: `--seed` with the number it printed."""
    parser.addoption("--forged", type=int, default=200, help="how many forged calls the webhook gets")
    parser.addoption(
        "--soak", action="store_true", help="two minutes of the whole product while parts of it are killed"
    )
    parser.addoption("--seed", type=int, help="seed of the random tests; chosen and printed otherwise")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of a random test, printed when it fails."""
    given: int | None = request.config.getoption("--seed")
    chosen = secrets.randbits(32) if given is None else given
    print(f"replay with: pytest {request.node.nodeid!r} --seed {chosen}")  # noqa: T201 - pytest shows it on failure
    return chosen


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    names = {name.upper() for name in Settings.model_fields}
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.upper() in names or name.upper().startswith(_FOREIGN):
                patch.delenv(name)
        patch.setitem(Settings.model_config, "env_file", None)
        yield


@pytest.fixture(scope="session")
def outside() -> Mapping[str, str]:
    """The servers that were set from outside, by the settings' names; empty where our own fakes are meant."""
    return _OUTSIDE


@pytest.fixture(autouse=True)
def _fresh_settings() -> Iterator[None]:
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def memory() -> str | None:
    """A folder without a disk behind it, if there is a roomy one: copies of the template are seven times faster there."""
    folder = Path("/dev/shm")  # noqa: S108 - folders with random names are made in it
    return str(folder) if folder.is_dir() and shutil.disk_usage(folder).free > _ROOMY else None


@pytest.fixture(scope="session")
def postgres(memory: str | None) -> Iterator[EmbeddedPostgres]:
    """A server without durability; its `url(name)` names any database, existing or not."""
    with (
        tempfile.TemporaryDirectory(prefix="carousel-pg-", dir=memory, ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(Path(folder), durable=False) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def _template(postgres: EmbeddedPostgres) -> str:
    ensure_database(postgres.url("template_carousel"))
    migrate(postgres.url("template_carousel"))
    return "template_carousel"


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a server that speaks S3, empty at first; a test makes a bucket of its own."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of an empty database without migrations."""
    yield from _database(postgres, "template0")


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, _template: str) -> Iterator[str]:
    """The URL of a migrated, empty database of this test alone."""
    yield from _database(postgres, _template)


@pytest.fixture
def connect_as(database_url: str) -> Iterator[Connect]:
    """A function that connects to `database_url` as a role (None: as superuser); closed after the test."""
    opened: list[psycopg.Connection[Row]] = []

    def open_(role: Role | None) -> psycopg.Connection[Row]:
        opened.append(connect(database_url, role))
        return opened[-1]

    yield open_
    for connection in opened:
        connection.close()


def _database(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = f"test_{next(_serial)}"
    with connect(postgres.url("postgres"), None) as server:
        # Dropped one test later: a database whose clients have only just gone costs a wait of 100 ms.
        while _finished:
            server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(_finished.pop())))
        server.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    yield postgres.url(name)
    _finished.append(name)
