"""What a run does when: noted in memory, told to the database with whatever it is asked next.

Times leave this process as seconds ago, so the database's clock is the only one that counts. A note that gets lost costs nothing
but the note.
"""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from psycopg.types.json import Jsonb

from carousel_pipeline.database import query
from carousel_pipeline.sessions import Session


@dataclass(slots=True)
class _Span:
    number: int
    name: str
    slide: int | None
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    failed: bool = False


class Trace:
    """One run's notes; several threads may write them.

    Args:
        run_id: Dagster's; empty outside a run.

    Attributes:
        request_id: the request whose time it is, once it is known; before, nothing can be told.
    """

    def __init__(self, run_id: str = "") -> None:
        self.run_id = run_id
        self.request_id: UUID | None = None
        self._numbers = itertools.count(1)
        self._untold: dict[int, _Span] = {}

    @contextmanager
    def span(self, name: str, slide: int | None = None) -> Iterator[None]:
        """Note what is done inside, and whether it failed."""
        span = self._noted(_Span(next(self._numbers), name, slide))
        try:
            yield
        except BaseException:
            span.failed = True
            raise
        finally:
            span.ended = time.monotonic()
            self._noted(span)

    def moment(self, name: str) -> None:
        """Note something that takes no time."""
        span = self._noted(_Span(next(self._numbers), name, None))
        span.ended = span.began

    def told(self) -> Jsonb:
        """Return what was not told yet, for the `spans` of a query."""
        spans, self._untold = self._untold, {}
        now = time.monotonic()
        return Jsonb([_seconds_ago(span, now) for span in spans.values()])

    def tell(self, session: Session) -> None:
        """Tell it now, in a call of its own, where there is something to tell."""
        if self.untold:
            values = {"id": self.request_id, "run": self.run_id, "spans": self.told()}
            session.execute(query("timeline.trace"), values)

    @property
    def untold(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._untold) and self.request_id is not None

    def _noted(self, span: _Span) -> _Span:
        self._untold[span.number] = span
        return span


def _seconds_ago(span: _Span, now: float) -> dict[str, object]:
    return {
        "number": span.number,
        "name": span.name,
        "slide": span.slide,
        "began": now - span.began,
        "ended": None if span.ended is None else now - span.ended,
        "failed": span.failed,
    }
