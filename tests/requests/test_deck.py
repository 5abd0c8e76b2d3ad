"""A deck has one to ten slides with their roles in place, whoever wrote it."""

import pytest
from pydantic import ValidationError

from carousel_pipeline.requests import Deck, Options, Slide, price_of
from carousel_pipeline.requests.deck import roles


def deck_of(count: int) -> Deck:
    return Deck(language="en", slides=tuple(Slide(role=role, heading="Heading") for role in roles(count)))


@pytest.mark.finding("C13", "m20")
@pytest.mark.parametrize("count", [0, 11, 12])
def test_a_deck_of_no_slides_or_more_than_an_album_takes_is_refused(count: int) -> None:
    with pytest.raises(ValidationError):
        deck_of(count)


@pytest.mark.parametrize("count", range(1, 11))
def test_a_slide_costs_one_credit_and_three_with_a_picture_of_its_own(count: int) -> None:
    assert price_of(deck_of(count)) == count
    assert price_of(deck_of(count), Options(pictures="each")) == 3 * count


def test_roles_out_of_place_are_refused() -> None:
    with pytest.raises(ValidationError, match="slide roles must be"):
        Deck(language="en", slides=(Slide(role="body", heading="a"), Slide(role="cover", heading="b")))


@pytest.mark.finding("M6")
@pytest.mark.parametrize(
    "crafted",
    [
        {"style": "../../etc/passwd"},
        {"style": ""},
        {"ratio": "3:2"},
        {"slides": 11},
        {"slides": 2},
        {"price": 0},
        {"language": "ru; drop"},
    ],
)
def test_crafted_options_never_parse(crafted: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(crafted)


def test_a_validation_error_does_not_quote_the_text() -> None:
    with pytest.raises(ValidationError) as caught:
        Deck.model_validate({"language": "en", "slides": [{"role": "cover", "heading": "my secret " * 50}]})
    assert "my secret" not in str(caught.value)
