"""Is what the analyst reads true? Four judgements, kept in `usage.check_result` and shown live in the view `usage.health`.

The judgements are pure: rows that must not exist go in, one line for a person comes out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from carousel_pipeline.database import Row, query

NAMES: Final = ("totals", "present", "margin", "freshness")
LATE_AFTER_S: Final = 3 * 3600.0
_SHOWN: Final = 3
_MANY: Final = 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check found.

    Attributes:
        name: one of `NAMES`.
        passed: whether all is well.
        detail: one line for a person.
        rows: the rows that must not exist, at most 200.
    """

    name: str
    passed: bool
    detail: str
    rows: tuple[Row, ...] = ()


def totals(differences: Sequence[Row]) -> Verdict:
    """Judge rows of `usage.difference`: the roll-up is equal to the ledger to the credit, to the calls to the cent."""
    said = _some(f"{row['day']} {row['what']}: {row['usage']} instead of {row['source']}" for row in differences)
    return Verdict("totals", not differences, said or "equal to ledger, requests and calls", tuple(differences))


def present(missing: Sequence[Row]) -> Verdict:
    """Judge rows of `usage.missing_day`: every day has been built, and again when it changed."""
    said = _some(
        f"{row['day']} {'never built' if row['since'] is None else 'changed and not built again'}" for row in missing
    )
    return Verdict("present", not missing, said or "every day is there", tuple(missing))


def margin(losses: Sequence[Row]) -> Verdict:
    """Judge rows of `usage.unexplained_loss`: what was sold brought more than it cost."""
    said = _some(
        f"{row['day']} {row['kind']} with {row['painter']}: {row['charged']} credits brought {row['revenue_usd']:.2f} USD "
        f"and cost {row['cost_charged_usd']:.2f}"
        for row in losses
    )
    return Verdict("margin", not losses, said or "nothing was sold at a loss", tuple(losses))


def freshness(newest: datetime | None, age_s: float | None) -> Verdict:
    """Judge how long ago the last day was built."""
    if newest is None or age_s is None:
        return Verdict("freshness", passed=False, detail="nothing was ever built")
    return Verdict("freshness", age_s <= LATE_AFTER_S, f"built {age_s / 60:.0f} minutes ago")


def run_checks(connection: psycopg.Connection[Row]) -> list[Verdict]:
    """Look for changes first, so that only what is truly behind or wrong is reported; then judge, record and return.

    `connection` is that of `carousel_pipeline.usage.build.usage_session`.
    """
    connection.execute(query("usage.mark_stale"))

    def rows(name: str) -> list[Row]:
        return connection.execute(query(f"usage.{name}")).fetchall()

    [built] = rows("freshness")
    verdicts = [
        totals(rows("differences")),
        present(rows("missing_days")),
        margin(rows("unexplained_losses")),
        freshness(built["built_at"], built["age_s"]),
    ]
    for verdict in verdicts:
        values: dict[str, Any] = {"name": verdict.name, "passed": verdict.passed, "detail": verdict.detail}
        connection.execute(query("usage.record_check"), values)
    return verdicts


def _some(lines: Iterable[str]) -> str:
    listed = list(lines)
    count = f"{_MANY} or more" if len(listed) >= _MANY else str(len(listed))
    more = f" … ({count} in all)" if len(listed) > _SHOWN else ""
    return "; ".join(listed[:_SHOWN]) + more
