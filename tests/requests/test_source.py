"""A text is refused before anything is stored or spent, and says why."""

import pytest

from carousel_pipeline.requests import MAX_SOURCE, SourceError, SourceRefusal, clean_source


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", SourceRefusal.EMPTY),
        (" \n\t \u200b", SourceRefusal.ONLY_EMOJI),
        ("\x00\x07", SourceRefusal.EMPTY),
        ("🔥🔥🔥 👍", SourceRefusal.ONLY_EMOJI),
        ("?!… —", SourceRefusal.ONLY_EMOJI),
        ("https://example.org/a?b=c", SourceRefusal.ONLY_LINKS),
        ("@someone #tag t.me/channel 🔥", SourceRefusal.ONLY_LINKS),
        ("я", SourceRefusal.TOO_SHORT),
        ("ok", SourceRefusal.TOO_SHORT),
        ("слово " * 4000, SourceRefusal.TOO_LONG),
    ],
)
@pytest.mark.finding("M22")
def test_a_text_that_can_be_no_carousel_is_refused(text: str, refusal: SourceRefusal) -> None:
    with pytest.raises(SourceError) as caught:
        clean_source(text)
    assert caught.value.refusal is refusal


@pytest.mark.parametrize("text", ["кот", "日本語", "How to sleep", "1984", "Смотри https://example.org — там про сон"])
def test_a_topic_of_a_few_letters_in_any_script_is_enough(text: str) -> None:
    assert clean_source(text) == text


def test_the_length_in_the_refusal_is_the_length_of_the_text() -> None:
    with pytest.raises(SourceError) as caught:
        clean_source("a" * (MAX_SOURCE + 5))
    assert caught.value.length == MAX_SOURCE + 5
    assert clean_source("a" * MAX_SOURCE) == "a" * MAX_SOURCE


def test_control_characters_and_foreign_line_ends_do_not_reach_the_writer() -> None:
    assert clean_source("one\r\ntwo\rthree\x00\x1b[31m") == "one\ntwo\nthree[31m"
