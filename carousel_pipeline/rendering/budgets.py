"""How much copy a look takes, for a copywriter to know before the first word is written. Pure.

What must stay true: copy within its budget is set well above the style's smallest size (a quarter of the way to its largest),
neither cut nor shrunk. It is measured with the fonts and boxes that will be drawn: capitals, wide faces, small columns count.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from carousel_pipeline.rendering.layout import layout_deck
from carousel_pipeline.rendering.style import Style
from carousel_pipeline.requests import MIN_SLIDES, Deck, Ratio, Role, Slide
from carousel_pipeline.requests.deck import roles

_HEADING_LINES = 3
_MOST_HEADING = 120
# Whatever the box would take, nobody reads more than this before swiping on.
_MOST_BODY: Mapping[Role, int] = MappingProxyType({"cover": 140, "body": 400, "last": 240})
# Another text's words may be longer than the sample's.
_SLACK = 0.85
_SHORT_BODY = 60
_SHORT_BODY_HAN = 24
# ruff: noqa: RUF001  # the samples are text
_SAMPLES = MappingProxyType(
    {
        "latin": "The week has one promise and every small decision either keeps it or breaks it before Friday comes again. ",
        "cyrillic": "Каждое маленькое решение либо приближает обещанный результат, либо незаметно уводит его на неделю вперёд. ",
        "greek": "Κάθε μικρή απόφαση φέρνει πιο κοντά το αποτέλεσμα ή το απομακρύνει χωρίς να το καταλάβουμε. ",
        "arabic": "كل قرار صغير يقربك من النتيجة التي وعدت بها نفسك أو يؤجلها أسبوعا آخر دون أن تلاحظ ذلك. ",
        "hebrew": "כל החלטה קטנה מקרבת אותך לתוצאה שהבטחת או דוחה אותה לשבוע הבא בלי שתשים לב לכך. ",
        "devanagari": "हर छोटा फैसला आपको वादे के करीब लाता है या बिना बताए उसे अगले हफ्ते तक टाल देता है। ",
        "thai": "ทุกการตัดสินใจเล็กๆทำให้คุณเข้าใกล้เป้าหมาย หรือเลื่อนมันออกไปโดยไม่รู้ตัว ",
        "han": "每一个小小的决定，要么让你更接近目标，要么悄悄把它推迟到下一周，直到没有人再提起。",
    }
)
_SCRIPTS = MappingProxyType(
    {
        **dict.fromkeys(("ru", "uk", "be", "bg", "sr", "mk", "kk", "ky", "tg", "mn"), "cyrillic"),
        **dict.fromkeys(("ar", "fa", "ur"), "arabic"),
        **dict.fromkeys(("he", "yi"), "hebrew"),
        **dict.fromkeys(("hi", "mr", "ne"), "devanagari"),
        **dict.fromkeys(("zh", "ja", "ko"), "han"),
        "el": "greek",
        "th": "thai",
    }
)

_Lengths = Mapping[Role, int]


@dataclass(frozen=True, slots=True)
class Budget:
    """What one kind of slide should hold at most, in characters, spaces counted.

    Attributes:
        heading: up to three lines, with room left for a short body.
        body: what stands well below such a heading.
    """

    heading: int
    body: int


@lru_cache(maxsize=512)
def budgets(style: Style, ratio: Ratio, language: str = "en") -> Mapping[Role, Budget]:
    """Return the budget of `cover`, `body` and `last` slides in a style and ratio, for running text of a language's script.

    Takes about a tenth of a second the first time and is remembered then. Copy over its budget is still set, smaller, and only
    cut at last; `must_shrink` names what would be cut.
    """
    script = _SCRIPTS.get(language, "latin")
    sample = _SAMPLES[script] * 10

    def comfortable(headings: _Lengths, bodies: _Lengths, lines: int) -> Mapping[Role, bool]:
        slides = tuple(
            Slide(role=role, heading=sample[: max(1, headings[role])], body=sample[: bodies[role]])
            for role in roles(MIN_SLIDES)
        )
        layout = layout_deck(Deck(language=language, slides=slides), style, ratio)
        found: dict[Role, bool] = {}
        for copy, slide in zip(slides, layout.slides, strict=True):
            heading = next(text for text in slide.texts if text.name == "heading")
            setting = style.role(copy.role).heading
            found[copy.role] = (
                not slide.warnings
                and len(heading.lines) <= lines
                and heading.size * 4 >= 3 * setting.smallest + setting.largest
            )
        return found

    short: _Lengths = dict.fromkeys(roles(MIN_SLIDES), _SHORT_BODY_HAN if script == "han" else _SHORT_BODY)
    headings = _longest(
        dict.fromkeys(short, _MOST_HEADING), lambda lengths: comfortable(lengths, short, _HEADING_LINES)
    )
    bodies = _longest(_MOST_BODY, lambda lengths: comfortable(headings, lengths, _HEADING_LINES))
    return MappingProxyType({role: Budget(headings[role], round(bodies[role] * _SLACK)) for role in headings})


def _longest(most: _Lengths, fits: Callable[[_Lengths], Mapping[Role, bool]]) -> dict[Role, int]:
    """Return the greatest length of each kind that fits; all kinds are tried at once."""
    low: dict[Role, int] = dict.fromkeys(most, 0)
    high = dict(most)
    while any(low[role] < high[role] for role in low):
        tried = {role: (low[role] + high[role] + 1) // 2 for role in low}
        for role, good in fits(tried).items():
            if good:
                low[role] = tried[role]
            else:
                high[role] = max(low[role], tried[role] - 1)
    return low
