"""Which requests are forgotten now. Pure."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from carousel_pipeline.cleanup.policy import Ages

Why = Literal["age", "crowd"]


@dataclass(frozen=True)
class Settled:
    """A request that nobody works on.

    Attributes:
        made: confirmed, and settled since; False for an outline that nobody confirmed.
        at: when it was settled, or last changed.
        slides: of its deck; None where there is none.
        language: of its deck.
    """

    id: UUID
    made: bool
    at: datetime
    slides: int | None = None
    language: str | None = None


@dataclass(frozen=True)
class Plan:
    """What to forget.

    Attributes:
        forget: oldest first, each with the reason.
        busy: old enough, but Dagster still works on it.
    """

    forget: tuple[tuple[Settled, Why], ...]
    busy: tuple[UUID, ...]


def plan_cleanup(
    settled: Iterable[Settled], *, remembered: int, at_work: AbstractSet[UUID], now: datetime, ages: Ages
) -> Plan:
    """Return what may go.

    Args:
        settled: oldest first.
        remembered: how many requests there are, settled or not.
        at_work: requests with a Dagster run that has not ended.
        now: by the database's clock.
        ages: the rules.
    """
    forget: list[tuple[Settled, Why]] = []
    busy: list[UUID] = []
    for one in settled:
        age = ages.carousels if one.made else ages.outlines
        if one.at <= now - age:
            why: Why = "age"
        elif remembered - len(forget) > ages.live_keys:
            why = "crowd"
        else:
            continue
        if one.id in at_work:
            busy.append(one.id)
        else:
            forget.append((one, why))
    return Plan(tuple(forget), tuple(busy))
