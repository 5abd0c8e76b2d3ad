"""The copywriter is told by how many characters a field must shrink, and shrinking it by that many is enough."""

from collections.abc import Callable

import pytest

from carousel_pipeline.rendering import budgets, layout_deck, load_style, load_styles, must_shrink
from carousel_pipeline.requests import Deck, Ratio

_WORDS = {
    "ru": "Высокопроизводительные микросервисы и **наблюдаемость** систем под нагрузкой. ",
    "en": "Plans fail quietly and nobody notices until Friday comes around again. ",
    "zh": "大脑害怕的不是工作，而是工作的规模和未知的结果。",
}

_EVERYDAY = _WORDS | {
    "ru": "Сначала решите, что вы обещаете себе на этой неделе, и только потом открывайте календарь и почту. "
}


def _shortened(deck: Deck, position: int, field: str, length: int) -> Deck:
    slides = list(deck.slides)
    slide = slides[position - 1]
    slides[position - 1] = slide.model_copy(update={field: getattr(slide, field)[:length]})
    return deck.model_copy(update={"slides": tuple(slides)})


def test_a_deck_that_fits_needs_nothing(deck_of: Callable[[str], Deck]) -> None:
    for style in load_styles().values():
        assert must_shrink(deck_of("ru"), style, "4:5") == ()


@pytest.mark.parametrize("language", _WORDS)
@pytest.mark.parametrize(("style", "ratio"), [("bold", "1:1"), ("paper", "4:5"), ("mono", "16:9"), ("kids", "9:16")])
def test_shrinking_by_that_many_is_enough(
    style: str, ratio: Ratio, language: str, make_deck: Callable[..., Deck]
) -> None:
    long = _WORDS[language] * 40
    deck = make_deck([("A", "b"), (long[:200], long[:700]), ("A", long[:700]), ("A", "b")], language)
    look = load_style(style)
    for excess in must_shrink(deck, look, ratio):
        whole = len(getattr(deck.slides[excess.position - 1], excess.field))
        assert excess.characters + excess.fits == whole
        assert excess.fits > whole * 0.2
        deck = _shortened(deck, excess.position, excess.field, excess.fits)
    assert not [
        warning
        for warnings in layout_deck(deck, look, ratio).warnings.values()
        for warning in warnings
        if warning.kind == "truncated"
    ]


@pytest.mark.parametrize(("language", "ratio"), [("ru", "4:5"), ("en", "16:9"), ("zh", "9:16"), ("ru", "1:1")])
def test_copy_within_its_budget_is_set_comfortably(language: str, ratio: Ratio, make_deck: Callable[..., Deck]) -> None:
    words = _EVERYDAY[language] * 20
    for style in map(load_style, ("bold", "botanical", "clean", "paper")):
        found = budgets(style, ratio, language)
        deck = make_deck(
            [(words[: found[role].heading], words[: found[role].body]) for role in ("cover", "body", "last")],
            language,
        )
        layout = layout_deck(deck, style, ratio)
        assert not layout.warnings, style.id
        for slide, copy in zip(layout.slides, deck.slides, strict=True):
            heading = next(text for text in slide.texts if text.name == "heading")
            assert found[copy.role].heading >= 6
            assert found[copy.role].body >= 20
            assert heading.size > style.role(copy.role).heading.smallest, (style.id, copy.role)


def test_wide_faces_and_small_boxes_take_less() -> None:
    paper = load_style("paper")
    assert budgets(paper, "1:1", "ru")["body"].body < budgets(paper, "9:16", "ru")["body"].body
    assert budgets(paper, "4:5", "zh")["body"].body < budgets(paper, "4:5", "en")["body"].body
    assert budgets(paper, "4:5") is budgets(load_style("paper"), "4:5")
