"""The application database as the pipeline's role sees it: EXECUTE on its functions, SELECT on its rows, nothing else.

It lives as long as a run, so it also keeps what the run has to tell of its time.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dagster as dg
import psycopg
from psycopg import Connection
from pydantic import PrivateAttr

from carousel_pipeline.database import connect
from carousel_pipeline.records.trace import Trace
from carousel_pipeline.sessions import Session, brief_session


class Database(dg.ConfigurableResource[None]):
    """Connects as role `led_pipeline`; each run process opens its own connections after the fork (M14)."""

    url: str
    _trace: Trace = PrivateAttr(default_factory=Trace)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Note when the run began."""
        self._trace = Trace(context.run.run_id if context.run else "")
        self._trace.moment("run")

    def teardown_after_execution(self, _context: dg.InitResourceContext) -> None:
        """Tell what the run's last questions did not: how a step failed, or that it was the last one."""
        if self._trace.untold:
            with suppress(psycopg.Error):
                self._trace.tell(self.calls())

    @property
    def trace(self) -> Trace:
        """The run's notes."""
        return self._trace

    @contextmanager
    def session(self) -> Iterator[Connection[dict[str, Any]]]:
        """Open one autocommit connection, closed on the way out."""
        with connect(self.url, "led_pipeline") as connection:
            yield connection

    def calls(self) -> Session:
        """Return the session of a run, which holds no connection while the run waits for somebody else."""
        return brief_session(self.url, "led_pipeline")
