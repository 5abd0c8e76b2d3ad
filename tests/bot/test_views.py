"""Pure parts: what screens say, how texts are joined and read, what files are called."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from bot.collector import join_texts
from bot.documents import DocumentError, read_text, readable
from bot.errors import postpone
from bot.files import file_name
from bot.inbox import essential, lane_of
from bot.models import Card, Queue, StoredSlide
from bot.texts import texts
from bot.views import outline, plain, progress, refund_reason, settled_outline, words


def card(slides: int = 10, heading: str = "Heading", body: str = "Body", **changes: Any) -> Card:
    roles = ["cover", *["body"] * (slides - 2), "last"]
    deck = {"language": "ru", "slides": [{"role": role, "heading": heading, "body": body} for role in roles]}
    row = {
        "id": UUID(int=1), "user_id": 1, "tg_user_id": 2, "chat_id": 2, "locale": "ru", "parent_id": None, "kind": "carousel",
        "change": {}, "phase": "outlined",
        "options": {}, "deck": deck, "price": slides, "failure": None, "money": None, "charged": None,
        "on_the_house": False, "available": 10, "held": 0, "step": None, "done": None, "total": None, "outline_message": 1,
        "progress_message": None, "control_message": None, "created_at": datetime(2026, 1, 1, tzinfo=UTC), "confirmed_at": None,
    }  # fmt: skip
    return Card.of(row | changes)


@pytest.mark.parametrize("locale", ["en", "ru"])
def test_the_longest_outline_fits_into_a_message(locale: str) -> None:
    screen = outline(texts(locale), card(heading="Ж" * 200, body="слово & <дело> " * 45), "Editorial", demo=True)
    assert len(screen.text) < 4096
    assert "<дело>" not in screen.text
    assert "&lt;дело&gt;" in screen.text


def test_what_the_text_does_not_say_is_flagged_before_anybody_pays() -> None:
    flagged = card(3)
    assert flagged.deck is not None
    slide = flagged.deck.slides[1].model_copy(update={"unsourced": ("**40 %** faster", "since 1998", "a third claim")})
    deck = flagged.deck.model_copy(update={"slides": (flagged.deck.slides[0], slide, flagged.deck.slides[2])})
    said = outline(texts("en"), flagged.model_copy(update={"deck": deck}), "x", demo=False).text
    assert said.count("Not in your text") == 1
    assert "Not in your text: 40 % faster, since 1998" in said


def test_progress_says_place_estimate_and_steps() -> None:
    t = texts("en")
    waiting = progress(t, card(phase="confirmed", money="reserved"), Queue(ahead=2, made_s=21.2, pace_s=6.9)).text
    assert "2 carousels before yours" in waiting
    assert "About 35 seconds" in waiting
    assert "About" not in progress(t, card(), Queue(ahead=0, made_s=None, pace_s=None)).text
    sending = progress(t, card(step="sending", done=0, total=10), Queue(ahead=0, made_s=None, pace_s=None))
    assert "Sending" in sending.text
    assert sending.keyboard is None, "too late to cancel"


def test_an_outline_says_what_became_of_it() -> None:
    t = texts("en")
    said = {
        money: settled_outline(t, card(money=money, charged=charged, on_the_house=house), "x").text.splitlines()[-1]
        for money, charged, house in (("running", None, False), ("delivered", 10, False), ("released", None, False))
    }
    assert said["running"].startswith("✅ In the works. 10 credits")
    assert said["delivered"] == "✅ Made: 10 credits charged."
    assert said["released"] == "↩️ Not made, nothing was charged."
    house = settled_outline(t, card(money="delivered", charged=10, on_the_house=True), "x").text
    assert house.endswith("nothing was charged.")


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("cancelled", "cancelled"),
        ("timeout", "timeout"),
        ("images", "pictures"),
        ("delivery_receipt", "sending"),
        ("crash", "other"),
    ],
)
def test_reasons_have_words(reason: str, ours: str) -> None:
    assert refund_reason(reason) == ours
    assert texts("ru").pick("refund", ours) != f"refund.{ours}"


def test_slide_text_without_markup_in_one_line() -> None:
    assert words("**Bold** and ==marked==:\n- One\n- Two.\n\nThree", 100) == "Bold and marked: One · Two. Three"
    assert words("one two three", 9) == "one two…"
    assert words("1. first\n2) second", 50) == "first · second"
    assert plain(texts("en")("history.title")) == "🗂 Your carousels"


def test_what_telegram_cut_is_joined_without_a_seam() -> None:
    cut = "слово " * 650
    assert join_texts([cut.strip(), "дальше"]) == f"{cut.strip()} дальше"
    assert join_texts([cut.strip() + ".", "Новый"]) == f"{cut.strip()}.\n\nНовый"
    assert join_texts(["one", "two"]) == "one\n\ntwo"


def test_files_of_old_and_new_notepads() -> None:
    assert read_text("Привет".encode("utf-8-sig")) == "Привет"
    assert read_text("Привет, мир".encode("cp1251")) == "Привет, мир"
    assert read_text("Привет".encode("utf-16")) == "Привет"
    with pytest.raises(DocumentError, match="file_text"):
        read_text(b"\x00\x01\x02\x03" * 100)
    assert readable("a.txt", None)
    assert readable("b.MD", "application/octet-stream")
    assert readable(None, "text/plain")
    assert not readable("c.pdf", "text/plain")
    assert not readable(None, None)


def test_file_names_sort_and_tell() -> None:
    slide = StoredSlide(position=2, key="k", content_type="image/jpeg", bytes=1, file_id=None)
    assert file_name(card(heading="Пять **привычек**: покой/сон"), slide) == "02_пять-привычек-покой-сон.jpg"
    assert file_name(card(heading="???"), slide) == "02_slide.jpg"
    assert file_name(card(heading="../../etc/passwd"), slide) == "02_etc-passwd.jpg"


def test_whose_update_it_is() -> None:
    assert lane_of({"update_id": 1, "message": {"from": {"id": 5}, "chat": {"id": 6}}}) == 5
    assert lane_of({"update_id": 1, "channel_post": {"chat": {"id": -7}}}) == -7
    assert lane_of({"update_id": 1, "callback_query": {"from": {"id": 8}, "message": {"chat": {"id": 9}}}}) == 8
    assert lane_of({"update_id": 1}) == 0
    assert essential({"update_id": 1, "message": {"successful_payment": {}}})
    assert not essential({"update_id": 1, "message": {"text": "x"}})


def test_failures_wait_longer_and_longer() -> None:
    assert [postpone(attempt) for attempt in (1, 2, 3, 20)] == [
        timedelta(seconds=seconds) for seconds in (1, 2, 4, 300)
    ]
