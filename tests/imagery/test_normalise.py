"""Untrusted bytes become one kind of picture, or are refused before they cost memory."""

import io
import struct
import zlib

import pytest
from PIL import Image, JpegImagePlugin

from carousel_pipeline.imagery.normalise import MAX_BYTES, PictureError, normalise


def _bytes(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
@pytest.mark.parametrize("size", [(64, 80), (500, 100), (3, 900)])
def test_any_mode_and_size_becomes_the_same_kind_of_jpeg(mode: str, size: tuple[int, int]) -> None:
    made = Image.open(io.BytesIO(normalise(_bytes(Image.new(mode, size), "PNG"), 108, 135)))
    assert isinstance(made, JpegImagePlugin.JpegImageFile)
    assert (made.size, made.mode, JpegImagePlugin.get_sampling(made)) == ((108, 135), "RGB", 0)


def test_cmyk_and_webp_are_taken() -> None:
    for data in (_bytes(Image.new("CMYK", (40, 50)), "JPEG"), _bytes(Image.new("RGB", (40, 50), "#c00"), "WEBP")):
        assert Image.open(io.BytesIO(normalise(data, 40, 50))).mode == "RGB"


def test_the_middle_is_kept_not_squeezed() -> None:
    wide = Image.new("RGB", (300, 100), "#0000ff")
    wide.paste("#ff0000", (100, 0, 200, 100))
    made = Image.open(io.BytesIO(normalise(_bytes(wide, "PNG"), 100, 100)))
    red, _, blue = made.getpixel((50, 50))  # type: ignore[misc]  # three bands of an RGB picture
    assert red > 240
    assert blue < 20


def test_a_picture_on_its_side_is_turned_and_its_metadata_dropped() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "taken at home"
    made = normalise(_bytes(Image.new("RGB", (200, 100)), "JPEG", exif=exif), 50, 100)
    assert b"taken at home" not in made
    assert not Image.open(io.BytesIO(made)).getexif()


def test_transparency_shows_the_backdrop() -> None:
    made = Image.open(
        io.BytesIO(normalise(_bytes(Image.new("RGBA", (10, 10), "#00000000"), "PNG"), 10, 10, backdrop="#ff0000"))
    )
    assert made.getpixel((5, 5))[0] > 240  # type: ignore[index]  # a band of an RGB picture


def test_only_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("#ff0000", "#0000ff")]
    made = Image.open(io.BytesIO(normalise(_bytes(frames[0], "WEBP", save_all=True, append_images=frames[1:]), 20, 20)))
    assert made.getpixel((5, 5))[0] > 200  # type: ignore[index]  # a band of an RGB picture


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a picture",
        b"\x89PNG\r\n\x1a\n",
        _png_header(60_000, 60_000),
        _png_header(12_000, 9_000),
        _bytes(Image.new("RGB", (300, 300), "#123456"), "PNG")[:200],
        _bytes(Image.effect_noise((300, 300), 80), "JPEG")[:5000],
        _bytes(Image.new("RGB", (10, 10)), "GIF"),
        _bytes(Image.new("RGB", (10, 10)), "TIFF"),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\0" * (MAX_BYTES + 1),
    ],
    ids=["empty", "text", "stub", "bomb", "large", "cut png", "cut jpeg", "gif", "tiff", "svg", "long"],
)
def test_what_is_no_picture_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(PictureError, match="picture"):
        normalise(data, 108, 135)
