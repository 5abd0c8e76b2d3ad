"""`carousel render`: slides from a file, clear words for a wrong one, and again when a designer saves."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.paths import resource
from carousel_pipeline.rendering.command import render
from carousel_pipeline.requests import Deck


@pytest.fixture
def deck_file(tmp_path: Path, deck_of: Callable[[str], Deck]) -> Path:
    path = tmp_path / "deck.json"
    path.write_text(deck_of("en").model_dump_json())
    return path


def test_slides_are_written(deck_file: Path, tmp_path: Path) -> None:
    background = tmp_path / "photo.png"
    Image.new("RGB", (300, 200), "#336699").save(background)
    said: list[str] = []
    paths = render(
        deck_file, "night", "1:1", background, tmp_path / "out", handle="@me", accent="#ff8800", say=said.append
    )
    assert [path.name for path in paths] == ["01.jpg", "02.jpg", "03.jpg", "04.jpg"]
    with Image.open(paths[0]) as first:
        assert first.size == (1080, 1080)
    assert "contrast" in said[0]


def test_slides_are_written_without_loss_or_as_one_file(deck_file: Path, tmp_path: Path) -> None:
    paths = render(deck_file, "swiss", "1:1", None, tmp_path / "png", form="png")
    assert [path.name for path in paths] == ["01.png", "02.png", "03.png", "04.png"]
    with Image.open(paths[0]) as first:
        assert (first.format, first.size) == ("PNG", (1080, 1080))
    (pdf,) = render(deck_file, "swiss", "1:1", None, tmp_path / "pdf", form="pdf")
    assert [path.name for path in (tmp_path / "pdf").iterdir()] == ["slides.pdf"]
    assert pdf.read_bytes().count(b"/Type/Page/") == 4


def test_warnings_are_said_in_words(tmp_path: Path, make_deck: Callable[..., Deck]) -> None:
    path = tmp_path / "deck.json"
    path.write_text(make_deck([("𐎀", ""), ("b", "- word\n" * 90), ("c", "")]).model_dump_json())
    said: list[str] = []
    render(path, "paper", "1:1", None, tmp_path, say=said.append)
    assert any("slide 1: heading has characters no font draws: 𐎀" in line for line in said)
    assert any("slide 2: body is cut; " in line for line in said)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "deck.json: file: Invalid JSON"),
        ('{"language": "en", "slides": []}', "deck.json: slides: Tuple should have at least 1 item"),
        ('{"language": "en", "slides": [{"role": "body", "heading": "x"}]}', "slide roles must be"),
    ],
)
def test_a_wrong_deck_names_file_and_field(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "deck.json"
    path.write_text(content)
    with pytest.raises(PermanentError, match=problem):
        render(path, "editorial", "4:5", None, tmp_path)


def test_missing_and_wrong_arguments_are_named(deck_file: Path, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"none\.json cannot be read: No such file"):
        render(tmp_path / "none.json", "editorial", "4:5", None, tmp_path)
    with pytest.raises(PermanentError, match="no style 'nope'; there are editorial"):
        render(deck_file, "nope", "4:5", None, tmp_path)
    with pytest.raises(PermanentError, match="no ratio '3:2'; there are 4:5"):
        render(deck_file, "editorial", "3:2", None, tmp_path)  # type: ignore[arg-type]  # what a person may type
    with pytest.raises(PermanentError, match="picture cannot be read"):
        render(deck_file, "editorial", "4:5", deck_file, tmp_path)
    with pytest.raises(PermanentError, match=r"brand accent: .*not a colour"):
        render(deck_file, "editorial", "4:5", None, tmp_path, accent="orange")
    with pytest.raises(PermanentError, match="cannot be made a folder"):
        render(deck_file, "editorial", "4:5", None, deck_file / "below")


class _Enough(Exception):  # noqa: N818  # not an error: ends the watch
    pass


def test_watching_renders_again_and_survives_a_broken_style(deck_file: Path, tmp_path: Path) -> None:
    style = tmp_path / "editorial.json"
    original = json.loads((resource("assets_static") / "styles" / "editorial.json").read_text())
    style.write_text(json.dumps(original))
    first, broken = threading.Event(), threading.Event()
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if "04.jpg" in line:
            if broken.is_set():
                raise _Enough
            first.set()
        elif "not a colour" in line:
            broken.set()

    def designer() -> None:
        first.wait(30)
        style.write_text(json.dumps(original | {"palette": ["nope", "#fff"]}))
        broken.wait(30)
        style.write_text(json.dumps(original | {"margin": 120}))

    thread = threading.Thread(target=designer)
    thread.start()
    with pytest.raises(_Enough):
        render(deck_file, str(style), "1:1", None, tmp_path / "out", watch=True, say=say)
    thread.join()
    assert sum("01.jpg" in line for line in said) == 2
