"""From a text to an album, and what becomes of the credits when a step fails."""

import io
import json
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from carousel_pipeline.requests.results import RenderedSlides

from .conftest import Pipeline, Settle


def slides_of(pipeline: Pipeline, request_id: UUID) -> RenderedSlides:
    stored = pipeline.artifacts / f"requests/{request_id}/rendered_slides.json"
    return RenderedSlides.model_validate_json(stored.read_bytes())


def test_a_text_becomes_an_album_of_finished_slides_that_is_paid_once(pipeline: Pipeline, settle: Settle) -> None:
    request_id, price = pipeline.confirmed(slides=7)
    assert price == 7
    assert pipeline.money() == (3, 7)
    result = pipeline.run("carousel", request_id)
    assert result.success
    photos = pipeline.telegram.photos(pipeline.chat)
    assert len(photos) == 7
    assert len({photo["media_group_id"] for photo in photos}) == 1
    assert [bool(photo.get("caption")) for photo in photos] == [True] + [False] * 6
    assert pipeline.money() == (3, 0)
    assert pipeline.state(request_id) == "delivered"
    for item in slides_of(pipeline, request_id).items:
        with Image.open(io.BytesIO((pipeline.artifacts / item.key).read_bytes())) as slide:
            assert slide.size == (1080, 1350)
        assert item.inside
        assert item.contrast >= 4.5
    assert settle() == {}
    checks = {evaluation.check_name: evaluation.passed for evaluation in result.get_asset_check_evaluations()}
    assert checks == dict.fromkeys(
        [
            "all_arrived",
            "contrast",
            "calm_under_text",
            "pictures_distinct",
            "pictures_not_blank",
            "size_and_bytes",
            "slides_complete",
            "text_inside",
        ],
        True,
    )


def test_what_is_stored_is_json_of_our_models_and_pictures_nothing_pickled(pipeline: Pipeline) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    assert pipeline.run("carousel", request_id).success
    files = sorted(
        path.relative_to(pipeline.artifacts).as_posix() for path in pipeline.artifacts.rglob("*") if path.is_file()
    )
    assert [file for file in files if file.startswith("requests/")] == [
        f"requests/{request_id}/{name}.json" for name in ("copy", "delivery_receipt", "images", "rendered_slides")
    ]
    for file in files:
        data = (pipeline.artifacts / file).read_bytes()
        if file.endswith(".json"):
            json.loads(data)
        else:
            signs = {"jpg": b"\xff\xd8\xff", "pdf": b"%PDF", "zip": b"PK\x03\x04"}
            assert data.startswith(signs[file.rpartition(".")[2]])


def test_what_the_layout_had_to_do_is_told_and_stops_nothing(pipeline: Pipeline) -> None:
    unknown = "\U000e0fff\ua66e"
    text = f"Letters {unknown} that no font has. " + "Pneumonoultramicroscopicsilicovolcanoconiosis " * 40
    request_id, _ = pipeline.confirmed(text=text, slides=3)
    assert pipeline.run("carousel", request_id).success
    warnings = [warning for item in slides_of(pipeline, request_id).items for warning in item.warnings]
    assert any("missing" in warning for warning in warnings)


@pytest.mark.finding("M16")
def test_rerunning_a_delivered_request_sends_and_charges_nothing(pipeline: Pipeline) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    assert pipeline.run("carousel", request_id).success
    again = pipeline.run("carousel", request_id)
    assert again.success
    assert len(pipeline.telegram.photos(pipeline.chat)) == 3
    assert pipeline.money() == (7, 0)


@pytest.mark.finding("C1", "C2", "C3")
def test_an_album_that_telegram_refuses_fails_the_run_and_the_credits_come_back(
    pipeline: Pipeline, settle: Settle
) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    pipeline.telegram.fault(
        method="sendMediaGroup", code=400, description="Bad Request: PHOTO_INVALID_DIMENSIONS", times=9
    )
    result = pipeline.run("carousel", request_id)
    assert not result.success
    assert pipeline.money() == (7, 3)
    assert settle() == {request_id: "released (delivery_receipt)"}
    assert pipeline.money() == (10, 0)
    assert pipeline.telegram.photos(pipeline.chat) == []
    assert told(pipeline, "notify_refund") == [
        {"request_id": str(request_id), "reason": "delivery_receipt", "credits": 3, "epoch": 1}
    ]


@pytest.mark.finding("C3", "M16")
def test_an_album_in_doubt_is_never_sent_again_and_the_user_is_asked(pipeline: Pipeline, settle: Settle) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    pipeline.telegram.fault(method="sendMediaGroup", kind="drop", when="after", times=1)
    assert not pipeline.run("carousel", request_id).success
    assert len(pipeline.telegram.photos(pipeline.chat)) == 3
    assert pipeline.state(request_id) == "delivery_unknown"
    assert settle() == {}
    assert pipeline.run("carousel", request_id).success
    assert len(pipeline.telegram.photos(pipeline.chat)) == 3
    assert pipeline.money() == (7, 3)
    assert len(told(pipeline, "ask_user")) == 1


def test_a_flood_wait_is_waited_out(pipeline: Pipeline) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    pipeline.telegram.fault(method="sendMediaGroup", code=429, retry_after=1, times=2)
    assert pipeline.run("carousel", request_id).success
    assert len(pipeline.telegram.photos(pipeline.chat)) == 3
    assert pipeline.money() == (7, 0)


@pytest.mark.finding("M16", "m23")
def test_a_rerun_after_a_failure_buys_no_picture_again_and_goes_on_with_the_same_hold(pipeline: Pipeline) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    pipeline.telegram.fault(method="sendMediaGroup", code=400, description="Bad Request: test", times=1)
    assert not pipeline.run("carousel", request_id).success
    result = pipeline.run("carousel", request_id)
    assert result.success
    images = next(
        event
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None and event.asset_key.path == ["images"]
    )
    assert images.materialization.metadata["painted in this run"].value == 0
    assert len(pipeline.telegram.photos(pipeline.chat)) == 3
    assert pipeline.money() == (7, 0)


def test_a_rerun_after_a_refund_is_on_the_house(pipeline: Pipeline, settle: Settle) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    pipeline.telegram.fault(method="sendMediaGroup", code=400, description="Bad Request: test", times=1)
    assert not pipeline.run("carousel", request_id).success
    settle()
    assert pipeline.money() == (10, 0)
    assert not pipeline.rerun(request_id, {"dagster/backfill": "abc"}).success
    assert pipeline.telegram.photos(pipeline.chat) == []
    assert pipeline.rerun(request_id).success
    assert len(pipeline.telegram.photos(pipeline.chat)) == 3
    assert pipeline.money() == (10, 0)


@pytest.mark.finding("m3", "M22")
def test_a_style_that_does_not_exist_is_refused_before_anything_costs(pipeline: Pipeline) -> None:
    request_id = pipeline.open(style="no_such_style")
    result = pipeline.run("outline", request_id)
    assert not result.success
    failure: Any = result.get_step_failure_events()[0].step_failure_data
    assert "no_such_style" in failure.user_failure_data.description
    assert pipeline.money() == (10, 0)


@pytest.mark.finding("m3")
def test_the_slides_remember_the_styles_version(pipeline: Pipeline) -> None:
    from carousel_pipeline.rendering import load_style

    request_id, _ = pipeline.confirmed(slides=3, style="night")
    assert pipeline.run("carousel", request_id).success
    slides = slides_of(pipeline, request_id)
    assert (slides.style, slides.style_version) == ("night", load_style("night").version)


@pytest.mark.finding("M15")
def test_an_object_that_could_not_be_stored_leaves_no_row_that_points_at_it(pipeline: Pipeline) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    pipeline.artifacts.joinpath("objects").write_bytes(b"a file where the folder should be")
    assert not pipeline.run("carousel", request_id).success
    rows = pipeline.bot.execute("select 1 from carousel.artifact where request_id = %s", [request_id]).fetchall()
    assert rows == []
    pipeline.artifacts.joinpath("objects").unlink()
    assert pipeline.run("carousel", request_id).success
    keys = pipeline.bot.execute("select key from carousel.artifact where request_id = %s", [request_id]).fetchall()
    assert len(keys) == 8
    assert all((pipeline.artifacts / row["key"]).is_file() for row in keys)


@pytest.mark.finding("M11", "m23")
@pytest.mark.usefixtures("refusing_gemini")
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")  # google-genai's own
def test_pictures_that_the_model_refuses_are_stood_in_for_and_not_charged(pipeline: Pipeline) -> None:
    request_id, price = pipeline.confirmed(slides=3)
    assert price == 3
    assert pipeline.run("carousel", request_id).success
    assert len(pipeline.telegram.photos(pipeline.chat)) == 3
    assert pipeline.money() == (10, 0)
    [delivered] = told(pipeline, "delivered")
    assert (delivered["charged"], delivered["returned"]) == (0, 3)


def test_an_outline_is_shown_only_once_it_is_stored(pipeline: Pipeline) -> None:
    request_id = pipeline.open()
    in_the_way = pipeline.artifacts / "requests" / str(request_id)
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_bytes(b"a file where the folder should be")
    assert not pipeline.run("outline", request_id).success
    phase = pipeline.bot.execute("select phase from carousel.request where id = %s", [request_id]).fetchone()
    assert phase == {"phase": "drafting"}
    in_the_way.unlink()
    assert pipeline.run("outline", request_id).success
    phase = pipeline.bot.execute("select phase from carousel.request where id = %s", [request_id]).fetchone()
    assert phase == {"phase": "outlined"}


@pytest.mark.finding("M22")
@pytest.mark.parametrize("key", ["made-up", "00000000-0000-0000-0000-000000000000"])
def test_a_partition_that_is_no_request_fails_in_words_and_does_nothing(pipeline: Pipeline, key: str) -> None:
    pipeline.instance.add_dynamic_partitions("requests", [key])
    from carousel_pipeline.definitions import defs

    result = defs.resolve_job_def("outline").execute_in_process(
        partition_key=key, instance=pipeline.instance, raise_on_error=False
    )
    assert not result.success
    failure: Any = result.get_step_failure_events()[0].step_failure_data
    assert "request" in failure.user_failure_data.description


def told(pipeline: Pipeline, topic: str) -> list[dict[str, Any]]:
    with_owner = pipeline.bot.execute("select current_user as role").fetchone()
    assert with_owner == {"role": "led_bot"}
    rows = pipeline.bot.execute(
        "select payload from ledger.outbox where topic = %s and payload ->> 'request_id' is not null order by id",
        [topic],
    ).fetchall()
    return [row["payload"] for row in rows]
