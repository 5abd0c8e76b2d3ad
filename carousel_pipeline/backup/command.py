"""What `carousel backup` and `carousel restore` print, and where they find what they work on."""

from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from carousel_pipeline.artifacts import ArtifactStore, open_store
from carousel_pipeline.backup.copies import Checked, back_up, drill, restore
from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.local.stack import find_running
from carousel_pipeline.settings import get_settings


def backup_command(into: Path, *, as_json: bool) -> None:
    """Make a copy and say where it is."""
    database, dagster, store = _places()
    folder = back_up(database, dagster, store, into)
    if as_json:
        Console(soft_wrap=True).out((folder / "manifest.json").read_text(encoding="utf-8"), highlight=False)
    else:
        Console(highlight=False, soft_wrap=True).print(f"{folder} is a copy; try it: carousel restore --drill {folder}")


def restore_command(copy: Path, *, only_drill: bool, as_json: bool) -> int:
    """Restore a copy, or try it beside everything; return 0 when it was found whole, else 1."""
    checked = drill(copy) if only_drill else restore(copy, *_places())
    console = Console(highlight=False, soft_wrap=True)
    if as_json:
        console.out(checked.model_dump_json(), highlight=False)
    else:
        console.print(_words(checked, only_drill=only_drill), markup=False)
    return 0 if checked.well else 1


def _places() -> tuple[str, str, ArtifactStore]:
    settings = get_settings()
    home = settings.carousel_home.expanduser().resolve()
    running = find_running(home)
    database = settings.database_url.get_secret_value() if settings.database_url else running and running.database_url
    if not database:
        raise ConfigurationError("DATABASE_URL is not set and nothing runs here: start it with `carousel up`")
    dagster = settings.dagster_database_url
    url = dagster.get_secret_value() if dagster else urlsplit(database)._replace(path="/dagster").geturl()
    return database, url, open_store(settings.artifacts_url or (home / "artifacts").as_uri())


def _words(checked: Checked, *, only_drill: bool) -> str:
    did = "tried, beside everything" if only_drill else "restored"
    rows = ", ".join(f"{count} {table}" for table, count in checked.rows.items())
    lines = [
        f"The copy of {checked.made_at:%Y-%m-%d %H:%M} UTC was {did} in {checked.seconds} s:",
        f"{rows}, {checked.objects} objects.",
    ]
    lines += [f"BROKEN {violation}" for violation in checked.violations]
    if checked.missing:
        lines.append(f"BROKEN {checked.missing} rows point at objects that are not in it")
    return "\n".join([*lines, "The books agree and nothing is missing." if checked.well else "Take an older copy."])
