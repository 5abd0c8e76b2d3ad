"""Albums that show what the product makes: `python -m carousel_pipeline.rendering.previews`.

For the bot's style picker three slides of every style in each interface language,
`assets_static/styles/previews/{style}_{en|ru}_{1|2|3}.jpg`; for newcomers the deck `assets_static/examples/{en|ru}.json`, its
slides beside it in `{en|ru}/`.
All over the procedural painter's pictures, so they are what is really delivered. Run it after a visible change and commit them.
"""

import asyncio
import io
from collections.abc import Mapping, Sequence
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
_EXAMPLE_SIZE = (864, 1080)
_EXAMPLE_STYLE = "editorial"
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


def _deck(language: str) -> Deck:
    roles = ("cover", "body", "last")
    slides = (
        Slide.model_validate({"role": role, "heading": heading, "body": body})
        for role, (heading, body) in zip(roles, _COPY[language], strict=True)
    )
    return Deck(language=language, slides=tuple(slides))


async def _write(deck: Deck, style: Style, brand: Brand | None, size: tuple[int, int], files: Sequence[Path]) -> None:
    width, height = canvas("4:5")
    layout = layout_deck(deck, style, "4:5", brand)
    for slide, file in zip(layout.slides, files, strict=True):
        brief = PictureBrief(
            prompt="", palette=style.palette, family=style.picture_family, seed="preview", position=slide.position,
            total=len(files), width=width, height=height,
        )  # fmt: skip
        picture = await ProceduralPainter().paint(brief, None)
        image, _, _ = draw_slide(slide, picture.data)
        stream = io.BytesIO()
        image.resize(size, Image.Resampling.LANCZOS).save(
            stream, "JPEG", quality=_QUALITY, subsampling=0, optimize=True
        )
        file.write_bytes(stream.getvalue())


def main() -> None:
    """Write every album anew."""
    previews, examples = (resource("assets_static") / folder for folder in ("styles/previews", "examples"))
    for language in _COPY:
        for style in load_styles().values():
            files = [previews / f"{style.id}_{language}_{number}.jpg" for number in (1, 2, 3)]
            asyncio.run(_write(_deck(language), style, Brand(handle="@carousel"), SIZE, files))
        shown = Deck.model_validate_json((examples / f"{language}.json").read_text(encoding="utf-8"))
        files = [examples / language / f"{number:02}.jpg" for number in range(1, len(shown.slides) + 1)]
        asyncio.run(_write(shown, load_styles()[_EXAMPLE_STYLE], None, _EXAMPLE_SIZE, files))


if __name__ == "__main__":
    main()
