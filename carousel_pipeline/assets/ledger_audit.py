"""A look at every invariant of the ledger, every hour; `/metrics` shows what the last one saw.

The database keeps the invariants by itself. This is the second opinion, for the day on which somebody with a superuser's rights
has corrected a row by hand.
"""

from collections.abc import Iterator

import dagster as dg

from carousel_pipeline.database import query
from carousel_pipeline.resources import Database


@dg.asset(
    kinds={"postgres"},
    group_name="operations",
    check_specs=[
        dg.AssetCheckSpec(
            "invariants_hold", asset="ledger_audit", description="ledger.invariant_violation returns no row."
        )
    ],
)
def ledger_audit(database: Database) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """How many rows `ledger.invariant_violation` has, by rule."""
    with database.session() as session, session.transaction():
        session.execute(query("monitoring.patience"))
        row = session.execute(query("monitoring.run_audit")).fetchone()
    if row is None:
        raise dg.Failure(description="carousel.run_audit() returned no row")
    found = {"violations": row["violations"], "by rule": row["rules"]}
    yield dg.MaterializeResult(metadata=found)
    yield dg.AssetCheckResult(check_name="invariants_hold", passed=row["violations"] == 0, metadata=found)
