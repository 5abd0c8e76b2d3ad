"""What people see: the page, the command, the examples."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from PIL import Image

from carousel_pipeline.cli import carousel
from carousel_pipeline.database import Row, connect, query
from carousel_pipeline.errors import ConfigurationError, PermanentError
from carousel_pipeline.paths import resource
from carousel_pipeline.payments.packs import MONTHLY, PACKS
from carousel_pipeline.settings import get_settings
from carousel_pipeline.usage.charts import COLOURS, overview, png
from carousel_pipeline.usage.page import page
from carousel_pipeline.usage.summary import Span, Summary, last_weeks, summarise

pytestmark = pytest.mark.xdist_group("usage")

TODAY = datetime.now(UTC).date()
EXAMPLES = re.findall(
    r"^-- name: (\w+)$", (resource("sql") / "queries" / "usage_examples.sql").read_text(), re.MULTILINE
)


@pytest.fixture
def analyst(past_url: str) -> Iterator[psycopg.Connection[Row]]:
    with connect(past_url, "led_analyst") as connection:
        yield connection


@pytest.fixture
def summary(analyst: psycopg.Connection[Row]) -> Summary:
    return summarise(analyst, last_weeks(TODAY))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_answers_as_the_analyst(analyst: psycopg.Connection[Row], name: str) -> None:
    rows = analyst.execute(query(f"usage_examples.{name}")).fetchall()
    assert rows
    assert any(value is not None for row in rows for value in row.values())


def test_the_figures_of_the_report_agree_with_one_another(summary: Summary, analyst: psycopg.Connection[Row]) -> None:
    sums = summary.totals
    assert (
        sums["asked"] == sum(row["asked"] for row in summary.by_day) == sum(row["requests"] for row in summary.styles)
    )
    assert sums["asked"] >= sums["outlined"] >= sums["confirmed"] >= sums["delivered"] > 0
    assert sums["cost_usd"] == pytest.approx(
        sum(sums[f"cost_{part}_usd"] for part in ("charged", "house", "refunded", "free"))
    )
    assert sums["refunded_all"] == sum(row["requests"] for row in summary.refunds)
    assert len(summary.by_day) == 28
    for step in summary.latency.values():
        assert 0 <= step.p50 <= step.p90 <= step.p95 <= step.p99
    # A person waits through queue, making and sending: the medians cannot be far from the median of the whole.
    parts = sum(summary.latency[step].p50 for step in ("queue", "making", "sending"))
    assert summary.latency["total"].p50 == pytest.approx(parts, rel=0.2)
    assert {row["share"] for row in summary.retention if row["week"] == 0} == {1.0}
    [row] = analyst.execute(b"select sum(delivered) as n from usage.daily where day > %s", [TODAY - timedelta(days=28)])
    assert row["n"] == sums["delivered_all"]


def test_the_page_needs_nothing_else_and_has_both_looks(summary: Summary) -> None:
    html = page(summary)
    assert not re.search(r"https?://(?!www\.w3\.org/)|<script|<link|@import", html)
    assert "prefers-color-scheme: dark" in html
    assert html.count("<svg") == html.count('role="img"') == 12
    body = html[html.index("<main>") :]
    assert not [colour for colour in COLOURS.values() if colour in body], "a colour that the dark look cannot change"
    ids = re.findall(r'\bid="([^"]+)"', body)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', body)) <= set(ids)


def test_a_page_about_nothing_says_so(analyst: psycopg.Connection[Row]) -> None:
    html = page(summarise(analyst, Span(date(2024, 1, 1), date(2024, 1, 7))))
    assert html.count("nothing in these days") == 12


def test_the_overview_is_small_enough_for_the_event_log(summary: Summary, tmp_path: Path) -> None:
    (tmp_path / "overview.png").write_bytes(data := png(overview(summary)))
    assert len(data) < 60_000
    with Image.open(tmp_path / "overview.png") as picture:
        assert len(picture.getcolors() or ()) > 20


def _run(url: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setenv("DATABASE_URL", url)
    get_settings.cache_clear()
    done = CliRunner().invoke(carousel, ["usage", "report", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_writes_a_page(past_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "reports" / "usage.html"
    first, last = TODAY - timedelta(days=13), TODAY - timedelta(days=7)
    _run(past_url, monkeypatch, "--from", str(first), "--to", str(last), "--html", str(file))
    assert f"{first:%d %B %Y} to {last:%d %B %Y}" in file.read_text(encoding="utf-8")
    told = _run(past_url, monkeypatch, "--from", str(first), "--to", str(last), "--html", "-")
    assert told == file.read_text(encoding="utf-8")


def test_the_command_prints_for_people_and_for_programs(past_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    told = _run(past_url, monkeypatch)
    for title in (
        "Funnel of new requests",
        "Refunds",
        "Latency, seconds",
        "Retention",
        "Styles",
        "Languages",
        "Models",
    ):
        assert title in told
    listed = json.loads(_run(past_url, monkeypatch, "--json"))
    assert listed["totals"]["delivered"] > 0


def test_bad_input_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAROUSEL_HOME", str(tmp_path))
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError, match="set DATABASE_URL"):
        CliRunner().invoke(carousel, ["usage", "report"], catch_exceptions=False)
    with pytest.raises(PermanentError, match="swap --from and --to"):
        CliRunner().invoke(
            carousel, ["usage", "report", "--from", "2026-02-02", "--to", "2026-01-01"], catch_exceptions=False
        )


def test_a_credit_is_assumed_to_be_worth_what_the_cheapest_one_brings(analyst: psycopg.Connection[Row]) -> None:
    usd_per_star = 0.013
    cheapest = min(pack.stars / pack.credits for pack in (*PACKS.values(), MONTHLY)) * usd_per_star
    prices = [
        float(row["usd"])
        for row in analyst.execute(b"select usd_per_credit as usd from usage.price order by valid_from")
    ]
    assert prices == [pytest.approx(cheapest)]


@pytest.mark.parametrize(
    ("kind", "usd_per_credit", "lost"),
    [("picture", 0.0353, False), ("picture", 0.0706, False), ("picture", 0.08, True), ("carousel", 0.0353, True)],
)
def test_a_picture_that_is_bought_alone_may_need_a_second_try_and_no_third(
    past: psycopg.Connection[Row], kind: str, usd_per_credit: float, *, lost: bool
) -> None:
    past.execute(
        "update usage.daily set cost_usd = charged * %(usd)s, cost_charged_usd = charged * %(usd)s, cost_house_usd = 0,"
        " cost_refunded_usd = 0, cost_free_usd = 0 where kind = %(kind)s",
        {"usd": usd_per_credit, "kind": kind},
    )
    rows = past.execute("select 1 from usage.unexplained_loss where kind = %(kind)s", {"kind": kind}).fetchall()
    assert bool(rows) is lost


def test_retention_never_counts_a_person_twice(summary: Summary) -> None:
    for before, row in pairwise(summary.retention):
        assert row["people"] <= row["cohort_people"]
        assert before["cohort"] < row["cohort"] or before["week"] < row["week"]
