"""What every painter keeps to: Gemini, the procedural painter, and fakes over a socket.

A picture is a picture, a stand-in says so, a failure raises: the predecessor returned empty bytes (m23).
"""

from dataclasses import dataclass
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field

from carousel_pipeline.copywriting.interface import Usage


class PictureBrief(BaseModel):
    """What a painter gets for one slide.

    Attributes:
        prompt: what the picture shows.
        art_direction: what all pictures of the deck share.
        palette: hex colours of the style, background first, accent last.
        family: the style's wish for a kind of procedural background, or None for the painter's choice.
        seed: same seed and brief give the same procedural picture.
        position: 1-based slide number, of `total`.
        width: pixels of the finished slide.
        height: pixels of the finished slide.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    prompt: str
    art_direction: str = ""
    palette: tuple[Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")], ...]
    family: str | None = None
    seed: str
    position: Annotated[int, Field(ge=1)]
    total: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(gt=0, le=4096)]
    height: Annotated[int, Field(gt=0, le=4096)]


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture.

    Attributes:
        data: JPEG, sRGB, quality 95, 4:4:4, exactly `width` x `height`.
        painter: model id, or `procedural`.
        stand_in: True when it replaces a picture that a model refused; then it is told to the user and not charged.
    """

    data: bytes
    width: int
    height: int
    painter: str
    stand_in: bool
    usage: Usage


class Painter(Protocol):
    """A painter.

    Attributes:
        name: model id, or `procedural`.
        demo: True when no model stands behind it.
    """

    name: str
    demo: bool

    async def paint(self, brief: PictureBrief, reference: Picture | None) -> Picture:
        """Return the picture of one slide; `reference` is the deck's first picture, for a common look.

        Raises:
            PermanentError: no picture can come of this brief.
            TransientError: worth another try by the caller's schedule; a painter never retries or sleeps by itself.
        """
        ...
