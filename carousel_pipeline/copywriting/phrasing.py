"""Headings and bodies out of whole sentences: shortened by leaving out, never by rewording.

What may go: an opening connector whose sentence before is not on the slide, a remark in round brackets, footnote marks. What may
not: a condition, a negation, a figure, a "but". So a sentence is never cut at a comma; it is split over heading and body instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import regex

from carousel_pipeline.copywriting.document import places_to_break, weight_of, without, words
from carousel_pipeline.copywriting.language import Language
from carousel_pipeline.copywriting.ranking import Sentence

HEADING_WORDS = 9
LONG_HEADING_WORDS = 14
BODY_WORDS = 32
MAX_HEADING = 140
MAX_BODY = 600
POINTS = 5
_TWO_LINES = 80
_THREE_LINES = 110
# Fewer words than this explain nothing and label at best.
_FEW_WORDS = 3
_LIST_WORDS = 45
_LONG_POINTS = 3
# The quality of a heading that the writer himself set apart, by bold type, a colon or a dash.
_NAMED = 0.9
_PAUSES = ",;:—–\uff0c\uff1b\uff1a\u060c\u3001"
_NAME_WORDS = 7
_SPLITTABLE_WORDS = 45

_BRACKETS = regex.compile(r"\s*\((?![^)]{0,160}\d)[^()]{1,160}\)(?!\w)")
_FOOTNOTE = regex.compile(r"\s*\[(?:\d{1,3}|\p{L})\](?!\w)")
_LEAD = regex.compile(
    r"^(?P<lead>(?:\*\*)?[^:.!?;—–]{2,70}?(?:\*\*)?)(?P<mark>:|\s[—–-])\s+(?P<rest>\S.+)$", regex.DOTALL
)
_BOLD_LEAD = regex.compile(r"^\*\*(?P<lead>[^*]{2,80})\*\*\s*[:.—–-]?\s*(?P<rest>\S.*)$", regex.DOTALL)
_QUOTED = regex.compile(r"""[«"“„'\u2018—–]""")
_NOTABLE = regex.compile(
    r"(?<![\w.,–—-])(?:[$€£₽¥]\s?\d[\d\s\u00a0.,–-]*(?:\s?(?:million|billion|млн|млрд))?"
    r"|\d[\d\s\u00a0.,–-]*(?:\s?(?:%|[€£₽¥]|(?:тыс|млн|млрд)(?!\w)|(?:million|billion|percent|процент\p{L}*)))+)"
)


@dataclass(frozen=True, slots=True)
class Headline:
    """A heading won from a sentence.

    Attributes:
        text: the heading.
        rest: what of the sentence goes into the body.
        quality: how well it stands alone, 0..1.
    """

    text: str
    rest: str
    quality: float


def plain(text: str) -> str:
    """Return `text` without `**` and `==` marks."""
    return without(text, "**", "==")


def capital(text: str) -> str:
    """Return `text` with its first letter in upper case."""
    first = regex.search(r"[\p{L}\p{N}]", text)
    if first is None or first[0].upper().lower() != first[0].lower() or len(first[0].upper()) != 1:
        return text  # some letters have no capital of their own: sharp s, the micro sign
    return text[: first.start()] + first[0].upper() + text[first.end() :]


def lighten(text: str, language: Language, *, alone: bool) -> str:
    """Return a sentence without footnotes and figureless brackets and, if its predecessor is absent, without its connector."""
    light = _BRACKETS.sub("", _FOOTNOTE.sub("", text)).strip() or text
    if alone:
        for _ in range(2):
            shorter = language.connector.sub("", light, count=1)
            if shorter == light or weight_of(shorter) < _FEW_WORDS:
                break
            light = capital(shorter)
    return light


def as_heading(text: str) -> str:
    """Return `text` as a heading: no full stop at its end, no quotes left open, at most `MAX_HEADING` characters."""
    head = balanced(text.strip()) or text.strip()
    if not head.endswith(("...", "…")) and not regex.search(r"\w\.\w+\.$", head):
        head = regex.sub(r"(?<=\S)[.,;:。\uff0c]+((?:\*\*)?)$", r"\1", head)
    return clipped(head, MAX_HEADING)


def headline(said: str, language: Language, longest: float = LONG_HEADING_WORDS) -> Headline:
    """Return the best heading that this sentence can give, whole if it has at most `longest` words."""
    text = said.strip()
    length = weight_of(text)
    lead = _BOLD_LEAD.match(text) or _LEAD.match(text)
    explained = lead and not _QUOTED.match(lead["rest"]) and weight_of(lead["rest"]) >= _FEW_WORDS
    if lead and explained and _names(lead["lead"], language):
        return Headline(as_heading(plain(lead["lead"])), capital(lead["rest"].strip()), 0.95)
    if length <= HEADING_WORDS and len(text) <= _TWO_LINES:
        return Headline(as_heading(text), "", 1.0 if length >= _FEW_WORDS else 0.8)
    if split := _clauses(text, language):
        return split
    if length <= longest and len(text) <= _THREE_LINES:
        return Headline(as_heading(text), "", 0.55)
    return _broken(text, language)


def _names(lead: str, language: Language) -> bool:
    found = words(plain(lead))
    if language.subordinate(lead):
        return False
    return 1 <= len(found) <= _NAME_WORDS and any(word.lower() not in language.stopwords for word in found)


def _clauses(text: str, language: Language) -> Headline | None:
    if weight_of(text) > _SPLITTABLE_WORDS:
        return None
    places = [match.span() for match in language.clause.finditer(text)]
    if language.subordinate(text) and (comma := regex.search(r"(?:\s[—–]|[,\uff0c]\s[—–]|[,\uff0c])\s+", text)):
        places = [comma.span()]
    for start, end in places:
        first, rest = text[:start], text[end:]
        if _FEW_WORDS <= weight_of(first) <= HEADING_WORDS and weight_of(rest) >= _FEW_WORDS - 1 and _closed(first):
            return Headline(f"{first}…", f"…{rest}", 0.7)
    return None


def _closed(text: str) -> bool:
    return (
        all(text.count(a) == text.count(b) for a, b in ("()", "«»", "“”"))
        and text.count('"') % 2 == 0
        and text.count("**") % 2 == 0
    )


def _broken(text: str, language: Language) -> Headline:
    """Break a long sentence after about seven words; the body goes on where the heading stopped."""
    spaces = places_to_break(text[: 2 * MAX_HEADING])
    good = [
        at
        for at in spaces
        if _FEW_WORDS < weight_of(text[:at]) <= HEADING_WORDS and len(text[:at]) <= _TWO_LINES and _closed(text[:at])
    ]
    if not good:
        at = next((place for place in reversed(spaces) if place <= _TWO_LINES), None)
        if at is None:
            return Headline(as_heading(text), "", 0.1)
        return Headline(balanced(text[:at].rstrip(_PAUSES + " -")) + "…", f"…{balanced(text[at:].strip())}", 0.1)
    at = max(good, key=lambda place: (_pause(text, place, language), place))
    return Headline(text[:at].rstrip(_PAUSES + " -") + "…", f"…{text[at:].strip(' —–-')}", 0.3)


def _pause(text: str, at: int, language: Language) -> float:
    """Return how natural a break before the word at `at` is: after a comma, or where a clause or a phrase begins."""
    if text[at - 1] in _PAUSES:
        return 2.0
    following, last = words(text[at:])[:1], words(text[:at])[-1:]
    if not following or not last or text[at:].lstrip()[0] in "—–":
        return 0.0
    if last[0].lower() in language.stopwords or last[0].isdigit() or following[0][0].isdigit():
        return -1.0
    if following[0].lower() in language.joiners:
        return 1.5
    return 0.8 if following[0].lower() in language.stopwords else 0.0


def best_headline(said: Sequence[Sentence], language: Language) -> tuple[int, Headline]:
    """Return which sentence of an idea makes its heading, and the heading."""
    found = [headline(lighten(s.text, language, alone=True), language) for s in said]

    def worth(place: int) -> float:
        said_here = said[place]
        score = found[place].quality * (0.55 + 0.45 * said_here.weight)
        score += 0.16 * said_here.first + 0.07 * said_here.counted
        if language.leans_back(said_here.text):
            score *= 0.45 if place else 0.6
        if place and place == len(said) - 1:
            score *= 0.4
        elif said_here.text.endswith("?"):
            score += 0.25
        return score

    best = max(range(len(said)), key=worth)
    return best, found[best]


def body(
    said: Sequence[Sentence], language: Language, start: str = "", budget: float = BODY_WORDS, *, follows: bool = False
) -> str:
    """Return the weightiest sentences that fit `budget` words after `start`, in order; at least one where there is one.

    `follows` says that the sentence before the first one stands on the slide, as its heading.
    """
    room = budget - weight_of(start)
    texts = [
        lighten(s.text, language, alone=not follows and not start and number == 0) for number, s in enumerate(said)
    ]
    lengths = [weight_of(text) for text in texts]
    chosen: set[int] = set()
    if sum(lengths) <= room * 1.1:
        chosen = set(range(len(said)))
    else:
        for place in sorted(range(len(said)), key=lambda i: -_appeal(said, i)):
            needs = {place} | ({place - 1} if place and language.leans_back(said[place].text) else set())
            length = sum(lengths[i] for i in needs - chosen)
            if length <= room:
                chosen |= needs
                room -= length
    if not chosen and not start and said:
        chosen = {min(range(len(said)), key=lambda i: lengths[i])}
    parts = [start] if start else []
    if len(chosen) > 1 and max(chosen) == len(said) - 1 and said[-1].text.endswith("?"):
        chosen.discard(len(said) - 1)  # its answer stands on another slide
    for place in sorted(chosen):
        bare = place - 1 not in chosen and not (place == 0 and (start or follows))
        parts.append(lighten(said[place].text, language, alone=bare))
    joint = "\n" if any("\n" in part for part in parts) else " " * language.spaced
    return clipped(balanced(joint.join(parts)), MAX_BODY)


def _appeal(said: Sequence[Sentence], place: int) -> float:
    sentence = said[place]
    return sentence.weight + (0.25 if place == 0 else 0) + (0.15 if sentence.counted else 0)


def points(found: Sequence[str], language: Language) -> str:
    """Return list lines without full stops: all of up to `POINTS`, of long ones the names where they have one, or else fewer."""
    lines = [lighten(point.replace("\n", " "), language, alone=True) for point in found[:POINTS]]
    if sum(map(weight_of, lines)) > _LIST_WORDS:
        won = [headline(line, language) for line in lines]
        named = all(name.quality > _NAMED for name in won)
        lines = [name.text for name in won] if named else lines[:_LONG_POINTS]
    share = MAX_BODY // max(1, len(lines)) - 3
    return "\n".join(f"- {clipped(regex.sub(r'[.;,]+$', '', balanced(capital(line))), share)}" for line in lines)


def split_verse(text: str) -> tuple[str, str]:
    """Return the first line of verse as a heading and its other lines as they stand."""
    first, _, rest = text.partition("\n")
    return as_heading(first), clipped(balanced(rest), MAX_BODY)


def sentence(text: str) -> str:
    """Return `text` with a full stop, unless it ends with a mark of its own."""
    return text if text.endswith(("?", "!", ".", "…", ":", "。")) else f"{text}."


def told(heading: str, text: str) -> str:
    """Return a card as running text, a sentence that was split over heading and body in one piece again."""
    if heading.endswith("…") and text.startswith("…"):
        return plain(f"{heading[:-1]} {text[1:]}")
    return plain(f"{sentence(heading)} {text}").strip()


def balanced(text: str) -> str:
    """Return `text` without emphasis marks, brackets or quotes that were opened or closed only once."""
    for mark in ("**", "==", '"'):
        if text.count(mark) % 2:
            text = without(text, mark)
    for opening, closing in ("()", "«»", "“”", "[]"):
        if text.count(opening) != text.count(closing):
            text = without(text, opening, closing)
    return text.strip()


def clipped(text: str, limit: int) -> str:
    """Return `text` within `limit` characters, cut after a word and marked with an ellipsis."""
    if len(text) <= limit:
        return text
    at = max((place for place in places_to_break(text[:limit]) if place < limit), default=0)
    if at < limit // 2:
        at = max((place for place in places_to_break(regex.sub(r"\s", "_", text[:limit])) if place < limit), default=0)
    return balanced(text[:at].rstrip(_PAUSES + " -")) + "…"


def marked(text: str, mark: str) -> str:
    """Return `text` with its first notable figure between `mark`s, unless something is emphasised already."""
    if "**" in text or "==" in text or not (figure := _NOTABLE.search(text)):
        return text
    return f"{text[: figure.start()]}{mark}{figure[0].strip()}{mark}{text[figure.start() + len(figure[0].rstrip()) :]}"
