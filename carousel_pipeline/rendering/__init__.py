"""Slides from copy and pictures: pure layout, then drawing, then encoding.

No picture model draws letters, and no text leaves its box.

Styles and fonts load once per process, on first use. Everything here may be called from several threads at once.
"""

from collections.abc import Sequence

from carousel_pipeline.rendering.brand import Brand
from carousel_pipeline.rendering.budgets import Budget, budgets
from carousel_pipeline.rendering.canvas import canvas
from carousel_pipeline.rendering.draw import RenderedSlide, draw_slide, render_slide
from carousel_pipeline.rendering.encode import to_jpeg, to_pdf, to_png
from carousel_pipeline.rendering.layout import layout_deck
from carousel_pipeline.rendering.scene import DeckLayout, LayoutWarning, SlideLayout
from carousel_pipeline.rendering.shortening import Excess, must_shrink
from carousel_pipeline.rendering.style import DEFAULT_STYLE, Style, load_style, load_styles
from carousel_pipeline.requests import Deck, Ratio

__all__ = [
    "DEFAULT_STYLE",
    "Brand",
    "Budget",
    "DeckLayout",
    "Excess",
    "LayoutWarning",
    "RenderedSlide",
    "SlideLayout",
    "Style",
    "budgets",
    "canvas",
    "draw_slide",
    "layout_deck",
    "load_style",
    "load_styles",
    "must_shrink",
    "render_deck",
    "render_slide",
    "to_jpeg",
    "to_pdf",
    "to_png",
]


def render_deck(
    deck: Deck, style: Style, ratio: Ratio, pictures: Sequence[bytes | None], brand: Brand | None = None
) -> list[RenderedSlide]:
    """Draw every slide of a deck.

    Args:
        deck: the copy.
        style: the look.
        ratio: the slides' shape.
        pictures: one image file per slide, or None for the style's own backdrop.
        brand: handle, logo and accent of the user.

    Raises:
        PermanentError: a picture or the logo cannot be read.
        ValueError: not as many pictures as slides.
    """
    layout = layout_deck(deck, style, ratio, brand)
    logo = brand.logo if brand else None
    return [render_slide(slide, picture, logo) for slide, picture in zip(layout.slides, pictures, strict=True)]
