"""`carousel cleanup`: the nightly cleanup now, from a shell, beside whatever runs."""

import os
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import dagster as dg
from rich.console import Console

from carousel_pipeline.artifacts import open_store
from carousel_pipeline.cleanup import Ages, Report, clean_up
from carousel_pipeline.database import connect
from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.local.stack import find_running
from carousel_pipeline.schedules.cleanup import DagsterRuns
from carousel_pipeline.settings import Settings, get_settings

_WORDS: Final = MappingProxyType(
    {
        "by_age": "requests forgotten because they are old",
        "by_crowd": "requests forgotten because there are too many",
        "busy": "old requests that are still worked on",
        "remembered": "requests that stay",
        "objects": "stored objects deleted",
        "bytes": "bytes of these that rows named",
        "orphans": "of these objects, named by no row",
        "keys": "partition keys deleted",
        "runs": "Dagster runs deleted",
        "drafts": "messages of unfinished texts deleted",
        "messages": "handled messages deleted",
    }
)


def cleanup(*, days: int | None, dry_run: bool, as_json: bool) -> None:
    """Forget what is old, or say what would be forgotten, and print the report.

    Args:
        days: age of settled carousels, instead of the usual one.
        dry_run: change nothing.
        as_json: print one JSON object and nothing else.

    Raises:
        ConfigurationError: no database, no Dagster instance or no storage is named.
        TransientError: another cleanup is at work.
    """
    settings = get_settings()
    database, home, artifacts = _places(settings)
    ages = Ages() if days is None else Ages(carousels=timedelta(days=days))
    with dg.DagsterInstance.from_config(str(home)) as instance, connect(database, "led_pipeline") as session:
        report = clean_up(session, open_store(artifacts), DagsterRuns(instance), ages, dry_run=dry_run)
    if as_json:
        Console(soft_wrap=True).out(report.model_dump_json(), highlight=False)
    else:
        _print(report)


def _places(settings: Settings) -> tuple[str, Path, str]:
    """Return database, DAGSTER_HOME and artifacts: of the settings, else of what `carousel up` runs here."""
    home = settings.carousel_home.expanduser().resolve()
    running = find_running(home)
    database = settings.database_url.get_secret_value() if settings.database_url else running and running.database_url
    if not database:
        raise ConfigurationError("DATABASE_URL is not set and nothing runs here: start it with `carousel up`")
    if settings.dagster_database_url is None:
        os.environ["DAGSTER_DATABASE_URL"] = urlsplit(database)._replace(path="/dagster").geturl()
    else:
        os.environ["DAGSTER_DATABASE_URL"] = settings.dagster_database_url.get_secret_value()
    instance = Path(os.environ.get("DAGSTER_HOME") or home / "dagster")
    if not (instance / "dagster.yaml").is_file():
        raise ConfigurationError(f"{instance} is no DAGSTER_HOME: name the one of the installation to clean")
    return database, instance, settings.artifacts_url or (home / "artifacts").as_uri()


def _print(report: Report) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if report.dry_run:
        console.print("Nothing was changed. It would be:")
    for name, words in _WORDS.items():
        if number := getattr(report, name):
            console.print(f"{number:>12,}  {words}")
    for reason, number in report.refused.items():
        console.print(f"{number:>12,}  not forgotten: {reason}")
    if report.more:
        console.print("There is more: run it again.")
