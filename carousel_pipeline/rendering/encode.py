"""Pixels to files. JPEG for albums, fast lossless PNG for documents, PDF of JPEGs for LinkedIn. Never EXIF.

JPEG is 4:4:4 at quality 95: half-resolution colour ruins coloured letters, and a second generation by the messenger costs less
from 95 than from 92. The PNG writer is ours because Pillow's Linux wheel compresses on the system's zlib, 6 to 40 times slower.
"""

import io
import struct
from collections.abc import Sequence

import numpy as np
from isal import isal_zlib
from PIL import Image

from carousel_pipeline.errors import PermanentError

_QUALITY = 95
_DPI = 144.0


def to_jpeg(image: Image.Image, quality: int = _QUALITY) -> bytes:
    """Return a baseline JPEG, 4:4:4; less than the usual quality 95 is for files with a limit."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def to_png(image: Image.Image) -> bytes:
    """Return a lossless RGB PNG: the "up" filter in numpy, then one deflate call."""
    pixels = np.asarray(image.convert("RGB") if image.mode != "RGB" else image)
    height, width, _ = pixels.shape
    rows = pixels.reshape(height, width * 3)
    filtered = np.empty((height, 1 + width * 3), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = isal_zlib.compress(filtered.data, 1)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(tag: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", isal_zlib.crc32(tag + data))


def to_pdf(jpegs: Sequence[bytes]) -> bytes:
    """Return a PDF with one page per JPEG, the JPEGs stored as they are.

    Raises:
        PermanentError: no slides, or slides of different sizes.
    """
    if not jpegs:
        raise PermanentError("a PDF needs at least one slide")
    objects: list[bytes] = []
    sizes: set[tuple[int, int]] = set()
    pages = len(jpegs)
    objects.extend((b"<</Type/Catalog/Pages 2 0 R>>", b""))
    for index, jpeg in enumerate(jpegs):
        with Image.open(io.BytesIO(jpeg)) as opened:
            width, height = opened.size
        sizes.add((width, height))
        picture, content = 4 + index * 3, 5 + index * 3
        wide, high = (round(side * 72 / _DPI, 2) for side in (width, height))
        drawing = f"q {wide} 0 0 {high} 0 0 cm /S Do Q".encode()
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {wide} {high}]"
            f"/Resources<</XObject<</S {picture} 0 R>>>>/Contents {content} 0 R>>".encode()
        )
        objects.append(
            f"<</Type/XObject/Subtype/Image/Width {width}/Height {height}/ColorSpace/DeviceRGB/BitsPerComponent 8"
            f"/Filter/DCTDecode/Length {len(jpeg)}>>stream\n".encode()
            + jpeg
            + b"\nendstream"
        )
        objects.append(f"<</Length {len(drawing)}>>stream\n".encode() + drawing + b"\nendstream")
    if len(sizes) > 1:
        raise PermanentError("the slides of a PDF must have one size")
    kids = " ".join(f"{3 + index * 3} 0 R" for index in range(pages))
    objects[1] = f"<</Type/Pages/Count {pages}/Kids[{kids}]>>".encode()
    return _document(objects)


def _document(objects: Sequence[bytes]) -> bytes:
    stream = io.BytesIO()
    stream.write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets: list[int] = []
    for number, body in enumerate(objects, 1):
        offsets.append(stream.tell())
        stream.write(f"{number} 0 obj".encode() + body + b"endobj\n")
    start = stream.tell()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    stream.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode())
    stream.write(f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n".encode())
    return stream.getvalue()
