"""Hygiene, markup and glue: what reaches the layout can always be drawn, and what was lost is said."""

import pytest

from carousel_pipeline.rendering.fonts import drawable
from carousel_pipeline.rendering.text import MAX_CHARACTERS, MISSING, NBSP, Emphasis, glue, graphemes, parse, sanitize


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("  a\t b  ", "a b"),
        ("a\r\nb\x0bc\u2028d", "a\nb\nc\nd"),
        ("a\n\n\n b", "a\nb"),
        ("x\u202eevil\u202c", "xevil"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("\u0301orphan", "orphan"),
        ("e\u0301", "é"),
        ("a\x00b\x1b[31m", "ab[31m"),
        ("𝓕𝓪𝓷𝓬𝔂", "Fancy"),
        ("ﬁne", "fine"),
        ("👩‍💻🇷🇺👍🏽1️⃣", "👩‍💻🇷🇺👍🏽1️⃣"),
    ],
)
def test_text_becomes_drawable(dirty: str, clean: str) -> None:
    assert sanitize(dirty, drawable).text == clean


def test_zalgo_keeps_two_marks() -> None:
    towers = "a" + "\u0315" * 40
    assert len(sanitize(towers, drawable).text) <= 3


def test_what_no_font_has_is_shown_and_reported() -> None:
    clean = sanitize("ok 𐎀 ok", drawable)
    assert clean.text == f"ok {MISSING} ok"
    assert clean.missing == ("𐎀",)


def test_input_length_is_capped() -> None:
    assert len(sanitize("я" * 100_000, drawable).text) == MAX_CHARACTERS


def test_markup_becomes_emphasis() -> None:
    (paragraph,) = parse("a **b ==c==** d")
    assert paragraph.text == "a b c d"
    assert paragraph.emphasis[2] == Emphasis.BOLD
    assert paragraph.emphasis[4] == Emphasis.BOLD | Emphasis.MARK
    assert paragraph.emphasis[6] == Emphasis.NONE
    assert len(paragraph.emphasis) == len(paragraph.text)


@pytest.mark.parametrize("literal", ["a ** b", "2*3*4", "**", "====", "== a ==", "a == b"])
def test_unmatched_markup_stays(literal: str) -> None:
    assert "".join(paragraph.text for paragraph in parse(literal)) == literal


def test_lists_are_recognised() -> None:
    kinds = [(item.kind, item.label, item.text) for item in parse("- one\n• two\n3. three\n4) four\n5 five")]
    assert kinds == [
        ("bullet", "", "one"),
        ("bullet", "", "two"),
        ("number", "3.", "three"),
        ("number", "4.", "four"),
        ("text", "", "5 five"),
    ]


@pytest.mark.parametrize(
    ("text", "glued"),
    [
        ("идти в лес", "идти в~лес"),
        ("он — герой", "он~— герой"),
        ("10 000 рублей", "10~000~рублей"),
        ("вес 5 кг", "вес 5~кг"),
        ("А. С. Пушкин", "А.~С.~Пушкин"),
        ("a cat", "a~cat"),
        ("пришёл бы", "пришёл~бы"),
        ("пришёл бы вовремя", "пришёл~бы вовремя"),
        ("чем раньше", "чем~раньше"),
        ("save it for Monday", "save it for~Monday"),
        ("small but quick", "small but~quick"),
        ("№ 5", "№~5"),
        ("до 23 минут внимания", "до~23~минут внимания"),
        ("Запуск за 7 дней 🔥", "Запуск за~7~дней~🔥"),
        ("🚀 Запуск сегодня", "🚀~Запуск сегодня"),
        ("пишем 👋🏽, делаем", "пишем~👋🏽, делаем"),
        ("1️⃣ День", "1️⃣~День"),
    ],
)
def test_glue_keeps_short_words_with_their_neighbours(text: str, glued: str) -> None:
    assert glue(text) == glued.replace("~", NBSP)


def test_glue_never_chains_a_line_together() -> None:
    glued = glue("я и ты и он и мы и вы")
    assert len(glued) == len("я и ты и он и мы и вы")
    assert glued.count(" ") == 2


def test_graphemes_are_what_people_see() -> None:
    assert graphemes("👩‍💻é") == ["👩‍💻", "é"]


@pytest.mark.parametrize(
    ("line", "label", "text"),
    [
        ("- 💧 a glass of water", "💧", "a glass of water"),
        ("- ☕️ coffee", "☕️", "coffee"),
        ("• 👩‍💻 код", "👩‍💻", "код"),
        ("- 1️⃣ first", "1️⃣", "first"),
        ("- 🇯🇵 Japan", "🇯🇵", "Japan"),
        ("- © 2026", "", "© 2026"),
        ("- 🔥", "", "🔥"),
        ("- 5 km", "", "5 km"),
    ],
)
def test_an_emoji_that_opens_an_item_is_its_bullet(line: str, label: str, text: str) -> None:
    (item,) = parse(line)
    assert (item.kind, item.label, item.text) == ("bullet", label, text)
    assert len(item.emphasis) == len(text)
