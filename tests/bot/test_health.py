"""`/healthz`, `/readyz` and `/metrics` over HTTP, and the figures of a real database behind them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import psycopg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client.parser import text_string_to_metric_families

from bot.health import Check, Health, dagster_check
from bot.metrics import Figure, Metrics
from carousel_pipeline.database import query

Connect = Callable[[str | None], psycopg.Connection[dict[str, Any]]]


async def no_figures() -> list[Figure]:
    return []


def says(problem: str) -> Check:
    async def check() -> str:
        return problem

    return check


@asynccontextmanager
async def served(figures: list[Figure] | Exception, **problems: str) -> AsyncIterator[tuple[TestServer, Metrics]]:
    async def read() -> list[Figure]:
        if isinstance(figures, Exception):
            raise figures
        return figures

    metrics = Metrics()
    health = Health({name: says(problem) for name, problem in problems.items()}, read, metrics)
    async with TestServer(health.application()) as server:
        yield server, metrics


async def get(server: TestServer, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(server.make_url(path)) as answer:
        return answer.status, await (answer.json() if path != "/metrics" else answer.text())


def families(page: str) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(page)
    }


@pytest.mark.finding("M18", "M19")
async def test_ready_says_which_dependency_does_not_work_and_why() -> None:
    async with served([], database="", storage="") as (server, _):
        assert await get(server, "/readyz") == (200, {"ready": True, "checks": {"database": "ok", "storage": "ok"}})
    async with served([], database="the database does not answer: OperationalError", storage="") as (server, _):
        status, body = await get(server, "/readyz")
        assert (status, body["ready"]) == (503, False)
        assert body["checks"] == {"database": "the database does not answer: OperationalError", "storage": "ok"}
        assert await get(server, "/healthz") == (200, {"status": "ok"}), "alive, though nothing else is"


async def test_a_dependency_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.health._CHECK_WITHIN_S", 0.05)

    async def hang() -> str:
        await asyncio.Event().wait()
        return ""

    health = Health({"dagster": hang}, no_figures, Metrics())
    assert (await health.problems())["dagster"].startswith("no answer in")


async def test_dagster_is_well_when_its_daemons_are() -> None:
    beating = True

    async def graphql(_request: web.Request) -> web.Response:
        daemons = [{"daemonType": kind, "required": True, "healthy": beating} for kind in ("SENSOR", "SCHEDULER")]
        return web.json_response({"data": {"instance": {"daemonHealth": {"allDaemonStatuses": daemons}}}})

    app = web.Application()
    app.router.add_post("/graphql", graphql)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        assert await dagster_check(session, str(server.make_url("/graphql")))() == ""
        beating = False
        still = await dagster_check(session, str(server.make_url("/graphql")))()
        assert still == "Dagster daemons without a heartbeat: SCHEDULER, SENSOR"
        assert "Dagster does not answer" in await dagster_check(session, str(server.make_url("/nothing")))()


async def test_metrics_show_the_figures_and_survive_a_database_that_is_away() -> None:
    held = [Figure("holds_open", {"state": "running"}, 3.0), Figure("credits_held", {}, 21.0)]
    async with served(held, database="", storage="gone") as (server, metrics):
        metrics.delivery_seconds.observe(4.0)
        status, page = await get(server, "/metrics")
        found = families(page)
        assert status == 200
        assert found["carousel_holds_open"] == {("running",): 3.0}
        assert found["carousel_credits_held"] == {(): 21.0}
        assert found["carousel_up"] == {("database",): 1.0, ("storage",): 0.0}
        assert found["carousel_delivery_seconds"][("5.0",)] == 1.0
    async with served(psycopg.OperationalError("password=hunter2"), database="") as (server, _):
        status, page = await get(server, "/metrics")
        assert status == 200
        assert families(page)["carousel_up"] == {("database",): 0.0}
        assert "hunter2" not in page


def test_the_database_knows_its_figures(connect_as: Connect) -> None:
    bot, pipeline = connect_as("led_bot"), connect_as("led_pipeline")
    bot.execute("select ledger.welcome(7)")
    bot.execute("select ledger.reserve(7, 'tap:1', 4)")
    row = bot.execute("select (ledger.reserve(7, 'tap:2', 3)).request_id as id").fetchone()
    assert row is not None
    bot.execute("select ledger.cancel(7, %s)", [row["id"]])
    audit = pipeline.execute(query("monitoring.run_audit")).fetchone()
    assert audit == {"violations": 0, "rules": {}}
    rows = bot.execute(query("monitoring.figures")).fetchall()
    figures = {(item["name"], *item["labels"].values()): item["value"] for item in rows}
    assert figures["holds_open", "reserved"] == 1
    assert figures["credits_held",] == 4
    assert figures["refunds_last_hour", "cancelled"] == 1
    assert figures["requests_last_hour", "released"] == 1
    assert figures["invariant_violations",] == 0
    page = Metrics().page([Figure(item["name"], item["labels"], item["value"]) for item in rows], {})
    assert families(page.decode())["carousel_holds_open"]["reserved",] == 1


def test_an_audit_counts_what_is_wrong(connect_as: Connect) -> None:
    owner, pipeline = connect_as(None), connect_as("led_pipeline")
    connect_as("led_bot").execute("select ledger.welcome(8)")
    owner.execute("set session_replication_role = replica")
    owner.execute("update ledger.wallet set available = available + 1 where available > 0")
    audit = pipeline.execute(query("monitoring.run_audit")).fetchone()
    assert audit == {"violations": 1, "rules": {"I1 wallet.available = journal": 1}}
