"""Faults on demand: what the network, Telegram's front servers and flood control do to a bot on a bad day.

A fault is armed for a method, fires a number of times and counts its hits. `before` means the call is never accepted; `after`
means it is accepted (state changed, logged) and the bot does not learn so: the difference a delivery must not get wrong.
"""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from carousel_pipeline.local.telegram.refusals import RefusedError, too_many_requests

Kind = Literal["error", "drop", "cut", "html", "garbage", "delay", "hidden_flood", "duplicate", "lose", "late"]
When = Literal["before", "after"]

_WORDS: Final = MappingProxyType(
    {
        400: "Bad Request: bad request",
        401: "Unauthorized",
        403: "Forbidden: bot was blocked by the user",
        404: "Not Found",
        409: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
        413: "Request Entity Too Large",
        500: "Internal Server Error",
        502: "Bad Gateway",
        503: "Service Unavailable",
        504: "Gateway Timeout",
    }
)
_MAX_DELAY_S: Final = 600
UPDATE: Final = "update:"


class FaultError(ValueError):
    """The description of a fault is wrong; says which field and what it may be."""


@dataclass
class Fault:
    """One armed fault.

    Attributes:
        id: to take it back.
        method: Bot API method, any case; `*` is every method but getUpdates. Or an update about money, see till.py.
        kind: error (a refusal), drop (the connection is reset, no answer), cut (half of the answer), html (a 502 page), garbage
            (200, not JSON), delay (nothing else), hidden_flood (an album is sent in part, then a 400 that hides a flood wait),
            duplicate (getUpdates: what it returns is delivered once more; an update: it is made twice), lose (an update is never
            made), late (an update is made after `delay_s`).
        when: before or after the call is accepted.
        times: how often it still fires; None is for ever.
        skip: how many calls pass first.
        share: which part of the calls it hits, by chance.
        delay_s: seconds to wait at that moment.
        code: error code of kind `error`.
        description: text of kind `error`; Telegram's words for the code when empty.
        retry_after: seconds, for 429 and hidden_flood.
        migrate_to: kind `error` is then the 400 of a group that became a supergroup, with its new id.
        sent: hidden_flood: how many items arrive.
        hits: how often it fired.
    """

    id: int
    method: str
    kind: Kind
    when: When = "before"
    times: int | None = 1
    skip: int = 0
    share: float = 1.0
    delay_s: float = 0.0
    code: int = 500
    description: str = ""
    retry_after: int = 8
    migrate_to: int | None = None
    sent: int = 1
    hits: int = 0

    def refusal(self) -> RefusedError:
        """Return what kind `error` answers."""
        if self.migrate_to is not None:
            words = "Bad Request: group chat was upgraded to a supergroup chat"
            return RefusedError(400, words, migrate_to=self.migrate_to)
        if self.code == 429:
            refusal = too_many_requests(self.retry_after)
            return RefusedError(429, self.description or refusal.description, retry_after=self.retry_after)
        return RefusedError(self.code, self.description or _WORDS.get(self.code, "Internal Server Error"))


class Faults:
    """The faults armed on a server."""

    def __init__(self) -> None:
        self._armed: dict[int, Fault] = {}
        self._spent: list[Fault] = []
        self._last_id = 0

    def arm(self, wanted: Mapping[str, Any]) -> Fault:
        """Arm a fault.

        Raises:
            FaultError: a field is unknown or impossible.
        """
        unknown = set(wanted) - set(Fault.__dataclass_fields__) | set(wanted) & {"id", "hits"}
        if unknown:
            raise FaultError(f"unknown field {min(unknown)!r}; a fault has {', '.join(Fault.__dataclass_fields__)}")
        fields = dict(wanted)
        if not isinstance(fields.get("method"), str) or not fields["method"]:
            raise FaultError("method is needed: a Bot API method, or * for all but getUpdates")
        fields.setdefault(
            "kind", "error" if {"code", "description", "retry_after", "migrate_to"} & set(fields) else "delay"
        )
        if "retry_after" in fields and fields["kind"] == "error":
            fields.setdefault("code", 429)
        if fields["kind"] not in get_args(Kind):
            raise FaultError(f"kind is one of {', '.join(get_args(Kind))}")
        if fields.get("when", "before") not in get_args(When):
            raise FaultError("when is before or after")
        if fields["kind"] in {"cut", "hidden_flood", "duplicate"}:
            fields["when"] = "after"
        _check_amounts(fields)
        self._last_id += 1
        fault = Fault(id=self._last_id, **fields)
        self._armed[fault.id] = fault
        return fault

    def take(self, method: str) -> Fault | None:
        """Return the fault that fires for this call, counting it, or None."""
        for fault in self._armed.values():
            wanted = fault.method.lower()
            anything = wanted == "*" and method.lower() != "getupdates" and not method.startswith(UPDATE)
            if wanted != method.lower() and not anything:
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if random.random() >= fault.share:  # noqa: S311 - chance, not a secret
                continue
            fault.hits += 1
            if fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    self._spent.append(self._armed.pop(fault.id))
            return fault
        return None

    def listed(self) -> list[dict[str, Any]]:
        """Return all faults, spent ones first, with their hits."""
        return [asdict(fault) for fault in [*self._spent, *self._armed.values()]]

    def disarm(self, fault_id: int | None = None) -> None:
        """Take back one fault, or all of them."""
        if fault_id is None:
            self._armed.clear()
            self._spent.clear()
        else:
            self._armed.pop(fault_id, None)


def _check_amounts(fields: Mapping[str, Any]) -> None:
    times = fields.get("times", 1)
    if times is not None and (not isinstance(times, int) or times < 1):
        raise FaultError("times is a positive number, or null for ever")
    if not 0 < float(fields.get("share", 1)) <= 1:
        raise FaultError("share is above 0 and at most 1")
    if fields["kind"] in {"lose", "late"} and not fields["method"].startswith(UPDATE):
        raise FaultError(f"{fields['kind']} is a fault of an update: the method begins with {UPDATE}")
    if not 0 <= float(fields.get("delay_s", 0)) <= _MAX_DELAY_S:
        raise FaultError(f"delay_s is between 0 and {_MAX_DELAY_S}")
