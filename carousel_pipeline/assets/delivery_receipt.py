"""Sending the album, and the money that follows from what became of it. A stand-in for a refused picture is not charged.

The intent is committed before the first byte goes to Telegram, the capture together with the message ids after. Between the two
lies the one moment that cannot be closed: then the delivery is *in doubt*, nothing is sent again, and the user is asked. So it is
kept as short as it can be: the intent is the last thing before the first byte, and what ends it is said over a second
connection when the first breaks.
"""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from carousel_pipeline.artifacts import ArtifactStore
from carousel_pipeline.assets.claim import Claim, claimed
from carousel_pipeline.assets.policy import dagster_errors
from carousel_pipeline.assets.timeline import timeline_metadata
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.partitions import request_partitions
from carousel_pipeline.records import RequestRecord, RequestRecords
from carousel_pipeline.records.trace import Trace
from carousel_pipeline.requests import Deck, album_caption
from carousel_pipeline.requests.change import charge_of
from carousel_pipeline.requests.results import Pictures, Receipt, RenderedSlides
from carousel_pipeline.resources import Artifacts, Database, Telegram

if TYPE_CHECKING:
    from carousel_pipeline.delivery import Page


@dg.asset(
    partitions_def=request_partitions,
    io_manager_key="json",
    output_required=False,
    kinds={"telegram"},
    group_name="carousel",
    check_specs=[
        dg.AssetCheckSpec("all_arrived", asset="delivery_receipt", description="One message id for every slide."),
    ],
)
def delivery_receipt(
    context: dg.AssetExecutionContext,
    copy: Deck,
    images: Pictures,
    rendered_slides: RenderedSlides,
    database: Database,
    artifacts: Artifacts,
    telegram: Telegram,
) -> Iterator[dg.MaterializeResult[Receipt] | dg.AssetCheckResult]:
    """The album's message ids, stored in the same transaction as the charge."""
    with dagster_errors(context), database.trace.span("delivery_receipt"):
        session = database.calls()
        records = RequestRecords(session, database.trace)
        request = records.load(context.partition_key)
        with claimed(context, session, request, database.session) as claim:
            if claim is not None:
                claim.rendered()
                store = artifacts.store()
                pages = _pages(rendered_slides, request, records, store)
                records.report_progress(request.id, "sending", 0, len(pages))
                charge = charge_of(request.change, request.options, request.price or 0, images)
                receipt = _deliver(claim, charge, request, pages, album_caption(copy), telegram, records.trace)
        arrived = records.album(request.id)
    if claim is not None:
        yield dg.MaterializeResult(
            value=receipt,
            metadata={
                "message ids": ", ".join(map(str, receipt.message_ids)),
                **timeline_metadata(context, database, request.id),
            },
        )
    yield dg.AssetCheckResult(check_name="all_arrived", passed=len(arrived) == len(rendered_slides.items))


def _pages(
    slides: RenderedSlides, request: RequestRecord, records: RequestRecords, store: ArtifactStore
) -> list["Page"]:
    """What to send: a slide that stands unchanged in the base's album goes by its file id, the others are read now."""
    from carousel_pipeline.delivery import Page  # noqa: PLC0415 - aiogram: only in a run

    base = request.change.base
    album = {item.position: item.file_id for item in records.album(base) if item.kind == "photo"} if base else {}
    known = {row.key: album.get(row.position) for row in records.artifacts(base, "slide").values()} if base else {}

    def page(key: str) -> Page:
        if file_id := known.get(key):
            return Page(lambda: store.get(key), file_id)
        data = store.get(key)
        return Page(lambda: data)

    return [page(item.key) for item in slides.items]


def _deliver(
    claim: Claim,
    charge: int | None,
    request: RequestRecord,
    pages: list["Page"],
    caption: str,
    telegram: Telegram,
    trace: Trace,
) -> Receipt:
    from carousel_pipeline.delivery import Arrived, Outcome, Unknown, send_album  # noqa: PLC0415 - aiogram: only in a run

    intents: list[int] = []

    def may_send() -> bool:
        if intents:
            return claim.alive()
        intents.append(claim.begin_delivery(charge))
        return True

    async def send() -> Outcome:
        async with telegram.client() as bot:
            with trace.span("sending"):
                outcome = await send_album(bot, request.chat_id, pages, caption, may_send=may_send)
            # Before the client closes, which takes aiogram a quarter of a second: dying in it would put in doubt what is known.
            if isinstance(outcome, Arrived):
                claim.arrived(intents[0], outcome.kind, outcome.message_ids, outcome.file_ids)
            return outcome

    outcome = asyncio.run(send())
    if isinstance(outcome, Arrived):
        return Receipt(message_ids=outcome.message_ids)
    if isinstance(outcome, Unknown):
        claim.in_doubt(intents[0], outcome.reason)
        raise PermanentError(
            f"delivery in doubt ({outcome.reason}): the user is asked, nothing is sent again by itself"
        )
    claim.rejected(intents[0], outcome.reason)
    raise PermanentError(f"Telegram did not take the album ({outcome.reason}); the credits go back")
