"""What a person downloads: one PDF for LinkedIn, one ZIP with slides, caption and descriptions. Bytes in, bytes out.

What must stay true: the same slides and copy give the same bytes (no clock in the ZIP), and a PDF stays under ten megabytes.
Slides that are too heavy are encoded again, all at one quality so that no page looks worse than its neighbours, never scaled or
dropped.
"""

import io
import json
import zipfile
from collections.abc import Sequence

from PIL import Image

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.rendering import to_jpeg, to_pdf
from carousel_pipeline.rendering.text import without_markup
from carousel_pipeline.requests import Deck, Ratio, Slide, album_caption

PDF_LIMIT = 10_000_000
_QUALITIES = (90, 82, 72, 60, 45, 30)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_POST_LIMIT = 2_600
_VERSION = 1


def pdf_of(jpegs: Sequence[bytes], limit: int = PDF_LIMIT) -> bytes:
    """Return a PDF of fewer than `limit` bytes, one page per slide; the JPEGs are kept as they are where that fits.

    Raises:
        PermanentError: no slides, slides of different sizes, or too heavy even at the lowest quality.
    """
    document = to_pdf(jpegs)
    for quality in _QUALITIES:
        if len(document) < limit:
            return document
        document = to_pdf([lighter(jpeg, quality) for jpeg in jpegs])
    if len(document) < limit:
        return document
    raise PermanentError(f"{len(jpegs)} slides do not fit into a PDF of {limit:,} bytes; make two decks of them")


def lighter(jpeg: bytes, quality: int = _QUALITIES[1]) -> bytes:
    """Return the same picture, encoded again at a lower quality."""
    with Image.open(io.BytesIO(jpeg)) as opened:
        return to_jpeg(opened, quality)


def zip_of(jpegs: Sequence[bytes], deck: Deck, style: str, style_version: int, ratio: Ratio) -> bytes:
    """Return a ZIP of `slides/01.jpg` …, `caption.txt`, `alt.txt` and `manifest.json`.

    Args:
        jpegs: one per slide, in order.
        deck: the copy they show.
        style: id of the look.
        style_version: its version, so that the same look can be asked for again.
        ratio: the slides' shape.

    Raises:
        ValueError: not as many pictures as slides.
    """
    names = [f"slides/{number:02}.jpg" for number in range(1, len(deck.slides) + 1)]
    pages = list(zip(names, jpegs, deck.slides, strict=True))
    manifest = {
        "version": _VERSION, "style": style, "style_version": style_version, "ratio": ratio, "language": deck.language,
        "slides": [
            {"file": name, "role": slide.role, "bytes": len(jpeg), "heading": without_markup(slide.heading), "alt": _alt(slide)}
            for name, jpeg, slide in pages
        ],
    }  # fmt: skip
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, jpeg, _ in pages:
            _add(archive, name, jpeg, zipfile.ZIP_STORED)
        _add(archive, "caption.txt", (album_caption(deck, _POST_LIMIT) + "\n").encode(), zipfile.ZIP_DEFLATED)
        alt = "\n\n".join(f"{number:02}. {_alt(slide)}" for number, slide in enumerate(deck.slides, 1))
        _add(archive, "alt.txt", (alt + "\n").encode(), zipfile.ZIP_DEFLATED)
        text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
        _add(archive, "manifest.json", text.encode(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _alt(slide: Slide) -> str:
    """Return what a person who cannot see the slide should hear; a slide without a description still has its words."""
    return slide.alt or "\n".join(without_markup(text) for text in (slide.heading, slide.body) if text)


def _add(archive: zipfile.ZipFile, name: str, data: bytes, method: int) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = method
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data)
