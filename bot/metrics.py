"""What Prometheus may know: the database's figures at the moment of the scrape, and the times that this process took.

Nothing here names a person, a chat or a word of anybody's text; labels come from closed lists, so their number is bounded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "carousel_"
_FIGURES: Final = MappingProxyType(
    {
        "holds_open": "Requests that hold credits, by state.",
        "hold_oldest_seconds": "Age of the oldest of them, by state.",
        "credits_held": "Credits held for requests that are not settled.",
        "outlines_drafting": "Outlines being written.",
        "requests_last_hour": "Changes of requests in the last hour, by the state they came to.",
        "refunds_last_hour": "Holds given back whole in the last hour, by reason.",
        "provider_calls_last_hour": "Calls to model providers begun in the last hour, by outcome.",
        "provider_cost_usd_last_hour": "What the calls of the last hour cost, in dollars.",
        "provider_breaker_open": "1 while a provider is left alone after failures.",
        "outbox_waiting": "Promised work that is not done, by topic.",
        "outbox_oldest_seconds": "Age of the oldest of it.",
        "outbox_dead": "Promised work that was given up; an operator decides.",
        "inbox_waiting": "Updates that were taken and not answered.",
        "inbox_oldest_seconds": "Age of the oldest of them, by source.",
        "payments_unmatched": "Payments and returns that fit no order; an operator decides.",
        "payment_reports_dead": "Reports of payments that could not be entered; an operator decides.",
        "payment_refunds_late": "Returned packs that Telegram has not taken back for an hour.",
        "second_lives_last_day": "Reruns on the house in the last 24 hours.",
        "invariant_violations": "Rows of ledger.invariant_violation at the last audit; anything but 0 is an alarm.",
        "audit_age_seconds": "Time since the last audit.",
        "usage_check_failed": "1 while what the analyst reads is wrong, incomplete, sold at a loss or old, by check.",
        "database_connections": "Connections to the database server, whoever opened them.",
    }
)
_REQUEST_BUCKETS: Final = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0)
_UPDATE_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_LAG_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)


@dataclass(frozen=True)
class Figure:
    """One number of the database.

    Attributes:
        name: without the prefix.
        labels: label to value.
        value: in the unit that the name ends with, a count otherwise.
    """

    name: str
    labels: Mapping[str, str]
    value: float


class Metrics:
    """The times of this process, and the page that shows them beside the database's figures."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.outline_seconds = Histogram(
            f"{_PREFIX}outline_seconds",
            "From the text to the outline in the chat.",
            registry=self._registry,
            buckets=_REQUEST_BUCKETS,
        )
        self.delivery_seconds = Histogram(
            f"{_PREFIX}delivery_seconds",
            "From the confirmation to the words under the album.",
            registry=self._registry,
            buckets=_REQUEST_BUCKETS,
        )
        self.update_seconds = Histogram(
            f"{_PREFIX}update_seconds", "Work on one update.", registry=self._registry, buckets=_UPDATE_BUCKETS
        )
        self.loop_lag_seconds = Histogram(
            f"{_PREFIX}loop_lag_seconds",
            "How late the event loop wakes a sleeper.",
            registry=self._registry,
            buckets=_LAG_BUCKETS,
        )

    def page(self, figures: Sequence[Figure], problems: Mapping[str, str]) -> bytes:
        """Return everything in Prometheus' text format.

        Args:
            figures: what the database says; empty while it does not answer.
            problems: what keeps each dependency from working, empty where it works.
        """
        scrape = CollectorRegistry()
        scrape.register(_Gathered(figures, problems))
        return generate_latest(scrape) + generate_latest(self._registry)


class _Gathered:
    def __init__(self, figures: Sequence[Figure], problems: Mapping[str, str]) -> None:
        self._figures = figures
        self._problems = problems

    def collect(self) -> list[GaugeMetricFamily]:
        """Return one family a figure, and `up` for the dependencies."""
        families: dict[str, GaugeMetricFamily] = {}
        for figure in self._figures:
            if figure.name not in families:
                families[figure.name] = GaugeMetricFamily(
                    _PREFIX + figure.name, _FIGURES[figure.name], labels=sorted(figure.labels)
                )
            families[figure.name].add_metric([figure.labels[name] for name in sorted(figure.labels)], figure.value)
        up = GaugeMetricFamily(f"{_PREFIX}up", "1 where a dependency works.", labels=["dependency"])
        for name, problem in self._problems.items():
            up.add_metric([name], 0.0 if problem else 1.0)
        return [*families.values(), up]
