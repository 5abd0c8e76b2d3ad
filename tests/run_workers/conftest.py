"""One running Dagster (code server, webserver, daemon) for all tests of this room that need one."""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from carousel_pipeline.database import connect, ensure_database
from carousel_pipeline.local.dagster_home import local_instance
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.run_workers.bench_stack import DagsterStack

_serial = itertools.count(1)
SERVE = (
    "-c",
    "from carousel_pipeline.run_workers.code_server import serve; serve('127.0.0.1', {port}, 'definitions_for_tests')",
)


@pytest.fixture
def dagster_url(postgres: EmbeddedPostgres) -> str:
    """The URL of an empty database for Dagster, whose name needs encoding."""
    name = f"dagster {next(_serial)}"
    ensure_database(postgres.url(name))
    return postgres.url(name)


@pytest.fixture(scope="session")
def dagster_stack(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterStack]:
    folder = tmp_path_factory.mktemp("dagster-stack")
    ensure_database(postgres.url("dagster stack"))
    instance = local_instance()
    # Retries would hide the failures that tests look for; five places fill quicker than sixteen.
    instance["run_retries"] = {"enabled": False}
    instance["concurrency"]["runs"]["max_concurrent_runs"] = 5
    environment = {
        "PYTHONPATH": str(Path(__file__).parent),
        "RUN_WORKERS_TEST_FOLDER": str(folder),
        # The code server starts more than once: let it compile Dagster only once, wherever that is forbidden by default.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(folder / "pycache"),
    }
    with DagsterStack(folder, postgres.url("dagster stack"), instance, SERVE, environment) as stack:
        yield stack


@pytest.fixture
def crash_postgres() -> Callable[[str], None]:
    """A function that makes the server drop all connections, recover, and start again on the same port."""

    def crash(url: str) -> None:
        with connect(url, None) as victim, connect(url, None) as witness:
            row = victim.execute("select pg_backend_pid() as pid").fetchone()
            assert row is not None
            victim.execute("checkpoint")  # the server of the tests is not durable
            os.kill(row["pid"], signal.SIGKILL)
            with pytest.raises(psycopg.OperationalError):
                witness.execute("select pg_sleep(20)")

    return crash
