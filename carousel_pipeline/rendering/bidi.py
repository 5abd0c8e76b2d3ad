"""Embedding levels and visual order of one paragraph: UAX #9 without explicit controls, which text hygiene removes. Pure."""

import unicodedata
from typing import Literal

import regex

_RIGHT_TO_LEFT = regex.compile(r"[\p{Bidi_Class=R}\p{Bidi_Class=AL}\p{Bidi_Class=AN}]")
_FIRST_STRONG = regex.compile(r"[\p{Bidi_Class=L}\p{Bidi_Class=R}\p{Bidi_Class=AL}]")
_NEUTRAL = frozenset(("B", "S", "WS", "ON", "BN", "LRI", "RLI", "FSI", "PDI", "LRE", "RLE", "LRO", "RLO", "PDF", ""))


def base_level(text: str) -> Literal[0, 1]:
    """Return 1 when the first strong character reads from right to left."""
    first = _FIRST_STRONG.search(text)
    return 1 if first and unicodedata.bidirectional(first[0]) in {"R", "AL"} else 0


def levels(text: str, base: int) -> list[int] | None:
    """Return one level per character, or None when the whole text simply reads from left to right."""
    if base == 0 and not _RIGHT_TO_LEFT.search(text):
        return None
    kinds = _resolve_weak([unicodedata.bidirectional(character) for character in text], "R" if base else "L")
    _resolve_neutral(kinds, "R" if base else "L")
    return [_implicit(kind, base) for kind in kinds]


def _implicit(kind: str, base: int) -> int:
    if base % 2 == 0:
        return base + {"R": 1, "AN": 2, "EN": 2}.get(kind, 0)
    return base + (1 if kind in {"L", "AN", "EN"} else 0)


def _resolve_weak(kinds: list[str], edge: str) -> list[str]:
    """Rules W1 to W7, in the standard's order."""
    _marks_and_arabic_numbers(kinds, edge)
    for index in range(1, len(kinds) - 1):
        left, kind, right = kinds[index - 1 : index + 2]
        if left == right and ((kind == "ES" and left == "EN") or (kind == "CS" and left in {"EN", "AN"})):
            kinds[index] = left
    _terminators_join_numbers(kinds)
    _latin_numbers(kinds, edge)
    return kinds


def _marks_and_arabic_numbers(kinds: list[str], edge: str) -> None:
    """Rules W1 and W2."""
    previous = edge
    strong = edge
    for index, kind in enumerate(kinds):
        if kind == "NSM":
            kinds[index] = previous
        elif kind == "EN" and strong == "AL":
            kinds[index] = "AN"
        if kinds[index] in {"L", "R", "AL"}:
            strong = kinds[index]
        previous = kinds[index]


def _latin_numbers(kinds: list[str], edge: str) -> None:
    """Rules W3, W6 and W7."""
    strong = edge
    for index, kind in enumerate(kinds):
        if kind in {"ES", "ET", "CS"}:
            kinds[index] = "ON"
        elif kind == "AL":
            kinds[index] = strong = "R"
        elif kind in {"L", "R"}:
            strong = kind
        elif kind == "EN" and strong == "L":
            kinds[index] = "L"


def _terminators_join_numbers(kinds: list[str]) -> None:
    """Rule W5: a run of ET beside EN becomes EN."""
    index = 0
    while index < len(kinds):
        end = index
        while end < len(kinds) and kinds[end] == "ET":
            end += 1
        if end > index:
            if (index and kinds[index - 1] == "EN") or (end < len(kinds) and kinds[end] == "EN"):
                kinds[index:end] = ["EN"] * (end - index)
            index = end
        else:
            index += 1


def _resolve_neutral(kinds: list[str], edge: str) -> None:
    """Rules N1 and N2."""
    index = 0
    while index < len(kinds):
        end = index
        while end < len(kinds) and kinds[end] in _NEUTRAL:
            end += 1
        if end > index:
            left = _side(kinds[index - 1]) if index else edge
            right = _side(kinds[end]) if end < len(kinds) else edge
            kinds[index:end] = [left if left == right else edge] * (end - index)
            index = end
        else:
            index += 1


def _side(kind: str) -> str:
    return "R" if kind in {"AN", "EN"} else kind


def visual_order(line_levels: list[int]) -> list[int]:
    """Return the indexes of a line's items from left to right (rule L2)."""
    order = list(range(len(line_levels)))
    odd = [level for level in line_levels if level % 2]
    if not odd:
        return order
    for floor in range(max(line_levels), min(odd) - 1, -1):
        index = 0
        while index < len(order):
            end = index
            while end < len(order) and line_levels[order[end]] >= floor:
                end += 1
            if end > index:
                order[index:end] = order[index:end][::-1]
                index = end
            else:
                index += 1
    return order
