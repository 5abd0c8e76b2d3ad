"""What a failed call to a model provider means: one pure table from failure to action, so that writers and painters judge alike.

| action | what the caller does |
| --- | --- |
| `retry` | asks again after `after_s` seconds, None for a growing wait |
| `degrade` | another model writes, a procedural picture stands in (told, not charged) |
| `fail` | gives the request up; its credits go back |
| `stop` | as `fail`, and nobody is served until the operator has acted: the breaker opens, the alert is logged |

A rate limit passes, a spending limit does not, although both arrive as 429. A call without an answer may have been billed, so it
is tried again less often than one that was refused. Waits are capped: a provider once asked for an hour, and its SDK slept that
hour inside the call. Nothing here quotes a prompt or an answer.
"""

from dataclasses import dataclass
from typing import Literal

from carousel_pipeline.errors import CarouselError, PermanentError, TransientError

MAX_WAIT_S = 60.0
MOST_TRIES = 3
MOST_TRIES_UNANSWERED = 2

Provider = Literal["anthropic", "gemini", "offline"]
Kind = Literal[
    "http",  # an error status
    "no_answer",  # timeout, reset, nobody there: the call may have been billed
    "refused",  # the model declined the text
    "unusable",  # an answer that is no acceptable deck
    "blocked",  # the prompt or the picture was blocked
    "no_picture",  # words, a thought or nothing in a picture's place
    "bad_picture",  # undecodable, blank, of the wrong shape, seen before
    "open",  # our own breaker is open, nothing was sent
    "request_limit",  # the request has had its calls of the day, nothing was sent
    "day_limit",  # the provider's money of the day is spent, nothing was sent
]
Act = Literal["retry", "degrade", "fail", "stop"]
Outcome = Literal["ok", "repaired", "refused", "retryable", "failed", "stand_in", "abandoned"]
Health = Literal["up", "down", "stopped"]

_TIMED_OUT_OR_CLASHED = frozenset({408, 409, 425})
_NO_MONEY = 402
_NO_ENTRY = frozenset({401, 403})
_NO_SUCH_MODEL = 404
_TOO_MANY = 429
_SERVER = 500
_SPENT = ("spend", "billing", "credit", "contract", "per_day", "perday", "daily")
_LOCKED_OUT_S = 600.0
_QUOTA_GONE_S = 3600.0
_CONTENT: frozenset[Kind] = frozenset({"refused", "unusable", "blocked", "no_picture", "bad_picture"})


class ProviderStoppedError(PermanentError):
    """The provider serves nobody until the operator acts: a wrong key, an empty account, a model that is gone."""


class ProviderBusyError(PermanentError):
    """The provider stays away for longer than a run can wait; later the same request may pass."""


class ContentRefusedError(PermanentError):
    """The model declined this text; other words may pass, the same words never will."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of one failed call.

    Attributes:
        provider: whose API it was.
        model: for messages.
        kind: what went wrong.
        status: HTTP status of `http`, else None.
        code: the provider's own name of the cause, or what is wrong with the answer in our words; never text of a user.
        retry_after_s: seconds that the other side asked to wait, or None.
        request_id: the provider's, for its support.
    """

    provider: Provider
    model: str
    kind: Kind
    status: int | None = None
    code: str | None = None
    retry_after_s: float | None = None
    request_id: str | None = None

    @property
    def name(self) -> str:
        """A typed code for records: `http_429 rate_limit_error`, `no_answer APITimeoutError`, `blocked IMAGE_SAFETY`."""
        return " ".join(filter(None, (f"http_{self.status}" if self.status else self.kind, self.code)))


class CallFailedError(Exception):
    """One call failed. It never leaves a writer or a painter: they decide, and raise what `error_of` says."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.name)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failure means.

    Attributes:
        act: what to do.
        after_s: seconds to wait before a retry, None for a growing wait; None for the other actions.
        outcome: how the attempt is recorded.
        health: what it says about the provider, None for nothing.
        pause_s: how long the breaker stays open when `health` is `stopped`.
    """

    act: Act
    after_s: float | None = None
    outcome: Outcome = "failed"
    health: Health | None = None
    pause_s: float | None = None


def decide(failure: Failure, tries: int) -> Verdict:
    """Return what to do about a failure after `tries` earlier attempts at the same thing."""
    if failure.kind in _CONTENT:
        return _content(failure, tries)
    if failure.kind == "request_limit":
        return Verdict(_without(failure))
    if failure.kind == "day_limit":
        return Verdict("degrade" if failure.provider == "gemini" else "stop")
    if failure.kind == "open":
        short = failure.retry_after_s is not None and failure.retry_after_s <= MAX_WAIT_S
        if short and tries < MOST_TRIES:
            return Verdict("retry", failure.retry_after_s, "retryable")
        return Verdict(_without(failure))
    if failure.kind == "no_answer":
        return _again(failure, tries, MOST_TRIES_UNANSWERED)
    return _status(failure, tries)


def error_of(failure: Failure, verdict: Verdict) -> CarouselError:
    """Return the error that a failed call is raised as; `degrade` that nobody could act on is a failure."""
    named = f"{failure.model}: {failure.name}" + (f" ({failure.request_id})" if failure.request_id else "")
    if verdict.act == "retry":
        return TransientError(named, retry_after_s=verdict.after_s)
    if verdict.act == "stop":
        return ProviderStoppedError(
            f"{named}; the operator must look at the key, the account, its limits or the model id"
        )
    if failure.kind == "refused":
        return ContentRefusedError(f"{failure.model} declined to write about this text")
    if failure.kind in {"open", "no_answer"} or (failure.status or 0) in {*_TIMED_OUT_OR_CLASHED, _TOO_MANY}:
        return ProviderBusyError(f"{named}; every try failed")
    if (failure.status or 0) >= _SERVER:
        return ProviderBusyError(f"{named}; every try failed")
    return PermanentError(named)


def _content(failure: Failure, tries: int) -> Verdict:
    """The provider answered; what it said cannot be used."""
    if failure.kind == "refused":
        return Verdict("fail", None, "refused", "up")
    if failure.kind == "unusable":
        return Verdict("retry" if tries == 0 else "fail", 0.0 if tries == 0 else None, "failed", "up")
    if tries == 0:
        return Verdict("retry", 0.0, "refused", "up")
    return Verdict("degrade", None, "refused", "up")


def _status(failure: Failure, tries: int) -> Verdict:
    status = failure.status or _SERVER
    if status in _NO_ENTRY or status == _NO_SUCH_MODEL:
        return Verdict("stop", None, "failed", "stopped", _LOCKED_OUT_S)
    if status == _NO_MONEY or (status == _TOO_MANY and _spent(failure.code)):
        daily = status == _TOO_MANY and failure.provider == "gemini"
        return Verdict("degrade" if daily else "stop", None, "failed", "stopped", _QUOTA_GONE_S)
    if status == _TOO_MANY or status in _TIMED_OUT_OR_CLASHED or status >= _SERVER:
        return _again(failure, tries, MOST_TRIES)
    return Verdict("fail")


def _again(failure: Failure, tries: int, most: int) -> Verdict:
    if tries >= most:
        return Verdict("degrade", None, "failed", "down")
    wait = failure.retry_after_s
    return Verdict("retry", None if wait is None else min(wait, MAX_WAIT_S), "retryable", "down")


def _without(failure: Failure) -> Act:
    """Return what can be done without the provider: a picture has a stand-in, a text has none."""
    return "degrade" if failure.provider == "gemini" else "fail"


def _spent(code: str | None) -> bool:
    return any(word in (code or "").lower() for word in _SPENT)
