"""The pictures of one confirmed request, each stored the moment it arrives: what was bought once is never bought again."""

import asyncio
import hashlib
from collections.abc import Iterator

import dagster as dg

from carousel_pipeline.artifacts import ArtifactStore, content_key
from carousel_pipeline.assets.claim import claimed
from carousel_pipeline.assets.policy import dagster_errors
from carousel_pipeline.copywriting import Usage
from carousel_pipeline.imagery import Painter, Picture, PictureBrief
from carousel_pipeline.imagery.painting import paint_deck, picture_briefs
from carousel_pipeline.partitions import request_partitions
from carousel_pipeline.records import ArtifactRow, RequestRecord, RequestRecords
from carousel_pipeline.requests import Deck
from carousel_pipeline.requests.results import Pictures, StoredPicture
from carousel_pipeline.resources import Artifacts, Database, Providers


@dg.asset(
    partitions_def=request_partitions,
    io_manager_key="json",
    output_required=False,
    kinds={"gemini", "jpeg"},
    group_name="carousel",
    check_specs=[
        dg.AssetCheckSpec("pictures_distinct", asset="images", description="No two slides have the same picture."),
    ],
)
def images(
    context: dg.AssetExecutionContext, copy: Deck, database: Database, artifacts: Artifacts, providers: Providers
) -> Iterator[dg.MaterializeResult[Pictures] | dg.AssetCheckResult]:
    """One picture a slide, all in one look, at the slides' final size."""
    with dagster_errors(context), database.session() as session:
        records = RequestRecords(session)
        request = records.load(context.partition_key)
        with claimed(context, session, request) as claim:
            if claim is not None:
                painter = providers.painter()
                paid = _paint(copy, request, records, artifacts.store(), painter)
        pictures = [_stored(row) for row in records.artifacts(request.id, "picture").values()]
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
                "painting s": round(sum(picture.usage.duration_s for picture in paid), 3),
            },
        )
    yield dg.AssetCheckResult(
        check_name="pictures_distinct",
        passed=len({picture.sha256 for picture in pictures}) == len(pictures),
        severity=dg.AssetCheckSeverity.WARN,
    )


def _paint(
    deck: Deck, request: RequestRecord, records: RequestRecords, store: ArtifactStore, painter: Painter
) -> list[Picture]:
    """Paint what is missing and return what was painted now."""
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
    kept = {
        position: _load(row, store)
        for position, row in records.artifacts(request.id, "picture").items()
        if row.recipe == recipes.get(position)
    }
    painted: list[Picture] = []

    def keep(brief: PictureBrief, picture: Picture) -> None:
        key = content_key(picture.data, "jpg")
        store.put(key, picture.data, content_type="image/jpeg")
        records.keep_artifact(
            request.id,
            ArtifactRow(
                role="picture",
                position=brief.position,
                recipe=recipes[brief.position],
                sha256=hashlib.sha256(picture.data).hexdigest(),
                key=key,
                content_type="image/jpeg",
                bytes=len(picture.data),
                width=picture.width,
                height=picture.height,
                meta={"painter": picture.painter, "stand_in": picture.stand_in},
            ),
        )
        painted.append(picture)
        records.report_progress(request.id, "pictures", len(kept) + len(painted), len(briefs))

    records.report_progress(request.id, "pictures", len(kept), len(briefs))
    asyncio.run(paint_deck(briefs, painter, kept=kept, keep=keep))
    return painted


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
    )
