"""Bytes from outside become one kind of picture: JPEG, sRGB, quality 95, 4:4:4, the exact size, no metadata.

A header is read and its size judged before a single pixel is decoded: a few kilobytes can announce gigabytes. 4:2:0 ruins
coloured text drawn over the picture later, and EXIF carries places and names.
"""

import io
import warnings
from collections.abc import Sequence

from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from carousel_pipeline.errors import PermanentError

MAX_PIXELS = 40_000_000
MAX_BYTES = 30_000_000
_FORMATS = ("JPEG", "PNG", "WEBP")
_FIRST_LYING = 5
# Above it a picture is cut and halved before anything else: turning, blending and converting hold it several times.
_ROOMY_PIXELS = 8_000_000


class PictureError(PermanentError):
    """Bytes that are no acceptable picture; the message says why and never quotes them."""


def encode(picture: Image.Image) -> bytes:
    """Return an RGB picture as JPEG, quality 95, 4:4:4, baseline, without metadata."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


def normalise(data: bytes, width: int, height: int, *, backdrop: str = "#ffffff") -> bytes:
    """Return untrusted picture bytes as a JPEG of exactly `width` x `height`, cut from the middle to fill it.

    Args:
        data: JPEG, PNG or WebP; only the first frame counts.
        width: pixels.
        height: pixels.
        backdrop: what shows through transparent pixels.

    Raises:
        PictureError: not a picture, an unwanted format, too large, or broken.
    """
    if len(data) > MAX_BYTES:
        raise PictureError(f"the picture has {len(data):,} bytes; at most {MAX_BYTES:,} are taken")
    try:
        with warnings.catch_warnings():
            # Pillow only warns between one and two times its own limit; ours is judged below, before decoding.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=_FORMATS)
            if picture.width * picture.height > MAX_PIXELS:
                raise PictureError(
                    f"the picture has {picture.width}x{picture.height} pixels; at most {MAX_PIXELS:,} are taken"
                )
            picture.draft("RGB", (width, height))
            picture.load()
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise PictureError("the bytes are no JPEG, PNG or WebP picture of an acceptable size") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureError("the picture is broken or cut off") from error
    roomy = picture.width * picture.height > _ROOMY_PIXELS
    upright = ImageOps.exif_transpose(_middle(picture, width, height) if roomy else picture)
    return encode(ImageOps.fit(_rgb(upright, backdrop), (width, height), Image.Resampling.LANCZOS))


def size_of(data: bytes) -> tuple[int, int]:
    """Return width and height of a picture that `normalise` has read, the way up it is meant."""
    with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
        lying = picture.getexif().get(ExifTags.Base.Orientation, 1) >= _FIRST_LYING
        return (picture.height, picture.width) if lying else picture.size


def cut(data: bytes, corners: Sequence[tuple[int, int]], size: tuple[int, int]) -> list[bytes]:
    """Return windows of `size` of a picture that `normalise` made, each from its left upper corner."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return [encode(picture.crop((left, top, left + size[0], top + size[1]))) for left, top in corners]


def _middle(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Return the part that will be shown, at twice its later size or a little more."""
    if picture.getexif().get(ExifTags.Base.Orientation, 1) >= _FIRST_LYING:
        width, height = height, width
    scale = min(picture.width / width, picture.height / height)
    size = round(width * scale), round(height * scale)
    left, top = (picture.width - size[0]) // 2, (picture.height - size[1]) // 2
    part = picture.crop((left, top, left + size[0], top + size[1]))
    if part.mode not in {"L", "RGB", "RGBA", "CMYK"}:
        part = part.convert("RGBA" if part.has_transparency_data else "RGB")
    return part.reduce(max(1, int(scale // 2)))


def _rgb(picture: Image.Image, backdrop: str) -> Image.Image:
    if picture.has_transparency_data:
        pixels = picture.convert("RGBA")
        ground = Image.new("RGBA", pixels.size, backdrop)
        return Image.alpha_composite(ground, pixels).convert("RGB")
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in {"RGB", "CMYK"}:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):  # a profile may be any bytes
            return picture.convert("RGB")
        if converted is not None:
            return converted
    return picture.convert("RGB")
