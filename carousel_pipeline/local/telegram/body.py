"""Reading a request's body: multipart with files streamed to disk, urlencoded or JSON."""

import json
from typing import Any, Final

from aiohttp import BodyPartReader, web

from carousel_pipeline.local.telegram.arguments import Arguments
from carousel_pipeline.local.telegram.files import MAX_UPLOAD, Files, Incoming, Upload
from carousel_pipeline.local.telegram.refusals import bad_request, too_large

_CHUNK: Final = 256 * 1024
_MAX_FIELD: Final = 1024 * 1024
_MAX_FILES: Final = 60


async def read_arguments(request: web.Request, files: Files) -> Arguments:
    """Return the parameters of a request, those of the query string included.

    Raises:
        RefusedError: the body cannot be read, or a file is larger than 50 MB.
    """
    values: dict[str, Any] = dict(request.query)
    uploads: dict[str, Upload] = {}
    kind = request.content_type
    if not request.can_read_body:
        return Arguments(values, uploads)
    if kind == "multipart/form-data":
        await _read_parts(request, files, values, uploads)
    elif kind == "application/json":
        try:
            sent = json.loads(await request.read() or b"{}")
        except ValueError:
            raise bad_request("Can't parse JSON object") from None
        if not isinstance(sent, dict):
            raise bad_request("Can't parse JSON object")
        values |= sent
    elif kind == "application/x-www-form-urlencoded":
        values |= {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
    return Arguments(values, uploads)


async def _read_parts(request: web.Request, files: Files, values: dict[str, Any], uploads: dict[str, Upload]) -> None:
    try:
        reader = await request.multipart()
        async for part in reader:
            if not isinstance(part, BodyPartReader) or not part.name:
                raise bad_request("can't parse the multipart body")
            if part.filename is None:
                values[part.name] = await _field(part)
            elif len(uploads) >= _MAX_FILES:
                raise bad_request("too many files in the request")
            else:
                uploads[part.name] = await _file(part, files)
    except ValueError:
        raise bad_request("can't parse the multipart body") from None


async def _field(part: BodyPartReader) -> str:
    content = bytearray()
    while chunk := await part.read_chunk(_CHUNK):
        content += chunk
        if len(content) > _MAX_FIELD:
            raise too_large()
    return content.decode("utf-8", "replace")


async def _file(part: BodyPartReader, files: Files) -> Upload:
    incoming = files.receive()
    try:
        await _receive(part, incoming)
        return Upload(incoming.finish(), part.filename or "file", part.headers.get("Content-Type"))
    except BaseException:
        incoming.discard()
        raise


async def _receive(part: BodyPartReader, incoming: Incoming) -> None:
    while chunk := await part.read_chunk(_CHUNK):
        incoming.write(chunk)
        if incoming.size > MAX_UPLOAD:
            raise too_large()
    if not incoming.size:
        raise bad_request("file must be non-empty")
