"""A deck: the copy of one carousel, the contract between writers, painters, the renderer and the bot.

One to ten slides, whoever wrote them: Telegram takes ten pictures in an album and the predecessor never checked (C13). Validation
errors name fields and never quote what stood there: they end up in Dagster's event log, and the text is somebody's.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from carousel_pipeline.requests.options import LanguageTag, Structure

MIN_SLIDES = 3
MAX_SLIDES = 10

Role = Literal["cover", "body", "last"]


class Slide(BaseModel):
    """One slide's copy.

    Attributes:
        role: `cover` hooks, `body` carries one idea, `last` calls to action.
        heading: plain text with optional `**bold**` and `==marker==`; at most 200 characters.
        body: the same markup plus `- ` and `1. ` list lines; may be empty; at most 700 characters.
        alt: what a person who cannot see the slide should hear.
        picture: brief for the painter, without any wish for letters in the picture.
        sentences: the source's sentences that the slide rests on, word for word; empty where it only asks or invites.
        unsourced: figures and claims of the slide, word for word, that the source does not have; shown before anybody pays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    role: Role
    heading: Annotated[str, Field(min_length=1, max_length=200)]
    body: Annotated[str, Field(max_length=700)] = ""
    alt: Annotated[str, Field(max_length=1000)] = ""
    picture: Annotated[str, Field(max_length=600)] = ""
    sentences: Annotated[tuple[Annotated[str, Field(max_length=400)], ...], Field(max_length=6)] = ()
    unsourced: Annotated[tuple[Annotated[str, Field(max_length=300)], ...], Field(max_length=10)] = ()


class Deck(BaseModel):
    """The whole copy.

    Attributes:
        language: ISO 639 code of the slides' language.
        structure: how the deck is told.
        slides: 1 to 10; the first is a cover, and with three or more the last is a `last`.
        caption: text for the post under the album, without hashtags; at most 2,200 characters (Instagram's limit).
        hashtags: each with its `#`.
        art_direction: one brief that every picture of the deck shares.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    language: LanguageTag
    structure: Structure = "list"
    slides: Annotated[tuple[Slide, ...], Field(min_length=1, max_length=MAX_SLIDES)]
    caption: Annotated[str, Field(max_length=2200)] = ""
    hashtags: Annotated[tuple[Annotated[str, Field(pattern=r"^#\S{1,60}$")], ...], Field(max_length=30)] = ()
    art_direction: Annotated[str, Field(max_length=800)] = ""

    @model_validator(mode="after")
    def _roles_in_place(self) -> Self:
        expected = roles(len(self.slides))
        found = tuple(slide.role for slide in self.slides)
        if found != expected:
            raise ValueError(f"slide roles must be {expected}, not {found}")
        return self


def roles(count: int) -> tuple[Role, ...]:
    """Return the roles of `count` slides in order: a cover, bodies, and a last one from three slides on."""
    short: tuple[Role, ...] = ("cover", "body")
    body: Role = "body"
    return short[:count] if count < MIN_SLIDES else ("cover", *(body for _ in range(count - 2)), "last")


def album_caption(deck: Deck, limit: int = 1024) -> str:
    """Return the longest of caption with hashtags, caption, and nothing that an album's `limit` of characters takes."""
    with_tags = "\n\n".join(part for part in (deck.caption, " ".join(deck.hashtags)) if part)
    return next((text for text in (with_tags, deck.caption) if len(text) <= limit), "")
