"""The application database as the pipeline's role sees it: EXECUTE on its functions, SELECT on its rows, nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from psycopg import Connection

from carousel_pipeline.database import connect


class Database(dg.ConfigurableResource[None]):
    """Opens connections of role `led_pipeline`; each run process opens its own after the fork (M14)."""

    url: str

    @contextmanager
    def session(self) -> Iterator[Connection[dict[str, Any]]]:
        """Open one autocommit connection, closed on the way out."""
        with connect(self.url, "led_pipeline") as connection:
            yield connection
