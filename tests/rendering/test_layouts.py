"""The layout, as text: goldens in JSON, and what must hold for any deck.

`UPDATE_GOLDENS=1 pytest tests/rendering` writes the goldens anew; read the diff before committing it.
"""

import hashlib
import json
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest

from carousel_pipeline.rendering import Brand, DeckLayout, SlideLayout, canvas, layout_deck, load_style, load_styles
from carousel_pipeline.rendering.scene import mirrored, overlap
from carousel_pipeline.requests import Deck, Ratio

_GOLDENS = Path(__file__).parent / "goldens"
_MAIN = ("number", "heading", "body")
_HANG = 45
_RATIOS = get_args(Ratio)
_LONG = "Высокопроизводительные микросервисы и наблюдаемость распределённых систем под нагрузкой. "

DeckOf = Callable[[str], Deck]
MakeDeck = Callable[..., Deck]


def _summary(layout: DeckLayout) -> dict[str, Any]:
    """Return a layout as a reader of a diff wants it: glyphs as a digest per text, the rest in full."""
    data = layout.as_dict()
    for slide in data["slides"]:
        for text in slide["texts"]:
            runs = text.pop("runs")
            text["faces"] = sorted({run["face"] for run in runs})
            glyphs = json.dumps([(run["glyphs"], run["ink"]) for run in runs])
            text["glyphs"] = hashlib.sha256(glyphs.encode()).hexdigest()[:12]
            for name in ("box", "ink", "marks"):
                text[name] = json.loads(json.dumps(text[name]), parse_float=lambda value: round(float(value)))
    return data


@pytest.mark.parametrize(
    ("style", "ratio", "language"),
    [
        ("editorial", "4:5", "ru"), ("night", "4:5", "en"), ("swiss", "1:1", "ar"), ("bold", "9:16", "zh"),
        ("kids", "16:9", "ru"),
    ],
)  # fmt: skip
def test_layout_is_the_golden_one(style: str, ratio: Ratio, language: str, deck_of: DeckOf) -> None:
    found = _summary(layout_deck(deck_of(language), load_style(style), ratio, Brand(handle="@carousel")))
    path = _GOLDENS / f"{style}_{ratio.replace(':', 'x')}_{language}.json"
    if os.environ.get("UPDATE_GOLDENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    assert found == json.loads(path.read_text())


def _main(slide: SlideLayout) -> list[Any]:
    return [text for text in slide.texts if text.name in _MAIN]


def _assert_sound(layout: DeckLayout) -> None:
    for slide in layout.slides:
        left, top, right, bottom = slide.safe
        texts = _main(slide)
        for text in slide.texts:
            assert text.box[0] <= text.ink[0] <= text.ink[2] <= text.box[2]
            assert text.box[1] <= text.ink[1] <= text.ink[3] <= text.box[3]
            assert 0 not in {glyph for run in text.runs for glyph in run.glyphs}
        for text in texts:
            assert text.ink[0] >= left - _HANG
            assert text.ink[2] <= right + _HANG
            assert text.ink[1] >= top - _HANG
            assert text.ink[3] <= bottom + _HANG
        for above, below in pairwise(texts):
            assert above.ink[3] <= below.ink[1] + 4
        furniture = [text for text in slide.texts if text.name not in _MAIN]
        for text in texts:
            assert not any(overlap(text.ink, other.ink) for other in furniture)


@pytest.mark.finding("m11")
@pytest.mark.parametrize("style", load_styles())
@pytest.mark.parametrize("ratio", _RATIOS)
def test_text_stays_in_place(style: str, ratio: Ratio, deck_of: DeckOf, make_deck: MakeDeck) -> None:
    brand = Brand(handle="@a_rather_long_handle_of_a_brand_here")
    for language in ("ru", "en", "ar", "zh"):
        _assert_sound(layout_deck(deck_of(language), load_style(style), ratio, brand))
    crowded = make_deck([(_LONG * 2, _LONG * 4), (_LONG * 2, _LONG * 7), ("x", ""), (_LONG, _LONG * 3)], "ru")
    _assert_sound(layout_deck(crowded, load_style(style), ratio, brand))


@pytest.mark.finding("m11")
def test_what_is_cut_is_reported_with_its_length(make_deck: MakeDeck) -> None:
    deck = make_deck([("Cover", ""), ("W" * 199, "слово и " * 87), ("Last", "")], "ru")
    layout = layout_deck(deck, load_style("paper"), "1:1")
    (cut,) = [warning for warning in layout.warnings[2] if warning.kind == "truncated" and warning.field == "body"]
    body = next(text for text in layout.slides[1].texts if text.name == "body")
    shown = sum(len(line) for line in body.lines)
    assert body.lines[-1].endswith("…")
    assert abs(shown + cut.characters - len(deck.slides[1].body)) < 25


@pytest.mark.finding("m15")
@pytest.mark.parametrize(
    ("word", "language"),
    [
        ("Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz", "de"),
        ("превысокомногорассмотрительствующий" * 3, "ru"),
        ("https://example.com/" + "a" * 150, "en"),
        ("W" * 200, "en"),
        ("👩‍👩‍👧‍👦" * 20, "en"),
        ("界" * 200, "zh"),
    ],
)
def test_an_overlong_word_is_parted(word: str, language: str, make_deck: MakeDeck) -> None:
    deck = make_deck([(word[:200], word[:200]), (word[:200], word), ("End", "")], language)
    for style in ("editorial", "neon"):
        layout = layout_deck(deck, load_style(style), "4:5")
        _assert_sound(layout)
        assert all(text.lines for slide in layout.slides for text in _main(slide))


def test_a_hyphen_parts_a_long_word(make_deck: MakeDeck) -> None:
    word = "достопримечательностепроизводительность"
    layout = layout_deck(make_deck([("a", ""), (word, ""), ("b", "")], "ru"), load_style("neon"), "4:5")
    heading = layout.slides[1].texts[0]
    assert any(line.endswith("-") for line in heading.lines)
    assert "".join(heading.lines).replace("-", "") == word


def test_sizes_are_one_hand_across_the_deck(make_deck: MakeDeck) -> None:
    bodies = [("Heading", "word " * count) for count in (10, 40, 88, 90)]
    layout = layout_deck(make_deck([("Cover", ""), *bodies, ("Last", "")]), load_style("swiss"), "4:5")
    sizes = {tuple(text.size for text in _main(slide)) for slide in layout.slides[1:-1]}
    assert len(sizes) == 1
    tops = {slide.texts[1].box[1] for slide in layout.slides[1:-1]}
    assert len(tops) == 1


def test_one_crowded_slide_shrinks_alone_and_says_so(make_deck: MakeDeck) -> None:
    bodies = [("Heading", "word " * 12), ("Heading", "word " * 138), ("Heading", "word " * 12)]
    layout = layout_deck(make_deck([("Cover", ""), *bodies, ("Last", "")]), load_style("clean"), "1:1")
    sizes = [slide.texts[1].size for slide in layout.slides[1:4]]
    assert sizes[0] == sizes[2] > sizes[1]
    assert [warning.kind for warning in layout.warnings[3]] == ["shrunk"]


@pytest.mark.parametrize("style", ["bauhaus", "bold", "botanical", "gradient", "kids", "paper", "swiss"])
def test_a_list_under_a_long_heading_keeps_the_size_of_its_deck(style: str, make_deck: MakeDeck) -> None:
    items = "- выпишите всё на лист\n- вычеркните лишнее\n- поставьте одну дату\n- покажите список другу"
    long = "Сначала закройте открытые вкладки в голове, а потом беритесь за новое"
    short = ("Начните с малого", "- откройте файл\n- напишите строчку\n- включите таймер")
    deck = make_deck([("a", ""), short, (long, items), short, ("b", "")], "ru")
    layout = layout_deck(deck, load_style(style), "4:5")
    assert not layout.warnings
    bodies = [text.size for slide in layout.slides[1:4] for text in slide.texts if text.name == "body"]
    headings = [text.size for slide in layout.slides[1:4] for text in slide.texts if text.name == "heading"]
    assert len(set(bodies)) == 1
    assert headings[0] == headings[2] > headings[1] > bodies[1]


def test_more_text_is_never_larger(make_deck: MakeDeck) -> None:
    sizes = []
    for count in (5, 20, 40, 80, 120, 139):
        layout = layout_deck(
            make_deck([("Cover", ""), ("Heading", "word " * count), ("Last", "")]), load_style("night"), "4:5"
        )
        sizes.append(layout.slides[1].texts[1].size)
    assert sizes == sorted(sizes, reverse=True)


def test_missing_characters_are_reported(make_deck: MakeDeck) -> None:
    layout = layout_deck(make_deck([("Cover", "𐎀 and 𐎁"), ("b", ""), ("c", "")]), load_style("editorial"), "4:5")
    (warning,) = layout.warnings[1]
    assert (warning.kind, warning.field, warning.detail) == ("missing", "body", "𐎀 𐎁")


@pytest.mark.finding("m12")
def test_arabic_starts_at_the_right(deck_of: DeckOf) -> None:
    slide = layout_deck(deck_of("ar"), load_style("swiss"), "4:5").slides[1]
    right = slide.safe[2]
    for text in _main(slide):
        assert abs(text.ink[2] - right) < 20


def test_safe_areas_of_stories_are_kept(deck_of: DeckOf) -> None:
    for style in load_styles().values():
        for slide in layout_deck(deck_of("ru"), style, "9:16").slides:
            assert min(text.ink[1] for text in slide.texts) >= 200
            assert max(text.ink[3] for text in slide.texts) <= 1920 - 300


def test_layout_is_json_and_repeatable(deck_of: DeckOf) -> None:
    first = layout_deck(deck_of("ar"), load_style("paper"), "1:1")
    assert json.loads(json.dumps(first.as_dict())) == layout_deck(deck_of("ar"), load_style("paper"), "1:1").as_dict()


def test_canvas_sizes() -> None:
    assert [canvas(ratio) for ratio in _RATIOS] == [(1080, 1350), (1080, 1080), (1080, 1920), (1920, 1080)]


@pytest.mark.parametrize("count", [1, 2])
def test_short_decks_have_no_counters(count: int, make_deck: MakeDeck) -> None:
    deck = Deck(language="en", slides=make_deck([("One", "Body"), ("Two", "Body"), ("Three", "")]).slides[:count])
    layout = layout_deck(deck, load_style("editorial"), "4:5")
    assert len(layout.slides) == count
    if count == 1:
        assert {text.name for text in layout.slides[0].texts} == {"heading", "body"}


def test_a_heading_that_wraps_does_not_make_its_body_small(make_deck: MakeDeck) -> None:
    steps = "Каждое дело занимает место.\n- выпишите всё на лист\n- вычеркните лишнее\n- поставьте одну дату"
    for style in ("neon", "bold", "bauhaus", "gradient"):
        look = load_style(style)
        deck = make_deck([("a", ""), ("Сначала закройте открытые вкладки в голове", steps), ("b", "")], "ru")
        heading, body = (
            text for text in layout_deck(deck, look, "4:5").slides[1].texts if text.name in {"heading", "body"}
        )
        role = look.role("body")
        shares = [
            (text.size - set_as.smallest) / (set_as.largest - set_as.smallest)
            for text, set_as in ((heading, role.heading), (body, role.body))
        ]
        assert shares[1] >= 0.5, style
        assert shares[1] <= shares[0] + 0.45, style


@pytest.mark.parametrize("style", load_styles())
@pytest.mark.parametrize("ratio", _RATIOS)
def test_a_deck_read_from_the_right_is_a_mirror_image(style: str, ratio: Ratio, make_deck: MakeDeck) -> None:
    look, brand = load_style(style), Brand(handle="@carousel")
    width = canvas(ratio)[0]
    # Digits and signs take their direction from the deck; only what is said decides it.
    copies = [("א", ""), ("א", ""), ("א", "")], [("a", ""), ("a", ""), ("a", "")]
    ours, theirs = (layout_deck(make_deck(copy, "xx"), look, ratio, brand).slides for copy in copies)
    for there, here in zip(ours, theirs, strict=True):
        assert _sides([there.picture.box]) == _sides([mirrored(here.picture.box, width)])
        for layer in ("back", "under", "over", "furniture"):
            boxes = [shape.box for shape in getattr(here, layer)]
            assert _sides([shape.box for shape in getattr(there, layer)]) == _sides(
                [mirrored(box, width) for box in boxes]
            )
        for name in ("handle", "counter", "label"):
            boxes = [text.box for text in here.texts if text.name.startswith(name)]
            found = [text.box for text in there.texts if text.name.startswith(name)]
            for right, left in zip(found, boxes, strict=True):
                # Letters keep their own bearings at both ends.
                assert abs(right[2] - mirrored(left, width)[2]) < 12


def _sides(boxes: list[Any]) -> list[tuple[int, int]]:
    return sorted((round(left + 0.01), round(right + 0.01)) for left, _, right, _ in boxes)


@pytest.mark.parametrize("style", load_styles())
def test_on_a_wide_slide_arabic_stands_right_of_a_picture_that_latin_stands_left_of(
    style: str, deck_of: DeckOf
) -> None:
    look = load_style(style)
    for language in ("ar", "en"):
        for slide in layout_deck(deck_of(language), look, "16:9").slides:
            place = look.role(
                "cover" if slide.position == 1 else "last" if slide.position == 4 else "body"
            ).picture.place
            if place == "full":
                continue
            right = all(text.ink[0] > slide.picture.box[2] for text in _main(slide))
            left = all(text.ink[2] < slide.picture.box[0] for text in _main(slide))
            assert right is not left
            assert right is ((language == "ar") is (place != "bottom"))


def test_one_english_heading_does_not_turn_an_arabic_deck(deck_of: DeckOf) -> None:
    deck = deck_of("ar")
    mixed = deck.model_copy(
        update={
            "slides": (deck.slides[0], deck.slides[1].model_copy(update={"heading": "Deep work"}), *deck.slides[2:])
        }
    )
    handles = {
        text.box[2]
        for slide in layout_deck(mixed, load_style("editorial"), "16:9", Brand(handle="@carousel")).slides[1:3]
        for text in slide.texts
        if text.name.startswith("handle")
    }
    assert len(handles) == 1
