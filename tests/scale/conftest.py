"""A past of moderate size with the present at its end: long enough for an index to pay, made once for this room."""

from collections.abc import Iterator

import psycopg
import pytest

from carousel_pipeline.database import Row, connect, query
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.run_workers.scale.past import make_past
from carousel_pipeline.run_workers.scale.scene import Scene, set_scene

REQUESTS = 20_000
REMEMBERED = 4_000


@pytest.fixture(scope="session")
def aged_url(postgres: EmbeddedPostgres) -> str:
    """The URL of the database; nobody changes it."""
    url = postgres.url("aged")
    make_past(url, REQUESTS, REMEMBERED)
    return url


@pytest.fixture(scope="session")
def scene(aged_url: str) -> Scene:
    with connect(aged_url, None) as owner:
        owner.execute(query("history.patience"))
        made = set_scene(owner)
        owner.execute(query("scale.vacuum"))
    return made


@pytest.fixture
def aged(aged_url: str, scene: Scene) -> Iterator[psycopg.Connection[Row]]:
    """A superuser's connection to it that leaves no trace."""
    del scene
    with connect(aged_url, None) as connection, connection.transaction(force_rollback=True):
        yield connection
