"""Pixels: readable on any picture, inside their boxes, the same every time; pictures of any kind fitted or refused."""

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.rendering import (
    Brand,
    SlideLayout,
    canvas,
    draw_slide,
    layout_deck,
    load_style,
    load_styles,
    render_deck,
    render_slide,
)
from carousel_pipeline.rendering.background import decode, fit, treat
from carousel_pipeline.rendering.colour import AA, WHITE, contrast, readable, rgb
from carousel_pipeline.rendering.fonts import EMOJI
from carousel_pipeline.rendering.scene import TextBox, union
from carousel_pipeline.rendering.scrim import MOST, blend, solve, worst_contrast
from carousel_pipeline.rendering.surface import Surface
from carousel_pipeline.requests import Deck, Ratio

DeckOf = Callable[[str], Deck]
PictureOf = Callable[[str, tuple[int, int]], bytes]
MakeDeck = Callable[..., Deck]


@pytest.mark.parametrize("style", load_styles())
def test_every_text_is_readable_on_hostile_pictures(style: str, deck_of: DeckOf, picture_of: PictureOf) -> None:
    layout = layout_deck(deck_of("ru"), load_style(style), "4:5")
    for kind in ("white", "checker", "grey"):
        picture = picture_of(kind, canvas("4:5"))
        for slide in (layout.slides[0], layout.slides[1], layout.slides[3]):
            drawn = render_slide(slide, picture)
            assert drawn.contrast >= AA, (kind, slide.position)
            assert drawn.ink_inside


def test_veils_never_exceed_their_bound() -> None:
    random = np.random.default_rng(5)
    for _ in range(40):
        pixels = random.integers(0, 256, (400, 3), dtype=np.uint8)
        ink = tuple(int(value) for value in random.choice([(255, 255, 255), (20, 20, 24), (245, 240, 230)]))
        found = solve(pixels, ink, tuple(int(value) for value in random.integers(0, 256, 3)))
        assert found.opacity <= MOST
        assert worst_contrast(blend(pixels, found.veil, found.opacity), found.ink) >= AA


def test_a_wide_veil_ends_above_and_beside_its_text(deck_of: DeckOf) -> None:
    cover = layout_deck(deck_of("en"), load_style("night"), "16:9").slides[0]
    stream = io.BytesIO()
    Image.new("RGB", (1920, 1080), "#a0a0a0").save(stream, "PNG")
    drawn, contrast_reached, _ = draw_slide(cover, stream.getvalue())
    (heading,) = [text for text in cover.texts if text.name == "heading"]
    assert contrast_reached >= AA
    assert drawn.getpixel((1900, 540)) == (160, 160, 160)
    beside = drawn.getpixel((10, round(heading.box[1] + 40)))
    above = drawn.getpixel((600, 60))
    assert isinstance(beside, tuple)
    assert isinstance(above, tuple)
    assert beside[0] < above[0] - 30


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def _handle(slide: SlideLayout) -> TextBox:
    (handle,) = [text for text in slide.texts if text.name.startswith("handle")]
    return handle


@pytest.mark.parametrize("ratio", get_args(Ratio))
def test_a_handle_on_a_light_picture_is_dark_and_has_no_veil(ratio: Ratio, deck_of: DeckOf) -> None:
    slide = layout_deck(deck_of("en"), load_style("night"), ratio, Brand(handle="@carousel")).slides[1]
    handle = _handle(slide)
    drawn, contrast_reached, _ = draw_slide(slide, _png(Image.new("RGB", canvas(ratio), "#f0f2f6")))
    pixels = np.asarray(drawn)
    left, top, right, bottom = (round(value) for value in handle.ink)
    assert contrast_reached >= AA
    assert pixels[top:bottom, left:right].min() < 40
    assert (pixels[top:bottom, right + 4 : drawn.width // 2] == (0xF0, 0xF2, 0xF6)).all()
    dots = [shape for shape in slide.furniture if shape.otherwise]
    (current,) = [shape for shape in dots if shape.opacity == 1]
    middle = drawn.getpixel(
        (round((current.box[0] + current.box[2]) / 2), round((current.box[1] + current.box[3]) / 2))
    )
    assert len(dots) == 4
    assert middle == rgb(load_style("night").colours.background)


@pytest.mark.parametrize("ratio", get_args(Ratio))
def test_a_handle_on_spots_of_both_kinds_has_a_veil_of_its_size_and_no_band(ratio: Ratio, deck_of: DeckOf) -> None:
    slide = layout_deck(deck_of("en"), load_style("night"), ratio, Brand(handle="@carousel")).slides[1]
    handle = _handle(slide)
    left, top, right, bottom = (round(value) for value in handle.box)
    picture = Image.new("RGB", canvas(ratio), "#404854")
    for at in range(left, right, 40):
        picture.paste("#ffffff", (at, top, at + 4, bottom))
    before = np.asarray(picture)
    drawn, contrast_reached, _ = draw_slide(slide, _png(picture))
    after = np.asarray(drawn)
    assert contrast_reached >= AA
    assert after[top - 4, left + 9].max() < before[top - 4, left + 9].max()
    dots = min(shape.box[0] for shape in slide.furniture if shape.otherwise)
    assert (after[top:bottom, right + 160 : round(dots) - 4] == before[top:bottom, right + 160 : round(dots) - 4]).all()


@pytest.mark.parametrize("position", [1, 2, 4])
def test_a_dark_style_turns_light_on_a_light_picture(position: int, deck_of: DeckOf) -> None:
    slide = layout_deck(deck_of("en"), load_style("night"), "4:5").slides[position - 1]
    (heading,) = [text for text in slide.texts if text.name == "heading"]
    box = tuple(round(value) for value in heading.ink)
    for shade, light in ((255, True), (30, False)):
        drawn, contrast_reached, _ = draw_slide(slide, _png(Image.new("RGB", canvas("4:5"), (shade, shade, shade))))
        assert contrast_reached >= AA
        assert bool(np.median(np.asarray(drawn.crop(box))) > 200) is light


def test_an_accent_is_judged_by_what_lies_under_it(make_deck: MakeDeck) -> None:
    deck = make_deck([("Dark ground **here**\nand a light spot there", ""), ("b", ""), ("c", "")])
    cover = layout_deck(deck, load_style("night"), "4:5").slides[0]
    (heading,) = [text for text in cover.texts if text.name == "heading"]
    accented = union([run.bounds for run in heading.runs if run.ink == "accent"])
    picture = Image.new("RGB", (1080, 1350), "#203040")
    picture.paste("#ffffff", (0, round(accented[3]) + 30, 1080, round(accented[3]) + 75))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    drawn, contrast_reached, _ = draw_slide(cover, stream.getvalue())
    part = np.asarray(drawn.crop(tuple(round(value) for value in accented))).reshape(-1, 3).astype(int)
    assert contrast_reached >= AA
    assert (np.abs(part - np.array([0x7C, 0xF0, 0xC8])).max(axis=1) < 3).any()


def test_a_readable_colour_moves_no_further_than_needed() -> None:
    assert readable((0, 0, 0), [WHITE]) == (0, 0, 0)
    moved = readable((255, 230, 0), [WHITE])
    assert contrast(moved, WHITE) >= AA
    assert moved[2] < moved[0]


def test_the_same_deck_gives_the_same_bytes_in_another_process(deck_of: DeckOf) -> None:
    deck = deck_of("ar")
    here = [
        hashlib.sha256(slide.jpeg).hexdigest() for slide in render_deck(deck, load_style("neon"), "1:1", [None] * 4)
    ]
    code = (
        "import sys, hashlib; from carousel_pipeline.rendering import *; from carousel_pipeline.requests import Deck;"
        "deck = Deck.model_validate_json(sys.stdin.read());"
        "print(*[hashlib.sha256(s.jpeg).hexdigest() for s in render_deck(deck, load_style('neon'), '1:1', [None] * 4)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=deck.model_dump_json(),
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    assert done.stdout.split() == here


def test_pictures_count_must_match(deck_of: DeckOf) -> None:
    with pytest.raises(ValueError, match="zip"):
        render_deck(deck_of("en"), load_style("editorial"), "4:5", [None])


@pytest.mark.parametrize("junk", [b"", b"not a picture", b"\xff\xd8\xff\xe0 broken", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused(junk: bytes, deck_of: DeckOf) -> None:
    slide = layout_deck(deck_of("en"), load_style("editorial"), "4:5").slides[0]
    with pytest.raises(PermanentError, match="picture cannot be read"):
        render_slide(slide, junk)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "LA", "1", "I;16"])
def test_any_kind_of_picture_is_fitted(mode: str) -> None:
    stream = io.BytesIO()
    form = "TIFF" if mode == "CMYK" else "PNG"
    Image.new(mode, (333, 777)).save(stream, form)
    fitted = decode(stream.getvalue(), (1080, 1350))
    assert (fitted.mode, fitted.size) == ("RGB", (1080, 1350))


def test_a_picture_of_any_proportions_is_fitted() -> None:
    # Where rounding put the crop a hair outside the picture, Pillow refused it: 1080x800 for a slide of 4:5.
    for size in ((1080, 800), (640, 1350), (1023, 767), (333, 997), (1600, 901)):
        for wanted in ((1080, 1350), (1080, 1080), (1080, 1920), (1920, 1080), (888, 437), (473, 473)):
            assert fit(Image.new("RGB", size), wanted).size == wanted


def test_decoding_into_a_surface_changes_nothing(picture_of: PictureOf) -> None:
    picture, size = picture_of("noise", (320, 400)), (320, 400)
    surface = Surface(*size)
    decoded = decode(picture, size, surface)
    assert decoded.im is surface.image.im
    assert decoded.tobytes() == decode(picture, size).tobytes()
    assert (surface.rgbx[..., 3] == 255).all()
    assert decode(picture, (200, 200), Surface(200, 200)).tobytes() == decode(picture, (200, 200)).tobytes()


def test_a_picture_is_turned_as_its_camera_was() -> None:
    sideways = Image.new("RGB", (400, 200), "red")
    sideways.paste("blue", (0, 0, 200, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    sideways.save(stream, "PNG", exif=exif)
    turned = decode(stream.getvalue(), (200, 400))
    assert turned.getpixel((100, 20)) == (0, 0, 255)
    assert turned.getpixel((100, 380)) == (255, 0, 0)


def test_emoji_are_drawn_in_colour(make_deck: Callable[..., Deck]) -> None:
    with_emoji = layout_deck(make_deck([("🍓🍓🍓", ""), ("b", ""), ("c", "")]), load_style("swiss"), "4:5").slides[0]
    (heading,) = [text for text in with_emoji.texts if text.name == "heading"]
    assert {run.face for run in heading.runs} == {EMOJI}
    image, _, inside = draw_slide(with_emoji, None)
    left, top, right, bottom = (round(value) for value in heading.ink)
    pixels = np.asarray(image.crop((left, top, right, bottom))).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 200
    assert inside


_PIXELS = Path(__file__).parent / "goldens"


@pytest.mark.parametrize(
    ("style", "language", "position"), [("swiss", "ru", 2), ("bold", "ar", 1), ("paper", "zh", 2), ("mono", "en", 2)]
)
def test_pixels_are_the_golden_ones(style: str, language: str, position: int, deck_of: DeckOf, tmp_path: Path) -> None:
    image, _, _ = draw_slide(layout_deck(deck_of(language), load_style(style), "1:1").slides[position - 1], None)
    path = _PIXELS / f"{style}_{language}_{position}.png"
    if os.environ.get("UPDATE_GOLDENS"):
        path.parent.mkdir(exist_ok=True)
        image.save(path, optimize=True)
    with Image.open(path) as golden:
        expected = np.asarray(golden.convert("RGB")).astype(np.int16)
    found = np.asarray(image).astype(np.int16)
    if np.array_equal(found, expected):
        return
    # Another processor may round an edge differently; a glyph that moved by a pixel may not pass.
    off = np.abs(found - expected).max(axis=2) > 8
    if off.mean() >= 0.0005:
        side = Image.fromarray(
            np.concatenate([expected, found, np.repeat(off[..., None] * 255, 3, axis=2)], axis=1).astype(np.uint8)
        )
        side.save(tmp_path / "expected_found_difference.png")
        pytest.fail(f"{off.mean():.4%} of the pixels differ; see {tmp_path / 'expected_found_difference.png'}")


def test_an_almost_flat_picture_does_not_turn_into_grain() -> None:
    grain = np.random.default_rng(2).normal(0, 1.5, (300, 300, 3))
    place = (
        layout_deck(
            Deck.model_validate({"language": "en", "slides": [{"role": "cover", "heading": "A"}]}),
            load_style("swiss"),
            "4:5",
        )
        .slides[0]
        .picture
    )
    assert place.treatment == "mono"
    for tone in (30, 128, 240):
        treated = np.asarray(treat(Image.fromarray(np.clip(tone + grain, 0, 255).astype(np.uint8)), place))
        assert treated.std() < 5
    ramp = np.repeat(np.linspace(60, 190, 300)[None, :, None], 300, axis=0).repeat(3, axis=2).astype(np.uint8)
    assert np.ptp(np.asarray(treat(Image.fromarray(ramp), place))) > 245
