"""Tables that survive a restart: an append-only journal of puts and drops, replayed at start, rewritten when it grows.

One record is one line, written with one system call before the caller goes on, so a killed server loses at most a torn last line,
which the next start cuts off. A damaged line in the middle is an error that names the file: guessing would invent history.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carousel_pipeline.errors import ConfigurationError

_SLACK = 5_000  # superseded lines that are cheaper to keep than to rewrite


class Journal:
    """Named tables of JSON values with string keys, in insertion order.

    Args:
        home: folder of the journal; one process at a time may hold it.
    """

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._path = home / "journal.jsonl"
        self._lock = (home / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise ConfigurationError(
                f"{home} is in use by another local Telegram; stop it or choose another --home"
            ) from None
        self._tables: dict[str, dict[str, Any]] = {}
        self._lines = 0
        self._live = 0
        try:
            self._replay()
        except BaseException:
            self._lock.close()
            raise
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._compact_if_due()

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a live view of one table; values must not be changed in place."""
        return self._tables.setdefault(name, {})

    def put(self, name: str, key: str, value: Any) -> None:
        """Store `value` under `key`."""
        rows = self._tables.setdefault(name, {})
        self._live += key not in rows
        rows[key] = value
        self._write([name, key, value])

    def drop(self, name: str, key: str) -> None:
        """Forget `key`; unknown keys are fine."""
        rows = self._tables.get(name, {})
        if key in rows:
            del rows[key]
            self._live -= 1
            self._write([name, key])

    def keep_newest(self, name: str, count: int) -> None:
        """Forget the oldest rows of a table beyond `count`."""
        rows = self._tables.get(name, {})
        while len(rows) > count:
            self.drop(name, next(iter(rows)))

    def clear(self, keep: frozenset[str]) -> None:
        """Forget every table except those named in `keep`."""
        self._tables = {name: rows for name, rows in self._tables.items() if name in keep}
        self._live = sum(len(rows) for rows in self._tables.values())
        self._compact()

    def close(self) -> None:
        """Release the file and the lock."""
        os.close(self._file)
        self._lock.close()

    def _write(self, record: list[Any]) -> None:
        os.write(self._file, _line(record))
        self._lines += 1
        self._compact_if_due()

    def _replay(self) -> None:
        if not self._path.exists():
            return
        good = 0
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    name, key, *value = json.loads(line)
                except ValueError:
                    raise ConfigurationError(
                        f"{self._path} is damaged at line {number}; move it away to start afresh"
                    ) from None
                rows = self._tables.setdefault(name, {})
                if value:
                    rows[key] = value[0]
                else:
                    rows.pop(key, None)
                good += len(line)
                self._lines += 1
        os.truncate(self._path, good)
        self._live = sum(len(rows) for rows in self._tables.values())

    def _compact_if_due(self) -> None:
        if self._lines > 2 * self._live + _SLACK:
            self._compact()

    def _compact(self) -> None:
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as out:
            for name, rows in self._tables.items():
                for key, value in rows.items():
                    out.write(_line([name, key, value]))
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._path)
        os.close(self._file)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        self._lines = self._live


def _line(record: list[Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
