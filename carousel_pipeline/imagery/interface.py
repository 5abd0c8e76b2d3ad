"""What every painter keeps to: Gemini, the procedural painter, and fakes over a socket.

A picture is a picture, a stand-in says so, a failure raises: the predecessor returned empty bytes (m23). One `paint` is one call
with a timeout, never a retry (n9).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from carousel_pipeline.providers import UNRECORDED, CallLog, Usage

Wish = Literal["as_briefed", "softer", "clearer"]
Judge = Callable[[bytes, tuple[int, int]], str | None]
"""From a picture at its final size and the size in which it came to what is wrong with it, or None."""


def accept(data: bytes, size: tuple[int, int]) -> str | None:
    """Find nothing wrong: for pictures of our own making."""
    del data, size
    return None


class PictureBrief(BaseModel):
    """What a painter gets for one slide.

    Attributes:
        prompt: what the picture shows.
        art_direction: what all pictures of the deck share.
        palette: hex colours of the style, background first, accent last.
        family: the style's wish for a kind of procedural background, or None for the painter's choice.
        seed: same seed and brief give the same procedural picture.
        position: 1-based slide number, of `total`; of the first slide, where one picture is cut for several.
        slides: how many slides are cut from it; more than one makes it a panorama.
        width: pixels of the finished slide, or of the panorama.
        height: pixels of the finished slide, or of the panorama.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    prompt: str
    art_direction: str = ""
    palette: tuple[Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")], ...]
    family: str | None = None
    seed: str
    position: Annotated[int, Field(ge=1)]
    total: Annotated[int, Field(ge=1)]
    slides: Annotated[int, Field(ge=1, le=10)] = 1
    width: Annotated[int, Field(gt=0, le=4480)]
    height: Annotated[int, Field(gt=0, le=4480)]


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture.

    Attributes:
        data: JPEG, sRGB, quality 95, 4:4:4, exactly `width` x `height`.
        painter: model id, or `procedural`.
        stand_in: True when it replaces a picture that a model did not give; then it is told to the user and not charged.
        strip: position of the first slide that was cut from the same panorama; None where it was painted alone.
    """

    data: bytes
    width: int
    height: int
    painter: str
    stand_in: bool
    usage: Usage
    strip: int | None = None


class Painter(Protocol):
    """A painter.

    Attributes:
        name: model id, or `procedural`.
        demo: True when no model stands behind it.
    """

    name: str
    demo: bool

    async def paint(
        self,
        brief: PictureBrief,
        reference: Picture | None,
        log: CallLog = UNRECORDED,
        *,
        wish: Wish = "as_briefed",
        judge: Judge = accept,
    ) -> Picture:
        """Return one picture after one call; `painting.paint_deck` asks again, softens and finds a stand-in.

        Args:
            brief: what to paint.
            reference: the deck's first picture, for a common look.
            log: where the call is recorded.
            wish: how to ask after a first try failed.
            judge: what would be wrong with the picture.

        Raises:
            CallFailedError: no usable picture came of it.
            PermanentError: the brief itself is wrong.
        """
        ...
