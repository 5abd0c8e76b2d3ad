"""A slide's words out of a message: the first line is the heading, the rest the text. Pure."""

import re
from dataclasses import dataclass
from typing import Final, Self

from bot.callbacks import Part

HEADING: Final = 200
BODY: Final = 700
PICTURE: Final = 600
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Words:
    """Heading and text of a slide."""

    heading: str
    body: str

    @classmethod
    def read(cls, text: str, part: Part, heading: str, body: str) -> Self:
        """Return what a message says about `part` of a slide that says `heading` and `body` now.

        One line for both parts changes the heading alone: nobody loses a text by naming a slide anew.
        """
        lines = [line.strip() for line in _CONTROL.sub(" ", text.replace("\r\n", "\n")).strip().split("\n")]
        whole = "\n".join(lines).strip()
        if part is Part.HEADING:
            return cls(" ".join(whole.split()), body)
        if part is Part.BODY:
            return cls(heading, whole)
        return cls(lines[0], "\n".join(lines[1:]).strip() or body)
