"""A brand's logo: on every style that shows a handle, in its own colours and proportions, and never lost in the ground."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.rendering import Brand, SlideLayout, draw_slide, layout_deck, load_style, load_styles
from carousel_pipeline.rendering.logo import paint_logo, proportion, read_logo
from carousel_pipeline.rendering.scene import overlap
from carousel_pipeline.rendering.surface import Surface
from carousel_pipeline.requests import Deck, Ratio

DeckOf = Callable[[str], Deck]


def _ring(colour: str, size: tuple[int, int] = (200, 200)) -> bytes:
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((10, 10, size[0] - 10, size[1] - 10), outline=colour, width=40)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _with_logo(layout: SlideLayout, logo: bytes) -> np.ndarray:
    image, contrast, inside = draw_slide(layout, None, logo)
    assert inside
    assert contrast >= 4.5
    assert layout.logo
    left, top, right, bottom = (round(value) for value in layout.logo)
    return np.asarray(image.crop((left, top, right, bottom)))


@pytest.mark.parametrize("ratio", ["4:5", "16:9"])
@pytest.mark.parametrize("style", load_styles())
def test_every_style_shows_it_beside_the_handle_or_alone(style: str, ratio: Ratio, deck_of: DeckOf) -> None:
    shown = 0
    for handle in ("@carousel", ""):
        brand = Brand(handle=handle, logo=_ring("#12b35a"))
        for slide in layout_deck(deck_of("ru"), load_style(style), ratio, brand).slides:
            if slide.logo is None:
                continue
            shown += 1
            left, top, right, bottom = slide.logo
            assert slide.safe[0] - 1 <= left < right <= slide.safe[2] + 1
            assert slide.safe[1] - 1 <= top < bottom <= slide.safe[3] + 1
            assert not [text.name for text in slide.texts if overlap(text.ink, slide.logo)]
    assert shown >= 2


@pytest.mark.parametrize("colour", ["#ffffff", "#000000", "#e0002a", "#ffd60a"])
@pytest.mark.parametrize("style", ["swiss", "night", "clean", "editorial"])
def test_it_stands_out_whatever_its_colour(style: str, colour: str, deck_of: DeckOf) -> None:
    logo = _ring(colour)
    slides = layout_deck(deck_of("en"), load_style(style), "4:5", Brand(logo=logo)).slides
    pixels = _with_logo(next(slide for slide in slides if slide.logo), logo).astype(int)
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    own = np.abs(pixels - wanted).max(axis=2) < 24
    assert 0.15 < own.mean() < 0.85


def test_it_keeps_its_proportions() -> None:
    wide = _ring("#123456", (400, 200))
    assert proportion(wide) == pytest.approx(380 / 180, rel=0.03)
    surface = Surface.filled(300, 300, (255, 255, 255))
    paint_logo(surface, (50, 50, 250, 250), wide)
    rows, columns = np.nonzero(np.asarray(surface.image.convert("L")) < 200)
    assert (np.ptp(columns) + 1) / (np.ptp(rows) + 1) == pytest.approx(380 / 180, rel=0.05)


def test_what_is_no_logo_is_refused() -> None:
    with pytest.raises(PermanentError, match="logo cannot be read"):
        read_logo(b"GIF89a?")
    with pytest.raises(PermanentError, match="fully transparent"):
        read_logo(_ring("#00000000"))
    with pytest.raises(PermanentError, match="at most 2,000,000"):
        read_logo(bytes(2_000_001))


def test_a_brand_survives_json() -> None:
    brand = Brand(handle="@x", accent="#ff0000", logo=_ring("#ff0000"))
    assert Brand.model_validate_json(brand.model_dump_json()) == brand
    assert "PNG" not in repr(brand)
