"""The finished slides of one request: type on pictures, drawn from what is stored and from nothing else."""

import hashlib
import time
from collections.abc import Iterator

import dagster as dg

from carousel_pipeline.artifacts import content_key
from carousel_pipeline.assets.claim import claimed
from carousel_pipeline.assets.policy import STEP_RETRIES, dagster_errors
from carousel_pipeline.assets.preview import contact_sheet
from carousel_pipeline.partitions import request_partitions
from carousel_pipeline.records import ArtifactRow, RequestRecords
from carousel_pipeline.requests import Deck
from carousel_pipeline.requests.results import Pictures, RenderedSlides, StoredSlide
from carousel_pipeline.resources import Artifacts, Database

MAX_PHOTO_BYTES = 10_000_000
MIN_CONTRAST = 4.5

_CHECKS = {
    "slides_complete": "One slide for every slide of the copy.",
    "text_inside": "No pixel of text lies outside its box.",
    "size_and_bytes": "Every slide has the asked size and is small enough for Telegram.",
    "contrast": f"The worst pixel under any text reaches {MIN_CONTRAST}:1.",
}


@dg.asset(
    partitions_def=request_partitions,
    io_manager_key="json",
    retry_policy=STEP_RETRIES,
    output_required=False,
    kinds={"jpeg"},
    group_name="carousel",
    check_specs=[dg.AssetCheckSpec(name, asset="rendered_slides", description=text) for name, text in _CHECKS.items()],
)
def rendered_slides(
    context: dg.AssetExecutionContext, copy: Deck, images: Pictures, database: Database, artifacts: Artifacts
) -> Iterator[dg.MaterializeResult[RenderedSlides]]:
    """Finished slides as JPEG, with what the layout had to do to make the text fit."""
    from carousel_pipeline.rendering import canvas, load_style, render_deck  # noqa: PLC0415 - fonts and numpy: only in a run

    with dagster_errors(context), database.session() as session:
        records = RequestRecords(session)
        request = records.load(context.partition_key)
        store = artifacts.store()
        style, ratio = load_style(request.options.style), request.options.ratio
        with claimed(context, session, request) as claim:
            if claim is None:
                return
            records.report_progress(request.id, "rendering", 0, len(copy.slides))
            began = time.perf_counter()
            drawn = render_deck(copy, style, ratio, [store.get(picture.key) for picture in images.items])
            drawing_s = time.perf_counter() - began
            items: list[StoredSlide] = []
            for slide in drawn:
                key, sha256 = content_key(slide.jpeg, "jpg"), hashlib.sha256(slide.jpeg).hexdigest()
                store.put(key, slide.jpeg, content_type="image/jpeg")
                item = StoredSlide(
                    position=slide.position,
                    key=key,
                    sha256=sha256,
                    bytes=len(slide.jpeg),
                    width=slide.width,
                    height=slide.height,
                    contrast=round(slide.contrast, 2),
                    inside=slide.ink_inside,
                    warnings=tuple(slide.warnings),
                )
                items.append(item)
                records.keep_artifact(
                    request.id,
                    ArtifactRow(
                        role="slide",
                        recipe=f"{style.id}@{style.version} {ratio}",
                        content_type="image/jpeg",
                        meta={"contrast": item.contrast, "warnings": list(item.warnings)},
                        **item.model_dump(include={"position", "sha256", "key", "bytes", "width", "height"}),
                    ),
                )
            slides = RenderedSlides(style=style.id, style_version=style.version, ratio=ratio, items=tuple(items))
            claim.rendered()
    passed = {
        "slides_complete": len(items) == len(copy.slides),
        "text_inside": all(item.inside for item in items),
        "size_and_bytes": all((i.width, i.height) == canvas(ratio) and i.bytes <= MAX_PHOTO_BYTES for i in items),
        "contrast": all(item.contrast >= MIN_CONTRAST for item in items),
    }
    yield dg.MaterializeResult(
        value=slides,
        metadata={
            "slides": dg.MetadataValue.md(contact_sheet([slide.jpeg for slide in drawn])),
            "style": f"{style.id} (version {style.version})",
            "size": f"{ratio}, {items[0].width} x {items[0].height}",
            "drawing ms": round(drawing_s * 1000),
            "worst contrast": min(item.contrast for item in items),
            "warnings": dg.MetadataValue.json(
                {str(item.position): list(item.warnings) for item in items if item.warnings}
            ),
            "bytes": sum(item.bytes for item in items),
        },
        check_results=[dg.AssetCheckResult(check_name=name, passed=ok) for name, ok in passed.items()],
    )
