"""One thing that is known of a request's time."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that began and perhaps ended.

    Attributes:
        name: what it was, as `carousel.timeline` names it: `images`, `paint`, `state`, `dispatch`, …
        began: when.
        ended: when; the same for a moment; None while it goes on, and for ever when its process died.
        run_id: the Dagster run that did it; empty where none did, or nobody knows which.
        slide: 1-based; None where it is about all of them.
        detail: a provider and its model, a state's name, an object's role.
        outcome: how a call ended, why credits went back, `failed`; empty where all is well.
    """

    name: str
    began: datetime
    ended: datetime | None = None
    run_id: str = ""
    slide: int | None = None
    detail: str = ""
    outcome: str = ""
