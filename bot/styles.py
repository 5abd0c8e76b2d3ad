"""The styles that exist: ids and names from `assets_static/styles/*.json`, without the renderer that draws them (M6).

A press may name any style it likes; one that is not here is refused politely.
"""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from carousel_pipeline.paths import resource
from carousel_pipeline.requests import Options

# `s:` + 32 hexadecimal digits + `:` leave this much of a button's 64 bytes.
_LONGEST_ID: Final = 29
_FIRST_LANGUAGES: Final = ("en", "ru")


class Styles:
    """Names of styles by language.

    Args:
        names: for every style id, its name by language.
    """

    def __init__(self, names: Mapping[str, Mapping[str, str]]) -> None:
        self._names = MappingProxyType(dict(names))

    def __contains__(self, style: object) -> bool:
        return style in self._names

    def named(self, locale: str) -> dict[str, str]:
        """Return every style's name in `locale`, the default style first."""
        first = Options().style
        return {
            style: self.name(style, locale) for style in sorted(self._names, key=lambda style: (style != first, style))
        }

    def name(self, style: str, locale: str) -> str:
        """Return a style's name; one that no longer exists is called by its id."""
        return self._names.get(style, {}).get(locale, style)


class Languages:
    """The languages that slides can be in.

    Args:
        codes: ISO 639 codes; the most asked for first.
    """

    def __init__(self, codes: Sequence[str]) -> None:
        self.codes = tuple(codes)


def load_languages() -> Languages:
    """Return the languages whose rules this installation ships."""
    codes = sorted(path.stem for path in (resource("assets_static") / "language").glob("*.json"))
    return Languages(sorted(codes, key=lambda code: (code not in _FIRST_LANGUAGES, code)))


def load_styles() -> Styles:
    """Return the styles this installation ships."""
    names = {}
    for path in sorted((resource("assets_static") / "styles").glob("*.json")):
        if len(path.stem) <= _LONGEST_ID:
            names[path.stem] = dict(json.loads(path.read_text(encoding="utf-8"))["name"])
    return Styles(names)
