"""Small pictures for the Dagster UI: an operator sees the slides without opening a bucket."""

import base64
import io
from collections.abc import Sequence

THUMBNAIL = (200, 250)


def contact_sheet(slides: Sequence[bytes]) -> str:
    """Return Markdown that shows every slide (JPEG) as a thumbnail; about 10 kB a slide."""
    return " ".join(
        f"![{number}](data:image/jpeg;base64,{_thumbnail(slide)})" for number, slide in enumerate(slides, 1)
    )


def chart(png: bytes) -> str:
    """Return Markdown that shows a chart."""
    return f"![chart](data:image/png;base64,{base64.b64encode(png).decode()})"


def _thumbnail(slide: bytes) -> str:
    from PIL import Image  # noqa: PLC0415 - only a run process draws

    with Image.open(io.BytesIO(slide)) as picture:
        picture.draft("RGB", THUMBNAIL)
        picture.thumbnail(THUMBNAIL)
        small = io.BytesIO()
        picture.save(small, "JPEG", quality=70)
    return base64.b64encode(small.getvalue()).decode()
