"""What every copywriter keeps to: Claude, the offline writer, and fakes over a socket."""

from typing import Protocol

from pydantic import BaseModel, ConfigDict

from carousel_pipeline.requests import Deck, Options


class Brief(BaseModel):
    """What a writer gets. `source` is data, never instructions (m19)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    source: str
    options: Options


class Usage(BaseModel):
    """What one provider call took; zeros when nothing left this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    duration_s: float = 0.0


class Written(BaseModel):
    """A deck and what it took to write it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    deck: Deck
    usage: Usage


class Copywriter(Protocol):
    """A writer.

    Attributes:
        name: model id, or `offline`.
        demo: True when no model stands behind it; the product then says DEMO.
    """

    name: str
    demo: bool

    async def write(self, brief: Brief) -> Written:
        """Return a deck of `brief.options.slides` slides, or of as many as the text wants.

        Raises:
            PermanentError: the text cannot become a deck (refused, empty); trying again changes nothing.
            TransientError: worth another try by the caller's schedule; a writer never retries or sleeps by itself.
        """
        ...
