"""What a provider's failure means: one pure table for every model provider, so that writers and painters judge alike.

A rate limit passes, a spending limit does not, although both arrive as 429. A timeout may have been billed. Waits are capped: a
provider once asked for an hour, and its SDK slept that hour inside the call.
"""

from dataclasses import dataclass

from carousel_pipeline.errors import CarouselError, PermanentError, TransientError

MAX_WAIT_S = 60.0

_TIMED_OUT_OR_CLASHED = frozenset({408, 409, 425})
_NO_MONEY = 402
_NO_ENTRY = frozenset({401, 403})
_TOO_MANY = 429
_SERVER = 500
_SPENT = ("spend", "billing", "credit", "contract", "per_day", "perday")


class ProviderStoppedError(PermanentError):
    """The provider serves nobody until the operator acts: a wrong key, an empty account, a daily quota."""


class ContentRefusedError(PermanentError):
    """The model declined this text; other words may pass, the same words never will."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of one failed call.

    Attributes:
        provider: for the message.
        status: HTTP status, or None where no answer came (the call may have been billed).
        code: the provider's own name of the cause, or None.
        retry_after_s: seconds the provider asked for, or None.
        request_id: the provider's, for its support.
    """

    provider: str
    status: int | None
    code: str | None = None
    retry_after_s: float | None = None
    request_id: str | None = None


def judged(failure: Failure) -> CarouselError:
    """Return the error that a failed call is to be raised as; it quotes neither the prompt nor the answer."""
    status, wait = failure.status, failure.retry_after_s
    cause = ", ".join(filter(None, (f"HTTP {status}" if status else "no answer", failure.code, failure.request_id)))
    named = f"{failure.provider}: {cause}"
    capped = None if wait is None else min(wait, MAX_WAIT_S)
    if status is None or status in _TIMED_OUT_OR_CLASHED or status >= _SERVER:
        return TransientError(named, retry_after_s=capped)
    if status == _TOO_MANY and not _spent(failure.code):
        return TransientError(named, retry_after_s=capped)
    if status in {_NO_MONEY, _TOO_MANY} or status in _NO_ENTRY:
        return ProviderStoppedError(f"{named}; the operator must look at the key, the account or its limits")
    return PermanentError(f"{named}; the request itself is wrong")


def _spent(code: str | None) -> bool:
    return any(word in (code or "").lower() for word in _SPENT)
