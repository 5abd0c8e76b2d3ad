"""The story drawn and written: well-formed, complete, within its frame, and without a word of markup from outside."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from carousel_pipeline.timeline import Fact, as_table, as_text, as_values, svg_of, timeline
from carousel_pipeline.timeline.words import duration

from .conftest import MADE, ORDERED, OUTLINE, SENT, unended

SVG = "{http://www.w3.org/2000/svg}"
WHOLE = [*OUTLINE, *ORDERED, *MADE, *SENT]


def drawn(facts: list[Fact]) -> ET.Element:
    return ET.fromstring(svg_of(timeline(facts)))  # noqa: S314 - our own


def test_every_bar_is_drawn_inside_the_frame() -> None:
    root = drawn(WHOLE)
    titles = [title.text for title in root.iter(f"{SVG}title")]
    bars = [bar for chapter in timeline(WHOLE).chapters for row in chapter.rows for bar in row.bars]
    assert len(titles) == len(bars)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for shape in root.iter(f"{SVG}rect"):
        x, y, wide, high = (float(shape.attrib[name]) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert x + wide <= width
        assert y + high <= height
    for text in root.iter(f"{SVG}text"):
        assert 0 < float(text.attrib["y"]) < height
    assert svg_of(timeline(WHOLE)) == svg_of(timeline(list(WHOLE)))


def test_it_is_small_however_much_happened() -> None:
    many = [replace(fact, slide=slide) for slide in range(1, 11) for fact in MADE if fact.slide == 1]
    assert len(svg_of(timeline([*WHOLE, *many]))) < 20_000


def test_what_failed_or_never_ended_is_drawn_as_such() -> None:
    facts = [*ORDERED, *MADE[:1], unended("images", 101, run_id="a")]
    classes = [shape.attrib["class"] for shape in drawn(facts).iter(f"{SVG}rect")]
    assert "work open" in classes
    assert "x e" in classes
    assert "did not end" in as_text(timeline(facts))


def test_nothing_from_outside_becomes_markup() -> None:
    strange = [replace(fact, detail='gemini <b>"&') if fact.name == "paint" else fact for fact in WHOLE]
    assert "gemini <b>" in " ".join(title.text or "" for title in drawn(strange).iter(f"{SVG}title"))


def test_of_nothing_the_picture_says_so() -> None:
    assert "nothing is known" in "".join(drawn([]).itertext())
    assert as_text(timeline([])) == ""


def test_the_text_has_a_line_for_every_bar_with_offset_and_duration() -> None:
    lines = as_text(timeline(WHOLE)).splitlines()
    assert "Outline: 4.50 s, outline stored" in lines
    assert "… 1 min 35 s the person decided" in lines
    assert "Carousel: 4.75 s, delivered and charged" in lines
    assert "  Telegram 0.50 s, providers 1.75 s, our own work 1.00 s, Dagster 1.50 s" in lines
    [images] = [line for line in lines if "  images " in line]
    assert images.split("│")[0].split() == ["1.00", "2.00", "images"]
    assert images.split("│")[1].strip(" ").strip("█▏▎▍▌▋▊▉") == ""
    assert max(map(len, lines)) <= 110


def test_the_table_and_the_values_hold_the_same() -> None:
    story = timeline(WHOLE)
    table, values = as_table(story), as_values(story)
    flat = [(row["what"], row["at s"], row["took s"]) for row in table]
    assert flat == [(each["what"], each["at_s"], each["took_s"]) for chapter in values for each in chapter["happened"]]
    assert [chapter["took_s"] for chapter in values] == [4.5, 4.75]
    assert values[1]["shares_s"]["dagster"] == 1.5


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.00 s"), (59.994, "59.99 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (7500, "2 h 5 min")],
)
def test_times_are_told_as_people_tell_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said
