"""Files that claim to be pictures: broken, lying, bombs, other things under a picture's name. The same for the same seed."""

import io
import random
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

_PNG = b"\x89PNG\r\n\x1a\n"
_HUGE = (1, 9_000, 30_000, 65_000, 2**31 - 1)


def files(seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes, more than two hundred of them."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    good = dict(_good())
    yield from good.items()
    for name, data in good.items():
        for share in (0.0, 0.02, 0.3, 0.7, 0.99):
            yield f"{name} cut at {share}", data[: int(len(data) * share)]
        for number in range(6):
            yield f"{name} with flipped bits {number}", _flipped(data, chance)
        yield f"{name} twice", data + data
        yield f"{name} with a tail", data + chance.randbytes(5_000)
    for width in _HUGE:
        for height in _HUGE:
            yield f"PNG that says {width}x{height}", _png(width, height, b"")
        yield f"PNG that says {width}x40 and has a bomb", _png(width, 40, zlib.compress(bytes(30_000_000), 9))
        yield (
            f"BMP that says {width}",
            b"BM" + struct.pack("<IHHIIiiHHIIiiII", 70, 0, 0, 54, 40, width, width, 1, 24, 0, 0, 0, 0, 0, 0),
        )
        yield f"GIF that says {width}", b"GIF89a" + struct.pack("<HHBBB", width % 65536, width % 65536, 0, 0, 0) + b";"
        yield f"JPEG that says {width}", _jpeg_of(good["JPEG"], width % 65536)
        yield f"WebP that says {width}", b"RIFF\x1e\0\0\0WEBPVP8X\n\0\0\0\x10\0\0\0" + struct.pack("<I", width)[:3] * 2
    yield from _bombs()
    yield from _strangers(chance)


def _good() -> Iterator[tuple[str, bytes]]:
    wide = Image.linear_gradient("L").resize((320, 400))
    for name, mode, kind, options in (
        ("JPEG", "RGB", "JPEG", {}),
        ("progressive JPEG", "RGB", "JPEG", {"progressive": True}),
        ("CMYK JPEG", "CMYK", "JPEG", {}),
        ("grey JPEG", "L", "JPEG", {}),
        ("PNG", "RGB", "PNG", {}),
        ("PNG with alpha", "RGBA", "PNG", {}),
        ("PNG of one bit", "1", "PNG", {}),
        ("PNG of sixteen bits", "I;16", "PNG", {}),
        ("PNG with a palette", "P", "PNG", {"transparency": 3}),
        ("WebP", "RGB", "WEBP", {}),
        ("lossless WebP", "RGBA", "WEBP", {"lossless": True}),
    ):
        yield name, _saved(wide.convert(mode), kind, **options)
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "JPEG lying down", _saved(wide.convert("RGB"), "JPEG", exif=exif)
    yield "JPEG with a profile of nonsense", _saved(wide.convert("RGB"), "JPEG", icc_profile=b"profile" * 400)


def _bombs() -> Iterator[tuple[str, bytes]]:
    line = bytes(1 + 6_000 * 4)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(line) for _ in range(6_000)) + packer.flush()
    yield "36 megapixels with alpha in a few kilobytes", _png(6_000, 6_000, packed, colour=6)
    yield "36 megapixels, interlaced", _png(6_000, 6_000, packed, colour=6, interlaced=1)
    text = zlib.compress(bytes(80_000_000), 9)
    for kind in (b"zTXt", b"iCCP"):
        yield (
            f"{kind.decode()} that unpacks to 80 MB",
            _png(8, 8, zlib.compress(bytes(8 * 25)), extra=_chunk(kind, b"x\0\0" + text)),
        )
    for count in (50, 4_000):
        frames = [Image.new("P", (64, 64), number % 250) for number in range(count if count < 100 else 200)]
        yield f"GIF of {count} frames", _saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield "WebP of many frames", _saved(frames[0].convert("RGB"), "WEBP", save_all=True, append_images=frames[1:40])
    yield "PNG without its palette", _png(16, 16, zlib.compress(bytes(16 * 17)), colour=3)
    yield "PNG of no bits", _png(16, 16, zlib.compress(bytes(100)), depth=0)
    yield "PNG of empty data", _png(16, 16, b"")
    yield "one pixel", _saved(Image.new("RGB", (1, 1)), "PNG")
    yield "a line", _saved(Image.new("RGB", (9_000, 1)), "PNG")
    yield "thousands of chunks", _png(8, 8, zlib.compress(bytes(8 * 25)), extra=_chunk(b"tEXt", b"a\0b") * 20_000)


def _strangers(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    yield "SVG", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    yield "PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999 99999\n(/etc/passwd) (r) file\n%%EOF\n"
    yield "PDF", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
    yield "HTML", b"<html><script>alert(1)</script></html>"
    yield "archive", b"PK\x03\x04" + chance.randbytes(3_000)
    yield "TIFF", _saved(Image.new("RGB", (64, 64)), "TIFF")
    yield "icon", _saved(Image.new("RGB", (64, 64)), "ICO")
    yield "Targa", _saved(Image.new("RGB", (64, 64)), "TGA")
    yield "portable pixmap that says millions", b"P6 60000 60000 255\n" + bytes(100)
    for number in range(12):
        yield f"noise {number}", chance.randbytes(chance.randrange(1, 20_000))
        yield f"noise under a PNG's sign {number}", _PNG + chance.randbytes(2_000)
        yield f"noise under a JPEG's sign {number}", b"\xff\xd8\xff\xe0" + chance.randbytes(2_000)


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _flipped(data: bytes, chance: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(chance.randrange(1, 12)):
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
    return bytes(broken)


def _png(
    width: int, height: int, packed: bytes, *, colour: int = 2, depth: int = 8, interlaced: int = 0, extra: bytes = b""
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return _PNG + _chunk(b"IHDR", header) + extra + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _jpeg_of(data: bytes, side: int) -> bytes:
    """The same JPEG, announcing another size."""
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", side, side) + data[frame + 9 :]
