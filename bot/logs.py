"""Logs that an operator may read and keep: no token, no text of anybody.

Libraries put both into their exceptions' messages (a URL, a failing row, an invalid input), so a traceback is written as where it
happened and what kind of error it was, without its message. Each line says which request or update it is about, where it is about
one: `request=…` in text, a field in JSON.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Final, Literal

_TOKEN: Final = re.compile(r"\d{3,}:[A-Za-z0-9_-]{8,}")
_LEVELS: Final = MappingProxyType(
    {"aiogram": logging.WARNING, "aiohttp.access": logging.WARNING, "psycopg.pool": logging.ERROR}
)


_subject: ContextVar[tuple[str, str] | None] = ContextVar("subject", default=None)


@contextmanager
def about(kind: Literal["request", "update"], number: object) -> Iterator[None]:
    """Have every line that is logged inside say what it is about."""
    before = _subject.set((kind, str(number)))
    try:
        yield
    finally:
        _subject.reset(before)


class QuietFormatter(logging.Formatter):
    """Formats records without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line with every token blotted out."""
        subject = _subject.get()
        return _TOKEN.sub("<token>", super().format(record)) + ("" if subject is None else " {}={}".format(*subject))

    def formatException(  # noqa: N802 (the base class's name)
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """Return where an error happened and its kind, for it and what caused it."""
        lines: list[str] = []
        error = ei[1]
        while error is not None:
            frames = traceback.extract_tb(error.__traceback__)
            lines += [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
            lines.append(f"{type(error).__module__}.{type(error).__qualname__}")
            error = error.__cause__
        return "\n".join(lines)


class JsonFormatter(QuietFormatter):
    """One JSON object a line: time, level, logger, message, and where there is one request or update, and error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (subject := _subject.get()) is not None:
            line[subject[0]] = subject[1]
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return _TOKEN.sub("<token>", json.dumps(line, ensure_ascii=False))


def configure_logging(form: Literal["text", "json"] = "text") -> None:
    """Send the process's logs to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    plain = QuietFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else plain)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
