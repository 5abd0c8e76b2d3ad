"""Downloads: a ZIP that says what is in it, a PDF that stays under its limit; the same input gives the same bytes."""

import io
import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from carousel_pipeline.delivery.package import PDF_LIMIT, pdf_of, zip_of
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.rendering import to_jpeg
from carousel_pipeline.requests import Deck, Slide

DECK = Deck(
    language="ru",
    slides=(
        Slide(role="cover", heading="Как **начать**", alt="Заголовок на фоне гор"),
        Slide(role="body", heading="Две ==минуты==", body="- откройте файл"),
        Slide(role="last", heading="Сохраните", alt="Призыв"),
    ),
    caption="Пять приёмов",
    hashtags=("#привычки",),
)


def _noise(size: tuple[int, int], seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return to_jpeg(Image.fromarray(pixels))


def _slides() -> list[bytes]:
    return [_noise((108, 135), seed) for seed in range(3)]


def test_the_zip_holds_slides_caption_alt_and_manifest() -> None:
    slides = _slides()
    with zipfile.ZipFile(io.BytesIO(zip_of(slides, DECK, "swiss", 2, "4:5"))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "slides/01.jpg", "slides/02.jpg", "slides/03.jpg", "caption.txt", "alt.txt", "manifest.json",
        ]  # fmt: skip
        assert [archive.read(f"slides/{number:02}.jpg") for number in (1, 2, 3)] == slides
        assert archive.read("caption.txt").decode() == "Пять приёмов\n\n#привычки\n"
        alt = archive.read("alt.txt").decode()
        manifest = json.loads(archive.read("manifest.json"))
    assert alt == "01. Заголовок на фоне гор\n\n02. Две минуты\nоткройте файл\n\n03. Призыв\n"
    assert (manifest["style"], manifest["style_version"], manifest["ratio"]) == ("swiss", 2, "4:5")
    assert [slide["file"] for slide in manifest["slides"]] == ["slides/01.jpg", "slides/02.jpg", "slides/03.jpg"]
    assert manifest["slides"][0]["heading"] == "Как начать"
    assert [slide["bytes"] for slide in manifest["slides"]] == [len(slide) for slide in slides]


def test_the_same_deck_gives_the_same_zip() -> None:
    assert zip_of(_slides(), DECK, "swiss", 1, "1:1") == zip_of(_slides(), DECK, "swiss", 1, "1:1")


def test_a_zip_needs_a_picture_for_every_slide() -> None:
    with pytest.raises(ValueError, match="zip"):
        zip_of(_slides()[:2], DECK, "swiss", 1, "4:5")


def test_a_light_pdf_keeps_the_jpegs() -> None:
    slides = _slides()
    document = pdf_of(slides)
    assert all(slide in document for slide in slides)


def test_a_heavy_pdf_is_encoded_again_until_it_fits() -> None:
    slides = [_noise((540, 675), seed) for seed in range(2)]
    limit = sum(map(len, slides)) * 2 // 3
    document = pdf_of(slides, limit)
    assert len(document) < limit <= PDF_LIMIT
    assert len(re.findall(rb"/Width 540/Height 675", document)) == 2


def test_what_cannot_fit_is_refused() -> None:
    with pytest.raises(PermanentError, match="make two decks"):
        pdf_of(_slides(), limit=2_000)
