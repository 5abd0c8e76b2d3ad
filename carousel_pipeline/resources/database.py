"""The application database as the pipeline's role sees it: EXECUTE on its functions, SELECT on its rows, nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from psycopg import Connection

from carousel_pipeline.database import connect
from carousel_pipeline.sessions import Session, brief_session


class Database(dg.ConfigurableResource[None]):
    """Connects as role `led_pipeline`; each run process opens its own connections after the fork (M14)."""

    url: str

    @contextmanager
    def session(self) -> Iterator[Connection[dict[str, Any]]]:
        """Open one autocommit connection, closed on the way out."""
        with connect(self.url, "led_pipeline") as connection:
            yield connection

    def calls(self) -> Session:
        """Return the session of a run, which holds no connection while the run waits for somebody else."""
        return brief_session(self.url, "led_pipeline")
