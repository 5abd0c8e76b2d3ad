"""What the bot decides by, beside Telegram's and psycopg's own exceptions."""

from datetime import timedelta

from carousel_pipeline.errors import PermanentError, TransientError


class DagsterUnavailableError(TransientError):
    """Dagster did not take the run; nothing was lost, the dispatch is tried again."""


class SecondPollerError(PermanentError):
    """Another process reads this bot's updates; two would take them from each other."""


def postpone(attempt: int) -> timedelta:
    """Return how long the `attempt`-th failure waits: 1, 2, 4 … at most 300 seconds."""
    return timedelta(seconds=min(300, 2 ** max(0, attempt - 1)))
