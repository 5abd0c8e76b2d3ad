"""One block of memory for Pillow and numpy: what one paints the other sees, and both round alike."""

import numpy as np
import pytest
from PIL import Image

from carousel_pipeline.rendering import shapes
from carousel_pipeline.rendering.scrim import blend, lay
from carousel_pipeline.rendering.surface import Surface, enlarged

_RANDOM = np.random.default_rng(4)


def _image(width: int, height: int) -> Image.Image:
    return Image.fromarray(_RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_pillow_and_numpy_share_the_pixels() -> None:
    surface = Surface.filled(40, 30, (10, 20, 30))
    assert surface.image.mode == "RGB"
    surface.image.paste("#ff8000", (5, 5, 10, 10))
    assert surface.rgbx[7, 7].tolist() == [255, 128, 0, 255]
    surface.rgbx[0, 0, :3] = 9, 8, 7
    assert surface.image.getpixel((0, 0)) == (9, 8, 7)


def test_a_copy_is_independent() -> None:
    original = _image(20, 20)
    surface = Surface.of(original)
    surface.rectangle((1, 2, 3), (-5, -5, 8, 8))
    assert original.getpixel((0, 0)) != (1, 2, 3)
    assert surface.image.getpixel((7, 7)) == (1, 2, 3)
    assert surface.image.getpixel((8, 8)) == original.getpixel((8, 8))


@pytest.mark.parametrize("corner", [(3, 4), (-6, -9), (30, 35)])
@pytest.mark.parametrize("soft", [0.02, 0.9])
def test_painting_through_a_mask_is_what_pillow_would_do(corner: tuple[int, int], soft: float) -> None:
    mask = np.where(_RANDOM.random((25, 31)) < soft, _RANDOM.integers(0, 256, (25, 31)), 255).astype(np.uint8)
    mask[:4] = 0
    base, other = _image(50, 45), _image(31, 25)
    painted, placed = Surface.of(base), Surface.of(base)
    painted.paint((200, 3, 99), *corner, mask)
    placed.place(Surface.of(other), *corner, mask)
    expected = base.copy()
    expected.paste((200, 3, 99), corner, Image.fromarray(mask))
    assert np.array_equal(np.asarray(painted.image), np.asarray(expected))
    expected = base.copy()
    expected.paste(other, corner, Image.fromarray(mask))
    assert np.array_equal(np.asarray(placed.image), np.asarray(expected))


@pytest.mark.parametrize("corner", [(4, 3), (0, 0), (-4, 2), (40, 35)])
def test_letters_are_stamped_as_pillow_would_paint_them(corner: tuple[int, int]) -> None:
    mask = np.where(_RANDOM.random((9, 16)) < 0.4, _RANDOM.integers(0, 256, (9, 16)), 0).astype(np.uint8)
    mask[2, :8] = 255
    base = _image(48, 40)
    stamped = Surface.of(base)
    stamped.stamp((200, 3, 99), *corner, mask)
    base.paste((200, 3, 99), corner, Image.fromarray(mask))
    assert np.array_equal(np.asarray(stamped.image), np.asarray(base))


def test_enlarging_is_linear() -> None:
    small = _image(12, 9)
    found = enlarged(np.asarray(small.convert("RGBX")), 90, 70)
    expected = small.resize((96, 72), Image.Resampling.BILINEAR).crop((0, 0, 90, 70))
    assert np.abs(np.asarray(found.image).astype(int) - np.asarray(expected).astype(int)).max() <= 1


@pytest.mark.parametrize("size", [(700, 40), (41, 900), (17, 9), (300, 300)])
@pytest.mark.parametrize("radius", [0, 7, 60])
@pytest.mark.parametrize("stroke", [0, 3])
def test_a_round_rectangle_from_its_corners_is_the_one_drawn_whole(
    size: tuple[int, int], radius: int, stroke: int
) -> None:
    scale = 2 if max(size) > shapes._BIG else shapes._OVERSAMPLE
    whole = shapes._outline("round", *size, radius, stroke, 0.7, scale)
    assert np.array_equal(shapes.outline("round", *size, radius, stroke, 0.7), whole)


@pytest.mark.parametrize("veil", [(0, 0, 0), (255, 255, 255), (12, 200, 31)])
@pytest.mark.parametrize("wide", [False, True])
def test_a_veil_is_laid_in_the_arithmetic_it_was_solved_in(veil: tuple[int, int, int], wide: bool) -> None:  # noqa: FBT001  # a parameter of the test
    surface = Surface.of(_image(60, 130))
    before = surface.rgbx.copy()
    rows = np.concatenate([np.linspace(0, 0.54, 70), np.full(50, 0.54), np.zeros(10)]).astype(np.float32)
    across = np.linspace(0, 1, 50).astype(np.float32) if wide else None
    lay(surface.rgbx[:, 10:], veil, rows, across)
    for row, opacity in enumerate(rows):
        for column, share in enumerate(np.ones(50) if across is None else across):
            expected = blend(before[row, 10 + column], veil, float(opacity * share))
            assert surface.rgbx[row, 10 + column].tolist() == expected.tolist()
    assert np.array_equal(surface.rgbx[:, :10], before[:, :10])
