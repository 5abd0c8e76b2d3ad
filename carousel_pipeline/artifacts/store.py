"""Where finished objects live.

A key's content never changes: pictures and slides are stored under their own hash, an asset's JSON under the request that made
it, and writing the same bytes again is harmless. A reader sees a whole object or none, also after a crash in the middle of a
write: an object is written beside its place and renamed into it.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import regex

from carousel_pipeline.errors import ConfigurationError, PermanentError

_KEY = regex.compile(r"(?:[a-z0-9_-]+/)*[A-Za-z0-9_.-]+")


class ArtifactMissingError(PermanentError):
    """No object is stored under this key."""


class ArtifactStore(Protocol):
    """An object store. Keys are `a/b/name.ext` of `[a-z0-9_-]` folders; a wrong key is a `ValueError`."""

    def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """Store `data` whole or not at all."""
        ...

    def get(self, key: str) -> bytes:
        """Return the object's bytes, or raise `ArtifactMissingError`."""
        ...

    def exists(self, key: str) -> bool:
        """Whether an object is stored under `key`."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; a missing one is no error."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield every key that starts with `prefix`, in order."""
        ...


class LocalStore:
    """Objects as files below one folder; the default on one machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, data: bytes, *, content_type: str) -> None:  # noqa: ARG002 - a file system has no content types
        """Store `data` whole or not at all."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def get(self, key: str) -> bytes:
        """Return the object's bytes, or raise `ArtifactMissingError`."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise ArtifactMissingError(f"no stored object {key}") from None

    def exists(self, key: str) -> bool:
        """Whether an object is stored under `key`."""
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        """Remove the object; a missing one is no error."""
        self._path(key).unlink(missing_ok=True)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield every key that starts with `prefix`, in order."""
        found = (path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_file())
        yield from sorted(key for key in found if key.startswith(prefix) and not Path(key).name.startswith(".new-"))

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key) or ".." in key:
            raise ValueError(f"not an artifact key: {key!r}")
        return self._root / key


def content_key(data: bytes, extension: str) -> str:
    """Return the key of an object that is addressed by its content: `objects/ab/<sha256>.<extension>`."""
    digest = hashlib.sha256(data).hexdigest()
    return f"objects/{digest[:2]}/{digest}.{extension}"


def open_store(url: str) -> ArtifactStore:
    """Return the store at `url`; `file:///folder` is the one kind known so far.

    Raises:
        ConfigurationError: the address is of no known kind.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path:
        return LocalStore(Path(unquote(parts.path)))
    raise ConfigurationError(
        f"ARTIFACTS_URL must be file:///some/folder, not {parts.scheme or 'an address without a scheme'}"
    )
