"""What a person made and set up: changes, files, history, brand. Named queries of `sql/queries/front.sql`, as `bot.store`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from bot.models import StoredSlide
from bot.store import Pool, Row
from carousel_pipeline.database import query
from carousel_pipeline.requests.change import Edit

FileRole = Literal["slide", "pdf", "zip"]
Verdict = Literal["outlined", "started", "already", "busy", "gone"]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Changed(_Row):
    """What became of a wish to change something; `request_id` is the new version, None when there is none."""

    request_id: UUID | None
    verdict: Verdict


class AlbumItem(_Row):
    """One message of an album, for sending it again."""

    kind: Literal["photo", "document"]
    file_id: str


class Made(_Row):
    """One line of a person's history."""

    id: UUID
    at: datetime
    style: str
    title: str
    slides: int


class Brand(_Row):
    """What stands on every slide of a person's carousels; a None is simply not there."""

    handle: str | None = None
    logo_key: str | None = None
    accent: str | None = None


class ClosedProvider(_Row):
    """A provider that is not asked for the next `minutes`."""

    provider: str
    minutes: int


class Library:
    """Named queries of `sql/queries/front.sql` over the bot's pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def _rows(self, name: str, **values: Any) -> list[Row]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query(f"front.{name}"), values)
            return await cursor.fetchall() if cursor.description else []

    async def open_edit(self, tg: int, parent: UUID, edit: Edit, key: str) -> Changed:
        """Open a change; `key` makes a redelivered update the same change.

        Raises:
            psycopg.Error: SQLSTATE LD007 not enough credits, LD008 restricted, LC001 and LC004 too many today.
        """
        rows = await self._rows(
            "open_edit",
            tg=tg,
            parent=parent,
            key=key,
            kind=edit.kind,
            options=Jsonb(edit.options.model_dump(mode="json")),
            deck=Jsonb(edit.deck.model_dump(mode="json")),
            change=Jsonb(edit.change.model_dump(mode="json", exclude_defaults=True)),
            price=edit.price,
        )
        return Changed.model_validate(rows[0])

    async def undo_target(self, request: UUID) -> UUID | None:
        """Return the version that an undo goes back to; None when there is none."""
        target: UUID | None = (await self._rows("undo_target", id=request))[0]["id"]
        return target

    async def album(self, request: UUID) -> list[AlbumItem]:
        """Return an album's messages in order; empty when it never arrived, or nobody knows its ids."""
        return [AlbumItem.model_validate(row) for row in await self._rows("album", id=request)]

    async def history(self, tg: int, limit: int, after: UUID | None = None) -> list[Made]:
        """Return what was delivered, newest first; `after` is the last one of the page before."""
        return [Made.model_validate(row) for row in await self._rows("history", tg=tg, after=after, limit=limit)]

    async def brand(self, user: int) -> Brand:
        """Return a person's brand; empty when nothing was set up."""
        rows = await self._rows("brand", user=user)
        return Brand.model_validate(rows[0]) if rows else Brand()

    async def set_brand(self, user: int, **parts: str | None) -> None:
        """Set the named parts of a brand; None takes one away."""
        await self._rows("set_brand", user=user, parts=Jsonb(parts))

    async def kept(self, user: int) -> list[UUID]:
        """Return carousels that were finished while the person had blocked the bot."""
        return [row["id"] for row in await self._rows("kept", user=user)]

    async def files(self, request: UUID, role: FileRole) -> list[StoredSlide]:
        """Return what is stored of a role, in order."""
        return [StoredSlide.of(row) for row in await self._rows("files", id=request, role=role)]

    async def files_put(self, request: UUID, role: FileRole, files: Sequence[tuple[int, str]]) -> None:
        """Keep Telegram's ids of files, by position."""
        positions, ids = [position for position, _ in files], [file for _, file in files]
        await self._rows("files_put", id=request, role=role, positions=positions, files=ids)

    async def files_drop(self, request: UUID, role: FileRole) -> None:
        """Forget them: Telegram refused one."""
        await self._rows("files_drop", id=request, role=role)

    async def closed_providers(self) -> list[ClosedProvider]:
        """Return the providers that are not asked at the moment."""
        return [ClosedProvider.model_validate(row) for row in await self._rows("closed_providers")]
