"""Carries a cleanup out.

The order is what makes it safe to die anywhere: rows give up their objects together with a note of them, noted objects are
deleted, then Dagster forgets runs and keys of what is forgotten. Each part looks at what is there and not at what the parts
before it did, so the next cleanup finishes what this one began, and a second one at the same time finds the door locked.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from psycopg import Connection
from psycopg.types.json import Jsonb
from pydantic import BaseModel

from carousel_pipeline.artifacts import ArtifactStore
from carousel_pipeline.artifacts.store import OBJECTS
from carousel_pipeline.cleanup.plan import Plan, Settled, plan_cleanup
from carousel_pipeline.cleanup.policy import Ages
from carousel_pipeline.database import query
from carousel_pipeline.errors import TransientError
from carousel_pipeline.ledger.pipeline import PipelineLedger
from carousel_pipeline.requests import Deck
from carousel_pipeline.requests.deck import Slide, roles

REQUESTS: Final = "requests/"
MOST_AT_ONCE: Final = 5_000
_LEAST_AGE: Final = timedelta(days=1)
_BATCH: Final = 500
_GONE: Final = "…"
_T = TypeVar("_T")


class Runs(Protocol):
    """What Dagster knows, as a cleanup needs it."""

    def at_work(self) -> set[str]:
        """Return the partition keys of all runs that have not ended."""
        ...

    def keys(self) -> Sequence[str]:
        """Return every partition key."""
        ...

    def forget_key(self, key: str) -> int | None:
        """Delete a key and all its runs; return how many runs, or None when one of them has not ended."""
        ...

    def ended_before(self, moment: datetime) -> Iterable[tuple[str, str | None]]:
        """Yield the runs that ended before a moment, each with its partition key, oldest first."""
        ...

    def forget_run(self, run_id: str) -> None:
        """Delete a run with all its events."""
        ...


class Report(BaseModel):
    """What a cleanup did, or in a dry run would do.

    Attributes:
        dry_run: nothing was changed.
        by_age: requests forgotten because they are old.
        by_crowd: requests forgotten because there are too many.
        busy: requests that are old and still worked on.
        refused: requests that the database did not give up, by its reason.
        remembered: requests that stay.
        objects: stored objects deleted, orphans and what killed writers left among them.
        bytes: of the objects that rows named.
        orphans: objects that no row named.
        keys: partition keys deleted.
        runs: Dagster runs deleted.
        drafts: messages of unfinished texts deleted.
        messages: handled inbox and outbox rows deleted; in a dry run the outbox's.
        more: whether there is more to do than one cleanup takes.
    """

    dry_run: bool = False
    by_age: int = 0
    by_crowd: int = 0
    busy: int = 0
    refused: dict[str, int] = {}
    remembered: int = 0
    objects: int = 0
    bytes: int = 0
    orphans: int = 0
    keys: int = 0
    runs: int = 0
    drafts: int = 0
    messages: int = 0
    more: bool = False


def clean_up(
    session: Connection[dict[str, Any]], store: ArtifactStore, runs: Runs, ages: Ages, *, dry_run: bool = False
) -> Report:
    """Forget what is old enough.

    Args:
        session: of role `led_pipeline`, for this alone.
        store: where the objects are.
        runs: Dagster.
        ages: the rules.
        dry_run: change nothing and say what would be done.

    Raises:
        TransientError: another cleanup is at work.
    """
    if not dry_run and not _value(session, "alone"):
        raise TransientError("another cleanup is at work; this one is not needed")
    now: datetime = _value(session, "now")
    remembered: int = _value(session, "remembered")
    settled = _settled(session, now, ages, crowded=remembered > ages.live_keys)
    at_work = {key for key in map(_uuid, runs.at_work()) if key}
    plan = plan_cleanup(settled, remembered=remembered, at_work=at_work, now=now, ages=ages)
    work = _DryRun if dry_run else _Cleanup
    report = work(session, store, runs, ages, now).do(plan)
    return report.model_copy(
        update={
            "busy": len(plan.busy),
            "remembered": remembered - report.by_age - report.by_crowd,
            "more": len(settled) == MOST_AT_ONCE,
        }
    )


class _Cleanup:
    def __init__(
        self, session: Connection[dict[str, Any]], store: ArtifactStore, runs: Runs, ages: Ages, now: datetime
    ) -> None:
        self._session = session
        self._store = store
        self._runs = runs
        self._ages = ages
        self._now = now

    def do(self, plan: Plan) -> Report:
        report = self._rows(plan)
        report.orphans = sum(_value(self._session, "doom_orphans", keys=keys) for keys in _batches(self._old_objects()))
        report.objects = self._objects() + self._halves()
        report.keys, report.runs = self._keys()
        report.runs += self._old_runs()
        report.drafts = _value(self._session, "forget_drafts", age=self._ages.drafts)
        ledger = PipelineLedger(self._session)
        while removed := ledger.prune(self._ages.messages):
            report.messages += removed
        return report

    def _rows(self, plan: Plan) -> Report:
        ids = [one.id for one, _ in plan.forget]
        report = Report(bytes=_row(self._session, "objects_of", ids=ids)["bytes"])
        refused: Counter[str] = Counter()
        for one, why in plan.forget:
            verdict = _value(self._session, "forget", id=one.id, deck=Jsonb(wordless(one)))
            if verdict != "forgotten":
                refused[verdict] += 1
            elif why == "age":
                report.by_age += 1
            else:
                report.by_crowd += 1
        report.refused = dict(refused)
        return report

    def _objects(self) -> int:
        deleted = 0
        while keys := [row["key"] for row in _rows(self._session, "claim_doomed", limit=_BATCH)]:
            for key in keys:
                for single in self._singles(key):
                    self._store.delete(single)
                    deleted += 1
            _rows(self._session, "objects_deleted", keys=keys)
        return deleted

    def _halves(self) -> int:
        deleted = 0
        for key in self._unfinished():
            self._store.delete(key)
            deleted += 1
        return deleted

    def _unfinished(self) -> Iterator[str]:
        return self._store.unfinished(self._now - self._ages.orphans)

    def _singles(self, key: str) -> list[str]:
        return [item.key for item in self._store.listing(key)] if key.endswith("/") else [key]

    def _old_objects(self) -> Iterator[str]:
        for prefix in (OBJECTS, REQUESTS):
            for item in self._store.listing(prefix):
                if item.modified <= self._now - self._ages.orphans:
                    yield item.key

    def _keys(self) -> tuple[int, int]:
        deleted = runs = 0
        for key in self._stale_keys():
            ended = self._runs.forget_key(key)
            if ended is not None:
                deleted += 1
                runs += ended
        return deleted, runs

    def _stale_keys(self) -> Iterator[str]:
        for keys in _batches(self._runs.keys()):
            remembered = self._remembered(keys)
            yield from (key for key in keys if _uuid(key) not in remembered)

    def _old_runs(self) -> int:
        deleted = 0
        for run in self._stale_runs():
            self._runs.forget_run(run)
            deleted += 1
        return deleted

    def _stale_runs(self) -> Iterator[str]:
        for pairs in _batches(self._runs.ended_before(self._now - self._ages.runs)):
            remembered = self._remembered(key for _, key in pairs if key)
            yield from (run for run, key in pairs if key is None or _uuid(key) not in remembered)

    def _remembered(self, keys: Iterable[str]) -> set[UUID]:
        ids = [key for key in map(_uuid, keys) if key]
        return {row["id"] for row in _rows(self._session, "remembered_among", ids=ids)}


class _DryRun(_Cleanup):
    def do(self, plan: Plan) -> Report:
        ids = [one.id for one, _ in plan.forget]
        planned = _row(self._session, "objects_of", ids=ids)
        orphans = sum(len(_rows(self._session, "orphans_among", keys=keys)) for keys in _batches(self._old_objects()))
        return Report(
            dry_run=True,
            by_age=sum(why == "age" for _, why in plan.forget),
            by_crowd=sum(why == "crowd" for _, why in plan.forget),
            objects=planned["objects"]
            + orphans
            + _value(self._session, "waiting_objects")
            + sum(1 for _ in self._unfinished()),
            bytes=planned["bytes"],
            orphans=orphans,
            keys=len(ids) + sum(1 for _ in self._stale_keys()),
            runs=sum(1 for _ in self._stale_runs()),
            messages=_value(self._session, "handled_messages", age=self._ages.messages),
        )


def wordless(one: Settled) -> dict[str, Any] | None:
    """Return a deck with as many slides in the same language and not a word: the figures count slides for ever."""
    if one.slides is None:
        return None
    slides = tuple(Slide(role=role, heading=_GONE) for role in roles(one.slides))
    return Deck(language=one.language or "en", slides=slides).model_dump(mode="json")


def _settled(session: Connection[dict[str, Any]], now: datetime, ages: Ages, *, crowded: bool) -> list[Settled]:
    rows = _rows(
        session,
        "settled",
        made_before=now - ages.carousels,
        outlined_before=now - ages.outlines,
        before=now - _LEAST_AGE if crowded else None,
        limit=MOST_AT_ONCE,
    )
    return [
        Settled(row["id"], row["phase"] == "confirmed", row["settled_at"], row["slides"], row["language"])
        for row in rows
    ]


def _rows(session: Connection[dict[str, Any]], name: str, **values: object) -> list[dict[str, Any]]:
    return session.execute(query(f"cleanup.{name}"), values).fetchall()


def _row(session: Connection[dict[str, Any]], name: str, **values: object) -> dict[str, Any]:
    return _rows(session, name, **values)[0]


def _value(session: Connection[dict[str, Any]], name: str, **values: object) -> Any:
    (value,) = _row(session, name, **values).values()
    return value


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _uuid(key: str) -> UUID | None:
    try:
        return UUID(key)
    except ValueError:
        return None
