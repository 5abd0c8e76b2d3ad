"""Which requests are forgotten, as a table."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from carousel_pipeline.cleanup.plan import Settled, plan_cleanup
from carousel_pipeline.cleanup.policy import Ages
from carousel_pipeline.cleanup.work import wordless
from carousel_pipeline.requests import Deck

NOW = datetime(2026, 11, 23, 3, 17, tzinfo=UTC)
AGES = Ages(live_keys=100)


def settled(days: float, *, made: bool = True) -> Settled:
    return Settled(uuid4(), made, NOW - timedelta(days=days))


@pytest.mark.parametrize(
    ("days", "made", "remembered", "why"),
    [
        (30, True, 10, "age"),
        (29.9, True, 10, None),
        (7, False, 10, "age"),
        (6.9, False, 10, None),
        (29.9, True, 101, "crowd"),
        (29.9, True, 100, None),
        (30, True, 101, "age"),
    ],
)
def test_age_or_crowd(days: float, *, made: bool, remembered: int, why: str | None) -> None:
    one = settled(days, made=made)
    plan = plan_cleanup([one], remembered=remembered, at_work=set(), now=NOW, ages=AGES)
    assert [(found, reason) for found, reason in plan.forget] == ([(one, why)] if why else [])


def test_the_crowd_is_thinned_from_its_oldest_and_no_further() -> None:
    all_of_them = [settled(20 - number / 10) for number in range(110)]
    plan = plan_cleanup(all_of_them, remembered=110, at_work=set(), now=NOW, ages=AGES)
    assert [one for one, _ in plan.forget] == all_of_them[:10]


def test_what_dagster_works_on_waits_and_takes_nobody_s_place() -> None:
    busy, other = settled(40), settled(39)
    at_work: set[UUID] = {busy.id}
    plan = plan_cleanup([busy, other], remembered=2, at_work=at_work, now=NOW, ages=AGES)
    assert plan.busy == (busy.id,)
    assert [one for one, _ in plan.forget] == [other]


def test_no_age_is_below_a_day() -> None:
    with pytest.raises(ValidationError):
        Ages(carousels=timedelta(hours=23))


@pytest.mark.parametrize("slides", range(1, 11))
def test_a_deck_without_words_is_a_deck(slides: int) -> None:
    deck = wordless(Settled(uuid4(), made=True, at=NOW, slides=slides, language="pt"))
    assert len(Deck.model_validate(deck).slides) == slides
    assert wordless(Settled(uuid4(), made=False, at=NOW)) is None
