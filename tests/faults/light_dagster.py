"""The real functions of the three assets, run as Dagster runs them, without Dagster's own 400 ms a run.

Steps one after the other, a step's errors retried or not as `assets.policy` says, an output that was not made skips what needs
it. Runs are known by tags, as the bot's dispatcher and the sensors look for them.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import signature
from types import SimpleNamespace
from typing import Any, Final, cast
from uuid import UUID, uuid5

import dagster as dg
from dagster import DagsterRunStatus

from carousel_pipeline import assets
from carousel_pipeline.assets.policy import MAX_RETRIES
from carousel_pipeline.resources import Artifacts, Database, Providers, Telegram
from carousel_pipeline.tags import DISPATCH_TAG, run_tags

from ..remembered import DECK, Remembering  # noqa: TID252 - tests are no package

_NAMESPACE: Final = UUID("5f0c4f4e-5d0c-4f8e-8d44-1f2d0a5f7c11")
_PARENT_TAG: Final = "dagster/parent_run_id"


@dataclass
class Run:
    """A run: `queued`, `started`, then `succeeded` or `failed`."""

    id: str
    tags: dict[str, str]
    status: str = "queued"

    @property
    def over(self) -> bool:
        return self.status in {"succeeded", "failed"}


class Runs:
    """Every run of one case; what the sensors ask an instance for, and what the dispatcher asks GraphQL for."""

    def __init__(self, tell: Callable[[Run], None]) -> None:
        self.known: dict[str, Run] = {}
        self._tell = tell

    def dispatch(self, request: UUID, key: str) -> None:
        """Launch a run for a dispatch row unless there is one."""
        if not any(run.tags[DISPATCH_TAG] == key for run in self.known.values()):
            self._launch(request, run_tags(str(request), key, None))

    def rerun(self, request: UUID, failed: Run) -> Run:
        """Do what the UI's "re-execute" does: a new run with the old one's tags and its parent's name."""
        return self._launch(request, {**failed.tags, _PARENT_TAG: failed.id})

    def change(self, run: Run, status: str) -> None:
        """Note what became of a run."""
        run.status = status
        self._tell(run)

    def get_runs(self, filters: dg.RunsFilter, limit: int) -> list[dg.DagsterRun]:
        """As DagsterInstance, for `sensors.settlement`."""
        statuses = {"succeeded": DagsterRunStatus.SUCCESS, "failed": DagsterRunStatus.FAILURE}
        return [
            dg.DagsterRun(
                job_name="carousel",
                run_id=run.id,
                tags=run.tags,
                status=statuses.get(run.status, DagsterRunStatus.STARTED),
            )
            for run in list(self.known.values())[:limit]
            if filters.tags.items() <= run.tags.items()
        ]

    def get_records_for_run(self, *_: object, **__: object) -> SimpleNamespace:
        """As DagsterInstance: which step failed is not told here."""
        return SimpleNamespace(records=[])

    def _launch(self, request: UUID, tags: dict[str, str]) -> Run:
        run = Run(str(uuid5(_NAMESPACE, f"{request}/{len(self.known)}")), tags)
        self.known[run.id] = run
        self._tell(run)
        return run


class Workshop:
    """The assets and their resources."""

    def __init__(self, database_url: str, artifacts_url: str, acting: Callable[[str], Any]) -> None:
        self._resources = {
            "database": Database(url=database_url),
            "artifacts": Artifacts(url=artifacts_url),
            "providers": _Providers(),
            "telegram": Telegram(),
        }
        self._acting = acting

    def execute(self, run: Run, request: UUID) -> bool:
        """Run the three steps; False: the run failed."""
        made: dict[str, Any] = {"copy": DECK}
        for asset in (assets.images, assets.rendered_slides, assets.delivery_receipt):
            value, ok = self._step(run, request, asset, made)
            if not ok or value is None:
                return ok
            made[asset.key.path[-1]] = value
        return True

    def _step(self, run: Run, request: UUID, asset: dg.AssetsDefinition, made: dict[str, Any]) -> tuple[Any, bool]:
        function = cast("Any", asset.op.compute_fn).decorated_fn
        inputs = {
            name: value for name, value in (self._resources | made).items() if name in signature(function).parameters
        }
        for retry in range(MAX_RETRIES + 1):
            context = SimpleNamespace(
                partition_key=str(request),
                run=SimpleNamespace(run_id=run.id, tags=run.tags),
                retry_number=retry,
                log=logging.getLogger("step"),
            )
            try:
                with self._acting(asset.key.path[-1]):
                    results = list(function(context, **inputs))
            except dg.Failure as failure:
                if not failure.allow_retries:
                    return None, False
            except Exception:  # noqa: BLE001, S112 - Dagster retries whatever it was
                continue
            else:
                values = [result.value for result in results if isinstance(result, dg.MaterializeResult)]
                return (values[0] if values else None), True
        return None, False


class _Providers(Providers):
    def painter(self) -> Remembering:
        return Remembering()


def failures(runs: Runs) -> Iterator[Run]:
    """Yield the failed runs that nobody ran again, oldest first."""
    parents = {run.tags.get(_PARENT_TAG) for run in runs.known.values()}
    yield from (run for run in runs.known.values() if run.status == "failed" and run.id not in parents)
