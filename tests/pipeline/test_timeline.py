"""Where the time of real requests went: complete and in order when delivered, when refunded, when made twice."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any
from uuid import UUID

import dagster as dg
import psycopg
import pytest

from carousel_pipeline.database import connect
from carousel_pipeline.records.timeline import facts_of
from carousel_pipeline.timeline import Chapter, timeline

from .conftest import Pipeline, Settle

STEPS = ["images", "rendered_slides", "delivery_receipt"]
Story = Callable[[UUID], tuple[Chapter, ...]]


@pytest.fixture
def story(database_url: str) -> Story:
    def told(request_id: UUID) -> tuple[Chapter, ...]:
        with connect(database_url, "led_ops") as session:
            return timeline(facts_of(session, [request_id])[request_id]).chapters

    return told


def steps(chapter: Chapter) -> list[tuple[str, bool]]:
    """Name and success of the chapter's steps, which follow one another."""
    bars = [bar for row in chapter.rows if row.depth == 0 and row.label in {"copy", *STEPS} for bar in row.bars]
    for before, then in pairwise(bars):
        assert before.end_s <= then.start_s
    assert not any(bar.open for bar in bars)
    return [(bar.label, not bar.failed) for bar in bars]


def moments(chapter: Chapter) -> list[str]:
    return [mark.label for mark in chapter.marks]


def materialized(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    [metadata] = [
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None and event.asset_key.path == [asset]
    ]
    return {name: value.value for name, value in metadata.items()}


def test_a_delivered_request_is_told_whole(pipeline: Pipeline, story: Story) -> None:
    request_id, _ = pipeline.confirmed(slides=3, pictures="each")
    result = pipeline.run("carousel", request_id)
    assert result.success
    outline, carousel = story(request_id)
    assert steps(outline) == [("copy", True)]
    assert [bar.label for row in outline.rows if row.label == "calls" for bar in row.bars] == ["call"]
    assert moments(outline) == ["request opened", "run started", "outline stored"]
    assert steps(carousel) == [(name, True) for name in STEPS]
    assert carousel.run_id == result.run_id
    assert moments(carousel) == ["confirmed", "run started", "claimed", "all slides stored", "delivered and charged"]
    inside = {
        "images": ["picture {}", "picture {} stored"],
        "rendered_slides": ["slide {}", "slide {} stored"],
        "delivery_receipt": ["sending"],
    }
    for step, parts in inside.items():
        [whole] = carousel.bars(step)
        for part in (part.format(slide) for part in parts for slide in (1, 2, 3)):
            [bar] = carousel.bars(part)
            assert whole.start_s <= bar.start_s <= bar.end_s <= whole.end_s + 0.001, part
    for slide in ("1", "2", "3"):
        assert carousel.bars(f"slide {slide}")[0].end_s <= carousel.bars(f"slide {slide} stored")[0].start_s
    assert sum(carousel.shares.values()) == pytest.approx(carousel.took_s)
    assert carousel.first_call_s == min(carousel.bars(f"picture {slide}")[0].start_s for slide in (1, 2, 3))


def test_the_receipt_shows_picture_and_table(pipeline: Pipeline) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    metadata = materialized(pipeline.run("carousel", request_id), "delivery_receipt")
    assert metadata["timeline"].startswith("![timeline](data:image/svg+xml;base64,")
    told = [record.data["what"] for record in metadata["timeline table"].records]
    assert [what for what in told if what in {"copy", *STEPS, "delivered and charged"}] == [
        "copy", "images", "rendered_slides", "delivery_receipt", "delivered and charged",
    ]  # fmt: skip
    assert "Sleep" not in repr(metadata)


def test_a_failed_request_is_told_to_its_refund(pipeline: Pipeline, story: Story, settle: Settle) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    pipeline.telegram.fault(method="sendMediaGroup", code=400, description="Bad Request: test", times=9)
    assert not pipeline.run("carousel", request_id).success
    settle()
    carousel = story(request_id)[-1]
    assert steps(carousel) == [("images", True), ("rendered_slides", True), ("delivery_receipt", False)]
    assert moments(carousel)[-2:] == ["all slides stored", "credits given back: delivery_receipt"]
    assert carousel.well is False
    assert carousel.bars("settled")


def test_an_operators_rerun_is_a_second_attempt(pipeline: Pipeline, story: Story, settle: Settle) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    pipeline.telegram.fault(method="sendMediaGroup", code=400, description="Bad Request: test", times=1)
    first = pipeline.run("carousel", request_id)
    settle()
    second = pipeline.rerun(request_id)
    assert second.success
    _, failed, again = story(request_id)
    assert (failed.run_id, again.run_id) == (first.run_id, second.run_id)
    assert (failed.well, again.well) == (False, True)
    assert again.title == "Carousel, again"
    assert steps(again) == [(name, True) for name in STEPS]
    assert not again.bars("picture 1"), "a picture was bought twice"
    assert again.pause_s is not None


def test_a_style_that_does_not_exist_leaves_a_failed_step(pipeline: Pipeline, story: Story) -> None:
    request_id = pipeline.open(style="no_such_style")
    assert not pipeline.run("outline", request_id).success
    [outline] = story(request_id)
    assert steps(outline) == [("copy", False)]


def test_messages_that_were_passed_on_are_told_when_the_outbox_has_forgotten_them(
    pipeline: Pipeline, story: Story, database_url: str
) -> None:
    pipeline.bot.execute(
        "insert into bot.draft (chat_id, message_id, tg_user_id, body) values (%s, 1, 1, 'x')", [pipeline.chat]
    )
    request_id, _ = pipeline.confirmed(slides=3)
    assert pipeline.run("carousel", request_id).success
    for row in pipeline.bot.execute("select id from ledger.outbox order by id").fetchall():
        pipeline.bot.execute("select ledger.outbox_done(%s)", [row["id"]])
    with connect(database_url, None) as owner:
        owner.execute("delete from ledger.outbox")
    outline, carousel = story(request_id)
    for label in ("text collected", "handed to Dagster", "outline shown"):
        assert len(outline.bars(label)) == 1, label
    for label in ("handed to Dagster", "person told"):
        assert len(carousel.bars(label)) == 1, label


def test_what_cannot_be_noted_stops_nothing(pipeline: Pipeline, database_url: str) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    with connect(database_url, None) as owner:
        owner.execute("drop table carousel.span cascade")
    result = pipeline.run("carousel", request_id)
    assert result.success
    assert pipeline.state(request_id) == "delivered"
    assert len(pipeline.telegram.photos(pipeline.chat)) == 3
    assert "timeline" not in materialized(result, "delivery_receipt")
    for row in pipeline.bot.execute("select id from ledger.outbox order by id").fetchall():
        pipeline.bot.execute("select ledger.outbox_done(%s)", [row["id"]])


def test_an_erased_person_leaves_no_times(pipeline: Pipeline, database_url: str) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    assert pipeline.run("carousel", request_id).success
    with connect(database_url, "led_ops") as session:
        session.execute("select house.erase(%s, 'tests', 'asked by mail')", [pipeline.chat])
        assert spans(session, request_id) == 0
    for row in pipeline.bot.execute("select id from ledger.outbox order by id").fetchall():
        pipeline.bot.execute("select ledger.outbox_done(%s)", [row["id"]])
    with connect(database_url, "led_pipeline") as session:
        trace = (
            'select carousel.trace(%s, \'late\', \'[{"number": 1, "name": "images", "began": 0, "failed": false}]\')'
        )
        session.execute(trace.encode(), [request_id])
        assert spans(session, request_id) == 0


def spans(session: psycopg.Connection[dict[str, Any]], request_id: UUID) -> int:
    row = session.execute("select count(*) as n from carousel.span where request_id = %s", [request_id]).fetchone()
    assert row is not None
    count: int = row["n"]
    return count
