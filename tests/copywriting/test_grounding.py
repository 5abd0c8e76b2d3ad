"""What a slide rests on, and what it says that its source does not."""

import pytest

from carousel_pipeline.copywriting.grounding import grounded, sentences_of
from carousel_pipeline.copywriting.offline import compose
from carousel_pipeline.requests import Deck, Options, Slide

SOURCE = """Sleep is not a luxury. Adults need seven to nine hours a night.

Keep the bedroom at 18 degrees. In 2024 a study followed 1,200 nurses and 3.5% slept less."""


def deck(*slides: tuple[str, str], language: str = "en") -> Deck:
    made = [Slide(role="body", heading=heading, body=body) for heading, body in slides]
    cover, last = Slide(role="cover", heading="Sleep"), Slide(role="last", heading="Save this")
    return Deck(language=language, slides=(cover, *made, last))


def flags(heading: str, body: str = "", language: str = "en") -> tuple[str, ...]:
    return grounded(deck((heading, body), language=language), SOURCE).slides[1].unsourced


def test_sentences_are_numbered_in_the_order_of_the_source() -> None:
    assert sentences_of(SOURCE)[:3] == [
        "Sleep is not a luxury.",
        "Adults need seven to nine hours a night.",
        "Keep the bedroom at 18 degrees.",
    ]


def test_a_slide_finds_its_sentences_without_being_told() -> None:
    made = grounded(deck(("Nurses slept less", "A study followed 1200 nurses.")), SOURCE).slides[1]
    assert made.sentences == ("In 2024 a study followed 1,200 nurses and 3.5% slept less.",)


def test_the_writers_pointers_are_taken_where_they_hold() -> None:
    told = grounded(deck(("Sleep well", "Adults need hours of it.")), SOURCE, {2: [2, 4, 77, -1]}).slides[1]
    assert told.sentences == ("Adults need seven to nine hours a night.",)


def test_in_another_language_the_writers_pointers_are_all_there_is() -> None:
    made = grounded(deck(("Взрослым нужно 7 часов", ""), language="ru"), SOURCE, {2: [2]}).slides[1]
    assert made.sentences == ("Adults need seven to nine hours a night.",)
    assert made.unsourced == ()


@pytest.mark.parametrize(
    ("heading", "strange"),
    [
        ("7–9 hours", ()),
        ("1200 nurses", ()),
        ("1 200 nurses", ()),
        ("3,5 % slept less", ()),
        ("18 degrees in 2024", ()),
        ("73% of people", ("73%",)),
        ("$40 saved", ("40 saved",)),
        ("10,000 nurses", ("10,000 nurses",)),
        ("**12** hours", ("12 hours",)),
    ],
)
def test_a_figure_is_compared_as_a_figure(heading: str, strange: tuple[str, ...]) -> None:
    assert flags(heading) == strange


def test_list_numbers_are_no_figures() -> None:
    assert flags("Keep it cool", "1. Bedroom at 18 degrees\n2. Sleep a night") == ()


def test_an_invented_statement_is_flagged_a_question_and_a_call_are_not() -> None:
    claim = "Scientists at Harvard proved that meditation doubles productivity."
    assert flags("Sleep", claim) == (claim,)
    assert flags("Sleep", "Have you ever measured your personal evening screen habits?") == ()
    last = grounded(deck(("Sleep", "")), SOURCE).slides[-1]
    assert (last.unsourced, last.sentences) == ((), ())


@pytest.mark.parametrize("language", ["en", "ru"])
def test_an_invented_figure_is_found_in_any_language(language: str) -> None:
    assert flags("Скидка 73 %" if language == "ru" else "Save 73 %", language=language) == ("73 %",)


def test_rules_invent_nothing() -> None:
    made = compose(SOURCE, Options(slides=5))
    assert all(slide.unsourced == () for slide in made.slides)
    assert made.slides[1].sentences
