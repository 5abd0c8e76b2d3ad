"""What the assets hand to one another: references and facts, never bytes. Stored as JSON, readable years later."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from carousel_pipeline.requests.options import Ratio, StyleId

Position = Annotated[int, Field(ge=1, le=10)]


class StoredPicture(BaseModel):
    """A background in storage: JPEG of exactly `width` x `height` pixels under `key`.

    Attributes:
        strip: position of the first slide that was cut from the same panorama; None where it was painted alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: Position
    key: str
    sha256: str
    width: int
    height: int
    painter: str
    stand_in: bool
    strip: Position | None = None


class Pictures(BaseModel):
    """The asset `images`: one picture a slide, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: Annotated[tuple[StoredPicture, ...], Field(min_length=1, max_length=10)]


class StoredSlide(BaseModel):
    """A finished slide in storage.

    Attributes:
        contrast: worst WCAG ratio measured under the slide's text.
        inside: whether every drawn pixel of text lies within its box.
        warnings: what the layout had to do, by field: `heading shrunk`, `body truncated`, `body missing ꙮ`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: Position
    key: str
    sha256: str
    bytes: int
    width: int
    height: int
    contrast: float
    inside: bool
    warnings: tuple[str, ...] = ()


class RenderedSlides(BaseModel):
    """The asset `rendered_slides`: finished slides in order, and what they were drawn with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    style: StyleId
    style_version: int
    ratio: Ratio
    items: Annotated[tuple[StoredSlide, ...], Field(min_length=1, max_length=10)]


class Receipt(BaseModel):
    """The asset `delivery_receipt`: which messages arrived, in the slides' order. The money stands in the ledger."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    message_ids: tuple[int, ...]
