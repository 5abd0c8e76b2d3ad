"""Sending the album, and the money that follows from what became of it. A stand-in for a refused picture is not charged.

The intent is committed before the first byte goes to Telegram, the capture together with the message ids after. Between the two
lies the one moment that cannot be closed: then the delivery is *in doubt*, nothing is sent again, and the user is asked.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from uuid import UUID

import dagster as dg
import psycopg
from psycopg import Connection

from carousel_pipeline.assets.claim import Claim, claimed
from carousel_pipeline.assets.policy import dagster_errors
from carousel_pipeline.database import Row
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.ledger.errors import LedgerUnavailableError
from carousel_pipeline.ledger.pipeline import PipelineLedger
from carousel_pipeline.partitions import request_partitions
from carousel_pipeline.records import RequestRecord, RequestRecords
from carousel_pipeline.requests import Deck, album_caption
from carousel_pipeline.requests.results import Pictures, Receipt, RenderedSlides
from carousel_pipeline.resources import Artifacts, Database, Telegram

if TYPE_CHECKING:
    from carousel_pipeline.delivery import Arrived

_AWAY: Final = (LedgerUnavailableError, psycopg.OperationalError)
_RECORD_AGAIN_S: Final = (0.1, 1.0, 4.0)


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
    with dagster_errors(context), database.session() as session:
        records = RequestRecords(session)
        request = records.load(context.partition_key)
        with claimed(context, session, request) as claim:
            if claim is not None:
                claim.rendered()
                store = artifacts.store()
                slides = [store.get(item.key) for item in rendered_slides.items]
                records.report_progress(request.id, "sending", 0, len(slides))
                stand_ins = sum(picture.stand_in for picture in images.items)
                delivery_id = claim.begin_delivery(len(slides) - stand_ins if stand_ins else None)
                receipt = _deliver(
                    claim, delivery_id, request, session, database, slides, album_caption(copy), telegram
                )
        arrived = records.album(request.id)
    if claim is not None:
        yield dg.MaterializeResult(value=receipt, metadata={"message ids": ", ".join(map(str, receipt.message_ids))})
    yield dg.AssetCheckResult(check_name="all_arrived", passed=len(arrived) == len(rendered_slides.items))


def _deliver(
    claim: Claim,
    delivery_id: int,
    request: RequestRecord,
    session: Connection[Row],
    database: Database,
    slides: list[bytes],
    caption: str,
    telegram: Telegram,
) -> Receipt:
    from carousel_pipeline.delivery import Arrived, Outcome, Unknown, send_album  # noqa: PLC0415 - aiogram: only in a run

    async def send() -> Outcome:
        async with telegram.client() as bot:
            outcome = await send_album(bot, request.chat_id, slides, caption, may_send=claim.alive)
            # Before the client closes, which takes aiogram a quarter of a second: dying in it would put in doubt what is known.
            if isinstance(outcome, Arrived):
                await _record(outcome, delivery_id, request.id, session, database)
            return outcome

    outcome = asyncio.run(send())
    if isinstance(outcome, Arrived):
        return Receipt(message_ids=outcome.message_ids)
    if isinstance(outcome, Unknown):
        claim.in_doubt(delivery_id, outcome.reason)
        raise PermanentError(
            f"delivery in doubt ({outcome.reason}): the user is asked, nothing is sent again by itself"
        )
    claim.rejected(delivery_id, outcome.reason)
    raise PermanentError(f"Telegram did not take the album ({outcome.reason}); the credits go back")


async def _record(
    outcome: "Arrived", delivery_id: int, request_id: UUID, session: Connection[Row], database: Database
) -> None:
    """Store the album and charge it; a connection that breaks at this moment does not make unknown what is known."""

    def record(connection: Connection[Row]) -> None:
        RequestRecords(connection).keep_album(request_id, list(outcome.message_ids), list(outcome.file_ids))
        PipelineLedger(connection).delivered(delivery_id, outcome.message_ids)

    try:
        record(session)
    except _AWAY:
        for wait_s in _RECORD_AGAIN_S:
            await asyncio.sleep(wait_s)
            with suppress(*_AWAY), database.session() as another:
                record(another)
                return
        raise
