"""What a change takes over and what it costs: a painted picture is never painted or charged again because of its neighbour."""

from uuid import UUID

import pytest
from pydantic import ValidationError

from carousel_pipeline.requests import Deck, Options, PictureMode, Slide
from carousel_pipeline.requests.change import (
    Change,
    Edit,
    EditRefusedError,
    Version,
    added,
    charge_of,
    moved,
    removed,
    repainted,
    repictured,
    resized,
    restyled,
    retexted,
    retranslated,
    undone,
)
from carousel_pipeline.requests.deck import roles
from carousel_pipeline.requests.results import Pictures, StoredPicture

ID = UUID(int=7)


def version(slides: int = 4, *, made: bool = True, pictures: PictureMode = "panorama") -> Version:
    deck = Deck(
        language="en",
        slides=tuple(
            Slide(role=role, heading=f"H{n}", body=f"B{n}", picture=f"P{n}", unsourced=("40 %",))
            for n, role in enumerate(roles(slides), 1)
        ),
        art_direction="one look",
    )
    return Version(id=ID, options=Options(pictures=pictures), deck=deck, made=made)


def pictures(count: int, stand_ins: set[int]) -> Pictures:
    return Pictures(
        items=tuple(
            StoredPicture(position=n, key="k", sha256="s", width=1, height=1, painter="p", stand_in=n in stand_ins)
            for n in range(1, count + 1)
        )
    )


@pytest.mark.parametrize(
    ("edit", "price", "taken"),
    [
        (retexted(version(), 2, "New", "words"), 0, [1, 2, 3, 4]),
        (restyled(version(), "night"), 0, [1, 2, 3, 4]),
        (resized(version(), "1:1"), 0, [1, 2, 3, 4]),
        (moved(version(), 4, 2), 0, [1, 4, 2, 3]),
        (removed(version(), 1), 0, [2, 3, 4]),
        (repainted(version(), 3), 1, [1, 2, None, 4]),
        (repainted(version(pictures="each"), 3), 1, [1, 2, None, 4]),
        (added(version(), 1, "More", ""), 1, [1, None, 2, 3, 4]),
        (added(version(pictures="each"), 1, "More", ""), 3, [1, None, 2, 3, 4]),
        (retranslated(version(), "de"), 0, [1, 2, 3, 4]),
        (retexted(version(made=False), 2, "New", "words"), 4, [None] * 4),
        (removed(version(made=False), 4), 3, [None] * 3),
        (repictured(version(made=False), "each"), 12, [None] * 4),
        (repictured(version(made=False, pictures="each"), "panorama"), 4, [None] * 4),
    ],
)
def test_what_a_change_costs_and_takes_over(edit: Edit, price: int, taken: list[int | None]) -> None:
    assert edit.price == price
    assert [edit.change.taken_from(place) for place in range(1, len(edit.deck.slides) + 1)] == taken
    assert [slide.role for slide in edit.deck.slides] == list(roles(len(edit.deck.slides)))


def test_new_words_are_the_persons_own() -> None:
    slide = retexted(version(), 2, "New", "words").deck.slides[1]
    assert (slide.heading, slide.body, slide.picture, slide.unsourced) == ("New", "words", "P2", ())


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (lambda: retexted(version(), 5, "x", ""), "no_slide"),
        (lambda: moved(version(), 1, 9), "no_slide"),
        (lambda: removed(version(3), 1), "too_few"),
        (lambda: added(version(10), 3, "x", ""), "too_many"),
        (lambda: repainted(version(made=False), 1), "not_made"),
        (lambda: retranslated(version(made=False), "de"), "not_made"),
        (lambda: repictured(version(), "panorama"), "made"),
        (lambda: undone(version(made=False), version()), "not_made"),
    ],
)
def test_what_cannot_be_changed_says_why(wish: object, reason: str) -> None:
    assert callable(wish)
    with pytest.raises(EditRefusedError) as caught:
        wish()
    assert caught.value.reason == reason


def test_words_that_do_not_fit_and_crafted_changes_never_parse() -> None:
    with pytest.raises(ValidationError):
        retexted(version(), 1, "x" * 201, "")
    with pytest.raises(ValidationError):
        repainted(version(), 1, "x" * 601)
    with pytest.raises(ValidationError):
        Change.model_validate({"pictures": [1]})
    with pytest.raises(ValidationError):
        Change.model_validate({"base": str(ID), "pictures": [11]})


@pytest.mark.parametrize(
    ("change", "mode", "price", "stand_ins", "charge"),
    [
        (Change(), "panorama", 4, set(), None),
        (Change(), "panorama", 4, {1, 2}, 2),
        (Change(), "panorama", 4, {1, 2, 3, 4}, 0),
        (Change(), "each", 12, {1, 3}, 6),
        (Change(base=ID, pictures=(3,)), "each", 1, {1}, None),
        (Change(base=ID, pictures=(3,)), "each", 1, {1, 3}, 0),
        (Change(base=ID, origin=(1, 2, None, 3), pictures=(3,)), "each", 3, {3}, 0),
        (Change(base=ID), "panorama", 0, {1}, None),
        (Change(base=ID), "each", 12, {2}, 9),
    ],
)
def test_a_stand_in_is_not_charged(
    change: Change, mode: PictureMode, price: int, stand_ins: set[int], charge: int | None
) -> None:
    assert charge_of(change, Options(pictures=mode), price, pictures(4, stand_ins)) == charge
