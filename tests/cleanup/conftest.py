"""Requests of every kind and age, with real rows, real objects and a real Dagster instance."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import dagster as dg
import pytest
from dagster import DagsterRun, DagsterRunStatus
from psycopg.types.json import Jsonb

from carousel_pipeline.artifacts import ArtifactStore, LocalStore, content_key
from carousel_pipeline.cleanup import Ages, Report, clean_up
from carousel_pipeline.database import Row, connect
from carousel_pipeline.partitions import REQUESTS
from carousel_pipeline.requests import Deck, Options
from carousel_pipeline.requests.deck import Slide, roles
from carousel_pipeline.schedules.cleanup import DagsterRuns

DECK: Final = Deck(language="ru", slides=tuple(Slide(role=role, heading="Слово") for role in roles(3)))
JSON: Final = ("copy", "images", "rendered_slides", "delivery_receipt")
OLD: Final = timedelta(days=40)
_serial = itertools.count(1)


class World:
    """Makes requests and looks at what became of them."""

    def __init__(self, url: str, store: ArtifactStore, instance: dg.DagsterInstance) -> None:
        self.url = url
        self.store = store
        self.instance = instance
        self.root = connect(url, None)
        self.session = connect(url, "led_pipeline")
        self.tg = 1000 + next(_serial)
        self.sql("select ledger.welcome(%s)", self.tg)
        self.sql("select ledger.promo(%s, 500, %s, 'tests', 'for tests')", self.tg, f"gift:{self.tg}")

    def close(self) -> None:
        self.root.close()
        self.session.close()

    def sql(self, statement: str, *values: object) -> list[Row]:
        cursor = self.root.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def value(self, statement: str, *values: object) -> Any:
        return next(iter(self.sql(statement, *values)[0].values()))

    def outline(self, *, age: timedelta = OLD, parent: UUID | None = None) -> UUID:
        """An outline that nobody has confirmed."""
        key = f"test:{next(_serial)}"
        request_id: UUID = self.sql(
            "select * from carousel.open_request(%s, %s, %s, 'Мой секретный текст', %s, %s)",
            *(self.tg, self.tg, key, Jsonb(Options().model_dump(mode="json")), parent),
        )[0]["request_id"]
        span = {"number": 1, "name": "copy", "slide": None, "began": 2, "ended": 1, "failed": False}
        self.sql("select carousel.trace(%s, 'run', %s)", request_id, Jsonb([span]))
        self.sql("select carousel.outline_ready(%s, %s, 3)", request_id, Jsonb(DECK.model_dump(mode="json")))
        self.store.put(f"requests/{request_id}/copy.json", b"{}", content_type="application/json")
        self.key(request_id)
        self.run(request_id, "outline", DagsterRunStatus.SUCCESS)
        self.aged(request_id, age)
        return request_id

    def carousel(
        self, state: str = "delivered", *, age: timedelta = OLD, parent: UUID | None = None, share: UUID | None = None
    ) -> UUID:
        """A confirmed request in a state of the ledger; `share`: takes over that one's first picture."""
        request_id = self.outline(age=timedelta(0), parent=parent)
        assert self.value("select carousel.confirm(%s, %s, 3)", self.tg, request_id) == "confirmed"
        for role, position in itertools.product(("picture", "slide"), (1, 2, 3)):
            data = (
                f"{role} {position} of {share if share and (role, position) == ('picture', 1) else request_id}".encode()
            )
            self.keep(request_id, role, position, data)
        for name in JSON:
            self.store.put(f"requests/{request_id}/{name}.json", b"{}", content_type="application/json")
        if state == "released":
            self.sql("select ledger.ops_release(%s, 'tests', 'for tests')", request_id)
        elif state != "reserved":
            fence = self.sql("select * from ledger.claim(%s, 'run')", request_id)[0]["fence"]
            if state != "running":
                self.sql("select ledger.rendered(%s, %s)", request_id, fence)
                delivery = self.sql("select * from ledger.delivery_begin(%s, %s)", request_id, fence)[0]["delivery_id"]
                outcome = "sent" if state == "delivered" else "unknown"
                self.sql("select ledger.delivery_end(%s, %s, '{1,2,3}')", delivery, outcome)
        assert self.value("select state from ledger.request where id = %s", request_id) == state
        self.run(request_id, "carousel", DagsterRunStatus.SUCCESS)
        self.aged(request_id, age)
        return request_id

    def keep(self, request_id: UUID, role: str, position: int, data: bytes) -> None:
        key = content_key(data, "jpg")
        self.store.put(key, data, content_type="image/jpeg")
        self.sql(
            "select carousel.keep_artifact(%s, %s, %s, 'recipe', %s, %s, 'image/jpeg', %s, 10, 10)",
            *(request_id, role, position, key.rpartition("/")[2][:64], key, len(data)),
        )

    def aged(self, request_id: UUID, age: timedelta) -> None:
        """Move a request into the past, past the triggers that would move it back."""
        with self.root.transaction():
            self.sql("set local session_replication_role = replica")
            for table in ("carousel.request", "ledger.request"):
                self.sql(
                    f"update {table} set updated_at = clock_timestamp() - %s::interval, created_at = created_at - %s::interval "  # noqa: S608 - two names
                    "where id = %s",
                    *(age, age, request_id),
                )

    def key(self, request_id: UUID | str) -> None:
        self.instance.add_dynamic_partitions(REQUESTS, [str(request_id)])

    def run(self, request_id: UUID | str | None, job: str, status: DagsterRunStatus) -> str:
        tags = {} if request_id is None else {"dagster/partition": str(request_id)}
        run = DagsterRun(job_name=job, status=status, tags=tags)
        self.instance.add_run(run)
        return run.run_id

    def clean(self, ages: Ages | None = None, *, dry_run: bool = False) -> Report:
        with connect(self.url, "led_pipeline") as session:
            return clean_up(session, self.store, DagsterRuns(self.instance), ages or Ages(), dry_run=dry_run)

    def objects(self, request_id: UUID) -> list[str]:
        return [item.key for item in self.store.listing(f"requests/{request_id}/")]

    def remembered(self, request_id: UUID) -> bool:
        return bool(self.sql("select 1 from carousel.request where id = %s and forgotten_at is null", request_id))

    def keys(self) -> set[str]:
        return set(self.instance.get_dynamic_partitions(REQUESTS))

    def runs_of(self, request_id: UUID) -> int:
        return len(self.instance.get_runs(dg.RunsFilter(tags={"dagster/partition": str(request_id)})))

    def assert_nothing_dangles(self) -> None:
        """No row points at an object that is gone, and the books agree."""
        for row in self.sql(
            "select key from carousel.artifact union select logo_key from carousel.brand where logo_key is not null"
        ):
            assert self.store.get(row["key"])
        violations = self.sql("select rule, id from ledger.invariant_violation where rule !~ '^I[78] '")
        assert violations == []

    def assert_whole(self, request_id: UUID) -> None:
        """Everything that the request had is still there."""
        assert self.remembered(request_id)
        assert str(request_id) in self.keys()
        assert self.runs_of(request_id)
        assert self.value("select source from carousel.request where id = %s", request_id) == "Мой секретный текст"
        assert self.sql("select 1 from carousel.span where request_id = %s", request_id)
        if self.sql("select 1 from ledger.request where id = %s", request_id):
            assert len(self.objects(request_id)) == len(JSON)
            assert self.value("select count(*) from carousel.artifact where request_id = %s", request_id) == 6

    def assert_forgotten(self, request_id: UUID) -> None:
        assert not self.remembered(request_id)
        assert str(request_id) not in self.keys()
        assert self.runs_of(request_id) == 0
        assert self.objects(request_id) == []
        assert self.sql("select 1 from carousel.artifact where request_id = %s", request_id) == []
        assert self.sql("select 1 from carousel.span where request_id = %s", request_id) == []
        row = self.sql("select source, deck from carousel.request where id = %s", request_id)[0]
        assert row["source"] == "…"
        assert {slide.heading for slide in Deck.model_validate(row["deck"]).slides} == {"…"}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return LocalStore(tmp_path / "artifacts")


@pytest.fixture
def world(database_url: str, store: ArtifactStore) -> Iterator[World]:
    with dg.DagsterInstance.ephemeral() as instance:
        made = World(database_url, store, instance)
        yield made
        made.close()
