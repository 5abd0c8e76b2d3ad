"""The rules that wake somebody up: the README tells of each, each fires in its situation alone, and every figure exists."""

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from bot.app import App
from carousel_pipeline.database import connect, query
from carousel_pipeline.local.probes import free_port
from carousel_pipeline.paths import resource
from carousel_pipeline.usage.build import build, usage_session
from carousel_pipeline.usage.checks import run_checks

RULES = Path(__file__).parents[2] / "carousel_pipeline" / "containers" / "alerts.yaml"
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for rule in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
}
needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs Prometheus: apt-get install prometheus"
)

# Six hours of a system that is well, one sample a minute; `NaN` in a histogram nobody fills is how Prometheus says "nobody".
WELL = {
    'carousel_up{dependency="database"}': "1x360",
    'carousel_up{dependency="dagster"}': "1x360",
    "carousel_invariant_violations": "0x360",
    "carousel_audit_age_seconds": "0+60x59 0+60x59 0+60x59 0+60x59 0+60x59 0+60x59",
    'carousel_hold_oldest_seconds{state="reserved"}': "0+30x60 5x299",
    'carousel_hold_oldest_seconds{state="running"}': "40x360",
    'carousel_hold_oldest_seconds{state="delivery_unknown"}': "70000x360",
    'carousel_refunds_last_hour{reason="images"}': "9x360",
    'carousel_requests_last_hour{state="delivered"}': "100x360",
    'carousel_provider_breaker_open{provider="gemini"}': "0x20 1x10 0x330",
    'carousel_provider_cost_usd_last_hour{provider="gemini"}': "9x360",
    "carousel_payments_unmatched": "0x360",
    "carousel_payment_reports_dead": "0x360",
    "carousel_payment_refunds_late": "0x360",
    "carousel_outbox_dead": "0x360",
    "carousel_outbox_oldest_seconds": "20x360",
    'carousel_inbox_oldest_seconds{source="telegram"}': "1x360",
    'carousel_inbox_oldest_seconds{source="payments"}': "1x360",
    'carousel_delivery_seconds_bucket{le="120"}': "0+10x360",
    'carousel_delivery_seconds_bucket{le="300"}': "0+10x360",
    'carousel_delivery_seconds_bucket{le="+Inf"}': "0+10x360",
    'carousel_usage_check_failed{check="totals"}': "0x100 1x60 0x200",
    "carousel_database_connections": "140x360",
}
# What is different when each of them must fire; None: the series is not there.
SITUATIONS: list[tuple[str, dict[str, str | None]]] = [
    ("BotGone", dict.fromkeys(WELL)),
    ("DependencyDown", {'carousel_up{dependency="dagster"}': "0x360"}),
    ("BooksDisagree", {"carousel_invariant_violations": "1x360"}),
    ("NobodyAudits", {"carousel_audit_age_seconds": "0+60x360"}),
    ("NobodyAudits", {"carousel_audit_age_seconds": None}),
    ("HoldOld", {'carousel_hold_oldest_seconds{state="running"}': "2701x360"}),
    ("DoubtOld", {'carousel_hold_oldest_seconds{state="delivery_unknown"}': "86401x360"}),
    ("Refunds", {'carousel_refunds_last_hour{reason="images"}': "21x360"}),
    ("Refunds", {'carousel_requests_last_hour{state="delivered"}': None}),
    ("ProviderClosed", {'carousel_provider_breaker_open{provider="gemini"}': "1x360"}),
    ("HourExpensive", {'carousel_provider_cost_usd_last_hour{provider="gemini"}': "10.5x360"}),
    ("PaymentOpen", {"carousel_payments_unmatched": "1x360"}),
    ("PaymentOpen", {"carousel_payment_reports_dead": "1x360"}),
    ("PaymentOpen", {"carousel_payment_refunds_late": "1x360"}),
    ("WorkGivenUp", {"carousel_outbox_dead": "1x360"}),
    ("WorkWaits", {"carousel_outbox_oldest_seconds": "601x360"}),
    ("WorkWaits", {'carousel_inbox_oldest_seconds{source="payments"}': "121x360"}),
    ("PeopleWait", {'carousel_delivery_seconds_bucket{le="120"}': "0+9x360"}),
    ("UsageWrong", {'carousel_usage_check_failed{check="totals"}': "1x360"}),
    ("Connections", {"carousel_database_connections": "151x360"}),
]  # fmt: skip


def test_the_readme_tells_of_every_rule_as_it_is() -> None:
    text = resource("sql").parent.joinpath("README.md").read_text(encoding="utf-8")
    part = text.partition("### What wakes you up")[2].partition("\n### ")[0]
    told = re.findall(r"^\| `(\w+)` \| `(.+?)`(?: for (\w+))? \| .{40,} \|$", part, re.MULTILINE)
    assert [(name, asked.replace(r"\|", "|"), held) for name, asked, held in told] == [
        (name, rule["expr"], rule.get("for", "")) for name, rule in ALERTS.items()
    ]


def trial(changes: dict[str, str | None], fires: str | None, at: str) -> dict[str, Any]:
    figures = {**WELL, **changes}
    series = [{"series": name, "values": values} for name, values in figures.items() if values is not None]
    expected = [{"labels": f'{{alertname="{fires}"}}', "value": 1}] if fires else []
    question = 'count by (alertname) (ALERTS{alertstate="firing"})'
    return {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{"expr": question, "eval_time": at, "exp_samples": expected}],
    }


@needs_prometheus
def test_each_rule_fires_in_its_situation_and_no_other_one_does(tmp_path: Path) -> None:
    assert {name for name, _ in SITUATIONS} == set(ALERTS)
    silent = [trial({}, None, f"{minute}m") for minute in range(0, 360, 10)]
    loud = [trial(changes, name, "350m") for name, changes in SITUATIONS]
    # What must hold for a while is silent until it has.
    patient = {"5m": "4m", "15m": "14m", "1h": "59m", "2h": "119m"}
    early = [
        trial(changes, None, patient[ALERTS[name]["for"]]) for name, changes in SITUATIONS if "for" in ALERTS[name]
    ]
    tests = tmp_path / "tests.yaml"
    document = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": silent + loud + early}
    tests.write_text(yaml.safe_dump(document), encoding="utf-8")
    for command in (["check", "rules", str(RULES)], ["test", "rules", str(tests)]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


class Prometheus:
    """A real one that scrapes a real bot every half second."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def api(self, path: str, **query_: str) -> Any:
        async with self._http.get(f"{self._url}/api/v1/{path}", params=query_) as answer:
            body = await answer.json()
            assert body["status"] == "success", body
            return body["data"]

    async def firing(self) -> set[str]:
        answers = {name: await self.api("query", query=rule["expr"]) for name, rule in ALERTS.items()}
        return {name for name, answer in answers.items() if answer["result"]}

    async def until_just(self, expected: set[str]) -> None:
        deadline = time.monotonic() + 60
        while (firing := await self.firing()) != expected and time.monotonic() < deadline:  # noqa: ASYNC110 - a scrape announces nothing
            await asyncio.sleep(0.2)
        assert firing == expected


@asynccontextmanager
async def prometheus(http: aiohttp.ClientSession, bot: str, folder: Path) -> AsyncIterator[Prometheus]:
    port = free_port(0)
    configuration = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "400ms", "evaluation_interval": "500ms"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "carousel", "static_configs": [{"targets": [bot]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(configuration), encoding="utf-8")
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        server = Prometheus(http, f"http://127.0.0.1:{port}")
        try:
            async with asyncio.timeout(60):
                while True:
                    try:
                        if (await server.api("query", query="carousel_up"))["result"]:
                            break
                    except aiohttp.ClientError:
                        assert process.returncode is None, (folder / "log").read_text()
                    await asyncio.sleep(0.2)
            yield server
        finally:
            process.terminate()
            await process.wait()


def make_well(url: str) -> None:
    """What the daemon does every hour."""
    with connect(url, "led_pipeline") as connection:
        connection.execute(query("monitoring.run_audit"))
    with usage_session(url) as session:
        build(session, [datetime.now(UTC).date()])
        run_checks(session)


def make_ill(url: str, app: App) -> None:
    """Everything at once that a database can tell."""
    with connect(url, "led_bot") as bot:
        bot.execute("select ledger.welcome(7)")
        for tap in range(6):
            row = bot.execute("select (ledger.reserve(7, %s, 1)).request_id as id", [f"tap:{tap}"]).fetchone()
            assert row is not None
            bot.execute("select ledger.cancel(7, %s)", [row["id"]])
        bot.execute("select ledger.reserve(7, 'old', 1), ledger.reserve(7, 'doubtful', 1)")
    with connect(url, None) as owner:
        owner.execute("set session_replication_role = replica")
        owner.execute(
            "update ledger.request set created_at = created_at - interval '2 days', state = case client_key "
            "when 'old' then state else 'delivery_unknown' end where client_key in ('old', 'doubtful')"
        )
        owner.execute("update ledger.wallet set available = available + 1")
        owner.execute("select carousel.run_audit()")
        owner.execute("update carousel.audit set checked_at = checked_at - interval '3 hours'")
        owner.execute(
            "insert into carousel.provider_state (provider, opened_until, reason) "
            "values ('gemini', now() + interval '1 hour', 'key')"
        )
        owner.execute(
            "insert into carousel.attempt (request_id, step, provider, model, outcome, ended_at, cost_usd) "
            "values (gen_random_uuid(), 'picture', 'gemini', 'm', 'ok', now(), 10.5)"
        )
        owner.execute(
            "insert into ledger.outbox (topic, dedupe_key, payload, dead) values ('payment_credited', 'dead', '{}', true)"
        )
        owner.execute(
            "insert into ledger.inbox (source, dedupe_key, body, received_at, available_at) "
            "values ('yk_webhook', 'waits', '{}', now() - interval '1 hour', now() + interval '1 hour')"
        )
        owner.execute(
            "insert into pay.unmatched (source, charge, direction, amount, reason) values ('rub', 'x', 'in', 1, 'x')"
        )
        owner.execute("delete from usage.check_result")
    app._metrics.delivery_seconds.observe(250.0)


@needs_prometheus
@pytest.mark.timeout(240)
async def test_a_real_prometheus_is_silent_about_a_bot_that_is_well_and_loud_about_one_that_is_not(
    stage: Any, database_url: str, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port(0)}"
    stage.settings = stage.settings.model_copy(update={"carousel_health_listen": address})
    (tmp_path / "prometheus").mkdir()
    async with AsyncExitStack() as bot:
        app = await bot.enter_async_context(stage.bot())
        make_well(database_url)
        async with prometheus(stage.http, address, tmp_path / "prometheus") as watching:
            await watching.until_just(set())
            [group] = (await watching.api("rules"))["groups"]
            assert {rule["name"]: rule["health"] for rule in group["rules"]} == dict.fromkeys(ALERTS, "ok")
            make_ill(database_url, app)
            stage.dagster.down = True
            await watching.until_just(ALERTS.keys() - {"BotGone", "Connections"})
            known = set(await watching.api("label/__name__/values"))
            named = {name for rule in ALERTS.values() for name in re.findall(r"carousel_\w+", rule["expr"])}
            assert named <= known
            await bot.aclose()
            # What was measured within half an hour still counts.
            await watching.until_just({"BotGone", "PeopleWait"})
