"""What all model providers have in common: what a failed call means, what a call costs, and that every call is on record.

Knows no SDK, no Postgres and no Telegram; writers and painters stand on it.
"""

from carousel_pipeline.providers.calls import UNRECORDED, Call, CallLog, Ended, Record, Unrecorded, recorded
from carousel_pipeline.providers.failures import (
    CallFailedError,
    ContentRefusedError,
    Failure,
    ProviderBusyError,
    ProviderStoppedError,
    Verdict,
    decide,
    error_of,
)
from carousel_pipeline.providers.usage import Usage

__all__ = [
    "UNRECORDED",
    "Call",
    "CallFailedError",
    "CallLog",
    "ContentRefusedError",
    "Ended",
    "Failure",
    "ProviderBusyError",
    "ProviderStoppedError",
    "Record",
    "Unrecorded",
    "Usage",
    "Verdict",
    "decide",
    "error_of",
    "recorded",
]
