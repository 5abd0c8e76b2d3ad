"""The catalogues: complete in both languages, nothing unused, plural forms right, valid Telegram HTML, no words in the code."""

import ast
import re
import string
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.pofile import read_po

from bot.texts import LOCALES, Html, locale_of, texts
from carousel_pipeline.requests import SourceRefusal
from carousel_pipeline.requests.price import CREDITS_PER_REPAINT, CREDITS_PER_SLIDE

BOT = Path(__file__).parents[2] / "bot"
_ALERTS = (
    "alert.", "credits.", "refusal.limit", "refusal.busy", "refusal.changes", "choose.", "ask.got", "edit_no.", "busy.", "show.",
    "edit.held", "edit.started",
)  # fmt: skip
_ALLOWED_TAGS = {"b", "i", "u", "s", "code", "pre", "a", "blockquote"}


def catalogues(locale: str) -> Iterator[Catalog]:
    for path in sorted((BOT / "locales" / locale).glob("*.po")):
        with path.open("rb") as source:
            yield read_po(source, locale=locale)


def entries(locale: str) -> dict[str, tuple[str, ...]]:
    """Every key with its text, or with all its plural forms."""
    found: dict[str, tuple[str, ...]] = {}
    for message in (message for catalogue in catalogues(locale) for message in catalogue):
        key = message.id[0] if isinstance(message.id, tuple) else message.id
        if key:
            assert key not in found, f"{key} stands in two files"
            found[key] = message.string if isinstance(message.string, tuple) else (message.string,)
    return found


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(BOT.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def used() -> tuple[set[str], set[str]]:
    """Keys and key prefixes that the code names."""
    keys, prefixes = set(), set()
    for _, tree in sources():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            picks = isinstance(node.func, ast.Attribute) and node.func.attr == "pick"
            for first in ast.walk(node.args[0]):
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    if picks:
                        prefixes.add(first.value)
                    elif re.fullmatch(r"[a-z_]+\.[a-z0-9_:]+", first.value):
                        keys.add(first.value)
    return keys & (set(entries("en")) | {key for key in keys if key.partition(".")[0] in _families()}), prefixes


def _families() -> set[str]:
    return {key.partition(".")[0] for key in entries("en")}


def test_both_languages_have_the_same_keys_with_the_same_values() -> None:
    english, russian = entries("en"), entries("ru")
    assert english.keys() == russian.keys()
    for key in english:
        fields = [
            {name for _, name, _, _ in string.Formatter().parse(form) if name}
            for form in (*english[key], *russian[key])
        ]
        assert all(one == fields[0] for one in fields), f"{key}: the texts want different values"


def test_no_key_is_missing_or_unused() -> None:
    keys, prefixes = used()
    known = set(entries("en"))
    assert keys - known == set(), "named in the code, not in the catalogue"
    unused = {key for key in known - keys if key.partition(".")[0] not in prefixes}
    assert unused == set(), "in the catalogue, never said"


def test_every_choice_of_a_fixed_set_has_words() -> None:
    known = entries("en")
    assert all(f"refusal.{refusal.value}" in known for refusal in SourceRefusal)
    assert all(f"size.{size}" in known for size in ("4:5", "1:1", "9:16", "16:9"))


@pytest.mark.parametrize("locale", LOCALES)
def test_plural_forms(locale: str) -> None:
    forms = {"en": 2, "ru": 3}[locale]
    for key, texts_ in entries(locale).items():
        assert len(texts_) in {1, forms}, key
        assert all(texts_), f"{key} has an empty text"
    t = texts(locale)
    said = [str(t.count("outline.title", number, language="x")) for number in (1, 2, 5, 11, 21, 22, 25)]
    expected = {
        "en": ["1 slide ", "2 slides", "5 slides", "11 slides", "21 slides", "22 slides", "25 slides"],
        "ru": ["1 слайд ", "2 слайда", "5 слайдов", "11 слайдов", "21 слайд ", "22 слайда", "25 слайдов"],
    }[locale]
    assert all(words in text for words, text in zip(expected, said, strict=True))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert attrs == [] or (tag == "a" and [name for name, _ in attrs] == ["href"])
        assert tag in _ALLOWED_TAGS
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("locale", LOCALES)
def test_texts_are_telegram_html_of_a_fitting_length(locale: str) -> None:
    for key, forms in entries(locale).items():
        for form in forms:
            parser = _Tags()
            parser.feed(form)
            assert parser.open == [], key
            assert len(form) < 3_000, key
            if key.startswith(_ALERTS):
                assert len(form) <= 200, f"{key} does not fit into an alert"
            if key.startswith("button."):
                assert len(form) <= 30, f"{key} does not fit on a phone's button"


@pytest.mark.parametrize("locale", LOCALES)
def test_prices_in_words_are_those_of_the_price_list(locale: str) -> None:
    t = texts(locale)
    for key in ("help.text", "terms.text", "buy.terms", "balance.rule"):
        figures = [{int(figure) for figure in re.findall(r"\b\d+\b", line)} for line in t(key).split("\n")]
        assert set(CREDITS_PER_SLIDE.values()) in figures, key
    for key in ("done.hint", "choose.pic", "choose.repaint"):
        assert re.search(rf"\b{CREDITS_PER_REPAINT} (credit|кредит)\b", t(key)), key


def test_values_are_escaped_and_html_is_not() -> None:
    t = texts("en")
    assert "&lt;b&gt;" in t("start.hello", name="<b>")
    assert t("button.chosen", name=Html("<b>x</b>")) == "• <b>x</b>"
    assert t("progress.pictures", done=1, total=2) == "🖼 Pictures 1/2"


def test_the_language_of_a_person() -> None:
    assert [locale_of(code) for code in ("ru", "ru-RU", "en-GB", "de", None, "")] == [
        "ru",
        "ru",
        "en",
        "en",
        "en",
        "en",
    ]
    assert texts("xx").locale == "en"


def test_no_words_for_people_stand_in_the_code() -> None:
    visible = re.compile(r"[\u0400-\u04ff\u2600-\u27bf\U0001f300-\U0001faff]")
    for path, tree in sources():
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                assert not visible.search(node.value), f"{path.name}:{node.lineno}"
