"""Messages that must not be lost: claimed with a lease, ticked off, retried, and in the end dead and visible."""

from datetime import timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from carousel_pipeline.database import async_connect
from carousel_pipeline.ledger.operators import Decision

SAM = 4242
CLAIM = "select * from ledger.outbox_claim(%s, 10, %s)"
ANN = Decision("ann", "looked into it")


def _claim(books: Any, lease: str = "1 minute", *topics: str) -> list[Any]:
    return books.rows("led_bot", CLAIM, list(topics or ("dispatch",)), lease)


def test_a_row_is_handed_out_once_while_its_lease_lasts(books: Any) -> None:
    books.reserve(SAM, 0)
    [row] = _claim(books)
    assert (row["topic"], row["attempts"]) == ("dispatch", 1)
    assert _claim(books) == []
    books.do("update ledger.outbox set available_at = now() - interval '1 second'")
    [again] = _claim(books)
    assert (again["id"], again["attempts"]) == (row["id"], 2)
    books.bot("select ledger.outbox_done(%s)", row["id"])
    books.do("update ledger.outbox set available_at = now() - interval '1 second'")
    assert _claim(books) == []


def test_only_the_wanted_topics(books: Any) -> None:
    request = books.reserve(SAM, 0)
    books.pipeline.release(request, 0, "failed")
    assert [row["topic"] for row in _claim(books, "1 minute", "notify_refund")] == ["notify_refund"]


def test_two_workers_share_the_rows(books: Any) -> None:
    for _ in range(4):
        books.reserve(SAM, 0)
    claim = "select id from ledger.outbox_claim('{dispatch}', 2, '1 minute')"
    with books.role("led_bot").transaction():
        first = books.rows("led_bot", claim)
        second = books.rows("led_pipeline", claim)
    assert len({row["id"] for row in first + second}) == 4


@pytest.mark.finding("M4")
def test_after_the_last_attempt_a_row_is_a_dead_letter_for_an_operator(books: Any) -> None:
    books.reserve(SAM, 0)
    failed = "select ledger.outbox_failed(%s, 'Dagster is away', '0 seconds', 2)"
    [row] = _claim(books)
    assert books.bot(failed, row["id"]) is False
    [row] = _claim(books)
    assert books.bot(failed, row["id"]) is True
    assert _claim(books) == []
    assert books.operator.dead_letter(row["id"], ANN, retry=True) is True
    [row] = _claim(books)
    assert row["attempts"] == 1
    assert books.operator.dead_letter(row["id"], ANN, retry=False) is True
    assert books.operator.dead_letter(row["id"], ANN, retry=True) is False


async def test_listeners_are_told_at_commit(books: Any, database_url: str) -> None:
    async with await async_connect(database_url, "led_bot") as listener:
        await listener.execute("listen outbox")
        books.reserve(SAM, 0)
        async for told in listener.notifies(timeout=5, stop_after=1):
            assert told.payload == "dispatch"
            break
        else:
            pytest.fail("nobody was told")


def test_an_external_event_is_kept_once_and_worked_on_by_one(books: Any) -> None:
    put = "select ledger.inbox_put('yk_webhook', 'yk:pay-1:succeeded', %s)"
    assert books.pay(put, Jsonb({"id": "pay-1"})) is True
    assert books.pay(put, Jsonb({"id": "pay-1"})) is False
    claim = "select id, attempts from ledger.inbox_claim(10, '1 minute')"
    [row] = books.rows("led_pay", claim)
    assert books.rows("led_pay", claim) == []
    assert books.pay("select ledger.inbox_failed(%s, 'timeout', '0 seconds', 2)", row["id"]) is False
    [row] = books.rows("led_pay", claim)
    books.pay("select ledger.inbox_done(%s)", row["id"])
    books.do("update ledger.inbox set available_at = now()")
    assert books.rows("led_pay", claim) == []


def test_pruning_removes_what_was_handled_long_ago_and_nothing_else(books: Any) -> None:
    for _ in range(2):
        books.reserve(SAM, 0)
    [row, _] = _claim(books)
    books.bot("select ledger.outbox_done(%s)", row["id"])
    assert books.pipeline.prune(timedelta(0)) == 0
    books.do("update ledger.outbox set done_at = done_at - interval '8 days' where done_at is not null")
    assert books.pipeline.prune(timedelta(days=7)) == 1
    assert books.value(None, "select count(*) from ledger.outbox") == 1
