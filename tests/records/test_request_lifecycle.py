"""Schema carousel: outline, quote, confirm — with the hold, the phase and the dispatch row in one transaction."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from carousel_pipeline.database import connect
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.records import ArtifactRow, RequestRecords
from carousel_pipeline.requests import Deck, Options, Slide, price_of
from carousel_pipeline.requests.deck import roles

Connection = psycopg.Connection[dict[str, Any]]
TG = 7_000_000_001


def deck_of(count: int) -> Deck:
    return Deck(language="en", slides=tuple(Slide(role=role, heading=f"Heading {role}") for role in roles(count)))


@pytest.fixture
def bot(connect_as: Callable[[str], Connection]) -> Connection:
    connection = connect_as("led_bot")
    connection.execute("select ledger.welcome(%s)", [TG])
    return connection


@pytest.fixture
def pipeline(connect_as: Callable[[str], Connection]) -> Connection:
    return connect_as("led_pipeline")


def open_request(bot: Connection, key: str = "tg:1:1", tg: int = TG) -> UUID:
    options = Jsonb(Options().model_dump(mode="json"))
    row = bot.execute(
        "select request_id, created from carousel.open_request(%s, %s, %s, %s, %s)", [tg, tg, key, "A text", options]
    ).fetchone()
    assert row is not None
    request_id: UUID = row["request_id"]
    return request_id


def confirm(bot: Connection, request_id: UUID, price: int, tg: int = TG) -> str:
    row = bot.execute("select carousel.confirm(%s, %s, %s) as answer", [tg, request_id, price]).fetchone()
    assert row is not None
    answer: str = row["answer"]
    return answer


def outlined(bot: Connection, pipeline: Connection, slides: int = 7, key: str = "tg:1:1") -> UUID:
    request_id = open_request(bot, key)
    assert RequestRecords(pipeline).outline_ready(request_id, deck_of(slides), price_of(deck_of(slides)))
    return request_id


def balance(bot: Connection) -> tuple[int, int]:
    row = bot.execute("select available, held from ledger.balance(%s)", [TG]).fetchone()
    assert row is not None
    return row["available"], row["held"]


@pytest.mark.finding("C12", "M4", "M16")
def test_a_confirm_holds_the_quoted_price_once_and_leaves_one_dispatch_row(
    bot: Connection, pipeline: Connection
) -> None:
    request_id = outlined(bot, pipeline)
    assert confirm(bot, request_id, 7) == "confirmed"
    assert confirm(bot, request_id, 7) == "already"
    assert balance(bot) == (3, 7)
    rows = pipeline.execute(
        "select topic, payload ->> 'job' as job from ledger.outbox where payload ->> 'request_id' = %s order by id",
        [str(request_id)],
    ).fetchall()
    assert [(row["topic"], row["job"]) for row in rows] == [
        ("dispatch", "outline"),
        ("outline_ready", None),
        ("dispatch", "carousel"),
    ]


@pytest.mark.finding("C12")
def test_another_price_than_the_one_shown_holds_nothing(bot: Connection, pipeline: Connection) -> None:
    request_id = outlined(bot, pipeline)
    assert confirm(bot, request_id, 6) == "price_changed"
    assert balance(bot) == (10, 0)


def test_without_enough_credits_nothing_moves(bot: Connection, pipeline: Connection) -> None:
    assert confirm(bot, outlined(bot, pipeline, 7, "tg:1:1"), 7) == "confirmed"
    second = outlined(bot, pipeline, 7, "tg:1:2")
    with pytest.raises(psycopg.Error) as caught:
        confirm(bot, second, 7)
    assert caught.value.sqlstate == "LD007"
    assert balance(bot) == (3, 7)


@pytest.mark.finding("m32", "M6")
def test_somebody_elses_request_is_gone_for_me(bot: Connection, pipeline: Connection) -> None:
    request_id = outlined(bot, pipeline)
    stranger = TG + 1
    assert confirm(bot, request_id, 7, stranger) == "gone"
    discarded = bot.execute("select carousel.discard(%s, %s) as done", [stranger, request_id]).fetchone()
    assert discarded == {"done": False}
    assert confirm(bot, uuid4(), 7) == "gone"


def test_a_discarded_outline_cannot_be_confirmed(bot: Connection, pipeline: Connection) -> None:
    request_id = outlined(bot, pipeline)
    assert bot.execute("select carousel.discard(%s, %s) as done", [TG, request_id]).fetchone() == {"done": True}
    assert confirm(bot, request_id, 7) == "gone"
    assert not RequestRecords(pipeline).outline_ready(request_id, deck_of(3), 3)


@pytest.mark.finding("M8")
def test_one_outline_is_written_at_a_time(bot: Connection) -> None:
    open_request(bot, "tg:1:1")
    assert open_request(bot, "tg:1:1") == open_request(bot, "tg:1:1")
    with pytest.raises(psycopg.Error) as caught:
        open_request(bot, "tg:1:2")
    assert caught.value.sqlstate == "LC002"


def test_outlines_are_limited_per_day(bot: Connection, pipeline: Connection) -> None:
    limit = 40
    for number in range(limit):
        RequestRecords(pipeline).outline_failed(open_request(bot, f"tg:1:{number}"), "test")
    with pytest.raises(psycopg.Error) as caught:
        open_request(bot, "tg:1:one-more")
    assert caught.value.sqlstate == "LC001"


def test_an_outline_that_nobody_finishes_is_failed_and_told(bot: Connection, pipeline: Connection) -> None:
    request_id = open_request(bot)
    stale = pipeline.execute("select carousel.fail_stale_outlines('0 seconds') as failed").fetchone()
    assert stale == {"failed": 1}
    again = pipeline.execute("select carousel.fail_stale_outlines('0 seconds') as failed").fetchone()
    assert again == {"failed": 0}
    row = pipeline.execute(
        "select payload ->> 'reason' as reason from ledger.outbox"
        " where topic = 'outline_failed' and payload ->> 'request_id' = %s",
        [str(request_id)],
    ).fetchone()
    assert row == {"reason": "timeout"}


@pytest.mark.finding("C12", "M16")
def test_fifty_taps_at_once_hold_once(bot: Connection, pipeline: Connection, database_url: str) -> None:
    request_id = outlined(bot, pipeline)
    answers: list[str] = []
    start = threading.Barrier(10)

    def tap() -> None:
        with connect(database_url, "led_bot") as own:
            start.wait()
            answers.extend(confirm(own, request_id, 7) for _ in range(5))

    threads = [threading.Thread(target=tap) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["already"] * 49 + ["confirmed"]
    assert balance(bot) == (3, 7)


@pytest.mark.finding("M22")
@pytest.mark.parametrize("key", ["", "not-a-uuid", "../../etc", "00000000-0000-0000-0000-000000000000"])
def test_a_partition_key_typed_by_hand_is_refused_in_words(pipeline: Connection, key: str) -> None:
    with pytest.raises(PermanentError, match=r"not a request id|no request"):
        RequestRecords(pipeline).load(key)


@pytest.mark.finding("m1")
def test_one_artifact_per_slide_and_role(bot: Connection, pipeline: Connection) -> None:
    request_id = outlined(bot, pipeline)
    records = RequestRecords(pipeline)
    row = ArtifactRow(
        role="picture", position=1, recipe="r1", sha256="a" * 64, key="objects/aa/a.jpg", content_type="image/jpeg",
        bytes=10, width=1080, height=1350, meta={"painter": "procedural", "stand_in": False},
    )  # fmt: skip
    records.keep_artifact(request_id, row)
    records.keep_artifact(request_id, row.model_copy(update={"recipe": "r2", "sha256": "b" * 64}))
    kept = records.artifacts(request_id, "picture")
    assert list(kept) == [1]
    assert (kept[1].recipe, kept[1].meta["painter"]) == ("r2", "procedural")


def test_progress_is_the_last_word(bot: Connection, pipeline: Connection) -> None:
    request_id = outlined(bot, pipeline)
    confirm(bot, request_id, 7)
    records = RequestRecords(pipeline)
    pipeline.execute("listen progress")
    records.report_progress(request_id, "pictures", 3, 7)
    records.report_progress(request_id, "pictures", 4, 7)
    told = [note.payload for note in pipeline.notifies(timeout=5, stop_after=2)]
    assert told == [str(request_id)] * 2
    row = bot.execute("select step, done, total from carousel.progress where request_id = %s", [request_id]).fetchone()
    assert row == {"step": "pictures", "done": 4, "total": 7}
