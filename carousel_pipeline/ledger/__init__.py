"""Money: typed calls of the SQL API, what its refusals mean, and the pure decision about open holds. Knows no Dagster."""

from carousel_pipeline.ledger.errors import LedgerError, LedgerUnavailableError, ledger_errors
from carousel_pipeline.ledger.pipeline import Attempt, Intent, PipelineLedger
from carousel_pipeline.ledger.settlement import (
    AskUser,
    Expire,
    Hold,
    Release,
    RunFact,
    RunStatus,
    Settlement,
    Wait,
    decide_settlement,
)

__all__ = [
    "AskUser",
    "Attempt",
    "Expire",
    "Hold",
    "Intent",
    "LedgerError",
    "LedgerUnavailableError",
    "PipelineLedger",
    "Release",
    "RunFact",
    "RunStatus",
    "Settlement",
    "Wait",
    "decide_settlement",
    "ledger_errors",
]
