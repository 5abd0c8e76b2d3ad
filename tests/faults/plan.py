"""Which fault happens where: points of a request's path, kinds of faults, and cases that a word can replay.

A point is a call that leaves the process: `<who>.<named query>` for the database, `<who>.sendMediaGroup` for Telegram, with `who`
the step or part that calls. A case is `<variant>@<point>#<n>:<kind>`, the n-th visit of the point, and any number of
`+<offset>.<pick>`: one more fault `offset` points after the one before, its kind the `pick`-th of those that the point there has.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from mmap import mmap
from typing import Any, Final, Literal, Self, get_args

VARIANTS: Final = ("settled", "swept", "rerun", "hurried")
HTTP: Final = "sendMediaGroup"

GATE_KINDS: Final = ("answer_lost", "killed_unanswered", "query_lost", "terminated", "busy")
DATABASE_KINDS: Final = ("killed_before", *GATE_KINDS, "killed_after", "paused")
TELEGRAM_FAULTS: Final[dict[str, dict[str, Any]]] = {
    "429": {"code": 429, "retry_after": 7},
    "429_long": {"code": 429, "retry_after": 900},
    "400": {"code": 400},
    "403": {"code": 403},
    "500_before": {"code": 500},
    "500_after": {"code": 500, "when": "after"},
    "html_502_before": {"kind": "html"},
    "html_502_after": {"kind": "html", "when": "after"},
    "garbage_before": {"kind": "garbage"},
    "garbage_after": {"kind": "garbage", "when": "after"},
    "reset_before": {"kind": "drop"},
    "reset_after": {"kind": "drop", "when": "after"},
    "reset_in_answer": {"kind": "cut"},
    "hidden_flood": {"kind": "hidden_flood", "sent": 1},
    "hidden_flood_none": {"kind": "error", "code": 400, "description": "Bad Request: Too Many Requests: retry after 9"},
    "timeout_before": {"kind": "drop", "delay_s": 0.5},
    "timeout_after": {"kind": "delay", "when": "after", "delay_s": 0.5},
    "accepted_late": {"kind": "delay", "delay_s": 0.5},
}
TIMEOUTS: Final = ("timeout_before", "timeout_after", "accepted_late")
TELEGRAM_KINDS: Final = ("killed_before", *TELEGRAM_FAULTS, "not_connected", "killed_after", "paused")
KILLS: Final = ("killed_before", "killed_after", "killed_unanswered")

_CASE: Final = re.compile(r"(\w+)@(?:(clean)|([\w.]+)#(\d+):(\w+))((?:\+\d+\.\d+)*)")
_STATE: Final = struct.Struct("iii")

Family = Literal["database", "telegram"]
FAMILIES: Final[tuple[Family, ...]] = get_args(Family)


def kinds(family: Family) -> tuple[str, ...]:
    """Return the kinds of faults that a point of this family has."""
    return DATABASE_KINDS if family == "database" else TELEGRAM_KINDS


@dataclass(frozen=True)
class Case:
    """One run of the path.

    Attributes:
        variant: who notices a dead run first: the sensor, the sweeper, an operator; or `hurried`, when leases are always over.
        point: where the first fault happens; empty for none.
        nth: at which visit of the point.
        kind: what happens.
        more: (offset, pick) of each further fault.
    """

    variant: str
    point: str = ""
    nth: int = 1
    kind: str = ""
    more: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        first = f"{self.point}#{self.nth}:{self.kind}" if self.point else "clean"
        return f"{self.variant}@{first}" + "".join(f"+{offset}.{pick}" for offset, pick in self.more)

    @property
    def deadly(self) -> bool:
        """Whether a process may be killed in it."""
        return self.kind in KILLS or any(
            kinds(family)[pick % len(kinds(family))] in KILLS for _, pick in self.more for family in FAMILIES
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the case that `str` wrote.

        Raises:
            ValueError: it is none.
        """
        found = _CASE.fullmatch(text)
        if found is None or found[1] not in VARIANTS:
            raise ValueError(f"{text!r} is no case; one is VARIANT@POINT#N:KIND+OFFSET.PICK, as the harness prints it")
        pairs = [pair.split(".") for pair in found[6].split("+")[1:]]
        more = tuple((int(offset), int(pick)) for offset, pick in pairs)
        if found[2]:
            return cls(found[1], more=more)
        return cls(found[1], found[3], int(found[4]), found[5], more)


class Plan:
    """Which fault is next; counts in shared memory, because the process that counts may be the one that is killed."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._memory = mmap(-1, _STATE.size)

    def visit(self, point: str, family: Family, tell: Callable[[str, str], None]) -> str | None:
        """Return the kind of the fault that happens at this visit of `point`, None mostly."""
        fired, visits, since = _STATE.unpack(self._memory[:])
        fault = None
        first = 1 if self._case.point else 0
        if fired < first:
            visits += point == self._case.point
            if visits == self._case.nth:
                fault = self._case.kind
        elif fired < first + len(self._case.more):
            offset, pick = self._case.more[fired - first]
            since += 1
            if since == offset:
                fault = kinds(family)[pick % len(kinds(family))]
        if fault is not None:
            fired, since = fired + 1, 0
            tell(point, fault)
        self._memory[:] = _STATE.pack(fired, visits, since)
        return fault

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
