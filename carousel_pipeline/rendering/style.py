"""What a designer decides about a look: `assets_static/styles/*.json`, parsed by frozen models that refuse unknown fields.

Everything that can be tuned is in the file (m12, m13, m14, m18); a mistake is reported with its file and field, and styles load
once per process (m16). Lengths are pixels of a slide whose short side is 1080; letter spacing, leading and indents are in em.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from carousel_pipeline.errors import PermanentError
from carousel_pipeline.paths import resource
from carousel_pipeline.rendering.canvas import SMALLEST_MARGIN
from carousel_pipeline.rendering.colour import AA, contrast, rgb

DEFAULT_STYLE = "editorial"
_HEX = re.compile(r"#[0-9a-f]{6}")


def _colour(value: str) -> str:
    text = value.strip().lower()
    if re.fullmatch(r"#[0-9a-f]{3}", text):
        text = "#" + "".join(digit * 2 for digit in text[1:])
    if not _HEX.fullmatch(text):
        raise ValueError(f"{value!r} is not a colour; write #rgb or #rrggbb")
    return text


Colour = Annotated[str, AfterValidator(_colour)]
Length = Annotated[int, Field(ge=0, le=1920)]
Size = Annotated[int, Field(ge=20, le=400)]
Share = Annotated[float, Field(ge=0, le=1)]
Ink = Literal["text", "muted", "accent", "on_accent", "on_panel", "on_picture"]
Fill = Literal["background", "panel", "accent", "text", "muted", "veil", "extra", "on_picture"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Colours(_Model):
    """The colours by what they are for: `text`, `muted`, `accent` are read on `background`, the others on what they name."""

    background: Colour
    background_end: Colour | None = None
    text: Colour
    muted: Colour
    accent: Colour
    on_accent: Colour
    panel: Colour
    on_panel: Colour
    panel_accent: Colour
    on_picture: Colour = "#ffffff"
    picture_accent: Colour = "#ffffff"
    veil: Colour = "#000000"
    extra: Colour

    @model_validator(mode="after")
    def _readable(self) -> Self:
        pairs: tuple[tuple[str, str], ...] = (
            ("text", "background"), ("muted", "background"), ("accent", "background"), ("on_accent", "accent"),
            ("on_panel", "panel"), ("panel_accent", "panel"),
        )  # fmt: skip
        if self.background_end:
            pairs += (("text", "background_end"), ("accent", "background_end"), ("muted", "background_end"))
        for ink, ground in pairs:
            ratio = contrast(rgb(getattr(self, ink)), rgb(getattr(self, ground)))
            if ratio < AA:
                raise ValueError(f"{ink} on {ground} has contrast {ratio:.2f}, needs {AA}")
        return self


class Font(_Model):
    """A face and how it is set.

    Attributes:
        face: file stem in `assets_static/fonts`.
        weight: of a variable face and of every fallback face.
        bold: face for `**bold**`; None means the same face at `bold_weight`, emboldened when it is not variable.
        tracking: extra space between letters, in em.
        upper: set in capitals.
        serif: scripts that the face lacks are set in faces with serifs.
    """

    face: str
    weight: Annotated[int, Field(ge=100, le=900)] = 400
    bold: str | None = None
    bold_weight: Annotated[int, Field(ge=100, le=900)] = 700
    tracking: Annotated[float, Field(ge=-0.08, le=0.3)] = 0.0
    upper: bool = False
    serif: bool = False


class Fonts(_Model):
    """The three voices of a style."""

    heading: Font
    body: Font
    meta: Font


class Text(_Model):
    """How one block of text is set.

    Attributes:
        largest: size the layout starts from.
        smallest: size below which text is cut rather than shrunk.
        leading: line pitch in em of the size.
        lines: most lines.
        emphasis: colour of `**bold**`; None keeps the text's own.
        balance: lines of even length.
    """

    largest: Size
    smallest: Size
    leading: Annotated[float, Field(ge=0.8, le=2)]
    lines: Annotated[int, Field(ge=1, le=30)]
    emphasis: Literal["accent"] | None = None
    balance: bool = False
    paragraph_gap: Annotated[float, Field(ge=0, le=2)] = 0.5
    bullet: Annotated[str, Field(min_length=1, max_length=2)] = "•"
    indent: Annotated[float, Field(ge=0.4, le=3)] = 1.1

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.smallest > self.largest:
            raise ValueError(f"smallest ({self.smallest}) is larger than largest ({self.largest})")
        return self


class PictureFrame(_Model):
    """Where the picture stands and how it is treated.

    Attributes:
        place: `full` slide, `band` at the top (at the right of a wide slide), `bottom` band (left of a wide one), `frame` inside
            the margins with round corners, `disc` a circle, `arch` a round-topped window.
        share: part of the slide's height (width of a wide slide) that a band, frame, disc or arch takes.
        radius: corner radius.
        inset: distance from the slide's edges; 0 bleeds.
        gap: least space between picture and text.
        treatment: `duotone` maps dark to `veil` and light to `extra`; `mono` is grey.
    """

    place: Literal["full", "band", "bottom", "frame", "disc", "arch"] = "full"
    share: Annotated[float, Field(ge=0.15, le=0.8)] = 0.45
    radius: Length = 0
    inset: Length = 0
    gap: Length = 60
    treatment: Literal["none", "duotone", "mono"] = "none"


class Scrim(_Model):
    """What stands between picture and text.

    Attributes:
        kind: `veil` a soft gradient shaped to the text, `card` an opaque panel around it, `glass` a blurred and tinted panel.
        opacity: least opacity of a veil; more is taken only where contrast asks for it, never above 0.54.
        fade: length over which a veil ends.
        padding: space between text and the edge of a card.
        radius: corner radius of a card.
        stretch: the card spans the whole column whatever the text.
        shadow: strength of a card's soft shadow.
        daylight: on a light picture, the style's own text colour over a veil of its background, instead of a dark veil.
    """

    kind: Literal["veil", "card", "glass"] = "veil"
    opacity: Annotated[float, Field(ge=0, le=0.54)] = 0.0
    fade: Length = 260
    padding: Length = 56
    radius: Length = 0
    stretch: bool = True
    shadow: Share = 0.0
    daylight: bool = False
    outline: Fill | None = None


class Furniture(_Model):
    """A small fixed thing at a corner of the safe area.

    Attributes:
        kind: `counter` "03/10", `handle` the brand's name, `progress` a bar, `dots`, `swipe` an
            arrow, `label` the fixed words of `words`.
        at: where.
        size: text size, or thickness of a bar and diameter of dots.
        chip: colour of a pill behind it.
    """

    kind: Literal["counter", "handle", "progress", "dots", "swipe", "label"]
    at: Literal["top_left", "top", "top_right", "bottom_left", "bottom", "bottom_right"]
    size: Annotated[int, Field(ge=4, le=300)] = 28
    ink: Ink = "muted"
    chip: Fill | None = None
    words: Annotated[str, Field(max_length=24)] = ""
    font: Literal["heading", "body", "meta"] = "meta"


class Decor(_Model):
    """A drawn shape, placed as in CSS: distances from the slide's edges, or a width and height.

    Attributes:
        shape: `glow` is a soft light, `dots` a pattern, `window` the buttons of a title bar, `tape` a strip of paper.
        layer: `back` under the picture, `under` between picture and text, `over` above all.
        anchor: what the distances are measured from: the slide, its safe area, or the picture's box.
        step: pitch of a pattern.
        stroke: line width; 0 fills.
    """

    shape: Literal["rect", "ellipse", "arch", "glow", "dots", "window", "tape", "wave", "spark"]
    fill: Fill = "accent"
    opacity: Share = 1.0
    layer: Literal["back", "under", "over"] = "under"
    anchor: Literal["slide", "safe", "picture"] = "slide"
    left: int | None = None
    right: int | None = None
    top: int | None = None
    bottom: int | None = None
    width: Length | None = None
    height: Length | None = None
    radius: Length = 0
    stroke: Length = 0
    step: Annotated[int, Field(ge=4, le=400)] = 60
    angle: Annotated[float, Field(ge=-90, le=90)] = 0.0


class Marker(_Model):
    """How `==text==` is highlighted: in a `box` that inverts the ink, or by a broad `pen` under letters that keep theirs.

    A pen is used on the style's own ground only; over pictures and panels the box stands in.
    """

    kind: Literal["box", "pen"] = "box"
    pen: Colour = "#ffe27a"


class Rule(_Model):
    """A line between heading and body."""

    width: Length
    thickness: Annotated[int, Field(ge=1, le=40)] = 4
    fill: Fill = "accent"


class Number(_Model):
    """A large slide number above the heading of a body slide."""

    size: Size
    ink: Ink = "accent"
    pattern: Literal["1", "01", "1.", "#1"] = "01"
    font: Literal["heading", "body", "meta"] = "heading"


class RoleStyle(_Model):
    """One kind of slide.

    Attributes:
        ground: colour of the slide.
        ink: colour of heading and body; None means the one that belongs to what they stand on.
        anchor: where the text stands in its column.
        align: of the text; `start` is the reading direction's own.
        column: widest text column.
        gap: between heading and body, and around a rule.
    """

    ground: Fill = "background"
    picture: PictureFrame = PictureFrame()
    scrim: Scrim = Scrim()
    anchor: Literal["top", "middle", "bottom"] = "bottom"
    align: Literal["start", "centre", "end"] = "start"
    column: Annotated[int, Field(ge=400, le=1800)] = 1100
    gap: Length = 40
    heading: Text
    body: Text
    rule: Rule | None = None
    number: Number | None = None
    furniture: tuple[Furniture, ...] = ()
    decor: tuple[Decor, ...] = ()


class Roles(_Model):
    """The three kinds of slides."""

    cover: RoleStyle
    body: RoleStyle
    last: RoleStyle


class Name(_Model):
    """What a person sees."""

    en: Annotated[str, Field(min_length=1, max_length=24)]
    ru: Annotated[str, Field(min_length=1, max_length=24)]


class Style(_Model):
    """A look.

    Attributes:
        id: the file's stem.
        version: raised with every visible change; a request stores it.
        palette: for painters, background first, accent last.
        picture_family: what a procedural painter should paint, or None.
        margin: least distance of text from the edges.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,31}$")]
    version: Annotated[int, Field(ge=1)]
    name: Name
    palette: Annotated[tuple[Colour, ...], Field(min_length=2, max_length=8)]
    picture_family: Literal["mesh", "waves", "paper", "rays", "terrain", "bokeh", "geometry", "silk"] | None = None
    margin: Annotated[int, Field(ge=SMALLEST_MARGIN, le=240)] = 84
    marker: Marker = Marker()
    colours: Colours
    fonts: Fonts
    roles: Roles

    def role(self, name: Literal["cover", "body", "last"]) -> RoleStyle:
        """Return the look of one kind of slide."""
        found: RoleStyle = getattr(self.roles, name)
        return found


def parse_style(path: Path) -> Style:
    """Return the style in a file.

    Raises:
        PermanentError: unreadable, or a field is wrong; names the file and every wrong field.
    """
    try:
        style = Style.model_validate_json(path.read_bytes())
    except OSError as error:
        raise PermanentError(f"style {path.name} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors())
        raise PermanentError(f"style {path.name}: {problems}") from None
    if style.id != path.stem:
        raise PermanentError(f"style {path.name}: id: is {style.id!r}, must be the file's name")
    for face in _faces(style):
        if not (resource("assets_static") / "fonts" / f"{face}.ttf").is_file():
            raise PermanentError(f"style {path.name}: fonts: no face {face!r} in assets_static/fonts")
    return style


def _faces(style: Style) -> Iterator[str]:
    for font in (style.fonts.heading, style.fonts.body, style.fonts.meta):
        yield font.face
        if font.bold:
            yield font.bold


@cache
def load_styles() -> Mapping[str, Style]:
    """Return every shipped style by id, the default first, parsed once per process."""
    files = sorted(
        (resource("assets_static") / "styles").glob("*.json"), key=lambda path: (path.stem != DEFAULT_STYLE, path.stem)
    )
    return MappingProxyType({path.stem: parse_style(path) for path in files})


def load_style(style_id: str) -> Style:
    """Return one shipped style.

    Raises:
        PermanentError: no such style; names those that exist.
    """
    styles = load_styles()
    if style_id not in styles:
        raise PermanentError(f"no style {style_id!r}; there are {', '.join(styles)}")
    return styles[style_id]
