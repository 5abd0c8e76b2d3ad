"""Faces, the fallback chain and shaping: a grapheme gets the first face that can draw all of it; glyph 0 is never asked for.

Faces load on first use, once per process (m16), from the installed package (m17). A run is in em units and knows the exact ink of
its unhinted outlines, so layout is arithmetic and whether text stays in its box is known before a pixel is drawn.
"""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, Literal

import regex
import uharfbuzz as hb  # type: ignore[import-untyped]  # the library ships no types

from carousel_pipeline.paths import resource
from carousel_pipeline.rendering import bidi
from carousel_pipeline.rendering.style import Font
from carousel_pipeline.rendering.text import IGNORABLE, graphemes

EMOJI = "NotoColorEmoji"
EMOJI_SCALE = 0.8
_FALLBACKS = ("Inter", "NotoSansArabic", "NotoSansHebrew", "NotoSansDevanagari", "NotoSansThai", "NotoSansSC-Medium")
_SERIF_FALLBACKS = (
    "NotoNaskhArabic", "NotoSerifHebrew", "NotoSerifDevanagari", "NotoSerifThai", "NotoSerifSC-Medium", *_FALLBACKS,
)  # fmt: skip
_BOLD_FROM = 600
_REGULAR = 400
_EMBOLDEN = 0.024
_TABULAR = MappingProxyType({"tnum": True, "lnum": True})
_JOINED = regex.compile(r"[\p{Arabic}\p{Devanagari}\p{Thai}]")
_SHARED = frozenset("“”‘’…—·")  # noqa: RUF001  # as they are typed
_OPENING = frozenset("“‘")  # noqa: RUF001  # as above
_HAN = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]")
_EMOJI_LIKE = regex.compile(
    r"\p{Emoji_Presentation}|\uFE0F|\p{Regional_Indicator}|[\U0001F3FB-\U0001F3FF]|\u20E3|\p{Extended_Pictographic}\u200d"
)
_SCRIPTS = regex.compile(
    r"(?P<Latn>\p{Latin})|(?P<Cyrl>\p{Cyrillic})|(?P<Grek>\p{Greek})|(?P<Arab>\p{Arabic})|(?P<Hebr>\p{Hebrew})"
    r"|(?P<Deva>\p{Devanagari})|(?P<Thai>\p{Thai})|(?P<Hani>[\p{Han}\p{Hiragana}\p{Katakana}])"
)

Ink = tuple[float, float, float, float]


class Face:
    """One face at one weight. `font` is never changed after loading, so threads may share it."""

    def __init__(self, name: str) -> None:
        stem, _, setting = name.partition("@")
        weight = int(setting or 0)
        self.name = name
        self.colour = stem == EMOJI
        face = _open(stem)
        self.upem = face.upem
        self.font = hb.Font(face)
        variable = {axis.tag: axis for axis in face.axis_infos}
        if variable:
            axes = {"wght": min(max(weight, variable["wght"].min_value), variable["wght"].max_value)}
            if "opsz" in variable and weight >= _BOLD_FROM:
                axes["opsz"] = variable["opsz"].max_value
            self.font.set_variations(axes)
        elif weight:
            self.font.synthetic_bold = (_EMBOLDEN, _EMBOLDEN, False)
        self._covered = _covered(stem)
        self._extents: dict[int, Ink | None] = {}

    def draws(self, grapheme: str) -> bool:
        """Return whether every character of the grapheme has a glyph here."""
        return all(ord(character) in self._covered or ord(character) in IGNORABLE for character in grapheme)

    def ink(self, glyph: int) -> Ink | None:
        """Return (left, bottom, right, top) of a glyph's outline in em, y upwards, or None for an empty one."""
        if glyph not in self._extents:
            box = self.font.get_glyph_extents(glyph)
            unit = 1 / self.upem
            self._extents[glyph] = (
                (
                    box.x_bearing * unit,
                    (box.y_bearing + box.height) * unit,
                    (box.x_bearing + box.width) * unit,
                    box.y_bearing * unit,
                )
                if box and box.width and box.height
                else None
            )
        return self._extents[glyph]


@cache
def _open(stem: str) -> hb.Face:
    return hb.Face(hb.Blob.from_file_path(str(resource("assets_static") / "fonts" / f"{stem}.ttf")))


@cache
def _covered(stem: str) -> frozenset[int]:
    """Return the characters of a file: the same at every weight, so held once."""
    return frozenset(_open(stem).unicodes)


@cache
def _is_variable(stem: str) -> bool:
    return bool(_open(stem).axis_infos)


@cache
def face(name: str) -> Face:
    """Return a face by name: the file's stem, and after `@` a weight (any weight on a static face emboldens it)."""
    return Face(name)


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """A `Font` at one emphasis: what shaping needs to know; `voice` returns the same one again, so identity is its hash.

    Attributes:
        faces: names in order of preference.
        tabular: figures of one width and one height, so that a counter does not dance.
    """

    faces: tuple[str, ...]
    tracking: float
    upper: bool
    tabular: bool = False

    def pick(self, grapheme: str) -> str | None:
        """Return the name of the face that draws all of `grapheme`, or None."""
        return _pick(self.faces, grapheme)


@lru_cache(maxsize=16384)
def _pick(faces: tuple[str, ...], grapheme: str) -> str | None:
    if _EMOJI_LIKE.search(grapheme) and face(EMOJI).draws(grapheme):
        return EMOJI
    for name in faces:
        if face(name).draws(grapheme):
            return name
    return EMOJI if face(EMOJI).draws(grapheme) else None


@lru_cache(maxsize=256)
def voice(font: Font, *, bold: bool, tabular: bool = False) -> Voice:
    """Return the voice of a style's font, regular or bold."""
    weight = font.bold_weight if bold else font.weight
    fallbacks = _SERIF_FALLBACKS if font.serif else _FALLBACKS
    return Voice(
        (_first_face(font, bold=bold), *(_fallback(stem, weight) for stem in fallbacks)),
        font.tracking,
        font.upper,
        tabular,
    )


def _first_face(font: Font, *, bold: bool) -> str:
    if _is_variable(font.face):
        return f"{font.face}@{font.bold_weight if bold else font.weight}"
    if bold and font.bold:
        return font.bold
    # A face that is heavy already says "bold" by colour alone.
    return f"{font.face}@{font.bold_weight}" if bold and font.weight < _BOLD_FROM else font.face


def _fallback(stem: str, weight: int) -> str:
    if _is_variable(stem):
        return f"{stem}@{weight}"
    return f"{stem}@{weight}" if weight >= _BOLD_FROM else stem


@lru_cache(maxsize=16384)
def drawable(grapheme: str) -> bool:
    """Return whether any shipped face draws `grapheme`, whatever the style."""
    return _pick(tuple(_fallback(stem, _REGULAR) for stem in _FALLBACKS), grapheme) is not None


@dataclass(frozen=True, slots=True)
class Run:
    """Shaped glyphs of one face in visual order, in em of the text's size.

    Attributes:
        scale: the face's own size relative to the text's.
        xs, ys: offsets of each glyph from the run's start on the baseline.
        ink: (left, bottom, right, top) of all outlines, y upwards; zeros when nothing is inked.
    """

    face: str
    scale: float
    glyphs: tuple[int, ...]
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    advance: float
    ink: Ink


@dataclass(frozen=True, slots=True)
class Shaped:
    """A piece of text in one direction and one voice."""

    runs: tuple[Run, ...]
    advance: float
    ink: Ink


_buffers = threading.local()


# A few decks' worth: every remembered run is walked by each full garbage collection, which then stops a slide for it.
@lru_cache(maxsize=4096)
def shape(text: str, speaker: Voice, direction: Literal["ltr", "rtl"], language: str) -> Shaped:
    """Shape `text`, which reads in one direction, with fallback per grapheme."""
    if speaker.upper:
        text = "".join(upper if len(upper := character.upper()) == 1 else character for character in text)
    segments = _segments(text, speaker)
    runs = [_shape_run(name, script, part, speaker, direction, language) for name, script, part in segments]
    if direction == "rtl":
        runs.reverse()
    advance = sum(run.advance for run in runs)
    return Shaped(tuple(runs), advance, _union(runs))


def bidi_shape(text: str, speaker: Voice, language: str) -> Shaped:
    """Shape one line in which directions may mix, such as a handle."""
    base = bidi.base_level(text)
    levels = bidi.levels(text, base)
    if levels is None:
        return shape(text, speaker, "rtl" if base else "ltr", language)
    parts: list[tuple[int, str]] = []
    for character, level in zip(text, levels, strict=True):
        if parts and parts[-1][0] == level:
            parts[-1] = (level, parts[-1][1] + character)
        else:
            parts.append((level, character))
    order = bidi.visual_order([level for level, _ in parts])
    shaped = [shape(parts[index][1], speaker, "rtl" if parts[index][0] % 2 else "ltr", language) for index in order]
    runs = tuple(run for piece in shaped for run in piece.runs)
    return Shaped(runs, sum(run.advance for run in runs), _union(runs))


def _segments(text: str, speaker: Voice) -> list[tuple[str, str | None, str]]:
    segments: list[tuple[str, str | None, str]] = []
    name = script = None
    part = ""
    clusters = graphemes(text)
    for index, grapheme in enumerate(clusters):
        own_name, own_script = _drawer(speaker.faces, grapheme)
        if grapheme in _SHARED and (beside := _han_beside(clusters, index)):
            # Latin and Chinese share these signs, but not their width and place.
            theirs, _ = _drawer(speaker.faces, beside)
            own_name = theirs if theirs and face(theirs).draws(grapheme) else own_name
        if own_name is None:
            continue  # hygiene has reported and replaced it; what is left are selectors and joiners on their own
        if own_name == name and (own_script is None or script is None or own_script == script):
            part += grapheme
            script = script or own_script
            continue
        if name:
            segments.append((name, script, part))
        name, script, part = own_name, own_script, grapheme
    if name:
        segments.append((name, script, part))
    return segments


@lru_cache(maxsize=16384)
def _drawer(faces: tuple[str, ...], grapheme: str) -> tuple[str | None, str | None]:
    """Return the face that draws a grapheme and the grapheme's script, as far as there are any."""
    match = _SCRIPTS.match(grapheme)
    return _pick(faces, grapheme), match.lastgroup if match else None


def _han_beside(clusters: Sequence[str], index: int) -> str | None:
    """Return the Chinese or Japanese sign that a shared one belongs to: what an opening quote precedes, any other follows."""
    way = 1 if clusters[index] in _OPENING else -1
    while 0 <= index < len(clusters) and clusters[index] in _SHARED:
        index += way
    return clusters[index] if 0 <= index < len(clusters) and _HAN.match(clusters[index]) else None


def _shape_run(
    name: str, script: str | None, text: str, speaker: Voice, direction: Literal["ltr", "rtl"], language: str
) -> Run:
    found = face(name)
    buffer = _shaped(found, text, script, direction, language, tabular=speaker.tabular)
    scale = EMOJI_SCALE if found.colour else 1.0
    unit = scale / found.upem
    tracking = 0.0 if found.colour or _JOINED.search(text) else speaker.tracking
    glyphs: list[int] = []
    xs: list[float] = []
    ys: list[float] = []
    at = 0.0
    left = bottom = math.inf
    right = top = -math.inf
    cluster = -1
    # HarfBuzz itself takes a tenth of this loop's time: what is not called here is saved.
    for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        if cluster not in (-1, info.cluster):
            at += tracking
        cluster = info.cluster
        x_offset, y_offset, advance, _ = position.position
        x, y = at + x_offset * unit, y_offset * unit
        at += advance * unit
        glyph = info.codepoint
        ink = found.ink(glyph)
        if not glyph or (ink is None and not found.colour):
            continue
        start, low, end, high = ink or (0.0, -0.25, advance / found.upem, 0.95)
        glyphs.append(glyph)
        xs.append(x)
        ys.append(y)
        if (edge := x + start * scale) < left:
            left = edge
        if (edge := y + low * scale) < bottom:
            bottom = edge
        if (edge := x + end * scale) > right:
            right = edge
        if (edge := y + high * scale) > top:
            top = edge
    at += tracking if glyphs else 0.0
    box = (left, bottom, right, top) if glyphs else (0.0, 0.0, 0.0, 0.0)
    return Run(name, scale, tuple(glyphs), tuple(xs), tuple(ys), at, box)


def _shaped(found: Face, text: str, script: str | None, direction: str, language: str, *, tabular: bool) -> Any:
    """Return HarfBuzz' buffer, this thread's only one, with the glyphs of a text."""
    buffer = getattr(_buffers, "buffer", None)
    if buffer is None:
        buffer = _buffers.buffer = hb.Buffer()
    buffer.clear_contents()
    buffer.add_str(text)
    buffer.direction = direction
    buffer.script = script or "Zyyy"
    buffer.language = language
    hb.shape(found.font, buffer, dict(_TABULAR) if tabular else None)
    return buffer


def _union(runs: Sequence[Run]) -> Ink:
    at = 0.0
    boxes: list[Ink] = []
    for run in runs:
        if run.glyphs:
            left, bottom, right, top = run.ink
            boxes.append((at + left, bottom, at + right, top))
        at += run.advance
    if not boxes:
        return (0.0, 0.0, 0.0, 0.0)
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)
