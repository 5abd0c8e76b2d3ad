"""What a user puts on every slide, and a style in the user's colour. Pure."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from carousel_pipeline.rendering.colour import contrast, hex_of, readable, rgb
from carousel_pipeline.rendering.logo import MAX_BYTES
from carousel_pipeline.rendering.style import Colour, Style


class Brand(BaseModel):
    """What a user puts on every slide.

    Attributes:
        handle: shown where the style has a place for it.
        accent: replaces the style's accent; moved as far as contrast needs.
        logo: an image file, shown before the handle or in its place; Base64 in JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    handle: Annotated[str, Field(max_length=40)] = ""
    accent: Colour | None = None
    logo: Annotated[bytes | None, Field(repr=False, max_length=MAX_BYTES)] = None


def with_brand(style: Style, brand: Brand | None) -> Style:
    """Return the style in the brand's accent, every pair of colours still readable."""
    if brand is None or brand.accent is None:
        return style
    old = style.colours
    accent = hex_of(readable(rgb(brand.accent), [rgb(old.background)]))
    colours = old.model_copy(
        update={
            "accent": accent,
            "on_accent": max(
                (old.text, old.background, "#ffffff", "#000000"), key=lambda ink: contrast(rgb(ink), rgb(accent))
            ),
            "panel_accent": hex_of(readable(rgb(brand.accent), [rgb(old.panel)])),
        }
    )
    return style.model_copy(update={"colours": colours, "palette": (*style.palette[:-1], accent)})
