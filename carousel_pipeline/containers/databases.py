"""Databases, schemas, a login for each process, and the bucket: `python -m carousel_pipeline.containers.databases`.

A login can become the roles of the ledger that its process acts as, and nothing else: who breaks into the process that
reads strangers' pictures cannot mint credits. Everything here can run again; it does so at every start.

Reads DATABASE_URL (of a login that may create roles), DAGSTER_DATABASE_URL (of Dagster's own) and the passwords in PGPASSFILE.
"""

import os
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from carousel_pipeline.artifacts import open_store
from carousel_pipeline.database import connect, ensure_database, migrate, query
from carousel_pipeline.errors import CarouselError, ConfigurationError
from carousel_pipeline.settings import get_settings

_MEMBERS = MappingProxyType(
    {
        "carousel_bot": ("led_bot", "led_pay", "led_house"),
        "carousel_pipeline": ("led_pipeline",),
        "carousel_analyst": ("led_analyst",),
    }
)


def main() -> None:
    """Prepare everything; 2 with one clear line when that cannot be."""
    try:
        settings = get_settings()
        if settings.database_url is None or settings.dagster_database_url is None:
            raise ConfigurationError("DATABASE_URL and DAGSTER_DATABASE_URL name the databases to prepare; set both")
        if settings.artifacts_url is not None:
            open_store(settings.artifacts_url).prepare()
        prepare(
            settings.database_url.get_secret_value(),
            settings.dagster_database_url.get_secret_value(),
            read_passwords(Path(os.environ["PGPASSFILE"])),
        )
    except (CarouselError, psycopg.Error) as error:
        sys.stderr.write(f"carousel: {str(error).strip()}\n")
        sys.exit(2)
    # It makes the tables and brings old ones up to date; Dagster has no other public way to do that.
    sys.exit(subprocess.run([sys.executable, "-m", "dagster", "instance", "migrate"], check=False).returncode)


def prepare(database_url: str, dagster_url: str, passwords: dict[str, str]) -> None:
    """Make databases, schema and logins; Dagster's tables are Dagster's to make.

    Args:
        database_url: of our database, as a login that may create roles and databases.
        dagster_url: of Dagster's database, as the login that shall own it.
        passwords: by login.

    Raises:
        MigrationError: the database and the migrations do not agree.
        psycopg.Error: the server refuses.
    """
    dagster = conninfo_to_dict(dagster_url)
    owner, name = str(dagster["user"]), str(dagster["dbname"])
    ensure_database(database_url)
    migrate(database_url)
    ensure_database(make_conninfo(database_url, dbname=name))
    with connect(database_url, None) as server:
        for login in (*_MEMBERS, owner):
            _let_in(server, login, passwords[login])
        for login, roles in _MEMBERS.items():
            for role in roles:
                server.execute(_filled("logins.become", role=role, login=login))
        for statement in ("logins.own_database", "logins.close_database"):
            server.execute(_filled(statement, database=name, login=owner))


def read_passwords(pgpass: Path) -> dict[str, str]:
    """Return the passwords by login of a libpq password file."""
    lines = pgpass.read_text(encoding="ascii").splitlines()
    return {fields[3]: fields[4] for fields in (line.split(":", 4) for line in lines)}


def _let_in(server: psycopg.Connection[dict[str, object]], login: str, password: str) -> None:
    if server.execute(query("logins.exists"), {"login": login}).fetchone() is None:
        server.execute(_filled("logins.create", login=login))
    # The server sees a verifier and never the password, so neither does its log.
    verifier = server.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256")
    server.execute(_filled("logins.admit", login=login, verifier=sql.Literal(verifier.decode())))


def _filled(name: str, **values: str | sql.Composable) -> sql.Composed:
    parts = {key: sql.Identifier(value) if isinstance(value, str) else value for key, value in values.items()}
    return sql.SQL(query(name).decode()).format(**parts)


if __name__ == "__main__":
    main()
