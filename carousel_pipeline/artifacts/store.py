"""Where finished objects live.

A key's content never changes: pictures and slides are stored under their own hash, an asset's JSON under the request that made
it, and writing the same bytes again is harmless. A reader sees a whole object or none, also after a crash in the middle of a
write: an object is written beside its place and renamed into it.

A key that holds a hash is a promise about its bytes, and every read checks it: a disk that rots or a bucket that somebody edits
costs a picture, and never sends a person something else.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import regex

from carousel_pipeline.errors import ConfigurationError, PermanentError

_KEY = regex.compile(r"(?:[a-z0-9_-]+/)*[A-Za-z0-9_.-]+")
_BY_CONTENT = regex.compile(r"objects/(?P<start>[0-9a-f]{2})/(?P<sha256>[0-9a-f]{64})\.[a-z0-9]+")
OBJECTS: Final = "objects/"
LINK_VALID_S: Final = 3600
_DRAFT: Final = ".new-"


class ArtifactMissingError(PermanentError):
    """No object is stored under this key."""


class ArtifactCorruptError(ArtifactMissingError):
    """Other bytes are stored under this key than its hash promises: what was stored is gone."""


@dataclass(frozen=True)
class StoredObject:
    """What a listing says about one object.

    Attributes:
        modified: when its bytes were last written, by the storage's clock.
    """

    key: str
    modified: datetime


class ArtifactStore(Protocol):
    """An object store. Keys are `a/b/name.ext` of `[a-z0-9_-]` folders; a wrong key is a `ValueError`.

    Every call raises `ConfigurationError` where the storage refuses or is set up wrongly, and `TransientError` where it does
    not answer; `ArtifactMissingError` is about one key alone.
    """

    def prepare(self) -> None:
        """Make the folder or bucket if there is none; the storage can be used afterwards."""
        ...

    def check(self) -> None:
        """Raise the error that using the storage would raise; cheap, changes nothing."""
        ...

    def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """Store `data` whole or not at all."""
        ...

    def get(self, key: str) -> bytes:
        """Return the object's bytes, or raise `ArtifactMissingError` or `ArtifactCorruptError`."""
        ...

    def exists(self, key: str) -> bool:
        """Whether an object is stored under `key`."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; a missing one is no error."""
        ...

    def listing(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every object whose key starts with `prefix`, in the order of the keys, however many there are."""
        ...

    def unfinished(self, before: datetime) -> Iterator[str]:
        """Yield the keys of what killed writers left half written before then: no object, and no listing names it."""
        ...

    def link(self, key: str, file_name: str) -> str:
        """Return an address that downloads the object as `file_name`, for `LINK_VALID_S` seconds where it leaves this machine."""
        ...


class LocalStore:
    """Objects as files below one folder; the default on one machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def prepare(self) -> None:
        """Make the folder."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"ARTIFACTS_URL: {self._root} cannot be made: {error.strerror}") from None
        self.check()

    def check(self) -> None:
        """Say whether the folder may not be read; one that is not there yet is made with the first object."""
        if self._root.exists() and not (self._root.is_dir() and os.access(self._root, os.R_OK | os.X_OK)):
            raise ConfigurationError(f"ARTIFACTS_URL: this process may not read {self._root}; give it to its user")

    def put(self, key: str, data: bytes, *, content_type: str) -> None:  # noqa: ARG002 - a file system has no content types
        """Store `data` whole or not at all."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_DRAFT)
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
        """Return the object's bytes, or raise `ArtifactMissingError` or `ArtifactCorruptError`."""
        try:
            return verified(key, self._path(key).read_bytes())
        except FileNotFoundError:
            raise ArtifactMissingError(f"no stored object {key}") from None

    def exists(self, key: str) -> bool:
        """Whether an object is stored under `key`."""
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        """Remove the object; a missing one is no error."""
        self._path(key).unlink(missing_ok=True)

    def listing(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every object whose key starts with `prefix`, in the order of the keys."""
        folder = self._root / prefix.rpartition("/")[0]
        found = {path.relative_to(self._root).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        for key in sorted(found):
            if key.startswith(prefix) and not found[key].name.startswith(_DRAFT):
                yield StoredObject(key, datetime.fromtimestamp(found[key].stat().st_mtime, UTC))

    def unfinished(self, before: datetime) -> Iterator[str]:
        """Yield the keys of the drafts that were last written before then."""
        for path in sorted(self._root.rglob(f"{_DRAFT}*")):
            with contextlib.suppress(FileNotFoundError):  # finished just now
                if datetime.fromtimestamp(path.stat().st_mtime, UTC) < before:
                    yield path.relative_to(self._root).as_posix()

    def link(self, key: str, file_name: str) -> str:  # noqa: ARG002 - a file has the name it has
        """Return the file's address on this machine."""
        return self._path(key).absolute().as_uri()

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)


def checked_key(key: str) -> str:
    """Return `key`, or raise `ValueError` for one that could lead out of the store."""
    if not _KEY.fullmatch(key) or ".." in key:
        raise ValueError(f"not an artifact key: {key!r}")
    return key


def content_key(data: bytes, extension: str) -> str:
    """Return the key of an object that is addressed by its content: `objects/ab/<sha256>.<extension>`."""
    digest = hashlib.sha256(data).hexdigest()
    return f"{OBJECTS}{digest[:2]}/{digest}.{extension}"


def verified(key: str, data: bytes) -> bytes:
    """Return `data`, which was read under `key`; raise `ArtifactCorruptError` when the key promises other bytes."""
    promise = _BY_CONTENT.fullmatch(key)
    if promise is not None and hashlib.sha256(data).hexdigest() != promise["sha256"]:
        raise ArtifactCorruptError(f"the stored object {key} is not what was stored: restore it, or have it made again")
    return data
