"""A deck that is painted, drawn and packed once a process, for tests that make carousels by the hundred and look at none.

The pictures stand for a painter's; slides, PDF and ZIP come from the real renderer. Every run still claims, reads, stores,
records and sends them as ever: only the seconds of making them again are saved.
"""

import io
from functools import cache
from typing import Final

from PIL import Image

from carousel_pipeline import rendering
from carousel_pipeline.assets import drawing
from carousel_pipeline.copywriting import Usage
from carousel_pipeline.imagery import Picture, PictureBrief, checks
from carousel_pipeline.imagery.painting import picture_briefs
from carousel_pipeline.requests import Deck, Slide

DECK: Final = Deck(
    language="en",
    slides=(Slide(role="cover", heading="Sleep well"), Slide(role="body", heading="Go to bed", body="At ten.")),
    caption="About sleep",
)


class Remembering:
    """A painter who has painted it all before."""

    name = "remembered"
    demo = True

    async def paint(self, brief: PictureBrief, *_: object, **__: object) -> Picture:
        """Return the slide's picture."""
        return _gallery()[brief.position - 1]


def remember() -> None:
    """Look, draw and pack once what every run will find done, and import what a run imports."""
    style = rendering.load_style("editorial")
    layout = rendering.layout_deck(DECK, style, "4:5")
    drawn = {
        slide.position: drawing.render_slide(slide, _gallery()[slide.position - 1].data) for slide in layout.slides
    }
    jpegs = [slide.jpeg for slide in drawn.values()]
    archive, pages = drawing.zip_of(jpegs, DECK, style.id, style.version, "4:5"), drawing.pdf_of(jpegs)
    rendering.layout_deck = drawing.layout_deck = lambda *_: layout
    drawing.render_slide = lambda slide, *_: drawn[slide.position]
    drawing.zip_of, drawing.pdf_of = lambda *_: archive, lambda *_: pages
    checks.reduced = cache(checks.reduced)


@cache
def _gallery() -> list[Picture]:
    pictures = []
    style = rendering.load_style("editorial")
    for brief in picture_briefs(DECK, palette=style.palette, family=None, seed="", size=rendering.canvas("4:5")):
        out = io.BytesIO()
        Image.new("RGB", (brief.width, brief.height), (20 * brief.position, 60, 90)).save(out, "JPEG")
        usage = Usage(model=Remembering.name)
        pictures.append(
            Picture(out.getvalue(), brief.width, brief.height, Remembering.name, stand_in=False, usage=usage)
        )
    return pictures
