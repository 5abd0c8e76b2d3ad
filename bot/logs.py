"""Logs that an operator may read and keep: no token, no text of anybody.

Libraries put both into their exceptions' messages (a URL, a failing row, an invalid input), so a traceback is written as where it
happened and what kind of error it was, without its message.
"""

import logging
import re
import sys
import traceback
from types import MappingProxyType, TracebackType
from typing import Final

_TOKEN: Final = re.compile(r"\d{3,}:[A-Za-z0-9_-]{8,}")
_LEVELS: Final = MappingProxyType(
    {"aiogram": logging.WARNING, "aiohttp.access": logging.WARNING, "psycopg.pool": logging.ERROR}
)


class QuietFormatter(logging.Formatter):
    """Formats records without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line with every token blotted out."""
        return _TOKEN.sub("<token>", super().format(record))

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


def configure_logging() -> None:
    """Send the process's logs to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(QuietFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
