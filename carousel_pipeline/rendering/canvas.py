"""The sizes a slide may have and the parts of them that platforms cover with their own buttons.

One unit is one pixel of a slide whose short side is 1080, so style files need no arithmetic. Insets are third-party figures
(no platform documents them): stories and TikTok lay their bars over the top and the bottom of 9:16, and a feed's profile grid
trims the sides of 4:5 by about 34 px, which every margin of a style exceeds.
"""

from dataclasses import dataclass
from types import MappingProxyType

from carousel_pipeline.requests import Ratio


@dataclass(frozen=True, slots=True)
class Canvas:
    """Pixels of a slide and the insets from its edges that a platform may cover."""

    width: int
    height: int
    top: int = 0
    bottom: int = 0

    @property
    def wide(self) -> bool:
        """Whether pictures stand beside the text instead of above it."""
        return self.width > self.height


CANVASES: MappingProxyType[Ratio, Canvas] = MappingProxyType(
    {
        "4:5": Canvas(1080, 1350),
        "1:1": Canvas(1080, 1080),
        "9:16": Canvas(1080, 1920, top=200, bottom=300),
        "16:9": Canvas(1920, 1080),
    }
)
SMALLEST_MARGIN = 56


def canvas(ratio: Ratio) -> tuple[int, int]:
    """Return (width, height) in pixels of a slide of this ratio."""
    found = CANVASES[ratio]
    return found.width, found.height
