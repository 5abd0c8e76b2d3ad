"""Small albums of every style, for the bot's style picker: `python -m carousel_pipeline.rendering.previews`.

Three slides in each interface language, over the procedural painter's pictures, so a preview shows what the product really makes:
`assets_static/styles/previews/{style}_{en|ru}_{1|2|3}.jpg`. Run it after a visible change of a style and commit them.
"""

import asyncio
import io
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from PIL import Image

from carousel_pipeline.imagery.interface import PictureBrief
from carousel_pipeline.imagery.procedural import ProceduralPainter
from carousel_pipeline.paths import resource
from carousel_pipeline.rendering.brand import Brand
from carousel_pipeline.rendering.canvas import canvas
from carousel_pipeline.rendering.draw import draw_slide
from carousel_pipeline.rendering.layout import layout_deck
from carousel_pipeline.rendering.style import Style, load_styles
from carousel_pipeline.requests import Deck, Slide

SIZE = (540, 675)
_QUALITY = 84
_COPY: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "en": (
            ("Small habits that **change** everything", "Seven ideas for a calmer week"),
            (
                "Start with ==two minutes==",
                "The mind fears the size, not the work.\n- open the file\n- write one line\n- set a timer",
            ),
            ("Save it for Monday", "And send it to a friend who keeps waiting for the right day"),
        ),
        # ruff: noqa: RUF001  # Cyrillic copy
        "ru": (
            ("Привычки, которые **меняют** всё", "Семь идей для спокойной недели"),
            (
                "Начните с ==двух минут==",
                "Мозг боится не дела, а его размера.\n- откройте файл\n- напишите строчку\n- включите таймер",
            ),
            ("Сохраните до понедельника", "И отправьте другу, который всё ждёт удобного дня"),
        ),
    }
)


def _folder() -> Path:
    return resource("assets_static") / "styles" / "previews"


def _deck(language: str) -> Deck:
    roles = ("cover", "body", "last")
    slides = (
        Slide.model_validate({"role": role, "heading": heading, "body": body})
        for role, (heading, body) in zip(roles, _COPY[language], strict=True)
    )
    return Deck(language=language, slides=tuple(slides))


async def _write(style: Style, language: str) -> None:
    width, height = canvas("4:5")
    layout = layout_deck(_deck(language), style, "4:5", Brand(handle="@carousel"))
    for slide in layout.slides:
        brief = PictureBrief(
            prompt="", palette=style.palette, family=style.picture_family, seed="preview", position=slide.position, total=3,
            width=width, height=height,
        )  # fmt: skip
        picture = await ProceduralPainter().paint(brief, None)
        image, _, _ = draw_slide(slide, picture.data)
        stream = io.BytesIO()
        image.resize(SIZE, Image.Resampling.LANCZOS).save(
            stream, "JPEG", quality=_QUALITY, subsampling=0, optimize=True
        )
        (_folder() / f"{style.id}_{language}_{slide.position}.jpg").write_bytes(stream.getvalue())


def main() -> None:
    """Write every album anew."""
    _folder().mkdir(exist_ok=True)
    for style in load_styles().values():
        for language in _COPY:
            asyncio.run(_write(style, language))


if __name__ == "__main__":
    main()
