"""`carousel render`: typography alone, for designers. A deck's file in, slides out; with `watch`, again on every change."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.paths import resource
from carousel_pipeline.rendering.background import decode
from carousel_pipeline.rendering.brand import Brand
from carousel_pipeline.rendering.canvas import CANVASES, canvas
from carousel_pipeline.rendering.draw import draw_slide
from carousel_pipeline.rendering.encode import to_jpeg, to_pdf, to_png
from carousel_pipeline.rendering.layout import layout_deck
from carousel_pipeline.rendering.scene import LayoutWarning
from carousel_pipeline.rendering.style import Style, load_style, parse_style
from carousel_pipeline.requests import Deck, Ratio

_POLL_S = 0.3
Form = Literal["jpeg", "png", "pdf"]


def render(
    deck_path: Path,
    style: str,
    ratio: Ratio,
    background: Path | None,
    out: Path,
    *,
    handle: str = "",
    accent: str | None = None,
    logo: Path | None = None,
    form: Form = "jpeg",
    watch: bool = False,
    say: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write `01.jpg` … into `out` and return their paths.

    Args:
        deck_path: JSON of a `Deck`.
        style: id of a shipped style, or the path of a style file.
        ratio: one of 4:5, 1:1, 9:16, 16:9.
        background: a picture for every slide, or None for the style's own backdrop.
        out: folder, made if missing.
        handle: brand name on the slides.
        accent: brand colour, `#rrggbb`.
        logo: brand picture, before the handle.
        form: `jpeg` for posting, `png` without loss, `pdf` one file of all slides for LinkedIn.
        watch: render again whenever the deck or the style file changes, until interrupted.
        say: told one line per slide and per warning.

    Raises:
        PermanentError: a file is missing or wrong; names it and what to do.
    """
    tell = say or (lambda _: None)
    watched = [deck_path, _style_path(style)]
    # Before drawing, or a file saved meanwhile would go unnoticed.
    seen = _stamps(watched)
    written = _render_once(deck_path, style, ratio, background, out, handle, accent, logo, form, tell)
    while watch:
        time.sleep(_POLL_S)
        if (now := _stamps(watched)) != seen:
            seen = now
            try:
                written = _render_once(deck_path, style, ratio, background, out, handle, accent, logo, form, tell)
            except PermanentError as error:
                tell(str(error))
    return written


def _render_once(
    deck_path: Path,
    style: str,
    ratio: Ratio,
    background: Path | None,
    out: Path,
    handle: str,
    accent: str | None,
    logo: Path | None,
    form: Form,
    tell: Callable[[str], None],
) -> list[Path]:
    if ratio not in CANVASES:
        raise PermanentError(f"no ratio {ratio!r}; there are {', '.join(CANVASES)}")
    deck = read_deck(deck_path)
    brand = _brand(handle, accent, _bytes(logo) if logo else None)
    layout = layout_deck(deck, _read_style(style), ratio, brand)
    picture = to_jpeg(decode(_bytes(background), canvas(ratio))) if background else None
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PermanentError(f"{out} cannot be made a folder: {error.strerror}; choose another --out") from error
    paths: list[Path] = []
    jpegs: list[bytes] = []
    for slide in layout.slides:
        image, contrast, _ = draw_slide(slide, picture, brand.logo)
        path = out / f"{slide.position:02}.{'png' if form == 'png' else 'jpg'}"
        data = to_png(image) if form == "png" else to_jpeg(image)
        if form == "pdf":
            jpegs.append(data)
        else:
            path.write_bytes(data)
            paths.append(path)
        tell(f"{f'slide {slide.position}' if form == 'pdf' else path}  contrast {contrast:.1f}")
        for warning in slide.warnings:
            tell(f"  slide {slide.position}: {describe(warning)}")
    if jpegs:
        paths.append(out / "slides.pdf")
        paths[-1].write_bytes(to_pdf(jpegs))
        tell(str(paths[-1]))
    return paths


def describe(warning: LayoutWarning) -> str:
    """Return a warning in words."""
    match warning.kind:
        case "truncated":
            return f"{warning.field} is cut; {warning.characters} characters too many"
        case "missing":
            return f"{warning.field} has characters no font draws: {warning.detail}"
        case "shrunk":
            return "text is smaller than on the other slides; shorten it"


def read_deck(path: Path) -> Deck:
    """Return the deck in a JSON file.

    Raises:
        PermanentError: unreadable, or a field is wrong; names the file and every wrong field.
    """
    try:
        return Deck.model_validate_json(_bytes(path))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors())
        raise PermanentError(f"{path}: {problems}") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PermanentError(f"{path} cannot be read: {error.strerror}") from error


def _style_path(style: str) -> Path:
    return Path(style) if style.endswith(".json") else resource("assets_static") / "styles" / f"{style}.json"


def _read_style(style: str) -> Style:
    """Read the file again every time: a designer is changing it."""
    path = _style_path(style)
    return parse_style(path) if path.exists() or style.endswith(".json") else load_style(style)


def _brand(handle: str, accent: str | None, logo: bytes | None) -> Brand:
    try:
        return Brand(handle=handle, accent=accent, logo=logo)
    except ValidationError as error:
        raise PermanentError("; ".join(f"brand {item['loc'][0]}: {item['msg']}" for item in error.errors())) from None


def _stamps(paths: Sequence[Path]) -> list[int]:
    return [path.stat().st_mtime_ns if path.exists() else 0 for path in paths]
