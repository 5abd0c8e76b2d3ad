"""The pictures of one confirmed request, each stored the moment it arrives: what was bought once is never bought again.

A change takes its base's pictures over before anything is painted. One that is not stored any more is an error, never painted
anew: nobody has paid for it. A picture that was to be painted anew and was refused leaves the old one in its place, not charged.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import dagster as dg

from carousel_pipeline.artifacts import ArtifactStore, content_key
from carousel_pipeline.assets.claim import claimed
from carousel_pipeline.assets.policy import dagster_errors
from carousel_pipeline.copywriting import Usage
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.imagery import Painter, Picture, PictureBrief
from carousel_pipeline.memory import give_back
from carousel_pipeline.partitions import request_partitions
from carousel_pipeline.providers import CallLog
from carousel_pipeline.records import ArtifactRow, RequestRecord, RequestRecords
from carousel_pipeline.records.attempts import cost_of
from carousel_pipeline.requests import Deck, Ratio
from carousel_pipeline.requests.results import Pictures, StoredPicture
from carousel_pipeline.resources import Artifacts, Database, Providers

if TYPE_CHECKING:
    from carousel_pipeline.imagery.checks import Window
    from carousel_pipeline.rendering import Style


_CHECKS = MappingProxyType(
    {
        "pictures_distinct": "No two slides have pictures that look the same.",
        "pictures_not_blank": "Every picture shows something.",
        "calm_under_text": "Where text stands on the bare picture, without a veil or a card, the picture is calm.",
    }
)


@dg.asset(
    partitions_def=request_partitions,
    io_manager_key="json",
    output_required=False,
    kinds={"gemini", "jpeg"},
    group_name="carousel",
    check_specs=[dg.AssetCheckSpec(name, asset="images", description=text) for name, text in _CHECKS.items()],
)
def images(
    context: dg.AssetExecutionContext, copy: Deck, database: Database, artifacts: Artifacts, providers: Providers
) -> Iterator[dg.MaterializeResult[Pictures] | dg.AssetCheckResult]:
    """One picture a slide, all in one look, at the slides' final size."""
    with dagster_errors(context), database.trace.span("images"):
        session = database.calls()
        records = RequestRecords(session, database.trace)
        request = records.load(context.partition_key)
        with claimed(context, session, request) as claim:
            if claim is not None:
                painter = providers.painter()
                log = providers.calls(context, session, request)
                paid = _paint(copy, request, records, artifacts.store(), painter, log)
        rows = list(records.artifacts(request.id, "picture").values())
        pictures = [_stored(row) for row in rows]
        cost = cost_of(session, request.id)
    if claim is not None:
        yield dg.MaterializeResult(
            value=Pictures(items=tuple(pictures)),
            metadata={
                "pictures": len(pictures),
                "painted in this run": len(paid),
                "stand-ins": sum(picture.stand_in for picture in pictures),
                "painter": painter.name,
                "demo": painter.demo,
                "cost USD": sum(picture.usage.cost_usd for picture in paid),
                "cost USD of the request": cost,
                "painting s": round(sum(picture.usage.duration_s for picture in paid), 3),
            },
        )
    yield from _checked(rows)


def _checked(rows: Sequence[ArtifactRow]) -> Iterator[dg.AssetCheckResult]:
    """Report what was looked at when each picture arrived; the painter has acted on it already."""
    from carousel_pipeline.imagery.checks import Fingerprint, same  # noqa: PLC0415 - numpy: only a run pays for it

    looks = [(row.meta.get("strip"), Fingerprint.of_text(row.meta["look"])) for row in rows if "look" in row.meta]
    alike = any(
        same(one, other) and (strip is None or strip != strip_of_other)
        for number, (strip, one) in enumerate(looks)
        for strip_of_other, other in looks[number + 1 :]
    )
    distinct = not alike and len({row.sha256 for row in rows}) == len(rows)
    blank = [row.position for row in rows if row.meta.get("blank")]
    busy = [row.position for row in rows if row.meta.get("busy")]
    for name, passed, slides in (
        ("pictures_distinct", distinct, []),
        ("pictures_not_blank", not blank, blank),
        ("calm_under_text", not busy, busy),
    ):
        metadata = {"slides": ", ".join(map(str, slides))} if slides else {}
        yield dg.AssetCheckResult(
            check_name=name, passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata=metadata
        )


def _paint(
    deck: Deck,
    request: RequestRecord,
    records: RequestRecords,
    store: ArtifactStore,
    painter: Painter,
    log: CallLog,
) -> list[Picture]:
    """Paint what is missing and return what was painted now."""
    from carousel_pipeline.imagery.checks import blank, busy, fingerprint, reduced  # noqa: PLC0415 - as below
    from carousel_pipeline.imagery.painting import paint_deck, picture_briefs  # noqa: PLC0415 - as below
    from carousel_pipeline.rendering import canvas, load_style  # noqa: PLC0415 - fonts and numpy: only a run pays for them

    style = load_style(request.options.style)
    briefs = picture_briefs(
        deck,
        palette=style.palette,
        family=style.picture_family,
        seed=str(request.id),
        size=canvas(request.options.ratio),
    )
    recipes = {brief.position: _recipe(brief, painter) for brief in briefs}
    base = records.artifacts(request.change.base, "picture") if request.change.base else {}
    taken = _take_over(len(briefs), base, request, records)
    rows = {
        position: row
        for position, row in records.artifacts(request.id, "picture").items()
        if position in taken or row.recipe == recipes.get(position)
    }
    if len(rows) == len(briefs):
        return []
    kept = {position: _load(row, store) for position, row in rows.items()}
    windows = _bare(deck, style, request.options.ratio)
    painted: list[Picture] = []

    def stored(brief: PictureBrief, picture: Picture) -> ArtifactRow:
        before = base.get(request.change.before(brief.position) or 0)
        if picture.stand_in and before is not None:
            return _in_place(before, brief.position, refused=True)
        small = reduced(picture.data)
        key = content_key(picture.data, "jpg")
        store.put(key, picture.data, content_type="image/jpeg")
        return ArtifactRow(
            role="picture",
            position=brief.position,
            recipe=recipes[brief.position],
            sha256=hashlib.sha256(picture.data).hexdigest(),
            key=key,
            content_type="image/jpeg",
            bytes=len(picture.data),
            width=picture.width,
            height=picture.height,
            meta={
                "painter": picture.painter,
                "stand_in": picture.stand_in,
                "strip": picture.strip,
                "look": fingerprint(small).text(),
                "blank": blank(small),
                "busy": busy(small, windows.get(brief.position, ())),
            },
        )

    def keep(arrived: Sequence[tuple[PictureBrief, Picture]]) -> None:
        records.keep_artifacts(request.id, [stored(brief, picture) for brief, picture in arrived])
        painted.extend(picture for _, picture in arrived)
        records.report_progress(request.id, "pictures", len(kept) + len(painted), len(briefs))
        if not painter.demo:  # the others are waited for
            give_back()

    records.report_progress(request.id, "pictures", len(kept), len(briefs))
    # One slide painted anew gets a picture of its own, whatever its neighbours were cut from.
    mode = request.options.pictures if request.change.base is None else "each"
    asyncio.run(paint_deck(briefs, painter, kept=kept, keep=keep, mode=mode, log=log, windows=windows))
    return painted


def _bare(deck: Deck, style: "Style", ratio: Ratio) -> dict[int, list["Window"]]:
    """Return by slide where text stands on the picture with neither veil nor card between, as shares of the picture."""
    from carousel_pipeline.rendering import layout_deck  # noqa: PLC0415 - as above

    windows: dict[int, list[Window]] = {}
    for slide in layout_deck(deck, style, ratio).slides:
        left, top, right, bottom = slide.picture.box
        width, height = right - left, bottom - top
        veiled = {number for scrim in slide.scrims for number in scrim.texts}
        windows[slide.position] = [
            ((x - left) / width, (y - top) / height, (to_x - left) / width, (to_y - top) / height)
            for number, text in enumerate(slide.texts)
            for x, y, to_x, to_y in [text.box]
            if text.over_picture and number not in veiled
        ]
    return windows


def _take_over(
    slides: int, base: Mapping[int, ArtifactRow], request: RequestRecord, records: RequestRecords
) -> set[int]:
    """Record the base's pictures as this request's own; return the slides that have one now.

    Raises:
        PermanentError: one of them is not stored any more.
    """
    wanted = {slide: request.change.taken_from(slide) for slide in range(1, slides + 1)}
    places = {slide: before for slide, before in wanted.items() if before is not None}
    if missing := sorted(before for before in places.values() if before not in base):
        raise PermanentError(f"pictures {missing} of request {request.change.base} are not stored any more")
    records.keep_artifacts(request.id, [_in_place(base[before], slide) for slide, before in places.items()])
    return set(places)


def _in_place(row: ArtifactRow, slide: int, *, refused: bool = False) -> ArtifactRow:
    meta = row.meta | {"stand_in": True} if refused else row.meta
    return row.model_copy(update={"position": slide, "meta": meta})


def _recipe(brief: PictureBrief, painter: Painter) -> str:
    return hashlib.sha256(f"{painter.name}\n{brief.model_dump_json()}".encode()).hexdigest()


def _load(row: ArtifactRow, store: ArtifactStore) -> Picture:
    stored = _stored(row)
    return Picture(
        data=store.get(row.key),
        width=row.width,
        height=row.height,
        painter=stored.painter,
        stand_in=stored.stand_in,
        usage=Usage(model=stored.painter),
    )


def _stored(row: ArtifactRow) -> StoredPicture:
    return StoredPicture(
        position=row.position,
        key=row.key,
        sha256=row.sha256,
        width=row.width,
        height=row.height,
        painter=row.meta["painter"],
        stand_in=row.meta["stand_in"],
        strip=row.meta.get("strip"),
    )
