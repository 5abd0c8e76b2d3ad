"""What a user may choose. Every boundary (callback, run, file) parses into this model, so a crafted value never travels."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Ratio = Literal["4:5", "1:1", "9:16", "16:9"]
Tone = Literal["neutral", "friendly", "expert", "bold", "playful"]
Structure = Literal["list", "how_to", "myth_fact", "problem_proof", "story", "before_after", "case", "questions"]
Words = Literal["rewrite", "keep"]
PictureMode = Literal["panorama", "each"]
Kind = Literal["carousel", "again", "text", "picture", "style", "size", "language", "slides", "undo"]

StyleId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,31}$")]
LanguageTag = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class Options(BaseModel):
    """The choices of one request.

    Attributes:
        style: id of a file in `assets_static/styles`.
        ratio: width to height of every slide.
        slides: wanted number of slides, or None to let the text decide.
        language: ISO 639 code of the slides' language, or None for the text's own.
        tone: how the copy sounds.
        structure: how the deck is told, or None to let the text decide.
        words: `keep` only splits the user's words, `rewrite` may shorten and rephrase.
        pictures: `panorama` paints one or two wide ones and cuts every slide's from them; `each` paints one a slide.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    style: StyleId = "editorial"
    ratio: Ratio = "4:5"
    slides: Annotated[int, Field(ge=3, le=10)] | None = None
    language: LanguageTag | None = None
    tone: Tone = "neutral"
    structure: Structure | None = None
    words: Words = "rewrite"
    pictures: PictureMode = "panorama"
