"""HTML of the Bot API: what becomes an entity, and what is refused in which words."""

from typing import Any

import pytest

from carousel_pipeline.local.telegram.control import split_text
from carousel_pipeline.local.telegram.entities import formatted, utf16_length
from carousel_pipeline.local.telegram.refusals import RefusedError

GOOD = [
    ("<b>Hi</b>", "Hi", [("bold", 0, 2)]),
    ("🏟 <i>a</i>", "🏟 a", [("italic", 3, 1)]),
    ("<b>a<i>b</i></b>", "ab", [("bold", 0, 2), ("italic", 1, 1)]),
    ("<i>a</>", "a", [("italic", 0, 1)]),
    ("&lt;b&gt; &amp; &quot; &nbsp; &#8364;", '<b> & " &nbsp; €', []),
    ("1 &lt 2", "1 < 2", []),
    ("<pre><code class='language-py'>x</code></pre>", "x", [("pre", 0, 1)]),
    ("<code class='language-py'>x</code>", "x", [("code", 0, 1)]),
    ("<span class=tg-spoiler>x</span><tg-spoiler>y</tg-spoiler>", "xy", [("spoiler", 0, 1), ("spoiler", 1, 1)]),
    ("<blockquote expandable>q</blockquote>", "q", [("expandable_blockquote", 0, 1)]),
    ("<a href='example.com'>x</a>", "x", [("text_link", 0, 1)]),
    ("<a href='nothing'>x</a>", "x", []),
    ("  <b> x </b>  ", "x", [("bold", 0, 1)]),
    ("<b></b>x", "x", []),
]

BAD = [
    ("<b>unclosed", 'Can\'t find end tag corresponding to start tag "b"'),
    ("<b><i>test</b></i>", 'Unmatched end tag at byte offset 10, expected "</i>", found "</b>"'),
    ("<script>alert(1)</script>", 'Unsupported start tag "script" at byte offset 0'),
    ("🏟 🏟&lt;<abac aba>", 'Unsupported start tag "abac" at byte offset 13'),
    ("🏟 🏟&lt;<abacaba", "Unclosed start tag at byte offset 13"),
    ("🏟 🏟&lt;<i   =aba>", 'Empty attribute name in the tag "i" at byte offset 13'),
    ("🏟 🏟&lt;<i    aba  =  190azAz-.,", "Unexpected end of name token at byte offset 27"),
    ("x</b>", "Unexpected end tag at byte offset 1"),
    ("<i>a</i   ", "Unclosed end tag at byte offset 4"),
    ("3 < 5", 'Unsupported start tag "" at byte offset 2'),
    ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ('<a href="x', "Unclosed start tag at byte offset 0"),
]


@pytest.mark.parametrize(("html", "text", "entities"), GOOD)
def test_html_becomes_text_and_entities(html: str, text: str, entities: list[Any]) -> None:
    plain, found = formatted(html, "HTML", None)
    assert plain == text
    assert [(entity["type"], entity["offset"], entity["length"]) for entity in found] == entities


@pytest.mark.parametrize(("html", "reason"), BAD)
def test_bad_html_is_refused_in_telegrams_words(html: str, reason: str) -> None:
    with pytest.raises(RefusedError) as refused:
        formatted(html, "html", None)
    assert refused.value.description == f"Bad Request: can't parse entities: {reason}"


def test_links_are_completed_and_languages_kept() -> None:
    assert formatted("<a href='telegram.org'>x</a>", "HTML", None)[1][0]["url"] == "http://telegram.org/"
    assert formatted("<pre><code class='language-py'>x</code></pre>", "HTML", None)[1][0]["language"] == "py"


def test_commands_links_and_tags_are_found_in_plain_text() -> None:
    text = "🙂 /start #tag @carousel_bot me@example.com https://example.com/a?b=1, и example.org"
    found = [(entity["type"], entity["offset"]) for entity in formatted(text, "", None)[1]]
    assert found == [("bot_command", 3), ("hashtag", 10), ("mention", 15), ("email", 29), ("url", 44), ("url", 73)]


def test_an_unknown_parse_mode_is_refused() -> None:
    with pytest.raises(RefusedError, match="unsupported parse_mode"):
        formatted("x", "Wiki", None)


def test_long_texts_are_split_at_words_and_nothing_is_lost() -> None:
    text = " ".join(f"слово{number}🙂" for number in range(2000))
    parts = split_text(text)
    assert all(0 < utf16_length(part) <= 4096 for part in parts)
    assert " ".join(parts) == text
    assert "".join(split_text("x" * 9000)) == "x" * 9000
