"""The figures of a span of days, as charts, the page and the command show them: one query each, nothing computed twice.

All shares are of new work (a text, or the same text again); all percentiles are exact, taken from every single duration.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, Final

import psycopg

from carousel_pipeline.database import Row, query
from carousel_pipeline.errors import PermanentError

STEPS: Final = MappingProxyType({
    "outline": "outline", "queue": "queue", "making": "making", "sending": "sending", "total": "confirmed to album",
})  # fmt: skip
_DEFAULT_DAYS: Final = 28


@dataclass(frozen=True, slots=True)
class Span:
    """UTC days, both ends included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise PermanentError(
                f"the report would end ({self.last}) before it begins ({self.first}): swap --from and --to"
            )


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Seconds, of `n` durations."""

    n: int
    p50: float
    p90: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Rows as `sql/queries/usage_report.sql` selects them.

    Attributes:
        span: the days.
        totals: one row of sums.
        by_day: one row for each day that was rolled up, ascending.
        refunds: by reason, the most frequent first.
        latency: by step, see `STEPS`; steps nobody took are missing.
        waits: per day and step (`queue`, `total`): median and 95th percentile, seconds.
        retention: cohort (Monday) and week to share, of the ten weeks before the last day.
        styles: by style, the most frequent first.
        languages: by language, likewise.
        money: credits by the day of booking.
        models: by provider, model and step, the most expensive first.
        health: the four checks as they are now.
    """

    span: Span
    totals: Row
    by_day: tuple[Row, ...]
    refunds: tuple[Row, ...]
    latency: dict[str, Percentiles]
    waits: dict[str, dict[date, tuple[float, float]]]
    retention: tuple[Row, ...]
    styles: tuple[Row, ...]
    languages: tuple[Row, ...]
    money: Row
    models: tuple[Row, ...]
    health: tuple[Row, ...]

    @property
    def margin_usd(self) -> float:
        """What came in minus what went out."""
        return float(self.totals["revenue_usd"] - self.totals["cost_usd"])


def last_weeks(last: date) -> Span:
    """Return the four weeks that end with `last`."""
    return Span(last - timedelta(days=_DEFAULT_DAYS - 1), last)


def week_of(monday: date) -> Span:
    """Return the seven days from `monday` on."""
    return Span(monday, monday + timedelta(days=6))


def share(part: float, whole: float) -> float | None:
    """Return `part / whole`; None where there is nothing to divide by."""
    return part / whole if whole else None


def summarise(connection: psycopg.Connection[Row], span: Span) -> Summary:
    """Return the figures of `span`; the role needs no more than the analyst has."""

    def rows(name: str) -> tuple[Row, ...]:
        values: dict[str, Any] = {"first": span.first, "last": span.last}
        return tuple(connection.execute(query(f"usage_report.{name}"), values))

    [totals], [money] = rows("totals"), rows("money")
    waits: dict[str, dict[date, tuple[float, float]]] = {"queue": {}, "total": {}}
    for row in rows("waits"):
        waits[row["step"]][row["day"]] = (row["at"][0], row["at"][1])
    return Summary(
        span=span,
        totals=totals,
        by_day=rows("by_day"),
        refunds=rows("refunds"),
        latency={row["step"]: Percentiles(row["n"], *row["at"]) for row in rows("latency")},
        waits=waits,
        retention=rows("retention"),
        styles=rows("styles"),
        languages=rows("languages"),
        money=money,
        models=rows("models"),
        health=rows("health"),
    )
