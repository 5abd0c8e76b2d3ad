"""`carousel backup` and `carousel restore`: both databases and every stored object in one folder, whole or not at all.

What stays true:

- every row of a copy finds its objects in it: rows are dumped before objects are copied, nothing is forgotten meanwhile
  (the cleanup's lock is held), and objects never change;
- a copy is a copy once its manifest is written, which is last: a folder without one was interrupted;
- nothing is restored over something: only into databases that have no tables of ours;
- after it the books are asked whether they agree, and every row whether its object is there.

What was paid after the copy was made is not in it. The provider still knows it: reconciliation credits it again.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel, ConfigDict, ValidationError

from carousel_pipeline.artifacts import ArtifactStore, LocalStore
from carousel_pipeline.artifacts.store import ArtifactMissingError
from carousel_pipeline.database import connect, ensure_database, query
from carousel_pipeline.errors import ConfigurationError, PermanentError, TransientError
from carousel_pipeline.local.postgres import EmbeddedPostgres, binaries

MANIFEST: Final = "manifest.json"
_OURS: Final = "carousel.dump"
_DAGSTER: Final = "dagster.dump"
_OBJECTS: Final = "objects"
_CONTENT_TYPES: Final = MappingProxyType(
    {
        ".json": "application/json",
        ".jpg": "image/jpeg",
        ".png": "image/png",
        ".pdf": "application/pdf",
    }
)
_ENVIRONMENT: Final = MappingProxyType(
    {
        "host": "PGHOST",
        "port": "PGPORT",
        "user": "PGUSER",
        "password": "PGPASSWORD",
        "dbname": "PGDATABASE",
        "sslmode": "PGSSLMODE",
        "sslrootcert": "PGSSLROOTCERT",
    }
)


class Manifest(BaseModel):
    """What a copy holds.

    Attributes:
        made_at: when the rows were read.
        roles: of the ledger; the server's, and so in no dump.
        sha256: of each dump, by file name.
        objects: how many stored objects.
        bytes: of these.
        rows: of the tables that money is in, by table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    made_at: datetime
    roles: tuple[str, ...]
    sha256: dict[str, str]
    objects: int
    bytes: int
    rows: dict[str, int]


class Checked(BaseModel):
    """How a restored copy was found.

    Attributes:
        made_at: the copy's time.
        rows: counted again, by table; the same as the manifest's, or the restoration failed.
        violations: of the ledger's invariants, as `rule: id`.
        missing: rows whose object is not there, or not what it was.
        objects: restored.
        seconds: from begin to end.
    """

    made_at: datetime
    rows: dict[str, int]
    violations: tuple[str, ...]
    missing: int
    objects: int
    seconds: float

    @property
    def well(self) -> bool:
        """Whether the product could go on from here."""
        return not self.violations and not self.missing


def back_up(database_url: str, dagster_url: str | None, store: ArtifactStore, into: Path) -> Path:
    """Copy everything into a new folder of `into`, named by the time, and return it.

    Args:
        database_url: of our database, as a login that may read all of it.
        dagster_url: of Dagster's; None leaves its history out.
        store: the objects.
        into: on another disk than what it is to replace.

    Raises:
        TransientError: a cleanup is at work, or the database does not answer.
        PermanentError: a dump or an object cannot be read; nothing that could be taken for a copy is left.
    """
    now = datetime.now(UTC)
    folder = into / now.strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True, mode=0o700)
    with connect(database_url, None) as session:
        if not _value(session, "cleanup.alone"):
            raise TransientError("a cleanup is at work; make the copy when it has ended")
        rows = _counted(session)
        roles = tuple(row["name"] for row in session.execute(query("backup.roles")))
        dumps = {_OURS: database_url} | ({_DAGSTER: dagster_url} if dagster_url else {})
        for name, url in dumps.items():
            _run("pg_dump", url, "--format=custom", "--compress=6", f"--file={folder / name}")
        objects = size = 0
        copies = LocalStore(folder / _OBJECTS)
        for item in store.listing(""):
            data = store.get(item.key)
            copies.put(item.key, data, content_type="")
            objects += 1
            size += len(data)
    manifest = Manifest(
        made_at=now,
        roles=roles,
        sha256={name: _digest(folder / name) for name in dumps},
        objects=objects,
        bytes=size,
        rows=rows,
    )
    draft = folder / f".{MANIFEST}"
    draft.write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    draft.replace(folder / MANIFEST)
    return folder


def restore(copy: Path, database_url: str, dagster_url: str | None, store: ArtifactStore) -> Checked:
    """Bring a copy back and look whether it is whole.

    Args:
        copy: a folder that `back_up` returned.
        database_url: of our database, without tables of ours; it is made if there is none.
        dagster_url: as above; None leaves Dagster's history out.
        store: where the objects go; what is there already is left alone.

    Raises:
        ConfigurationError: there is something in the database already.
        PermanentError: the copy is not whole, or the server refuses.
    """
    begun = datetime.now(UTC)
    manifest = _manifest(copy)
    store.prepare()
    for name, url in ((_OURS, database_url), (_DAGSTER, dagster_url)):
        if url is not None and name in manifest.sha256:
            _restore_database(copy / name, url, manifest.roles)
    copies = LocalStore(copy / _OBJECTS)
    for item in copies.listing(""):
        content_type = _CONTENT_TYPES.get(Path(item.key).suffix, "application/octet-stream")
        store.put(item.key, copies.get(item.key), content_type=content_type)
    with connect(database_url, None) as session:
        if (rows := _counted(session)) != manifest.rows:
            raise PermanentError(f"rows are missing after the restoration: {_differences(manifest.rows, rows)}")
        violations = tuple(f"{row['rule']}: {row['id']}" for row in session.execute(query("backup.violations")))
        missing = sum(not _readable(store, row["key"]) for row in session.execute(query("backup.objects")))
    seconds = (datetime.now(UTC) - begun).total_seconds()
    return Checked(
        made_at=manifest.made_at,
        rows=rows,
        violations=violations,
        missing=missing,
        objects=manifest.objects,
        seconds=round(seconds, 1),
    )


def drill(copy: Path) -> Checked:
    """Restore a copy into a PostgreSQL and a folder that are made for it and thrown away."""
    with (
        tempfile.TemporaryDirectory(prefix="carousel-drill-", ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(Path(folder) / "postgres", durable=False) as postgres,
    ):
        return restore(copy, postgres.url("carousel"), postgres.url("dagster"), LocalStore(Path(folder) / "artifacts"))


def _manifest(copy: Path) -> Manifest:
    try:
        manifest = Manifest.model_validate_json((copy / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise PermanentError(f"{copy} has no {MANIFEST}: it is no copy, or one that was interrupted") from None
    except ValidationError as error:
        raise PermanentError(f"{copy / MANIFEST} cannot be read: {error.error_count()} errors") from None
    for name, digest in manifest.sha256.items():
        if not (copy / name).is_file() or _digest(copy / name) != digest:
            raise PermanentError(f"{copy / name} is not what was written: take another copy")
    return manifest


def _restore_database(dump: Path, url: str, roles: tuple[str, ...]) -> None:
    ensure_database(url)
    with connect(url, None) as session:
        if _value(session, "backup.in_use"):
            name = session.info.dbname
            raise ConfigurationError(
                f"the database {name} has tables already: restore into an empty one, and then switch"
            )
        for role in roles:
            make = sql.SQL(query("backup.role").decode())
            session.execute(make.format(role=sql.Identifier(role), name=sql.Literal(role)))
    _run(
        "pg_restore",
        url,
        "--single-transaction",
        "--exit-on-error",
        "--dbname",
        _environment(url)["PGDATABASE"],
        str(dump),
    )


def _run(program: str, url: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs. The address, with its password, goes in the environment: others see command lines."""
    own = binaries() / program
    command = [str(own if own.is_file() else shutil.which(program) or program), "--no-password", *arguments]
    done = subprocess.run(  # noqa: S603 - our own binary and arguments
        command, env=os.environ | _environment(url), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise PermanentError(f"{program} failed: {''.join(last)}")


def _environment(url: str) -> dict[str, str]:
    parts = conninfo_to_dict(url)
    return {_ENVIRONMENT[name]: str(value) for name, value in parts.items() if name in _ENVIRONMENT}


def _readable(store: ArtifactStore, key: str) -> bool:
    try:
        store.get(key)
    except ArtifactMissingError:
        return False
    return True


def _counted(session: psycopg.Connection[dict[str, Any]]) -> dict[str, int]:
    return {row["name"]: row["rows"] for row in session.execute(query("backup.rows"))}


def _value(session: psycopg.Connection[dict[str, Any]], name: str) -> Any:
    row = session.execute(query(name)).fetchone()
    (value,) = (row or {"": None}).values()
    return value


def _differences(before: dict[str, int], after: dict[str, int]) -> str:
    return ", ".join(
        f"{name} {before.get(name)} -> {after.get(name)}" for name in before if before[name] != after.get(name)
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
