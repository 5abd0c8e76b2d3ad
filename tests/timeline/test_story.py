"""From facts to chapters: what is told, in which order, and whose time it was."""

import random
from dataclasses import replace

import pytest

from carousel_pipeline.timeline import Chapter, Fact, timeline

from .conftest import MADE, ORDERED, OUTLINE, SENT, fact, unended

REFUSED = [
    replace(MADE[-1], outcome="failed"),
    fact("delivery", 104.25, 104.5, outcome="rejected"),
    fact("state", 106, detail="released", outcome="delivery_receipt"),
    fact("tell", 106, 106.25),
]
AGAIN = [
    fact("run", 500, run_id="b"),
    fact("state", 500.5, run_id="b", detail="reserved"),
    fact("images", 500.25, 500.5, run_id="b"),
    fact("rendered_slides", 501, 501.5, run_id="b"),
    fact("delivery_receipt", 502, 503, run_id="b"),
    fact("sending", 502, 502.75, run_id="b"),
    fact("state", 503, detail="delivered"),
]


def chapters(*parts: list[Fact]) -> tuple[Chapter, ...]:
    return timeline([fact for part in parts for fact in part]).chapters


def test_a_delivered_request_is_an_outline_a_decision_and_a_carousel() -> None:
    outline, carousel = chapters(OUTLINE, ORDERED, MADE, SENT)
    assert (outline.title, outline.took_s, outline.outcome, outline.pause_s) == ("Outline", 4.5, "outline stored", None)
    assert (carousel.title, carousel.run_id, carousel.took_s) == ("Carousel", "a", 4.75)
    assert (carousel.pause, carousel.pause_s) == ("the person decided", 95.5)
    assert (carousel.outcome, carousel.well) == ("delivered and charged", True)
    assert [(row.label, row.depth, [bar.label for bar in row.bars]) for row in carousel.rows] == [
        ("Dagster", 0, ["handed to Dagster", "run starts", "between steps", "between steps"]),
        ("images", 0, ["images"]),
        ("calls", 1, ["picture 1"]),
        ("", 1, ["picture 2"]),
        ("stored", 1, ["picture 1 stored", "picture 2 stored"]),
        ("rendered_slides", 0, ["rendered_slides"]),
        ("drawn", 1, ["slide 1", "slide 2"]),
        ("stored", 1, ["slide 1 stored"]),
        ("delivery_receipt", 0, ["delivery_receipt"]),
        ("sending", 1, ["sending"]),
        ("bot", 0, ["person told"]),
    ]
    assert [(mark.label, mark.at_s) for mark in carousel.marks] == [
        ("confirmed", 0),
        ("run started", 0.5),
        ("claimed", 1),
        ("all slides stored", 4),
        ("delivered and charged", 5),
    ]
    assert (outline.first_call_s, carousel.first_call_s) == (2, 1.25)


def test_every_second_of_a_wait_counts_once() -> None:
    outline, carousel = chapters(OUTLINE, ORDERED, MADE, SENT)
    assert dict(outline.shares) == {
        "telegram": 0, "provider": 1.75, "work": 0.5, "dagster": 1, "bot": 1.25, "other": 0,
    }  # fmt: skip
    assert dict(carousel.shares) == {
        "telegram": 0.5, "provider": 1.75, "work": 1, "dagster": 1.5, "bot": 0, "other": 0,
    }  # fmt: skip
    for chapter in (outline, carousel):
        assert sum(chapter.shares.values()) == chapter.took_s


def test_what_is_known_may_come_in_any_order() -> None:
    facts = [*OUTLINE, *ORDERED, *MADE, *SENT, *AGAIN]
    for seed in range(20):
        mixed = random.Random(seed).sample(facts, len(facts))  # noqa: S311 - any order will do
        assert [chapter.title for chapter in chapters(mixed)] == ["Outline", "Carousel", "Carousel, again"]


def test_a_refund_says_why_and_a_rerun_is_a_chapter_of_its_own() -> None:
    _, failed, again = chapters(OUTLINE, ORDERED, MADE[:-1], REFUSED, AGAIN)
    assert (failed.outcome, failed.well) == ("credits given back: delivery_receipt", False)
    assert failed.bars("delivery_receipt")[0].failed
    [sending] = failed.bars("sending")
    assert (sending.note, sending.failed) == ("rejected", True)
    assert failed.bars("settled")[0].start_s == 5
    assert (again.title, again.run_id, again.pause, again.pause_s) == (
        "Carousel, again", "b", "until it was made again", 393.75,
    )  # fmt: skip
    assert (again.well, again.took_s) == (True, 2.75)


REOPENED = [fact("dispatch", 490, 490.25), fact("state", 490, detail="reserved")]


@pytest.mark.parametrize(
    ("cause", "start"), [([], 500), (REOPENED, 490), (REOPENED[:1], 490), (REOPENED[1:], 490)], ids=str
)
def test_a_second_attempt_begins_with_what_asked_for_it(cause: list[Fact], start: float) -> None:
    again = chapters(OUTLINE, ORDERED, MADE[:-1], REFUSED, cause, AGAIN)[-1]
    assert again.pause_s == start - 106.25
    assert again.bars("run starts")[0].end_s == 500.25 - start


def test_what_a_killed_process_did_not_end_reaches_to_what_is_known_next() -> None:
    killed = [
        fact("run", 100.5, run_id="a"),
        unended("images", 101, run_id="a"),
        unended("paint", 102, run_id="a", slide=1, detail="gemini flash", outcome="pending"),
        fact("state", 130, detail="released", outcome="crash"),
    ]
    _, carousel = chapters(OUTLINE, ORDERED, killed)
    [images], [picture] = carousel.bars("images"), carousel.bars("picture 1")
    assert (images.open, images.end_s) == (True, 30)
    assert (picture.open, picture.failed, picture.note) == (True, True, "gemini flash, pending")
    retried = [unended("images", 101, run_id="a"), fact("images", 104, 105, run_id="a")]
    first, second = chapters(ORDERED, retried)[0].bars("images")
    assert (first.open, first.end_s, second.open) == (True, 4, False)


def test_a_step_that_is_tried_again_waits_between() -> None:
    tries = [
        fact("images", 101, 102, run_id="a", outcome="failed"),
        fact("images", 105, 106, run_id="a"),
        fact("rendered_slides", 107, 108, run_id="a"),
    ]
    [carousel] = chapters(ORDERED, tries)
    assert [(bar.label, bar.end_s - bar.start_s) for row in carousel.rows[:1] for bar in row.bars] == [
        ("handed to Dagster", 0.25), ("run starts", 0.75), ("waits to try again", 3), ("between steps", 1),
    ]  # fmt: skip


def test_a_change_has_no_outline_of_its_own() -> None:
    opened = [fact("opened", 100), fact("outlined", 100)]
    assert [chapter.title for chapter in chapters(opened, ORDERED, MADE, SENT)] == ["Carousel"]


@pytest.mark.parametrize("offline", ["offline procedural", "offline verbatim"])
def test_what_we_make_ourselves_is_no_provider_of_others(offline: str) -> None:
    facts = [replace(fact, detail=offline) if fact.name == "paint" else fact for fact in MADE]
    [carousel] = chapters(ORDERED, facts, SENT)
    assert carousel.shares["provider"] == 0
    assert carousel.first_call_s == 1.25


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ([], []),
        ([fact("opened", 0)], [("Outline", "request opened")]),
        ([fact("run", 0, run_id="a")], [("Carousel", "run started")]),
        (ORDERED, [("Carousel", "confirmed")]),
    ],
    ids=str,
)
def test_what_has_only_begun_is_told_as_far_as_it_is_known(facts: list[Fact], told: list[tuple[str, str]]) -> None:
    assert [(chapter.title, mark.label) for chapter in chapters(facts) for mark in chapter.marks] == told


@pytest.mark.parametrize("left_out", range(len([*OUTLINE, *ORDERED, *MADE, *SENT])))
def test_any_fact_may_be_missing(left_out: int) -> None:
    facts = [*OUTLINE, *ORDERED, *MADE, *SENT]
    del facts[left_out]
    for chapter in chapters(facts):
        for row in chapter.rows:
            assert all(0 <= bar.start_s <= bar.end_s for bar in row.bars)
        assert sum(chapter.shares.values()) == pytest.approx(chapter.took_s)
