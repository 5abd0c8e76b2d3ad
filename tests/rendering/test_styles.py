"""Styles are data with a schema: complete, readable, refused with file and field when wrong, loaded once."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.paths import resource
from carousel_pipeline.rendering import DEFAULT_STYLE, Brand, layout_deck, load_style, load_styles
from carousel_pipeline.rendering.colour import AA, contrast, rgb
from carousel_pipeline.rendering.fonts import drawable, face
from carousel_pipeline.rendering.layout import with_brand
from carousel_pipeline.rendering.style import parse_style
from carousel_pipeline.requests import Deck


def _written(folder: Path, **changes: object) -> Path:
    data = json.loads((resource("assets_static") / "styles" / "editorial.json").read_text())
    path = folder / "editorial.json"
    path.write_text(json.dumps(data | changes))
    return path


def test_there_are_at_least_ten_styles_and_the_default_is_first() -> None:
    styles = load_styles()
    assert len(styles) >= 10
    assert next(iter(styles)) == DEFAULT_STYLE
    assert all(style_id == style.id for style_id, style in styles.items())
    assert len({style.name.en for style in styles.values()}) == len(styles)


@pytest.mark.parametrize("style_id", load_styles())
def test_every_sign_a_style_draws_has_a_glyph(style_id: str) -> None:
    style = load_style(style_id)
    for role in (style.roles.cover, style.roles.body, style.roles.last):
        words = [role.heading.bullet, role.body.bullet, *(item.words for item in role.furniture)]
        assert all(drawable(character) for word in words for character in word)


def test_an_unknown_style_is_named_with_those_that_exist() -> None:
    with pytest.raises(PermanentError, match=r"no style 'nope'; there are editorial, .*swiss"):
        load_style("nope")


@pytest.mark.finding("m18")
def test_unknown_fields_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"editorial\.json: shadow: Extra inputs are not permitted"):
        parse_style(_written(tmp_path, shadow=True))


@pytest.mark.finding("m14")
@pytest.mark.parametrize("colour", ["red", "#12345", "#gggggg", "rgb(1,2,3)", ""])
def test_a_wrong_colour_names_file_and_field(tmp_path: Path, colour: str) -> None:
    style = json.loads(_written(tmp_path).read_text())
    style["colours"]["accent"] = colour
    with pytest.raises(PermanentError, match=r"editorial\.json: colours\.accent: .*not a colour"):
        parse_style(_written(tmp_path, colours=style["colours"]))


@pytest.mark.finding("m14")
def test_unreadable_colours_are_refused(tmp_path: Path) -> None:
    style = json.loads(_written(tmp_path).read_text())
    style["colours"]["text"] = "#eeeeee"
    with pytest.raises(PermanentError, match=r"text on background has contrast 1\.\d+, needs 4\.5"):
        parse_style(_written(tmp_path, colours=style["colours"]))


def test_a_missing_face_is_named(tmp_path: Path) -> None:
    style = json.loads(_written(tmp_path).read_text())
    style["fonts"]["body"]["face"] = "Comic"
    with pytest.raises(PermanentError, match="no face 'Comic'"):
        parse_style(_written(tmp_path, fonts=style["fonts"]))


@pytest.mark.finding("m12", "m13")
def test_alignment_and_gaps_come_from_the_file(tmp_path: Path, make_deck: Callable[..., Deck]) -> None:
    style = json.loads(_written(tmp_path).read_text())
    style["roles"]["body"] |= {"align": "centre", "gap": 90, "rule": None}
    changed = parse_style(_written(tmp_path, roles=style["roles"]))
    deck = make_deck([("a", ""), ("Heading", "Body"), ("c", "")])
    heading, body = layout_deck(deck, changed, "4:5").slides[1].texts[:2]
    assert abs((heading.ink[0] + heading.ink[2]) / 2 - 540) < 4
    plain = layout_deck(deck, load_style("editorial"), "4:5").slides[1].texts[0]
    assert plain.ink[0] < 120
    assert body.box[1] - heading.box[3] >= 60


@pytest.mark.finding("m16")
def test_styles_and_faces_load_once() -> None:
    assert load_styles() is load_styles()
    assert load_style("swiss") is load_style("swiss")
    assert face("Inter@400") is face("Inter@400")


@pytest.mark.finding("m17", "C9")
def test_fonts_and_styles_are_found_from_any_directory(tmp_path: Path) -> None:
    code = (
        "import sys; import carousel_pipeline.rendering as r; from carousel_pipeline.rendering import fonts, style;"
        "assert style.load_styles.cache_info().currsize == 0 and fonts.face.cache_info().currsize == 0;"
        "print(len(r.load_styles()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 10


def test_every_font_has_its_licence_and_its_row() -> None:
    folder = resource("assets_static") / "fonts"
    table = (folder / "FONTS.md").read_text()
    faces = sorted(folder.glob("*.ttf"))
    assert faces
    for path in faces:
        assert path.name in table
        assert "SIL" in (folder / f"{path.stem}.LICENSE.txt").read_text() or "Apache" in table
    assert sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) <= 14_000_000


@pytest.mark.parametrize("accent", ["#ffffff", "#000000", "#ffe600", "#1e90ff", "#7f7f7f", "#ff0055"])
def test_a_brand_accent_stays_readable_in_every_style(accent: str) -> None:
    for style in load_styles().values():
        colours = with_brand(style, Brand(accent=accent)).colours
        assert contrast(rgb(colours.accent), rgb(colours.background)) >= AA, style.id
        assert contrast(rgb(colours.on_accent), rgb(colours.accent)) >= AA, style.id
        assert contrast(rgb(colours.panel_accent), rgb(colours.panel)) >= AA, style.id


@pytest.mark.finding("m10")
def test_the_renderer_has_no_dead_code() -> None:
    folder = resource("assets_static").parent / "carousel_pipeline" / "rendering"
    done = subprocess.run(
        [sys.executable, "-m", "vulture", str(folder), "--min-confidence", "80"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
