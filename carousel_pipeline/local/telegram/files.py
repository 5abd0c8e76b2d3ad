"""Files as Telegram keeps them: bytes by content hash, handed out under opaque file ids.

A download returns exactly the bytes of the upload, photos too, so that tests can compare them; the real service recompresses
photos. The smaller sizes a photo is announced with are made from it when somebody first asks for one.
"""

import asyncio
import hashlib
import mimetypes
import secrets
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Final

from carousel_pipeline.local.telegram.journal import Journal
from carousel_pipeline.local.telegram.refusals import WRONG_FILE, bad_request

MAX_PHOTO: Final = 10 * 1024 * 1024
MAX_UPLOAD: Final = 50 * 1024 * 1024
MAX_DOWNLOAD: Final = 20 * 1024 * 1024
_MAX_SIDES: Final = 10_000
_MAX_RATIO: Final = 20
_SIZES: Final = MappingProxyType({"s": 90, "m": 320, "x": 800, "y": 1280})
_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_PREFIX: Final = MappingProxyType({"photo": "AgACAgI", "document": "BQACAgI"})
_TABLE: Final = "files"


@dataclass(frozen=True)
class Blob:
    """Stored bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Upload:
    """A file that came with a request: its bytes and the name its sender gave it."""

    blob: Blob
    name: str
    content_type: str | None


class Incoming:
    """A file being received; `write` parts, then `finish` once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f".part-{secrets.token_hex(8)}"
        self._file: BinaryIO = self._path.open("wb")
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, part: bytes) -> None:
        """Append `part`."""
        self._file.write(part)
        self._hash.update(part)
        self.size += len(part)

    def finish(self) -> Blob:
        """Keep the file under its hash."""
        self._file.close()
        sha256 = self._hash.hexdigest()
        self._path.replace(self._folder / sha256)
        return Blob(sha256, self.size)

    def discard(self) -> None:
        """Forget the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class Files:
    """The files of one server.

    Args:
        folder: where the bytes go, one file per hash.
        journal: where the file ids go.
    """

    def __init__(self, folder: Path, journal: Journal) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._journal = journal
        for part in folder.glob(".part-*"):
            part.unlink(missing_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Delete bytes that no file id names: what a reset or a failed call left behind; uploads under way stay."""
        named = {row["sha256"] for row in self._journal.table(_TABLE).values()}
        for path in self._folder.iterdir():
            if not path.name.startswith(".") and path.name.partition("-")[0] not in named:
                path.unlink(missing_ok=True)

    def receive(self) -> Incoming:
        """Start receiving a file."""
        return Incoming(self._folder)

    async def photo(self, source: Upload | str, *, frame: str = "{}") -> list[dict[str, Any]]:
        """Return the PhotoSize list of an upload or of a known file id, smallest first, the picture itself last.

        Args:
            source: an upload or a file id of an earlier photo.
            frame: put around what Telegram's servers (not its library) refuse with; an album names the item there.

        Raises:
            RefusedError: not a picture, too large, of impossible dimensions, or an unknown id.
        """
        if isinstance(source, str):
            return _photo_sizes(source[: -len("w")], self._known(source, "photo"))
        blob = source.blob
        if blob.size > MAX_PHOTO:
            raise bad_request(
                f"file of size {blob.size} bytes is too big for a photo; the maximum size is {MAX_PHOTO} bytes"
            )
        dimensions = await asyncio.to_thread(_dimensions, self._folder / blob.sha256)
        if dimensions is None:
            raise bad_request(frame.format("IMAGE_PROCESS_FAILED"))
        width, height = dimensions
        if width + height > _MAX_SIDES or max(dimensions) > _MAX_RATIO * min(dimensions):
            raise bad_request(frame.format("PHOTO_INVALID_DIMENSIONS"))
        row = {"kind": "photo", "sha256": blob.sha256, "size": blob.size, "width": width, "height": height}
        return _photo_sizes(self._register(row), row)

    def document(self, source: Upload | str) -> dict[str, Any]:
        """Return the Document of an upload or of a known file id."""
        if isinstance(source, str):
            return _document(source, self._known(source, "document"))
        name = source.name.replace("/", "_").replace("\\", "_").strip() or "file"
        mime = mimetypes.guess_type(name)[0] or source.content_type or "application/octet-stream"
        row = {"kind": "document", "sha256": source.blob.sha256, "size": source.blob.size, "name": name, "mime": mime}
        return _document(self._register(row), row)

    def describe(self, file_id: str) -> dict[str, Any] | None:
        """Return what is known about a file id (kind, sha256, size, name, mime, width, height), or None."""
        row = self._journal.table(_TABLE).get(file_id) or self._journal.table(_TABLE).get(file_id[:-1])
        return row if isinstance(row, dict) else None

    async def path(self, file_id: str) -> Path | None:
        """Return the file of an id, made first when it is a smaller size of a photo."""
        row = self.describe(file_id)
        if row is None:
            return None
        original = self._folder / str(row["sha256"])
        side = _SIZES.get(file_id[-1]) if row["kind"] == "photo" else None
        if side is None or side >= max(row["width"], row["height"]):
            return original
        smaller = original.with_name(f"{original.name}-{side}.jpg")
        if not smaller.exists():
            await asyncio.to_thread(_shrink, original, smaller, side)
        return smaller

    def _known(self, file_id: str, kind: str) -> dict[str, Any]:
        row = self.describe(file_id)
        if row is None:
            raise bad_request(WRONG_FILE)
        if row["kind"] != kind:
            raise bad_request(f"can't use file of type {row['kind'].capitalize()} as {kind.capitalize()}")
        return row

    def _register(self, row: dict[str, Any]) -> str:
        row["unique"] = f"AQAD{secrets.token_urlsafe(9)}"
        key = f"{_PREFIX[row['kind']]}{secrets.token_urlsafe(36)}"
        self._journal.put(_TABLE, key, row)
        return key


def _photo_sizes(key: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    width, height = row["width"], row["height"]
    sizes = []
    for letter, side in _SIZES.items():
        if side < max(width, height):
            scale = side / max(width, height)
            sizes.append(
                {
                    "file_id": f"{key}{letter}",
                    "file_unique_id": f"{row['unique']}{letter}",
                    "width": max(1, round(width * scale)),
                    "height": max(1, round(height * scale)),
                }
            )
    original = {"file_id": f"{key}w", "file_unique_id": f"{row['unique']}w", "file_size": row["size"]}
    return [*sizes, {**original, "width": width, "height": height}]


def _document(file_id: str, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "file_id": file_id,
        "file_unique_id": row["unique"],
        "file_name": row["name"],
        "mime_type": row["mime"],
        "file_size": row["size"],
    }


def _dimensions(path: Path) -> tuple[int, int] | None:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 -- the first picture pays for it, not the start

    # The header alone is read here, and what is too large is refused by its dimensions; the guard would only add a warning.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            return picture.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None


def _shrink(original: Path, smaller: Path, side: int) -> None:
    from PIL import Image  # noqa: PLC0415 -- as in _dimensions

    partial = smaller.with_suffix(f".{secrets.token_hex(4)}")
    with Image.open(original, formats=_FORMATS) as picture:
        picture.draft("RGB", (side, side))
        converted = picture.convert("RGB")
        converted.thumbnail((side, side))
        converted.save(partial, "JPEG", quality=87)
    partial.replace(smaller)
