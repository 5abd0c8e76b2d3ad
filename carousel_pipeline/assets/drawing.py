"""From copy, pictures and brand to stored slides, PDF and ZIP; what is stored already is taken over, not drawn.

Imported by a run only: fonts, numpy and Pillow come with it.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from carousel_pipeline.artifacts import ArtifactStore, content_key
from carousel_pipeline.delivery.package import pdf_of, zip_of
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.records import ArtifactRow, RequestRecord, RequestRecords
from carousel_pipeline.records.pipeline import ArtifactRole
from carousel_pipeline.rendering import Brand, RenderedSlide, SlideLayout, Style, layout_deck, render_slide
from carousel_pipeline.rendering.logo import proportion
from carousel_pipeline.requests import Deck
from carousel_pipeline.requests.results import Pictures, StoredPicture

_THREADS = min(4, os.cpu_count() or 1)


def brand_of(request: RequestRecord, store: ArtifactStore) -> tuple[Brand | None, str]:
    """Return the request's brand, and what had to be left out of it: a logo that cannot be read, or is gone."""
    stored = request.brand
    brand = Brand(handle=stored.handle or "", accent=stored.accent)
    warning = ""
    if stored.logo_key is not None:
        try:
            logo = store.get(stored.logo_key)
            proportion(logo)
        except PermanentError as error:
            warning = f"logo left out: {error}"
        else:
            brand = brand.model_copy(update={"logo": logo})
    return (None if brand == Brand() else brand), warning


def draw(
    deck: Deck,
    style: Style,
    brand: Brand | None,
    images: Pictures,
    request: RequestRecord,
    records: RequestRecords,
    store: ArtifactStore,
) -> dict[int, bytes]:
    """Store every slide of the request; return the JPEGs that were drawn now, by position.

    Raises:
        PermanentError: a picture cannot be read or is not stored any more.
    """
    layout = layout_deck(deck, style, request.options.ratio, brand)
    logo = brand.logo if brand else None
    recipes = {
        slide.position: _recipe(slide, picture, logo)
        for slide, picture in zip(layout.slides, images.items, strict=True)
    }
    known = records.artifacts(request.id, "slide")
    base = records.artifacts(request.change.base, "slide") if request.change.base else {}
    taken = {row.recipe: row for rows in (base, known) for row in rows.values()}
    pairs = list(zip(layout.slides, images.items, strict=True))
    found = {slide.position: taken.get(recipes[slide.position]) for slide, _ in pairs}
    rows = [row.model_copy(update={"position": place}) for place, row in found.items() if row is not None]
    records.keep_artifacts(request.id, rows)
    missing = [(slide, picture) for slide, picture in pairs if found[slide.position] is None]

    def render(work: tuple[SlideLayout, StoredPicture]) -> RenderedSlide:
        with records.trace.span("slide", work[0].position):
            return render_slide(work[0], store.get(work[1].key), logo)

    with ThreadPoolExecutor(_THREADS) as threads:
        drawn = list(threads.map(render, missing))
    keys = [content_key(done.jpeg, "jpg") for done in drawn]
    for key, done in zip(keys, drawn, strict=True):
        store.put(key, done.jpeg, content_type="image/jpeg")
    kept = [_row(done, key, recipes[done.position]) for key, done in zip(keys, drawn, strict=True)]
    records.keep_artifacts(request.id, kept)
    return {done.position: done.jpeg for done in drawn}


def pack(
    jpegs: Sequence[bytes],
    deck: Deck,
    style: Style,
    request: RequestRecord,
    records: RequestRecords,
    store: ArtifactStore,
) -> None:
    """Store the PDF and the ZIP of the slides; slides too heavy for a PDF simply have none."""
    ratio = request.options.ratio
    recipe = hashlib.sha256(
        "\n".join([deck.model_dump_json(), style.id, *(hashlib.sha256(jpeg).hexdigest() for jpeg in jpegs)]).encode()
    ).hexdigest()

    def keep(role: ArtifactRole, content_type: str, make: Callable[[], bytes]) -> None:
        for source in (request.id, request.change.base):
            row = records.artifacts(source, role).get(1) if source else None
            if row is not None and row.recipe == recipe:
                records.keep_artifact(request.id, row)
                return
        data = make()
        key = content_key(data, role)
        store.put(key, data, content_type=content_type)
        first = records.artifacts(request.id, "slide")[1]
        records.keep_artifact(
            request.id,
            ArtifactRow(
                role=role,
                position=1,
                recipe=recipe,
                sha256=hashlib.sha256(data).hexdigest(),
                key=key,
                content_type=content_type,
                bytes=len(data),
                width=first.width,
                height=first.height,
            ),
        )

    keep("zip", "application/zip", lambda: zip_of(jpegs, deck, style.id, style.version, ratio))
    with suppress(PermanentError):
        keep("pdf", "application/pdf", lambda: pdf_of(jpegs))


def _recipe(slide: SlideLayout, picture: StoredPicture, logo: bytes | None) -> str:
    parts = (repr(slide), picture.sha256, hashlib.sha256(logo).hexdigest() if logo else "")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _row(slide: RenderedSlide, key: str, recipe: str) -> ArtifactRow:
    warnings = [" ".join(filter(None, (warning.field, warning.kind, warning.detail))) for warning in slide.warnings]
    return ArtifactRow(
        role="slide",
        position=slide.position,
        recipe=recipe,
        sha256=hashlib.sha256(slide.jpeg).hexdigest(),
        key=key,
        content_type="image/jpeg",
        bytes=len(slide.jpeg),
        width=slide.width,
        height=slide.height,
        meta={"contrast": round(slide.contrast, 2), "inside": slide.ink_inside, "warnings": warnings},
    )
