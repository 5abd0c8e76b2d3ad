"""What an operator sees: read models of `sql/queries/house.sql`. Figures and states, nobody's words."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """A row of a query."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """Return the model of a row."""
        return cls.model_validate(row)


class Numbers(Row):
    """Today, since midnight UTC, and what is open now."""

    new_people: int
    active_people: int
    outlines: int
    confirmed: int
    delivered: int
    refunded: int
    running: int
    in_doubt: int
    sold: int
    given: int
    charged: int
    cost_usd: Decimal
    blocked: int
    banned: int
    dead_letters: int
    unanswered: int


class Someone(Row):
    """A person as an operator sees one."""

    user_id: int
    locale: str | None
    available: int
    held: int
    debt: int
    restricted: bool
    banned: bool
    blocked: bool
    since: datetime
    requests: int
    delivered: int


class Brief(Row):
    """A request as an operator sees one; money is empty while it is only an outline."""

    id: UUID
    tg_user_id: int | None
    kind: str
    parent_id: UUID | None
    phase: str
    failure: str | None
    price: int | None
    state: str | None
    cost: int | None
    charged: int | None
    run_id: str | None
    style: str | None
    ratio: str | None
    slides: int | None
    characters: int
    created_at: datetime


class Moment(Row):
    """One line of a request's story."""

    at: datetime
    what: str
    detail: str | None


class BroadcastDraft(Row):
    """A text that may be told, and how many would hear it."""

    id: int
    everybody: int
    en: int
    ru: int


class Recipient(Row):
    """Somebody whose turn it is to hear a broadcast."""

    broadcast_id: int
    user_id: int
    tg_user_id: int
    body: str


class BroadcastFigures(Row):
    """How far a broadcast is; `missed` are people who blocked the bot, are in doubt, or could not be reached."""

    id: int
    state: str
    chat_id: int | None
    message_id: int | None
    locale: str | None
    waiting: int
    sent: int
    missed: int
