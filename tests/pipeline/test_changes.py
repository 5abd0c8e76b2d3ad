"""A change of a carousel is a request of its own, made in one run from what is stored: free where nothing is painted."""

import os
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from carousel_pipeline.artifacts import content_key, open_store
from carousel_pipeline.database import connect
from carousel_pipeline.records import RequestRecords
from carousel_pipeline.requests.change import (
    Change,
    Edit,
    Version,
    added,
    moved,
    repainted,
    resized,
    restyled,
    retexted,
    retranslated,
    undone,
)
from carousel_pipeline.requests.results import Pictures, RenderedSlides

from .conftest import Pipeline, Settle


def version(request_id: UUID) -> Version:
    with connect(os.environ["DATABASE_URL"], "led_pipeline") as session:
        request = RequestRecords(session).load(str(request_id))
    assert request.deck is not None
    return Version(id=request.id, options=request.options, deck=request.deck, made=request.phase == "confirmed")


def change(pipeline: Pipeline, edit: Edit, parent: UUID) -> UUID:
    """Open a change as the bot does and return it."""
    pipeline.serial += 1
    row = pipeline.bot.execute(
        "select request_id, verdict from bot.open_edit(%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            pipeline.chat,
            parent,
            f"press:{pipeline.serial}",
            edit.kind,
            Jsonb(edit.options.model_dump(mode="json")),
            Jsonb(edit.deck.model_dump(mode="json")),
            Jsonb(edit.change.model_dump(mode="json", exclude_defaults=True)),
            edit.price,
        ],
    ).fetchone()
    assert row is not None
    assert row["verdict"] in {"started", "outlined"}, row
    request_id: UUID = row["request_id"]
    pipeline.instance.add_dynamic_partitions("requests", [str(request_id)])
    return request_id


def made(pipeline: Pipeline, edit: Edit, parent: UUID) -> tuple[UUID, int]:
    """Make a change; returns it and how many slides were drawn."""
    request_id = change(pipeline, edit, parent)
    result = pipeline.run("edit", request_id)
    assert result.success
    drawn = next(
        event.materialization.metadata["drawn in this run"].value
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None and event.asset_key.path == ["rendered_slides"]
    )
    assert isinstance(drawn, int)
    return request_id, drawn


def pictures(pipeline: Pipeline, request_id: UUID) -> list[str]:
    stored = pipeline.artifacts / f"requests/{request_id}/images.json"
    return [picture.sha256 for picture in Pictures.model_validate_json(stored.read_bytes()).items]


def slides(pipeline: Pipeline, request_id: UUID) -> RenderedSlides:
    stored = pipeline.artifacts / f"requests/{request_id}/rendered_slides.json"
    return RenderedSlides.model_validate_json(stored.read_bytes())


@pytest.mark.finding("M16")
def test_free_changes_paint_nothing_and_draw_only_what_changed(pipeline: Pipeline) -> None:
    first, _ = pipeline.confirmed(slides=3)
    assert pipeline.run("carousel", first).success
    painted = pictures(pipeline, first)
    assert pipeline.money() == (7, 0)

    night = moved(version(first), 1, 2).model_copy(update={"options": restyled(version(first), "night").options})
    turned, drawn = made(pipeline, night, first)
    assert pictures(pipeline, turned) == [painted[place - 1] for place in (2, 1, 3)]
    assert slides(pipeline, turned).style == "night"
    assert drawn == 3

    pipeline.telegram.fault(
        method="sendMediaGroup", code=400, description="Bad Request: wrong file identifier", times=1
    )
    retext, drawn = made(pipeline, retexted(version(turned), 2, "Short", "One line."), turned)
    assert 1 <= drawn <= 3
    assert slides(pipeline, retext).items[1].key != slides(pipeline, turned).items[1].key

    story, _ = made(pipeline, resized(version(retext), "9:16"), retext)
    assert {(slide.width, slide.height) for slide in slides(pipeline, story).items} == {(1080, 1920)}

    back, drawn = made(pipeline, undone(version(story), version(retext)), story)
    assert drawn == 0, "everything is stored"
    assert [item.key for item in slides(pipeline, back).items] == [item.key for item in slides(pipeline, retext).items]
    ids = pipeline.bot.execute(
        "select request_id, array_agg(file_id order by position) as files from carousel.album"
        " where request_id = any(%s) group by request_id",
        [[back, retext]],
    ).fetchall()
    assert ids[0]["files"] == ids[1]["files"], "nothing was uploaded again"
    target = pipeline.bot.execute("select bot.undo_target(%s) as id", [back]).fetchone()
    assert target == {"id": turned}, "an undo of an undo goes on to the version before"
    assert pipeline.money() == (7, 0), "all of it was free"
    assert len(pipeline.telegram.photos(pipeline.chat)) == 5 * 3


def test_a_new_picture_and_a_new_slide_cost_one_credit_each(pipeline: Pipeline) -> None:
    first, _ = pipeline.confirmed(slides=3)
    assert pipeline.run("carousel", first).success
    painted = pictures(pipeline, first)
    another, drawn = made(pipeline, repainted(version(first), 2), first)
    assert [old == new for old, new in zip(painted, pictures(pipeline, another), strict=True)] == [True, False, True]
    assert drawn == 1
    assert pipeline.money() == (6, 0)
    longer, _ = made(pipeline, added(version(another), 1, "One more", "With a text"), another)
    found = pictures(pipeline, longer)
    assert len(set(found)) == 4
    assert [found[place] for place in (0, 2, 3)] == pictures(pipeline, another)
    assert pipeline.money() == (5, 0)


@pytest.mark.usefixtures("refusing_gemini")
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")  # google-genai's own
def test_a_refused_new_picture_leaves_the_old_one_and_costs_nothing(pipeline: Pipeline) -> None:
    first, _ = pipeline.confirmed(slides=3)
    assert pipeline.run("carousel", first).success
    before = pipeline.money()
    again, _ = made(pipeline, repainted(version(first), 3), first)
    assert pictures(pipeline, again) == pictures(pipeline, first)
    assert pipeline.money() == before


def test_pictures_that_are_gone_are_an_error_and_never_painted_for_nothing(pipeline: Pipeline) -> None:
    first, _ = pipeline.confirmed(slides=3)
    assert pipeline.run("carousel", first).success
    edit = restyled(version(first), "night")
    lost = change(
        pipeline, edit.model_copy(update={"change": edit.change.model_copy(update={"origin": (1, 2, 9)})}), first
    )
    assert not pipeline.run("edit", lost).success
    assert pipeline.state(lost) in {"running", "rendered", "reserved"}
    assert len(pipeline.telegram.photos(pipeline.chat)) == 3


def test_an_outline_changed_by_hand_is_made_in_one_run_without_the_writer(pipeline: Pipeline) -> None:
    outline, _ = pipeline.outline(slides=3)
    child = change(pipeline, retexted(version(outline), 1, "By hand", "My own words"), outline)
    assert pipeline.bot.execute("select carousel.confirm(%s, %s, 3) as answer", [pipeline.chat, child]).fetchone() == {
        "answer": "confirmed"
    }
    job = pipeline.bot.execute(
        "select payload ->> 'job' as job from ledger.outbox where payload ->> 'request_id' = %s order by id desc limit 1",
        [str(child)],
    ).fetchone()
    assert job == {"job": "edit"}
    assert pipeline.run("edit", child).success
    stored = (pipeline.artifacts / f"requests/{child}/copy.json").read_text()
    assert "By hand" in stored
    assert pipeline.money() == (7, 0)


def test_a_writer_that_does_not_translate_fails_in_words(pipeline: Pipeline) -> None:
    first, _ = pipeline.confirmed(slides=3)
    assert pipeline.run("carousel", first).success
    german = change(pipeline, retranslated(version(first), "de"), first)
    result = pipeline.run("edit", german)
    assert not result.success
    failure = result.get_step_failure_events()[0].step_failure_data
    assert failure.user_failure_data is not None
    assert "does not translate" in (failure.user_failure_data.description or "")


def test_what_was_finished_while_its_person_was_away_is_taken_up_and_delivered(
    pipeline: Pipeline, settle: Settle
) -> None:
    first, price = pipeline.confirmed(slides=3)
    assert pipeline.money() == (7, 3)
    pipeline.telegram.call("POST", f"/sim/chats/{pipeline.chat}/block")
    assert not pipeline.run("carousel", first).success
    assert settle() == {first: "released (delivery_receipt)"}
    assert pipeline.money() == (10, 0), "nothing arrived, everything is back"

    pipeline.telegram.call("POST", f"/sim/chats/{pipeline.chat}/unblock")
    row = pipeline.bot.execute("select user_id from carousel.request where id = %s", [first]).fetchone()
    assert row is not None
    kept = pipeline.bot.execute("select bot.kept_for(%s) as id", [row["user_id"]]).fetchall()
    assert kept == [{"id": first}]
    before = version(first)
    taken_up = Edit(kind="again", options=before.options, deck=before.deck, change=Change(base=first), quoted=price)
    again, drawn = made(pipeline, taken_up, first)
    assert drawn == 0, "it was finished"
    assert pictures(pipeline, again) == pictures(pipeline, first)
    assert pipeline.state(again) == "delivered"
    assert pipeline.money() == (7, 0)
    assert len(pipeline.telegram.photos(pipeline.chat)) == 3
    assert pipeline.bot.execute("select bot.kept_for(%s) as id", [row["user_id"]]).fetchall() == []
    assert settle() == {}
    assert pipeline.rerun(again).success, "and once more by an operator's hand: nothing is sent or charged twice"
    assert len(pipeline.telegram.photos(pipeline.chat)) == 3
    assert pipeline.money() == (7, 0)


def test_an_album_too_large_for_photos_goes_lighter_and_then_as_files(pipeline: Pipeline) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    pipeline.telegram.fault(
        method="sendMediaGroup", code=400, description="Bad Request: PHOTO_INVALID_DIMENSIONS", times=2
    )
    assert pipeline.run("carousel", request_id).success
    documents = [message for message in pipeline.telegram.messages(pipeline.chat) if "document" in message]
    assert len(documents) == 3
    kinds = pipeline.bot.execute("select distinct kind from carousel.album where request_id = %s", [request_id])
    assert kinds.fetchall() == [{"kind": "document"}]
    assert pipeline.money() == (7, 0)


def test_a_brand_is_on_every_slide_and_what_cannot_be_drawn_of_it_stops_nothing(pipeline: Pipeline) -> None:
    plain, _ = pipeline.confirmed(slides=3)
    assert pipeline.run("carousel", plain).success
    broken = b"not a picture at all"
    key = content_key(broken, "png")
    open_store(f"file://{pipeline.artifacts}").put(key, broken, content_type="image/png")
    row = pipeline.bot.execute("select user_id from carousel.request where id = %s", [plain]).fetchone()
    assert row is not None
    parts = {"handle": "@anna", "logo_key": key, "accent": "#30a46c"}
    pipeline.bot.execute("select carousel.set_brand(%s, %s)", [row["user_id"], Jsonb(parts)])
    request_id = change(pipeline, restyled(version(plain), "bold"), plain)
    result = pipeline.run("edit", request_id)
    assert result.success
    metadata = next(
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None and event.asset_key.path == ["rendered_slides"]
    )
    assert "logo left out" in str(metadata["warnings"].value)
    assert metadata["drawn in this run"].value == 3
