"""Backgrounds that text can stand on: exact, repeatable, one panorama a deck, calm in the middle."""

import io
import itertools
import json

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.imagery import PictureBrief
from carousel_pipeline.imagery.procedural import FAMILIES, ProceduralPainter
from carousel_pipeline.paths import resource

_STYLES = sorted((resource("assets_static") / "styles").glob("*.json"))
_PALETTE = ("#f5f0e6", "#e3d8c5", "#b8a48a", "#2a2622", "#8c2f23")


def _brief(**changes: object) -> PictureBrief:
    fields = {"prompt": "x", "palette": _PALETTE, "family": "silk", "seed": "s", "position": 1, "total": 5}
    return PictureBrief.model_validate(fields | {"width": 270, "height": 338} | changes)


async def _pixels(**changes: object) -> npt.NDArray[np.float32]:
    picture = await ProceduralPainter().paint(_brief(**changes), None)
    return np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB"), dtype=np.float32)


@pytest.mark.finding("m23")
@pytest.mark.parametrize("size", [(1080, 1350), (1080, 1080), (1080, 1920), (1920, 1080), (33, 7)])
@pytest.mark.parametrize("family", FAMILIES)
async def test_a_picture_is_a_plain_jpeg_of_exactly_the_size_asked(family: str, size: tuple[int, int]) -> None:
    picture = await ProceduralPainter().paint(_brief(family=family, width=size[0], height=size[1]), None)
    decoded = Image.open(io.BytesIO(picture.data))
    assert isinstance(decoded, JpegImagePlugin.JpegImageFile)
    assert decoded.size == size == (picture.width, picture.height)
    assert decoded.mode == "RGB"
    assert JpegImagePlugin.get_sampling(decoded) == 0
    assert not decoded.getexif()
    assert (picture.painter, picture.stand_in, picture.usage.cost_usd) == ("procedural", False, 0.0)


@pytest.mark.parametrize("family", FAMILIES)
async def test_the_same_brief_gives_the_same_bytes_and_another_seed_others(family: str) -> None:
    painter = ProceduralPainter()
    first, again, other = [
        (await painter.paint(_brief(family=family, seed=seed), None)).data for seed in ("one", "one", "two")
    ]
    assert first == again
    assert first != other


@pytest.mark.parametrize("family", FAMILIES)
async def test_slides_of_a_deck_differ(family: str) -> None:
    slides = [await _pixels(family=family, position=position) for position in range(1, 6)]
    for one, other in itertools.combinations(slides, 2):
        assert np.abs(one - other).mean() > 0.8


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - {"geometry", "dots"}))
async def test_what_leaves_one_slide_enters_the_next(family: str) -> None:
    first, second = [await _pixels(family=family, position=position, width=540, height=676) for position in (2, 3)]
    seam = np.abs(first[:, -1] - second[:, 0]).mean()
    assert seam < 2.5 * np.abs(first[:, -1] - first[:, -2]).mean() + 2.5


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - {"geometry"}))
@pytest.mark.parametrize("path", _STYLES, ids=lambda path: path.stem)
async def test_text_can_be_read_on_the_middle_whatever_the_style(path: object, family: str) -> None:
    palette = json.loads(path.read_text())["palette"]  # type: ignore[attr-defined]  # a Path by parametrisation
    pixels = await _pixels(family=family, palette=tuple(palette), seed="calm")
    middle = pixels[int(338 * 0.36) : int(338 * 0.54), 20:-20]
    linear = np.where(middle <= 10, middle / 255 / 12.92, ((middle / 255 + 0.055) / 1.055) ** 2.4)
    light = linear @ np.array([0.2126, 0.7152, 0.0722])
    contrast_of_ink = max(np.percentile((light + 0.05) / 0.05, 1), np.percentile(1.05 / (light + 0.05), 1))
    assert contrast_of_ink >= 4.5
    assert light.std() < 0.16


async def test_gradients_do_not_band() -> None:
    pixels = await _pixels(family="mesh", width=540, height=676)
    row = pixels[200, :, 0]
    assert np.count_nonzero(np.diff(row)) > 270


async def test_a_family_is_chosen_by_the_decks_seed_and_always_bears_text() -> None:
    seen = []
    for seed in map(str, range(30)):
        chosen = await _pixels(family=None, seed=seed, width=54, height=68)
        alike = [f for f in FAMILIES if np.array_equal(chosen, await _pixels(family=f, seed=seed, width=54, height=68))]
        assert len(alike) == 1
        seen += alike
    assert "geometry" not in seen
    assert len(set(seen)) > 5


async def test_an_unknown_family_is_refused_by_name() -> None:
    with pytest.raises(PermanentError, match=r"'plaid'.*bokeh"):
        await ProceduralPainter().paint(_brief(family="plaid"), None)


@pytest.mark.parametrize("path", _STYLES, ids=lambda path: path.stem)
def test_every_style_wishes_for_a_family_that_exists(path: object) -> None:
    assert json.loads(path.read_text())["picture_family"] in FAMILIES  # type: ignore[attr-defined]  # as above


_COLOURS = st.from_regex(r"\A#[0-9a-f]{6}\Z")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    palette=st.lists(_COLOURS, min_size=1, max_size=8).map(tuple),
    family=st.sampled_from(sorted(FAMILIES)),
    seed=st.text(max_size=40),
    position=st.integers(1, 12),
)
async def test_any_palette_and_seed_can_be_painted(
    palette: tuple[str, ...], family: str, seed: str, position: int
) -> None:
    brief = _brief(palette=palette, family=family, seed=seed, position=position, width=108, height=135)
    picture = await ProceduralPainter().paint(brief, None)
    assert Image.open(io.BytesIO(picture.data)).size == (108, 135)
