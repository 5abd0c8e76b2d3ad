"""A deck of copy to placed boxes and glyphs. Pure: no pixels, no files but fonts; the same input gives the same layout.

What must stay true: text never leaves its box (m11). It shrinks to the style's smallest size, takes room from its picture, parts
words, and only then is cut with an ellipsis and a `truncated` warning that says by how many characters. Sizes are decided for the
deck, not the slide, so that swiping shows one hand; one slide with far more text than the others shrinks alone and says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from carousel_pipeline.rendering import bidi
from carousel_pipeline.rendering.brand import Brand, with_brand
from carousel_pipeline.rendering.canvas import CANVASES, Canvas
from carousel_pipeline.rendering.colour import hex_of, luminance_of, readable, rgb
from carousel_pipeline.rendering.fonts import drawable
from carousel_pipeline.rendering.furniture import Bars, furnish, place_decor
from carousel_pipeline.rendering.lines import Block, Line, ends_astray, prepare
from carousel_pipeline.rendering.logo import proportion
from carousel_pipeline.rendering.regions import regions, safe_area, words_area
from carousel_pipeline.rendering.scene import (
    Box,
    Daylight,
    DeckLayout,
    LayoutWarning,
    PicturePlace,
    ScrimPlace,
    Shape,
    SlideLayout,
    TextBox,
    overlap,
    union,
)
from carousel_pipeline.rendering.sizes import STEPS, Steps, deck_steps, largest
from carousel_pipeline.rendering.style import RoleStyle, Style, Text
from carousel_pipeline.rendering.text import Clean, introduces, parse, sanitize
from carousel_pipeline.rendering.typeset import Column, Inks, Spacing, height, spacing, typeset
from carousel_pipeline.requests import Deck, Ratio, Slide

_PARTED_HEADING = 10
_STRETCH = 0.8
_EMPTY = 0.11
# A longer Chinese text needs the room that breaking between phrases costs.
_FEW_SIGNS = 90
_CALM_STEPS = 12
# What share of its size one fault of a heading's shape is worth: a cover a quarter smaller is no better for even lines.
_FAULT = 0.15
_LADDER = 4
_CALMEST = 7
# How far a body's step may lie above its heading's, and from where on that is worth a size of its own.
_APART = 10
_WORTH = 2
# How many times as large as its body a heading is at least that gives way to it.
_STANDS_OUT = 1.3
_SHADE_FADE = 150
_SHORT_LINE = 0.61
# Below which size a picture gives way: on a slide that is read sooner than on one that is looked at.
_COMFORT = MappingProxyType({"cover": 9, "body": 13, "last": 9})
_SMALLEST_PICTURE = 0.15
_SMALLEST_ROUND = 0.22


def layout_deck(deck: Deck, style: Style, ratio: Ratio, brand: Brand | None = None) -> DeckLayout:
    """Return the layout of every slide; `DeckLayout.warnings` says what the copy should change.

    Raises:
        PermanentError: the brand's logo cannot be read.
    """
    style = with_brand(style, brand)
    canvas = CANVASES[ratio]
    handle = brand.handle if brand else ""
    logo = proportion(brand.logo) if brand and brand.logo else None
    from_right = _read_from_right(deck)
    plans = [
        _plan(slide, index + 1, len(deck.slides), deck.language, style, canvas, handle, logo, from_right=from_right)
        for index, slide in enumerate(deck.slides)
    ]
    headings = deck_steps([(plan.slide.role, plan.steps.heading) for plan in plans])
    bodies = deck_steps([(plan.slide.role, plan.steps.body) for plan in plans])
    own = [_own_steps(plan, *shared) for plan, *shared in zip(plans, headings, bodies, strict=True)]
    # A list whose heading gave way may be large enough now for all to share its size.
    bodies = deck_steps([(plan.slide.role, sizes.body) for plan, sizes in zip(plans, own, strict=True)])
    steps = [Steps(sizes.heading, min(sizes.body, body)) for sizes, body in zip(own, bodies, strict=True)]
    # A long heading in smaller type is no surprise; body text that changes its size is.
    shrunk = [
        sizes.body < body if plan.body.items else sizes.heading < heading
        for plan, sizes, heading, body in zip(plans, steps, headings, bodies, strict=True)
    ]
    plans = _stretched(plans, steps)
    slides = tuple(
        _place(plan, sizes, shrunk=smaller) for plan, sizes, smaller in zip(plans, steps, shrunk, strict=True)
    )
    return DeckLayout(style.id, style.version, ratio, slides)


def _read_from_right(deck: Deck) -> bool:
    """Return whether most headings start at the right; a deck is mirrored as a whole, so that nothing jumps between slides."""
    return sum(bidi.base_level(slide.heading) for slide in deck.slides) * 2 > len(deck.slides)


def _own_steps(plan: "_Plan", of_headings: int, of_bodies: int) -> Steps:
    """Return a slide's sizes: its deck's, or below them, where a long heading gives way before its body does."""
    own = Steps(min(plan.steps.heading, of_headings), min(plan.steps.body, of_bodies))
    if own.body == of_bodies or not plan.body.items:
        return own
    whole = _words_whole(plan)

    def shares(body: int) -> bool:
        least = _least_heading(plan, body)
        return least <= own.heading and _fits(plan, Steps(least, body), whole_words=whole)

    body = largest(own.body, of_bodies, shares)
    if body == own.body:
        return own
    least = _least_heading(plan, body)
    return Steps(largest(least, own.heading, lambda step: _fits(plan, Steps(step, body), whole_words=whole)), body)


def _least_heading(plan: "_Plan", body: int) -> int:
    """Return the smallest step at which a heading still stands out from its body."""
    enough = _size(plan.role.body, body) * _STANDS_OUT
    return next((step for step in range(STEPS + 1) if _size(plan.role.heading, step) >= enough), STEPS + 1)


def _words_whole(plan: "_Plan") -> bool:
    """Return whether some size keeps the heading's words whole."""
    width = plan.column[2] - plan.column[0]
    return not plan.heading.parts_words(width / _size(plan.role.heading, 0))


def _stretched(plans: Sequence["_Plan"], steps: Sequence[Steps]) -> list["_Plan"]:
    """Give the room that no slide of a role needs for text to its pictures, the same to all of them.

    A slide that would still be empty for the most part of its column gets a larger picture of its own.
    """
    spare = [
        0.0 if plan.extra else plan.column[3] - plan.column[1] - _set(plan, sizes, quick=True).needed
        for plan, sizes in zip(plans, steps, strict=True)
    ]
    shared = {
        role: max(
            0, min(int(room * _STRETCH) for plan, room in zip(plans, spare, strict=True) if plan.slide.role == role)
        )
        for role in {plan.slide.role for plan in plans}
    }
    grown: list[_Plan] = []
    for plan, room in zip(plans, spare, strict=True):
        extra = shared[plan.slide.role]
        extra += max(0, int(room - extra - _EMPTY * plan.canvas.height))
        grown.append(plan if plan.extra or not extra else _with_regions(plan, extra))
    return grown


def _with_regions(plan: "_Plan", extra: int) -> "_Plan":
    picture, column = regions(
        plan.role, plan.canvas, safe_area(plan.style, plan.canvas), plan.bars, extra, from_right=plan.from_right
    )
    return replace(plan, picture=picture, column=column, extra=extra)


_SMALLEST = Steps(0, 0)


@dataclass(frozen=True, slots=True)
class _Plan:
    """One slide with everything decided but the size of its text.

    Attributes:
        from_right: whether the deck is mirrored.
        steps: what this slide alone could take.
        extra: pixels by which the picture is higher than its style's share.
    """

    slide: Slide
    position: int
    total: int
    style: Style
    role: RoleStyle
    canvas: Canvas
    bars: Bars
    picture: Box
    column: Box
    heading: Block
    body: Block
    number: Block | None
    missing: tuple[LayoutWarning, ...]
    from_right: bool
    steps: Steps = _SMALLEST
    extra: int = 0


def _plan(slide: Slide, position: int, total: int, language: str, style: Style, canvas: Canvas, handle: str,
    logo: float | None, *, from_right: bool,
) -> _Plan:  # fmt: skip
    role = style.role(slide.role)
    heading, body = sanitize(slide.heading, drawable), sanitize(slide.body, drawable)
    safe = safe_area(style, canvas)
    bars = furnish(
        role,
        style,
        words_area(role, canvas, safe, from_right=from_right),
        position,
        total,
        language,
        sanitize(handle.replace("\n", " "), drawable).text,
        logo,
        from_right=from_right,
    )
    fonts = style.fonts
    title = prepare(
        parse(heading.text), fonts.heading, language, role.heading.bullet, role.heading.indent, phrases=True
    )
    picture, column = regions(role, canvas, safe, bars, from_right=from_right)
    plan = _Plan(
        slide, position, total, style, role, canvas, bars, picture, column, title,
        prepare(
            parse(body.text), fonts.body, language, role.body.bullet, role.body.indent, phrases=len(body.text) <= _FEW_SIGNS
        ),
        _number(role, style, position, language),
        (*_missing("heading", heading), *_missing("body", body)), from_right,
    )  # fmt: skip
    steps = _best_steps(plan)
    if steps.heading < _COMFORT[slide.role] and (extra := _shrinkable(plan)) < 0:
        steps = _best_steps(_with_regions(plan, extra))
        # Words, not height, may have set the size: take only what it needs.
        extra = max(extra, -math.ceil(max(0.0, _set(plan, steps).needed - (plan.column[3] - plan.column[1]))))
        plan = _with_regions(plan, extra)
    return replace(plan, steps=steps)


def _shrinkable(plan: _Plan) -> int:
    """Return by how many pixels (negative) the picture should give way to a long text set in a comfortable size."""
    frame = plan.role.picture
    if frame.place == "full" or plan.canvas.wide:
        return 0
    comfort = _COMFORT[plan.slide.role]
    missing = _set(plan, Steps(comfort, comfort), quick=True).needed - (plan.column[3] - plan.column[1])
    usable = plan.canvas.height - plan.canvas.top - plan.canvas.bottom
    least = _SMALLEST_ROUND if frame.place in {"disc", "arch"} else _SMALLEST_PICTURE
    return -max(0, min(math.ceil(missing), round(usable * (frame.share - least))))


def _missing(field: Literal["heading", "body"], clean: Clean) -> tuple[LayoutWarning, ...]:
    return (LayoutWarning("missing", field, detail=" ".join(clean.missing)),) if clean.missing else ()


def _number(role: RoleStyle, style: Style, position: int, language: str) -> Block | None:
    if role.number is None:
        return None
    value = position - 1
    text = {"1": f"{value}", "01": f"{value:02}", "1.": f"{value}.", "#1": f"#{value}"}[role.number.pattern]
    return prepare(parse(text), getattr(style.fonts, role.number.font), language, "•", 1.0)


@dataclass(frozen=True, slots=True)
class _Set:
    """The texts of a slide broken at one step of size, and what they need."""

    heading_size: int
    heading: list[Line]
    heading_rhythm: Spacing
    body_size: int
    body: list[Line]
    body_rhythm: Spacing
    needed: float


def _size(text: Text, step: int) -> int:
    return round(text.smallest + (text.largest - text.smallest) * step / STEPS)


def _gaps(plan: _Plan, *, body: bool) -> float:
    """Return the pixels between the parts of the stack."""
    rule = plan.role.rule
    between = plan.role.gap * (2 if rule else 1) + (rule.thickness if rule else 0) if body or rule else 0
    number = plan.role.number
    return between + (number.size * (plan.number.top + 0.06) + plan.role.gap if number and plan.number else 0)


def _set(plan: _Plan, steps: Steps, *, quick: bool = False) -> _Set:
    """Break the texts at their sizes; `quick` is enough to know whether they fit."""
    role = plan.role
    width = plan.column[2] - plan.column[0]
    heading_size, body_size = _size(role.heading, steps.heading), _size(role.body, steps.body)
    heading = plan.heading.wrap(width / heading_size, "quick" if quick else _shape(role.heading))
    body = plan.body.wrap(width / body_size, "quick" if quick else _shape(role.body))
    heading_rhythm = spacing(plan.heading, heading_size, role.heading.leading, role.heading.paragraph_gap)
    body_rhythm = spacing(plan.body, body_size, role.body.leading, role.body.paragraph_gap)
    needed = (
        height(plan.heading, heading, heading_size, heading_rhythm)
        + height(plan.body, body, body_size, body_rhythm)
        + _gaps(plan, body=bool(body))
    )
    return _Set(heading_size, heading, heading_rhythm, body_size, body, body_rhythm, needed)


def _shape(text: Text) -> Literal["ragged", "even"]:
    return "even" if text.balance else "ragged"


def _fits(plan: _Plan, steps: Steps, *, whole_words: bool) -> bool:
    width = plan.column[2] - plan.column[0]
    if whole_words and plan.heading.parts_words(width / _size(plan.role.heading, steps.heading)):
        return False
    tried = _set(plan, steps, quick=True)
    return (
        tried.needed <= plan.column[3] - plan.column[1]
        and len(tried.heading) <= plan.role.heading.lines
        and len(tried.body) <= plan.role.body.lines
    )


def _best_steps(plan: _Plan) -> Steps:
    """Return the largest sizes that fit; a heading keeps its words whole if any size allows that."""
    whole = _words_whole(plan)
    step = largest(
        0, STEPS if whole else _PARTED_HEADING, lambda step: _fits(plan, Steps(step, step), whole_words=whole)
    )
    return _larger_body(plan, _calmer(plan, step, whole_words=whole), whole_words=whole)


def _larger_body(plan: _Plan, step: int, *, whole_words: bool) -> Steps:
    """Return the sizes with a larger body where only the heading kept it small: one word more would have wrapped."""
    low, high = step + _WORTH, min(STEPS, step + _APART)
    if low > high or not plan.body.items or not _fits(plan, Steps(step, low), whole_words=whole_words):
        return Steps(step, step)
    return Steps(step, largest(low, high, lambda body: _fits(plan, Steps(step, body), whole_words=whole_words)))


def _calmer(plan: _Plan, step: int, *, whole_words: bool) -> int:
    """Return a slightly smaller step where the largest leaves one short line amid a heading's long ones."""
    if not plan.role.heading.balance:
        return step
    calmest, unrest = step, _unrest(plan, step)
    least = _size(plan.role.heading, step) * (1 - _FAULT * unrest)
    for smaller in range(step - 1, max(_CALMEST, step - _CALM_STEPS) - 1, -1):
        if not unrest or _size(plan.role.heading, smaller) < least:
            break
        if (rest := _unrest(plan, smaller)) < unrest and _fits(plan, Steps(smaller, smaller), whole_words=whole_words):
            calmest, unrest = smaller, rest
    return calmest


def _unrest(plan: _Plan, step: int) -> int:
    """Return how far a heading is from a calm shape: a ladder of lines, a short one amid long ones, a word astray."""
    measure = (plan.column[2] - plan.column[0]) / _size(plan.role.heading, step)
    lines = plan.heading.wrap(measure, _shape(plan.role.heading))
    widths = [line.width for line in lines]
    ladder = len(lines) > _LADDER
    jagged = len(lines) > 2 and min(widths[:-1]) < max(widths) * _SHORT_LINE  # two lines are no shape
    astray = any(ends_astray(line) or introduces(line.units[-1].text) for line in lines[:-1])
    return (3 if plan.canvas.wide else 1) * ladder + jagged + astray


def _cut(plan: _Plan, tried: _Set) -> tuple[_Set, list[LayoutWarning]]:
    """Return the smallest setting cut to its column, and what was lost."""
    width = plan.column[2] - plan.column[0]
    room = plan.column[3] - plan.column[1] - _gaps(plan, body=bool(tried.body))
    warnings: list[LayoutWarning] = []

    def kept(
        block: Block,
        lines: list[Line],
        size: int,
        rhythm: Spacing,
        most: int,
        space: float,
        field: Literal["heading", "body"],
    ) -> list[Line]:
        keep = min(len(lines), most)
        while keep > 0 and height(block, lines[:keep], size, rhythm) > space:
            keep -= 1
        if keep < len(lines):
            short, lost = (
                block.cut(lines, keep, width / size)
                if keep
                else ([], sum(unit.length for line in lines for unit in line.units))
            )
            warnings.append(LayoutWarning("truncated", field, characters=max(1, lost)))
            return short
        return lines

    least_body = (plan.body.top + plan.body.bottom) * tried.body_size if tried.body else 0
    heading = kept(
        plan.heading,
        tried.heading,
        tried.heading_size,
        tried.heading_rhythm,
        plan.role.heading.lines,
        room - least_body,
        "heading",
    )
    used = height(plan.heading, heading, tried.heading_size, tried.heading_rhythm)
    body = kept(plan.body, tried.body, tried.body_size, tried.body_rhythm, plan.role.body.lines, room - used, "body")
    needed = used + height(plan.body, body, tried.body_size, tried.body_rhythm) + _gaps(plan, body=bool(body))
    return _Set(
        tried.heading_size, heading, tried.heading_rhythm, tried.body_size, body, tried.body_rhythm, needed
    ), warnings


def _inks(plan: _Plan, ground: str) -> Inks:
    colours = plan.style.colours
    text, accent = {
        "background": (colours.text, colours.accent),
        "panel": (colours.on_panel, colours.panel_accent),
        "accent": (colours.on_accent, colours.on_accent),
        "picture": (colours.on_picture, colours.picture_accent),
    }.get(ground, (colours.text, colours.accent))
    if plan.style.marker.kind == "pen" and ground == "background":
        return Inks(text, accent, text, plan.style.marker.pen, pen=True)
    mark_fill, mark = (colours.on_accent, colours.accent) if ground == "accent" else (colours.accent, colours.on_accent)
    return Inks(text, accent, mark, mark_fill)


def _place(plan: _Plan, steps: Steps, *, shrunk: bool) -> SlideLayout:
    role, canvas, style = plan.role, plan.canvas, plan.style
    tried, warnings = _set(plan, steps), list(plan.missing)
    if steps.heading == 0:
        tried, lost = _cut(plan, tried)
        warnings += lost
    if shrunk:
        warnings.append(LayoutWarning("shrunk", "body" if tried.body else "heading"))
    on_picture = role.picture.place == "full"
    carded = on_picture and role.scrim.kind != "veil"
    ground = "panel" if carded else "picture" if on_picture else role.ground
    inks = _inks(plan, ground)
    left, top, right, bottom = plan.column
    spare = max(0.0, bottom - top - tried.needed)
    # Beside a picture as high as the slide, text hanging from the top looks dropped.
    anchor = "middle" if canvas.wide and not on_picture else role.anchor
    at = top + {"top": 0.0, "middle": spare / 2, "bottom": spare}[anchor]
    texts: list[TextBox] = []
    furniture: list[Shape] = list(plan.bars.shapes)
    over_picture = on_picture and not (carded and role.scrim.kind == "card")

    def add(
        name: str, block: Block, lines: list[Line], size: int, rhythm: Spacing, ink: Inks, *, accented: bool
    ) -> None:
        nonlocal at
        column = Column(left, at, right - left, role.align)
        texts.append(
            typeset(name, block, lines, size, rhythm, column, ink, over_picture=over_picture, accented=accented)
        )
        at += height(block, lines, size, rhythm)

    if role.number and plan.number:
        size = role.number.size
        number_ink = Inks(inks.accent, inks.accent, inks.mark, inks.mark_fill) if role.number.ink == "accent" else inks
        lines = plan.number.wrap((right - left) / size, "ragged")
        column = Column(left, at, right - left, _side(plan))
        texts.append(
            typeset(
                "number",
                plan.number,
                lines,
                size,
                Spacing(size, 0),
                column,
                number_ink,
                over_picture=over_picture,
                accented=False,
            )
        )
        at += size * (plan.number.top + 0.06) + role.gap
    if tried.heading:
        add(
            "heading",
            plan.heading,
            tried.heading,
            tried.heading_size,
            tried.heading_rhythm,
            inks,
            accented=role.heading.emphasis == "accent",
        )
    if role.rule:
        at += role.gap
        start = {"start": left, "centre": (left + right - role.rule.width) / 2, "end": right - role.rule.width}[
            _side(plan)
        ]
        fill = inks.accent if role.rule.fill == "accent" else getattr(style.colours, role.rule.fill)
        furniture.append(
            Shape(
                "rect",
                (start, at, start + role.rule.width, at + role.rule.thickness),
                fill,
                radius=role.rule.thickness / 2,
            )
        )
        at += role.rule.thickness
    if tried.body:
        at += role.gap
        add(
            "body",
            plan.body,
            tried.body,
            tried.body_size,
            tried.body_rhythm,
            inks,
            accented=role.body.emphasis == "accent",
        )
    main = tuple(range(len(texts)))
    texts.extend(plan.bars.texts)
    scrims = _scrims(plan, texts, main) if on_picture else ()
    if not on_picture:
        texts = [
            text if not overlap(text.box, plan.picture) or text.name in plan.bars.chipped else _over_picture(text, plan)
            for text in texts
        ]
        scrims = tuple(
            _shade(plan, index, texts[index].box) for index in range(len(texts)) if texts[index].over_picture
        )
    safe = safe_area(style, canvas)
    decor = place_decor(
        role.decor,
        style,
        {
            "slide": (0, 0, canvas.width, canvas.height),
            "safe": words_area(role, canvas, safe, from_right=plan.from_right),
            "picture": plan.picture,
        },
        from_right=plan.from_right,
    )
    return SlideLayout(
        plan.position, canvas.width, canvas.height, safe, *_ground(role, style), _picture(plan), decor["back"], decor["under"],
        scrims, tuple(furniture), tuple(texts), decor["over"], tuple(warnings), _daylight(role, style) if on_picture else None,
        plan.bars.logo,
    )  # fmt: skip


def _daylight(role: RoleStyle, style: Style) -> Daylight | None:
    if not role.scrim.daylight:
        return None
    colours = style.colours
    dark, light = sorted((colours.text, colours.background), key=lambda colour: luminance_of(rgb(colour)))
    return Daylight(dark, hex_of(readable(rgb(colours.accent), [rgb(light)])), light)


def _side(plan: _Plan) -> Literal["start", "centre", "end"]:
    """Return the physical side on which the heading starts."""
    align = plan.role.align
    if align == "centre" or not (plan.heading.items and plan.heading.items[0].base):
        return align
    return "end" if align == "start" else "start"


def _over_picture(text: TextBox, plan: _Plan) -> TextBox:
    colours = plan.style.colours
    return TextBox(
        text.name, text.box, text.ink, text.size, colours.on_picture, colours.picture_accent, text.mark_ink, text.mark_fill,
        over_picture=True, lines=text.lines, marks=text.marks, runs=text.runs,
    )  # fmt: skip


def _ground(role: RoleStyle, style: Style) -> tuple[str, str]:
    fill: str = getattr(style.colours, role.ground)
    end = style.colours.background_end if role.ground == "background" else None
    return fill, end or fill


def _picture(plan: _Plan) -> PicturePlace:
    frame = plan.role.picture
    mask: Literal["none", "round", "disc", "arch"] = "round" if frame.radius else "none"
    if frame.place == "disc":
        mask = "disc"
    elif frame.place == "arch":
        mask = "arch"
    colours = plan.style.colours
    return PicturePlace(plan.picture, mask, frame.radius, frame.treatment, colours.veil, colours.extra)


def _shade(plan: _Plan, text: int, box: Box) -> ScrimPlace:
    return ScrimPlace("shade", box, "x", plan.style.colours.veil, 0, _SHADE_FADE, 0, None, 0, (text,))


def _scrims(plan: _Plan, texts: Sequence[TextBox], main: tuple[int, ...]) -> tuple[ScrimPlace, ...]:
    scrim, colours = plan.role.scrim, plan.style.colours
    found: list[ScrimPlace] = []
    if main and scrim.kind == "veil":
        around = union([texts[index].box for index in main])
        axis: Literal["x", "y"] = "x" if plan.canvas.wide else "y"
        found.append(ScrimPlace("veil", around, axis, colours.veil, scrim.opacity, scrim.fade, 0, None, 0, main))
    elif main:
        around = union([texts[index].box for index in main])
        pad = scrim.padding
        box = (around[0] - pad, around[1] - pad, around[2] + pad, around[3] + pad)
        if scrim.stretch:  # what hangs out of the column hangs into the padding
            left, right = plan.column[0] - pad, plan.column[2] + pad
            box = (min(left, around[0] - pad / 2), box[1], max(right, around[2] + pad / 2), box[3])
        outline = getattr(colours, scrim.outline) if scrim.outline else None
        found.append(
            ScrimPlace(scrim.kind, box, "y", colours.panel, scrim.opacity, 0, scrim.radius, outline, scrim.shadow, main)
        )
    found.extend(
        _shade(plan, index, text.box) for index, text in enumerate(texts) if index not in main and text.over_picture
    )
    return tuple(found)
