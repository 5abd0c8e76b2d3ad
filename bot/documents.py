"""Text out of a file that somebody sent: which files, how big, in which encoding. Pure."""

from pathlib import PurePath
from typing import Final, Literal

MAX_BYTES: Final = 1_000_000
_SUFFIXES: Final = frozenset({".txt", ".md", ".markdown", ".text"})
_KINDS: Final = frozenset({"text/plain", "text/markdown", "text/x-markdown"})
_MOST_CONTROLS: Final = 0.02


class DocumentError(ValueError):
    """A file was refused; `reason` is the key of the words for it."""

    def __init__(self, reason: Literal["file_kind", "file_size", "file_text"]) -> None:
        super().__init__(f"document refused: {reason}")
        self.reason = reason


def readable(name: str | None, mime_type: str | None) -> bool:
    """Whether a file may hold plain text, going by its name and what its sender's device says."""
    suffix = PurePath(name or "").suffix.lower()
    return suffix in _SUFFIXES or (not suffix and mime_type in _KINDS)


def read_text(data: bytes) -> str:
    """Return the text of a file: UTF-8, UTF-16 with its mark, or Windows Cyrillic, as old notepads save it.

    Raises:
        DocumentError: it is something else under a text's name.
    """
    encodings = ("utf-16",) if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else ("utf-8-sig", "cp1251")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        controls = sum(not character.isprintable() and not character.isspace() for character in text)
        if controls <= _MOST_CONTROLS * len(text):
            return text
    raise DocumentError("file_text")
