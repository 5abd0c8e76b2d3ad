"""`carousel usage report`: the figures for people without the UI, read with the rights of the analyst and no others."""

import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table

from carousel_pipeline.database import Row, connect
from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.local.stack import find_running
from carousel_pipeline.settings import get_settings
from carousel_pipeline.usage.page import page, tables, tiles
from carousel_pipeline.usage.summary import Span, Summary, last_weeks, share, summarise


def report(first: date | None, last: date | None, html: Path | None, *, as_json: bool = False) -> None:
    """Print the report of the days `first` to `last` (UTC, both included), or write it as a page.

    Args:
        first: 27 days before `last` where it is not given.
        last: today where it is not given.
        html: the file to write; then one line says so. `-` is the standard output.
        as_json: print everything as one JSON object.

    Raises:
        ConfigurationError: no database is set, none runs here, or the login may not act as the analyst.
        PermanentError: the span ends before it begins.
    """
    span = last_weeks(last or datetime.now(UTC).date())
    span = span if first is None else Span(first, span.last)
    with _as_analyst() as connection:
        summary = summarise(connection, span)
    if as_json:
        sys.stdout.write(to_json(asdict(summary)).decode() + "\n")
    elif html == Path("-"):
        sys.stdout.write(page(summary))
    elif html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(page(summary), encoding="utf-8")
        Console().print(f"wrote {html}")
    else:
        _print(summary, Console())


def _as_analyst() -> psycopg.Connection[Row]:
    settings = get_settings()
    running = None if settings.database_url else find_running(settings.carousel_home.expanduser().resolve())
    url = settings.database_url.get_secret_value() if settings.database_url else running and running.database_url
    if not url:
        raise ConfigurationError("there is no database to report on: set DATABASE_URL, or start one with `carousel up`")
    try:
        return connect(url, "led_analyst")
    except psycopg.OperationalError as error:
        raise ConfigurationError(f"the analyst cannot connect: {str(error).strip()}") from None


def _print(summary: Summary, console: Console) -> None:
    console.print(f"[bold]Usage[/] {summary.span.first} to {summary.span.last}, UTC days\n")
    console.print(_columns("", ("", ""), ((value, label) for value, label in tiles(summary))))
    steps = ("asked", "outlined", "confirmed", "delivered")
    counts = [int(summary.totals[step]) for step in steps]
    before = [None, *counts[:-1]]
    console.print(
        _columns(
            "Funnel of new requests",
            ("step", "requests", "of the step before"),
            (
                (step, f"{count:,}", "" if not past else f"{share(count, past):.1%}")
                for step, count, past in zip(steps, counts, before, strict=True)
            ),
        )
    )
    console.print(
        _columns(
            "Refunds",
            ("reason", "requests", "credits back"),
            ((row["reason"], f"{row['requests']:,}", f"{row['credits']:,}") for row in summary.refunds),
        )
    )
    for title, columns, rows in tables(summary):
        console.print(_columns(title, columns, rows))
    console.print(
        _columns(
            "Retention, percent of newcomers",
            ("week of", "people", *(str(week) for week in range(1, 10))),
            _retention(summary),
        )
    )
    for row in summary.health:
        console.print(f"{'[green]✓[/]' if row['passed'] else '[red]✗[/]'} {row['name']}: {row['detail']}")


def _retention(summary: Summary) -> Iterable[tuple[str, ...]]:
    cohorts = {row["cohort"]: row["cohort_people"] for row in summary.retention}
    shares = {(row["cohort"], row["week"]): row["share"] for row in summary.retention}
    for cohort, people in cohorts.items():
        back = (shares.get((cohort, week)) for week in range(1, 10))
        yield (str(cohort), f"{people:,}", *("" if part is None else f"{100 * part:.0f}" for part in back))


def _columns(title: str, columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", show_header=any(columns), box=None, pad_edge=False
    )
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 else "right", style="" if number else "cyan")
    for row in rows:
        table.add_row(*row)
    return table
