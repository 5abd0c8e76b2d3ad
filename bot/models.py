"""What the bot knows about a person, a request and a stored slide: read models of `sql/queries/bot.sql`."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from bot.throttle import Verdict
from carousel_pipeline.requests import Deck, Kind, Options
from carousel_pipeline.requests.change import Change, Version


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """Return the model of a row."""
        return cls.model_validate(row)


class Person(_Row):
    """Somebody who writes to the bot; `user_id` is ours, never Telegram's."""

    user_id: int
    locale: str


class Balance(_Row):
    """Credits that may be spent, and credits that open requests hold."""

    available: int
    held: int


class Card(_Row):
    """Everything the bot shows about one request."""

    id: UUID
    user_id: int
    tg_user_id: int
    chat_id: int
    locale: str | None
    parent_id: UUID | None
    kind: Kind
    change: Change
    phase: str
    options: Options
    deck: Deck | None
    price: int | None
    failure: str | None
    created_at: datetime
    confirmed_at: datetime | None
    money: str | None
    charged: int | None
    on_the_house: bool
    available: int
    held: int
    step: str | None
    done: int | None
    total: int | None
    outline_message: int | None
    progress_message: int | None
    control_message: int | None

    @property
    def running(self) -> bool:
        """Whether credits are held and a carousel is being made."""
        return self.phase == "confirmed" and self.money in {"reserved", "running", "rendered"}

    @property
    def made(self) -> bool:
        """Whether the album arrived."""
        return self.phase == "confirmed" and self.money == "delivered"

    @property
    def version(self) -> Version | None:
        """What a change starts from; None while there is nothing to change."""
        if self.deck is None or not (self.made or self.phase == "outlined"):
            return None
        return Version(id=self.id, options=self.options, deck=self.deck, made=self.made)


class Queue(_Row):
    """How many requests start before one; when enough were made to know, how long one takes and how soon the next one follows."""

    ahead: int
    made_s: float | None
    pace_s: float | None


class StoredSlide(_Row):
    """A finished slide in the artifact store; `file_id` once Telegram has the file."""

    position: int
    key: str
    content_type: str
    bytes: int
    file_id: str | None


class Draft(_Row):
    """One of several messages that make one source."""

    message_id: int
    tg_user_id: int
    body: str


class Opened(_Row):
    """A request that was opened now, or found to be open already."""

    request_id: UUID | None
    created: bool


class Knocked(_Row):
    """What became of an update that knocked; `wait_s` until its sender has a token again."""

    id: int
    verdict: Verdict
    wait_s: float


class Taken(_Row):
    """An update whose turn it is, and whether its sender is banned."""

    body: dict[str, Any]
    banned: bool


class OutboxItem(_Row):
    """A claimed row of the outbox."""

    id: int
    topic: str
    dedupe_key: str
    payload: dict[str, Any]
    attempts: int


class Operation(_Row):
    """One line of a person's account; `direction` 1 added to what may be spent, -1 took from it, 0 neither."""

    kind: str
    amount: int
    direction: int
    at: datetime
    title: str | None
