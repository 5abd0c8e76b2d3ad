"""Which missed dispatch rows need a run, and which only need ticking off.

The bot submits runs itself and ticks its rows off. The sensor sees only what was left behind: rows whose run exists (the bot died
between the two) and rows without one (the bot is away). Nothing here depends on Dagster's `run_key`, which forgets (a purged run,
a renamed sensor) and does not see runs that came through GraphQL.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MissedDispatch:
    """A dispatch row that nobody has ticked off.

    Attributes:
        outbox_id: the row.
        dedupe_key: one key per dispatch; the run carries it as the tag `carousel/dispatch`.
        request_id: the partition key.
        job: `outline` or `carousel`.
        user_id: internal user id, for fair queueing; None when the request's content is gone.
    """

    outbox_id: int
    dedupe_key: str
    request_id: str
    job: str
    user_id: int | None


@dataclass(frozen=True, slots=True)
class DispatchPlan:
    """What to do about missed rows: submit a run for some, tick others off."""

    submit: tuple[MissedDispatch, ...]
    tick_off: tuple[MissedDispatch, ...]


def plan_dispatch(missed: Sequence[MissedDispatch], submitted: AbstractSet[str]) -> DispatchPlan:
    """Return the plan; `submitted` holds the dedupe keys for which a run exists."""
    return DispatchPlan(
        submit=tuple(row for row in missed if row.dedupe_key not in submitted),
        tick_off=tuple(row for row in missed if row.dedupe_key in submitted),
    )
