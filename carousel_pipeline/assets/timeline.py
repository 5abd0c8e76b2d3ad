"""A request's timeline in the Dagster UI, made when the album is in the chat and paid: nothing here may undo that."""

import base64
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import dagster as dg

from carousel_pipeline.records.timeline import facts_of
from carousel_pipeline.resources import Database
from carousel_pipeline.timeline import as_table, svg_of, timeline


def timeline_metadata(
    context: dg.AssetExecutionContext, database: Database, request_id: UUID
) -> Mapping[str, dg.MetadataValue[Any]]:
    """Return where the request's time went, as a picture and a table; nothing where it cannot be read: the log says why."""
    try:
        session = database.calls()
        database.trace.tell(session)
        story = timeline(facts_of(session, [request_id])[request_id])
    except Exception as error:  # noqa: BLE001 - the album was delivered, whatever becomes of its timeline
        context.log.warning("no timeline: %s", error)
        return {}
    picture = base64.b64encode(svg_of(story).encode()).decode()
    return {
        "timeline": dg.MetadataValue.md(f"![timeline](data:image/svg+xml;base64,{picture})"),
        "timeline table": dg.MetadataValue.table([dg.TableRecord(row) for row in as_table(story)]),
    }
