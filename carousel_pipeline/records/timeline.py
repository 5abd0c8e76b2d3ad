"""What is known of the time of requests, as rows of `carousel.timeline`; roles `led_pipeline` and `led_ops` may ask."""

from collections.abc import Iterable
from uuid import UUID

from carousel_pipeline.database import query
from carousel_pipeline.sessions import Session
from carousel_pipeline.timeline import Fact


def facts_of(session: Session, requests: Iterable[UUID]) -> dict[UUID, list[Fact]]:
    """Return by request what is known, in the order of time; a request that nobody opened has no entry."""
    facts: dict[UUID, list[Fact]] = {}
    for row in session.execute(query("timeline.facts"), {"requests": list(requests)}):
        fact = Fact(
            name=row["name"],
            began=row["began_at"],
            ended=row["ended_at"],
            run_id=row["run_id"],
            slide=row["slide"],
            detail=row["detail"] or "",
            outcome=row["outcome"] or "",
        )
        facts.setdefault(row["request_id"], []).append(fact)
    return facts
