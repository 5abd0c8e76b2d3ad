"""Lines end where readers expect; held against uniseg, which is complete but too slow to draw with."""

from itertools import pairwise

import pytest
from uniseg.linebreak import line_break_boundaries

from carousel_pipeline.rendering import bidi
from carousel_pipeline.rendering.breaks import hyphenations, opportunities

_SAMPLES = [
    "The quick (brown) fox — it can't jump 32.3 feet, right?",
    "Из-за леса, из-за гор: 10 000 ₽ и «кавычки»… Конец!",
    "well-known state-of-the-art --flag -5 e-mail",
    "这是一个测试，看看（换行）的速度“如何”。",
    "日本語のテキストは、どこでも改行できる。ー々",
    "مرحبا بالعالم، هذا نص (طويل) 25%",
    "emoji 👩‍💻👍🏽🇷🇺🇺🇸 and text",
    "price $100-200 and 50% or a/b",
    "שלום עולם 12:30",
]


@pytest.mark.parametrize("text", _SAMPLES)
def test_no_break_that_the_standard_forbids(text: str) -> None:
    allowed = set(line_break_boundaries(text)) | {len(text)}
    ours = opportunities(text)
    assert set(ours) - allowed == set()
    assert ours == sorted(ours)
    assert ours[-1] == len(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a b", ["a ", "b"]),
        ("чек-лист", ["чек-лист"]),
        ("интернет-магазина", ["интернет-", "магазина"]),
        ("你好，世界", ["你", "好，", "世", "界"]),
        ("«слово» ещё", ["«слово» ", "ещё"]),
        ("огонь🔥🇧🇷🇯🇵 да", ["огонь🔥🇧🇷🇯🇵 ", "да"]),
        ("朋友🙂你", ["朋", "友🙂", "你"]),
    ],
)
def test_units(text: str, parts: list[str]) -> None:
    starts = [0, *opportunities(text)]
    assert [text[start:end] for start, end in pairwise(starts)] == parts


def test_thai_breaks_between_words() -> None:
    text = "วันนี้อากาศดีมากฉันอยากไปเที่ยวทะเล"
    found = opportunities(text)
    assert len(found) > 5
    assert text[: found[0]] == "วัน"


def test_chinese_headings_break_between_phrases() -> None:
    text = "如何停止拖延重要的事情"
    assert text.index("要") not in opportunities(text, phrases=True)
    assert text.index("要") in opportunities(text)


@pytest.mark.parametrize("phrases", [True, False])
def test_a_chinese_number_keeps_what_it_counts(phrases: bool) -> None:  # noqa: FBT001  # a parameter of the test
    text = "先答应自己只做两分钟，然后会继续二十三个月"
    starts = opportunities(text, phrases=phrases)
    for whole in ("两分钟", "二十三个月"):
        assert not {text.index(whole) + 1, text.index(whole) + len(whole) - 1} & set(starts)


def test_no_chinese_phrase_starts_with_a_particle() -> None:
    text = "如何停止拖延真正重要的事情"
    assert text.index("的") not in opportunities(text, phrases=True)


@pytest.mark.parametrize(
    ("word", "language"), [("производительность", "ru"), ("Donaudampfschiff", "de"), ("hyphenation", "en")]
)
def test_long_words_hyphenate(word: str, language: str) -> None:
    assert all(3 <= offset <= len(word) - 3 for offset in hyphenations(word, language))
    assert hyphenations(word, language)


def test_a_language_without_a_dictionary_has_no_hyphens() -> None:
    assert hyphenations("whatever", "xx") == ()


@pytest.mark.parametrize(
    ("text", "visual"),
    [
        ("abc", "abc"),
        ("אבג", "גבא"),
        ("אבג 123 דה", "הד 123 גבא"),
        ("abc אבג def", "abc גבא def"),
        ("אבג (abc) ד", "ד )abc( גבא"),
    ],
)
def test_bidi_order(text: str, visual: str) -> None:
    levels = bidi.levels(text, bidi.base_level(text)) or [0] * len(text)
    assert "".join(text[index] for index in bidi.visual_order(levels)) == visual
