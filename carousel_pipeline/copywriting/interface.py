"""What every copywriter keeps to: Claude, the offline writer, and fakes over a socket (n9).

A writer asks the provider at most twice for one deck or one translation and neither waits nor retries beyond that: the schedule
is the caller's, told by the error's class. Every network call has a timeout; every call is recorded in the log that came with it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from carousel_pipeline.providers import UNRECORDED, CallLog, Usage
from carousel_pipeline.requests import Deck, Options, Role

__all__ = ["Allowance", "Brief", "Copywriter", "TooLong", "Usage", "Written", "fits_anything"]


class Allowance(BaseModel):
    """How many characters the look takes comfortably in one kind of slide."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heading: int
    body: int


class Brief(BaseModel):
    """What a writer gets. `source` is data, never instructions (m19).

    Attributes:
        source: the user's text.
        options: what was chosen.
        allowances: characters by role, measured with the style's fonts; empty where nobody measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    source: str
    options: Options
    allowances: Mapping[Role, Allowance] = {}


class Written(BaseModel):
    """A deck and what it took to write it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    deck: Deck
    usage: Usage


class TooLong(Protocol):
    """One field that the look would have to cut; what `rendering.must_shrink` returns."""

    @property
    def position(self) -> int:
        """Slide number, from 1."""
        ...

    @property
    def field(self) -> str:
        """`heading` or `body`."""
        ...

    @property
    def fits(self) -> int:
        """How many characters may stay."""
        ...


def fits_anything(deck: Deck) -> Sequence[TooLong]:
    """Find nothing too long: for callers without a look."""
    del deck
    return ()


class Copywriter(Protocol):
    """A writer.

    Attributes:
        name: model id, or `offline`.
        demo: True when no model stands behind it; the product then says DEMO.
    """

    name: str
    demo: bool

    async def write(
        self, brief: Brief, log: CallLog = UNRECORDED, too_long: Callable[[Deck], Sequence[TooLong]] = fits_anything
    ) -> Written:
        """Return a deck of `brief.options.slides` slides, or of as many as the text wants.

        Args:
            brief: the order.
            log: where calls are recorded, and how often the schedule has tried before.
            too_long: what the look would have to cut; such a deck is sent back once, then the layout shrinks it.

        Raises:
            PermanentError: the text cannot become a deck (refused, empty, provider stopped); trying again changes nothing.
            TransientError: worth another try by the caller's schedule.
        """
        ...

    async def translate(self, deck: Deck, language: str, log: CallLog = UNRECORDED) -> Written:
        """Return `deck` with its words in another language: slides, marks, figures and pictures stay.

        Raises:
            PermanentError: the writer does not translate, or the deck cannot be translated.
            TransientError: as in `write`.
        """
        ...
