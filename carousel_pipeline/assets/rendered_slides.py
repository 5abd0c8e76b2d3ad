"""The finished slides of one request: type on pictures, drawn from what is stored and from nothing else.

A slide's recipe is everything it is drawn from, so a change draws only the slides that it changed and takes the others over from
its base; an undo draws none. The PDF and the ZIP are made with the slides: the bot sends them from storage at a tap and cannot
draw. A brand that cannot be drawn never stops a carousel.
"""

import time
from collections.abc import Iterator
from types import MappingProxyType

import dagster as dg

from carousel_pipeline import turns
from carousel_pipeline.assets.claim import claimed
from carousel_pipeline.assets.policy import dagster_errors
from carousel_pipeline.assets.preview import contact_sheet
from carousel_pipeline.partitions import request_partitions
from carousel_pipeline.records import ArtifactRow, RequestRecords
from carousel_pipeline.requests import Deck
from carousel_pipeline.requests.results import Pictures, RenderedSlides, StoredSlide
from carousel_pipeline.resources import Artifacts, Database

MAX_PHOTO_BYTES = 10_000_000
MIN_CONTRAST = 4.5

_CHECKS = MappingProxyType(
    {
        "slides_complete": "One slide for every slide of the copy.",
        "text_inside": "No pixel of text lies outside its box.",
        "size_and_bytes": "Every slide has the asked size and is small enough for Telegram.",
        "contrast": f"The worst pixel under any text reaches {MIN_CONTRAST}:1.",
    }
)


@dg.asset(
    partitions_def=request_partitions,
    io_manager_key="json",
    output_required=False,
    kinds={"jpeg"},
    group_name="carousel",
    check_specs=[dg.AssetCheckSpec(name, asset="rendered_slides", description=text) for name, text in _CHECKS.items()],
)
def rendered_slides(
    context: dg.AssetExecutionContext, copy: Deck, images: Pictures, database: Database, artifacts: Artifacts
) -> Iterator[dg.MaterializeResult[RenderedSlides] | dg.AssetCheckResult]:
    """Finished slides as JPEG, with what the layout had to do to make the text fit."""
    with dagster_errors(context), database.trace.span("rendered_slides"):
        from carousel_pipeline.assets.drawing import brand_of, draw, pack  # noqa: PLC0415 - fonts and numpy: only in a run
        from carousel_pipeline.rendering import canvas, load_style  # noqa: PLC0415 - as above

        session = database.calls()
        records = RequestRecords(session, database.trace)
        request = records.load(context.partition_key)
        style, ratio = load_style(request.options.style), request.options.ratio
        with claimed(context, session, request) as claim:
            if claim is not None:
                records.report_progress(request.id, "rendering", 0, len(copy.slides))
                store = artifacts.store()
                began = time.perf_counter()
                brand, brand_warning = brand_of(request, store)
                with turns.working():
                    drawn = draw(copy, style, brand, images, request, records, store)
                    drawing_ms = round((time.perf_counter() - began) * 1000)
                    shown = {row.position: row for row in records.artifacts(request.id, "slide").values()}
                    jpegs = [
                        drawn[place] if place in drawn else store.get(row.key) for place, row in sorted(shown.items())
                    ]
                    pack(jpegs, copy, style, request, records, store)
                claim.rendered()
        slides = [_stored(row) for row in records.artifacts(request.id, "slide").values()]
    if claim is not None:
        yield dg.MaterializeResult(
            value=RenderedSlides(style=style.id, style_version=style.version, ratio=ratio, items=tuple(slides)),
            metadata={
                "slides": dg.MetadataValue.md(contact_sheet(jpegs)),
                "drawn in this run": len(drawn),
                "style": f"{style.id} (version {style.version})",
                "size": f"{ratio}, {slides[0].width} x {slides[0].height}",
                "drawing ms": drawing_ms,
                "worst contrast": min(slide.contrast for slide in slides),
                "warnings": dg.MetadataValue.json(
                    {str(s.position): list(s.warnings) for s in slides if s.warnings}
                    | ({"brand": [brand_warning]} if brand_warning else {})
                ),
                "bytes": sum(slide.bytes for slide in slides),
            },
        )
    passed = {
        "slides_complete": [slide.position for slide in slides] == list(range(1, len(copy.slides) + 1)),
        "text_inside": all(slide.inside for slide in slides),
        "size_and_bytes": all((s.width, s.height) == canvas(ratio) and s.bytes <= MAX_PHOTO_BYTES for s in slides),
        "contrast": all(slide.contrast >= MIN_CONTRAST for slide in slides),
    }
    yield from (dg.AssetCheckResult(check_name=name, passed=ok) for name, ok in passed.items())


def _stored(row: ArtifactRow) -> StoredSlide:
    return StoredSlide(
        position=row.position,
        key=row.key,
        sha256=row.sha256,
        bytes=row.bytes,
        width=row.width,
        height=row.height,
        contrast=row.meta["contrast"],
        inside=row.meta["inside"],
        warnings=tuple(row.meta["warnings"]),
    )
