"""The record of calls to providers, one row a call: the one place where copywriting's and imagery's calls meet Postgres.

A call is begun with a row and ended with what it took. When the database cannot be told how a call ended, the call's own result
still counts: the row stays pending, and the next call for the same slide closes it as abandoned.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from uuid import UUID

import psycopg

from carousel_pipeline.database import query
from carousel_pipeline.providers import Call, CallFailedError, Ended, Failure
from carousel_pipeline.providers.calls import Step
from carousel_pipeline.providers.failures import Kind
from carousel_pipeline.sessions import Session

_REFUSALS: Final[Mapping[str, Kind]] = MappingProxyType(
    {"open": "open", "request_limit": "request_limit", "day_limit": "day_limit"}
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a deployment may spend.

    Attributes:
        calls: to one provider for one request within a day.
        usd_per_day: on one provider, by the day in UTC.
    """

    calls: int
    usd_per_day: float


class AttemptLog:
    """The calls of one request in one run, as rows of `carousel.attempt`; a `CallLog`.

    Args:
        connection: of role `led_pipeline`, in autocommit.
        request_id: whose calls these are.
        run_id: the run that makes them.
        limits: beyond which nothing is sent.
        tries: how often this step was tried before.
        step: what is written, for a writer's calls.
    """

    def __init__(
        self,
        connection: Session,
        request_id: UUID,
        run_id: str,
        limits: Limits,
        *,
        tries: int = 0,
        step: Step = "copy",
    ) -> None:
        self.tries = tries
        self.step = step
        self._connection = connection
        self._request_id = request_id
        self._run_id = run_id
        self._limits = limits

    def begin(self, call: Call) -> int:
        """Write the row before a byte leaves, and return its number.

        Raises:
            CallFailedError: the breaker is open, or a limit is reached; there is no row and nothing may be sent.
            psycopg.Error: the database cannot be asked; nothing may be sent.
        """
        parameters = {
            "request": self._request_id,
            "run": self._run_id,
            "step": call.step,
            "slide": call.slide,
            "provider": call.provider,
            "model": call.model[:100],
            "calls": self._limits.calls,
            "day_usd": Decimal(f"{self._limits.usd_per_day:.6f}"),
        }
        row = self._connection.execute(query("attempts.begin"), parameters).fetchone()
        if row is None or row["id"] is None:
            verdict = row["verdict"] if row else "open"
            wait = row["wait_s"] if row else None
            raise CallFailedError(Failure(call.provider, call.model, _REFUSALS[verdict], retry_after_s=wait))
        number: int = row["id"]
        return number

    def end(self, number: int, ended: Ended) -> None:
        """Write how the call ended."""
        usage = ended.usage
        parameters = {
            "id": number,
            "outcome": ended.outcome,
            "tokens_in": usage.input_tokens if usage else None,
            "tokens_out": usage.output_tokens if usage else None,
            "images": usage.images if usage else None,
            "cost": Decimal(f"{usage.cost_usd:.6f}") if usage else None,
            "provider_request": ended.request_id,
            "error": ended.error,
            "health": ended.health,
            "pause": timedelta(seconds=ended.pause_s) if ended.pause_s is not None else None,
        }
        try:
            self._connection.execute(query("attempts.end"), parameters)
        except psycopg.Error as error:
            _log.warning("how call %s ended is not on record: %s", number, type(error).__name__)


def cost_of(connection: Session, request_id: UUID) -> float:
    """Return what all calls for the request cost so far, in USD, refused ones too; whose cost nobody knows counts nothing."""
    row = connection.execute(query("attempts.cost"), {"request": request_id}).fetchone()
    return float(row["usd"]) if row else 0.0
