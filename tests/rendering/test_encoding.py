"""Files: lossless PNG, full-colour JPEG without EXIF, PDF that keeps the JPEGs as they are."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.rendering import to_jpeg, to_pdf, to_png


def _noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (1080, 1350)])
def test_png_is_lossless(size: tuple[int, int]) -> None:
    image = _noise(*size)
    with Image.open(io.BytesIO(to_png(image))) as opened:
        opened.load()
        assert opened.mode == "RGB"
        assert np.array_equal(np.asarray(opened), np.asarray(image))


def test_jpeg_keeps_full_colour_resolution_and_no_exif() -> None:
    data = to_jpeg(_noise(64, 64))
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.size == (64, 64)
        assert not opened.getexif()
        assert [component[1:3] for component in opened.layer] == [(1, 1)] * 3
        assert "progressive" not in opened.info


def test_pdf_has_a_page_per_slide_and_the_jpegs_inside() -> None:
    jpegs = [to_jpeg(_noise(108, 135)) for _ in range(3)]
    pdf = to_pdf(jpegs)
    assert pdf.startswith(b"%PDF-1.4")
    assert len(re.findall(rb"/Type/Page/", pdf)) == 3
    assert all(jpeg in pdf for jpeg in jpegs)
    start = int(re.search(rb"startxref\n(\d+)", pdf)[1])  # type: ignore[index]  # asserted by the match itself
    assert pdf[start : start + 4] == b"xref"
    for number, offset in enumerate(re.findall(rb"(\d{10}) 00000 n", pdf), 1):
        assert pdf[int(offset) :].startswith(f"{number} 0 obj".encode())


def test_a_pdf_of_nothing_or_of_several_sizes_is_refused() -> None:
    with pytest.raises(PermanentError, match="at least one slide"):
        to_pdf([])
    with pytest.raises(PermanentError, match="one size"):
        to_pdf([to_jpeg(_noise(8, 8)), to_jpeg(_noise(9, 8))])
