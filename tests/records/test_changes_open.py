"""Opening a change: whose it is, what it may cost, once per press, and never of what is being made."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from carousel_pipeline.records import RequestRecords
from carousel_pipeline.requests import Deck, Options, Slide, price_of
from carousel_pipeline.requests.deck import roles

Connection = psycopg.Connection[dict[str, Any]]
TG = 7_000_000_021


def deck_of(count: int, heading: str = "Heading") -> Deck:
    return Deck(language="en", slides=tuple(Slide(role=role, heading=heading) for role in roles(count)))


@pytest.fixture
def bot(connect_as: Callable[[str], Connection]) -> Connection:
    connection = connect_as("led_bot")
    connection.execute("select ledger.welcome(%s)", [TG])
    return connection


@pytest.fixture
def pipeline(connect_as: Callable[[str], Connection]) -> Connection:
    return connect_as("led_pipeline")


def outlined(bot: Connection, pipeline: Connection, slides: int = 3) -> UUID:
    options = Jsonb(Options().model_dump(mode="json"))
    row = bot.execute(
        "select request_id from carousel.open_request(%s, %s, %s, 'A text', %s)", [TG, TG, f"tg:{uuid4()}", options]
    ).fetchone()
    assert row is not None
    request_id: UUID = row["request_id"]
    deck = deck_of(slides)
    RequestRecords(pipeline).outline_ready(request_id, deck, price_of(deck))
    return request_id


def delivered(bot: Connection, pipeline: Connection, request_id: UUID, price: int = 3) -> UUID:
    bot.execute("select carousel.confirm(%s, %s, %s)", [TG, request_id, price])
    return finished(pipeline, request_id)


def finished(pipeline: Connection, request_id: UUID) -> UUID:
    fence = pipeline.execute("select fence from ledger.claim(%s, 'run')", [request_id]).fetchone()
    assert fence is not None
    pipeline.execute("select ledger.rendered(%s, %s)", [request_id, fence["fence"]])
    intent = pipeline.execute(
        "select delivery_id from ledger.delivery_begin(%s, %s)", [request_id, fence["fence"]]
    ).fetchone()
    assert intent is not None
    pipeline.execute("select ledger.delivery_end(%s, 'sent', '{1,2,3}')", [intent["delivery_id"]])
    return request_id


def change(
    bot: Connection,
    parent: UUID,
    *,
    key: str | None = None,
    kind: str = "text",
    heading: str = "New",
    change: dict[str, Any] | None = None,
    price: int = 0,
    tg: int = TG,
) -> dict[str, Any]:
    row = bot.execute(
        "select request_id, verdict from bot.open_edit(%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            tg,
            parent,
            key or f"press:{uuid4()}",
            kind,
            Jsonb(Options().model_dump(mode="json")),
            Jsonb(deck_of(3, heading).model_dump(mode="json")),
            Jsonb({"base": str(parent)} if change is None else change),
            price,
        ],
    ).fetchone()
    assert row is not None
    return row


def balance(bot: Connection) -> tuple[int, int]:
    row = bot.execute("select available, held from ledger.balance(%s)", [TG]).fetchone()
    assert row is not None
    return row["available"], row["held"]


@pytest.mark.finding("M16", "C12")
def test_a_change_of_a_carousel_holds_its_price_and_starts_at_once(bot: Connection, pipeline: Connection) -> None:
    parent = delivered(bot, pipeline, outlined(bot, pipeline))
    assert balance(bot) == (7, 0)
    first = change(bot, parent, key="press:1")
    assert first["verdict"] == "started"
    assert change(bot, parent, key="press:1") == {"request_id": first["request_id"], "verdict": "already"}
    assert change(bot, parent) == {"request_id": first["request_id"], "verdict": "already"}, "a double tap"
    paint = {"base": str(parent), "pictures": [2]}
    painted = change(bot, parent, kind="picture", change=paint, price=1)
    assert painted["verdict"] == "started"
    assert balance(bot) == (6, 1)
    job = pipeline.execute(
        "select payload ->> 'job' as job from ledger.outbox where dedupe_key = %s",
        [f"dispatch:{painted['request_id']}:1"],
    ).fetchone()
    assert job == {"job": "edit"}
    finished(pipeline, painted["request_id"])
    again = change(bot, parent, kind="picture", change=paint, price=1)
    assert again["verdict"] == "started", "another picture from the same version, once the first is there"


@pytest.mark.finding("M6", "m32")
def test_only_what_is_mine_and_made_can_be_changed(bot: Connection, pipeline: Connection) -> None:
    parent = outlined(bot, pipeline)
    assert change(bot, parent, tg=TG + 1)["verdict"] == "gone"
    assert change(bot, uuid4())["verdict"] == "gone"
    bot.execute("select carousel.confirm(%s, %s, 3)", [TG, parent])
    assert change(bot, parent)["verdict"] == "busy"
    finished(pipeline, parent)
    with pytest.raises(psycopg.Error) as caught:
        change(bot, parent, kind="picture", change={"base": str(parent), "pictures": [1]}, price=0)
    assert caught.value.sqlstate == "LD011", "a new picture is never free"
    stranger_undo = bot.execute("select bot.undo_target(%s) as id", [parent]).fetchone()
    assert stranger_undo == {"id": None}


def test_a_changed_outline_gives_way_to_its_child(bot: Connection, pipeline: Connection) -> None:
    parent = outlined(bot, pipeline)
    child = change(bot, parent, change={}, price=3)
    assert child["verdict"] == "outlined"
    answer = bot.execute("select carousel.confirm(%s, %s, 3) as answer", [TG, parent]).fetchone()
    assert answer == {"answer": "gone"}
    answer = bot.execute("select carousel.confirm(%s, %s, 3) as answer", [TG, child["request_id"]]).fetchone()
    assert answer == {"answer": "confirmed"}


def test_what_was_refunded_is_had_again_for_its_price_only(bot: Connection, pipeline: Connection) -> None:
    parent = outlined(bot, pipeline)
    bot.execute("select carousel.confirm(%s, %s, 3)", [TG, parent])
    bot.execute("select ledger.cancel(%s, %s)", [TG, parent])
    with pytest.raises(psycopg.Error) as caught:
        change(bot, parent, kind="again", price=0)
    assert caught.value.sqlstate == "LD011"
    assert change(bot, parent, kind="again", price=3)["verdict"] == "started"
    assert balance(bot) == (7, 3)


def test_free_changes_are_limited_per_day_apart_from_outlines(
    bot: Connection, pipeline: Connection, connect_as: Callable[[str], Connection]
) -> None:
    parent = delivered(bot, pipeline, outlined(bot, pipeline))
    owner = connect_as("led_owner")
    owner.execute(
        "create or replace function carousel.edits_per_day() returns bigint language sql immutable as 'select 1::bigint'"
    )
    assert change(bot, parent)["verdict"] == "started"
    with pytest.raises(psycopg.Error) as caught:
        change(bot, parent, heading="Another")
    assert caught.value.sqlstate == "LC004"
    outlined(bot, pipeline)
