"""How long what is kept, all in one place.

Two ages live elsewhere, because others apply them: ticks of sensors and schedules in dagster.yaml (`retention`), updates from
Telegram in `bot.inbox` (answered: their text goes at once, the row after two days, when Telegram no longer redelivers).

Never deleted here: the journal, requests' rows, deliveries, provider calls, daily figures. None of them holds a word of a text.
"""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_Days = Annotated[timedelta, Field(ge=timedelta(days=1), le=timedelta(days=3650))]


class Ages(BaseModel):
    """When what may be forgotten. A day is the least: the database refuses anything younger.

    Attributes:
        carousels: a settled carousel's pictures, slides and words, its Dagster runs and its partition key, after its settlement.
        outlines: an outline that nobody confirmed, after its last change.
        drafts: messages that were being collected into a text.
        messages: handled rows of the ledger's inbox and outbox; a week is the least.
        runs: Dagster runs of nothing that is remembered: schedules, backfills, keys typed by hand.
        orphans: objects that no row names: written by a run that died before it noted them.
        live_keys: at most so many remembered requests, whatever their age; Dagster reads all keys to show an asset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    carousels: _Days = timedelta(days=30)
    outlines: _Days = timedelta(days=7)
    drafts: _Days = timedelta(days=1)
    messages: _Days = timedelta(days=30)
    runs: _Days = timedelta(days=30)
    orphans: _Days = timedelta(days=2)
    live_keys: Annotated[int, Field(ge=100, le=100_000)] = 20_000
