"""What may not be used as a picture, found from its pixels."""

import asyncio
import io

import pytest
from PIL import Image

from carousel_pipeline.imagery import PictureBrief
from carousel_pipeline.imagery.checks import Fingerprint, blank, busy, fault, fingerprint, reduced, same, wrong_shape
from carousel_pipeline.imagery.procedural import FAMILIES, ProceduralPainter

SIZE = (216, 270)


def jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.resize(SIZE).convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()


def slope(left: str, right: str) -> bytes:
    picture = Image.new("RGB", (2, 1), left)
    picture.putpixel((1, 0), Image.new("RGB", (1, 1), right).getpixel((0, 0)))  # type: ignore[arg-type]  # a colour is one
    return jpeg(picture.resize(SIZE, Image.Resampling.BICUBIC))


def noise(cells: tuple[int, int]) -> bytes:
    return jpeg(Image.effect_noise(cells, 160).resize(SIZE, Image.Resampling.NEAREST))


@pytest.mark.parametrize("colour", ["#ffffff", "#000000", "#808080", "#2050c0"])
def test_one_colour_all_over_is_blank(colour: str) -> None:
    data = jpeg(Image.new("RGB", SIZE, colour))
    assert blank(reduced(data))
    assert fault(data, SIZE, SIZE, []) == "blank"


def test_a_faint_gradient_is_not_blank() -> None:
    assert not blank(reduced(slope("#f0f0f0", "#e0e4ff")))


@pytest.mark.parametrize(
    ("size", "wrong"),
    [((1024, 1280), False), ((928, 1152), False), ((1024, 1024), False), ((1376, 768), True), ((768, 1376), True)],
)
def test_a_shape_that_would_lose_more_than_a_fifth_is_wrong(size: tuple[int, int], *, wrong: bool) -> None:
    assert wrong_shape(size, 1080, 1350) is wrong


def test_the_same_picture_scaled_and_packed_anew_is_a_duplicate() -> None:
    data = noise((6, 8))
    with Image.open(io.BytesIO(data)) as picture:
        again = jpeg(picture.resize((100, 125)))
    assert again != data
    assert same(fingerprint(reduced(data)), fingerprint(reduced(again)))
    assert fault(again, SIZE, SIZE, [fingerprint(reduced(data))]) == "duplicate"


def test_another_colour_or_another_shape_is_another_picture() -> None:
    blue, red, turned = slope("#102040", "#80a0ff"), slope("#401010", "#ff8080"), slope("#80a0ff", "#102040")
    marks = [fingerprint(reduced(data)) for data in (blue, red, turned)]
    assert not same(marks[0], marks[1])
    assert not same(marks[0], marks[2])


def test_a_fingerprint_survives_its_record() -> None:
    mark = fingerprint(reduced(noise((6, 8))))
    assert Fingerprint.of_text(mark.text()) == mark


def test_a_thicket_is_busy_only_where_text_stands_bare() -> None:
    calm, thicket = slope("#102040", "#80a0ff"), noise((20, 25))
    everywhere = (0.0, 0.0, 1.0, 1.0)
    assert busy(reduced(thicket), [everywhere])
    assert not busy(reduced(thicket), [])
    assert not busy(reduced(calm), [everywhere])
    half = Image.open(io.BytesIO(calm))
    half.paste(Image.open(io.BytesIO(thicket)).crop((0, 0, 216, 135)), (0, 135))
    assert not busy(reduced(jpeg(half)), [(0.1, 0.05, 0.9, 0.45)])
    assert busy(reduced(jpeg(half)), [(0.1, 0.55, 0.9, 0.95)])


def test_our_own_backgrounds_pass_their_own_checks() -> None:
    async def paint(family: str) -> list[bytes]:
        fields = {
            "prompt": "x",
            "palette": ("#101018", "#7c5cff", "#22d3ee"),
            "family": family,
            "seed": "s",
            "total": 3,
        }
        size = {"width": SIZE[0], "height": SIZE[1]}
        briefs = [PictureBrief.model_validate(fields | size | {"position": n}) for n in (1, 2, 3)]
        return [(await ProceduralPainter().paint(brief, None)).data for brief in briefs]

    for family in FAMILIES:
        seen: list[Fingerprint] = []
        for data in asyncio.run(paint(family)):
            assert fault(data, SIZE, SIZE, seen, [(0.1, 0.1, 0.9, 0.5)]) is None, family
            seen.append(fingerprint(reduced(data)))
