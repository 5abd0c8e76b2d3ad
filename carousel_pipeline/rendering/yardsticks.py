"""Other engines drawing the benchmark's slide, where they are installed: picture, gradient, heading and body, to JPEG."""

import base64
import importlib.util
import shutil
from typing import Any, Protocol

from carousel_pipeline.paths import resource

_WIDTH, _HEIGHT, _MARGIN = 1080, 1350, 76
_QUALITY = 95


class Yardstick(Protocol):
    """An engine, started once."""

    def draw(self, photo: bytes, heading: str, body: str) -> bytes:
        """Return the slide as JPEG."""
        ...

    def close(self) -> None:
        """End what was started."""
        ...


class _Skia:
    """skia-python with its paragraph module."""

    def __init__(self, skia: Any) -> None:
        self.skia = skia
        fonts = resource("assets_static") / "fonts"
        self.provider = skia.textlayout.TypefaceFontProvider()
        self.provider.registerTypeface(skia.Typeface.MakeFromFile(str(fonts / "Manrope-ExtraBold.ttf")), "Heading")
        self.provider.registerTypeface(skia.Typeface.MakeFromFile(str(fonts / "Inter.ttf")), "Body")

    def close(self) -> None:
        self.provider = None

    def _paragraph(self, text: str, family: str, size: float) -> Any:
        skia = self.skia
        collection = skia.textlayout.FontCollection()
        collection.setDefaultFontManager(self.provider)
        style = skia.textlayout.ParagraphStyle()
        letters = skia.textlayout.TextStyle()
        letters.setFontFamilies([family])
        letters.setFontSize(size)
        letters.setColor(skia.ColorWHITE)
        style.setTextStyle(letters)
        builder = skia.textlayout.ParagraphBuilder.make(style, collection, skia.Unicodes.ICU.Make())
        builder.addText(text)
        paragraph = builder.Build()
        paragraph.layout(_WIDTH - 2 * _MARGIN)
        return paragraph

    def draw(self, photo: bytes, heading: str, body: str) -> bytes:
        skia = self.skia
        surface = skia.Surface(_WIDTH, _HEIGHT)
        canvas = surface.getCanvas()
        canvas.drawImage(skia.Image.MakeFromEncoded(skia.Data(photo)), 0, 0)
        shade = skia.GradientShader.MakeLinear(
            [skia.Point(0, 0), skia.Point(0, _HEIGHT)], [skia.Color(0, 0, 0, 0), skia.Color(0, 0, 0, 138)]
        )
        canvas.drawPaint(skia.Paint(Shader=shade))
        title = self._paragraph(heading, "Heading", 124)
        size = 124.0
        while title.Height > _HEIGHT * 0.5:
            size -= 8
            title = self._paragraph(heading, "Heading", size)
        text = self._paragraph(body, "Body", 40)
        top = _HEIGHT - _MARGIN - text.Height - 32 - title.Height
        title.paint(canvas, _MARGIN, top)
        text.paint(canvas, _MARGIN, top + title.Height + 32)
        return bytes(surface.makeImageSnapshot().encodeToData(skia.kJPEG, _QUALITY))


def skia() -> Yardstick | None:
    """Return skia-python, or None where it is not installed or cannot set paragraphs."""
    if importlib.util.find_spec("skia") is None:
        return None
    import skia as module  # type: ignore[import-not-found]  # noqa: PLC0415  # optional, for comparison only

    return _Skia(module) if hasattr(module, "textlayout") else None


_PAGE = """<style>
@font-face{{font-family:Heading;src:url(data:font/ttf;base64,{heading})}}
body{{margin:0;width:1080px;height:1350px;color:#fff;background-size:cover;position:relative}}
main{{position:absolute;left:76px;right:76px;bottom:76px}} h1{{font:800 92px/1.04 Heading;margin:0 0 32px;text-wrap:balance}}
p{{font:400 40px/1.38 sans-serif;margin:0}}
</style><body><main><h1></h1><p></p></main>"""
_FILL = """([photo, heading, body]) => {
  document.body.style.backgroundImage = `linear-gradient(transparent, rgba(0,0,0,.54)), url(data:image/jpeg;base64,${photo})`;
  document.querySelector('h1').textContent = heading; document.querySelector('p').textContent = body;
  return document.fonts.ready.then(() => true);
}"""


class _Chromium:
    """Headless Chromium with a page that stays open."""

    def __init__(self, playwright: Any, browser: Any) -> None:
        self._playwright, self._browser = playwright, browser
        self._page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
        face = (resource("assets_static") / "fonts" / "Manrope-ExtraBold.ttf").read_bytes()
        self._page.set_content(_PAGE.format(heading=base64.b64encode(face).decode()))

    def close(self) -> None:
        self._browser.close()
        self._playwright.stop()

    def draw(self, photo: bytes, heading: str, body: str) -> bytes:
        self._page.evaluate(_FILL, [base64.b64encode(photo).decode(), heading, body])
        picture: bytes = self._page.screenshot(type="jpeg", quality=_QUALITY)
        return picture


def chromium() -> Yardstick | None:
    """Return headless Chromium, or None where playwright or its browser is not installed."""
    if importlib.util.find_spec("playwright") is None:
        return None
    from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415  # optional, for comparison only

    playwright = sync_playwright().start()
    for executable in (None, shutil.which("chromium")):
        try:
            return _Chromium(playwright, playwright.chromium.launch(args=["--no-sandbox"], executable_path=executable))
        except Error:
            continue
    playwright.stop()
    return None
