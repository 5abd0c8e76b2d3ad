"""The request's content as a run process sees it, in a session of role `led_pipeline`.

A partition key may have been typed by hand in the Dagster UI, so whatever is read here is parsed before anything is spent (M22).
"""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carousel_pipeline.database import query
from carousel_pipeline.errors import PermanentError, TransientError
from carousel_pipeline.records.trace import Trace
from carousel_pipeline.requests import Deck, Options
from carousel_pipeline.requests.change import Change
from carousel_pipeline.requests.options import Kind
from carousel_pipeline.sessions import Session

_BEING_DELETED = "LC006"
ArtifactRole = Literal["picture", "slide", "pdf", "zip"]
AlbumKind = Literal["photo", "document"]
Step = Literal["queued", "pictures", "rendering", "sending"]


class BrandRecord(BaseModel):
    """What the request's person puts on every slide; a None is simply not there."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    handle: str | None = None
    logo_key: str | None = None
    accent: str | None = None


class AlbumItem(BaseModel):
    """One message of an album that arrived."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    position: int
    kind: AlbumKind
    message_id: int
    file_id: str = Field(repr=False)


class RequestRecord(BaseModel):
    """One row of `carousel.request`, parsed."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    id: UUID
    user_id: int
    chat_id: int = Field(repr=False)
    kind: Kind
    change: Change
    source: str = Field(repr=False)
    options: Options
    phase: str
    deck: Deck | None = None
    price: int | None = None
    brand: BrandRecord = BrandRecord()

    @property
    def written(self) -> Deck | None:
        """The deck that the request was opened with; None when a writer makes it from the source."""
        return None if self.kind in {"carousel", "again"} and self.change.base is None else self.deck


class ArtifactRow(BaseModel):
    """One row of `carousel.artifact`: a stored object and what it was made from."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    role: ArtifactRole
    position: int
    recipe: str
    sha256: str
    key: str
    content_type: str
    bytes: int
    width: int
    height: int
    meta: dict[str, Any] = {}


class RequestRecords:
    """Calls of schema `carousel`.

    Args:
        connection: a session of role `led_pipeline`.
        trace: what the run has to tell of its time.
    """

    def __init__(self, connection: Session, trace: Trace | None = None) -> None:
        self._connection = connection
        self.trace = trace or Trace()

    def load(self, request_id: str) -> RequestRecord:
        """Return the request behind a partition key.

        Raises:
            PermanentError: the key is no request's id, or the row does not parse.
        """
        try:
            key = UUID(request_id)
        except ValueError:
            raise PermanentError(
                f"partition key {request_id[:60]!r} is not a request id; the bot makes requests, partitions follow"
            ) from None
        self.trace.request_id = key
        row = self._connection.execute(query("requests.load"), {"id": key, **self._told()}).fetchone()
        if row is None:
            raise PermanentError(f"no request {key}: it was never opened, or its rows were removed")
        try:
            return RequestRecord.model_validate(row)
        except ValidationError as error:
            where = sorted({".".join(map(str, item["loc"])) for item in error.errors()})
            raise PermanentError(f"request {key} does not parse: {', '.join(where)}") from None

    def outline_ready(self, request_id: UUID, deck: Deck, price: int) -> bool:
        """Store the outline and tell the bot; False when a rerun found it ready or the user discarded it."""
        return self._flag(
            "requests.outline_ready",
            id=request_id,
            deck=Jsonb(deck.model_dump(mode="json")),
            price=price,
            **self._told(),
        )

    def outline_failed(self, request_id: UUID, reason: str) -> bool:
        """Give the outline up and tell the bot; False when it is not being drafted any more."""
        return self._flag("requests.outline_failed", id=request_id, reason=reason)

    def report_progress(self, request_id: UUID, step: Step, done: int, total: int) -> None:
        """Tell the bot how far the request is: `done` of `total` slides in `step`."""
        self._connection.execute(
            query("requests.report_progress"), {"id": request_id, "step": step, "done": done, "total": total}
        )

    def artifacts(self, request_id: UUID, role: ArtifactRole) -> dict[int, ArtifactRow]:
        """Return what is stored for the request, by slide position."""
        rows = self._connection.execute(query("requests.artifacts"), {"id": request_id, "role": role}).fetchall()
        return {row["position"]: ArtifactRow.model_validate(row) for row in rows}

    def keep_artifact(self, request_id: UUID, row: ArtifactRow) -> None:
        """Record an object that is already in storage, so that no later run buys or draws it again."""
        self.keep_artifacts(request_id, [row])

    def keep_artifacts(self, request_id: UUID, rows: Sequence[ArtifactRow]) -> None:
        """Record several, in one round trip.

        Raises:
            TransientError: the cleanup is deleting an equal object at this moment.
        """
        values = [{"id": request_id, **row.model_dump(exclude={"meta"}), "meta": Jsonb(row.meta)} for row in rows]
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(query("requests.keep_artifact"), values)
        except psycopg.Error as error:
            if error.sqlstate == _BEING_DELETED:
                raise TransientError("the same object is being deleted; it is stored again", retry_after_s=60) from None
            raise

    def album(self, request_id: UUID) -> list[AlbumItem]:
        """Return the album, in order; empty while it is not known to have arrived."""
        rows = self._connection.execute(query("requests.album"), {"id": request_id}).fetchall()
        return [AlbumItem.model_validate(row) for row in rows]

    def translated(self, request_id: UUID, deck: Deck) -> bool:
        """Store the deck of a change of language; False when a rerun found it stored."""
        return self._flag("requests.translated", id=request_id, deck=Jsonb(deck.model_dump(mode="json")))

    def _told(self) -> dict[str, object]:
        return {"run": self.trace.run_id, "spans": self.trace.told()}

    def _flag(self, name: str, **parameters: object) -> bool:
        row = self._connection.execute(query(name), parameters).fetchone()
        return row is not None and row["done"] is True
