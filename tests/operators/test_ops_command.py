"""`carousel ops`: one request told whole; decisions with a name and a reason, refused in words where nothing would change."""

import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner, Result
from psycopg.types.json import Jsonb

from carousel_pipeline.cli import carousel
from carousel_pipeline.database import connect
from carousel_pipeline.errors import CarouselError
from carousel_pipeline.requests import Options

from .conftest import DECK, PRICE

SAM = 4242
WHY = ("--actor", "ann", "--reason", "the customer wrote to us")
Ops = Callable[..., Result]


class Books:
    """A database with one person, and the SQL calls of the other processes."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.sql("select ledger.welcome(%s)", SAM)

    def sql(self, statement: str, *values: object) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._connection.execute(statement.encode(), values).fetchall()
        return rows

    def outlined(self) -> UUID:
        options = Jsonb(Options().model_dump(mode="json"))
        [row] = self.sql(
            "select request_id as id from carousel.open_request(%s, %s, 'key', 'My secret plans', %s)",
            SAM,
            SAM,
            options,
        )
        self.sql("select carousel.outline_ready(%s, %s, %s)", row["id"], Jsonb(DECK.model_dump(mode="json")), PRICE)
        request: UUID = row["id"]
        return request

    def confirmed(self) -> UUID:
        request = self.outlined()
        self.sql("select carousel.confirm(%s, %s, %s)", SAM, request, PRICE)
        return request

    def in_doubt(self) -> UUID:
        request = self.confirmed()
        [claim] = self.sql("select fence from ledger.claim(%s, 'run-1')", request)
        self.sql("select ledger.rendered(%s, %s)", request, claim["fence"])
        [intent] = self.sql("select delivery_id from ledger.delivery_begin(%s, %s)", request, claim["fence"])
        self.sql("select ledger.delivery_end(%s, 'unknown', null, 'read timeout')", intent["delivery_id"])
        return request

    def refunded(self) -> UUID:
        request = self.confirmed()
        self.sql("select ledger.release(%s, 0, 'failed')", request)
        return request

    def wallet(self) -> tuple[int, int]:
        [row] = self.sql("select available, held from ledger.balance(%s)", SAM)
        return row["available"], row["held"]


@pytest.fixture
def books(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DATABASE_URL", database_url)
    with connect(database_url, None) as connection:
        yield Books(connection)
        assert connection.execute("select * from ledger.invariant_violation").fetchall() == []


@pytest.fixture
def ops(books: Books) -> Ops:  # noqa: ARG001 - its database is the one that is asked
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(carousel, ["ops", *map(str, arguments)])

    return run


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.exception or result.output
    return json.loads(result.stdout)


def refusal(result: Result) -> str:
    assert isinstance(result.exception, CarouselError), result.output
    return str(result.exception)


def test_a_request_is_told_whole(books: Books, ops: Ops) -> None:
    request = books.in_doubt()
    answer(ops("resolve", request, "--got", *WHY, "--json"))
    story = answer(ops("show", request, "--json"))
    assert story["state"] == "delivered"
    assert story["content"]["slides"] == PRICE
    assert story["content"]["options"] == Options().model_dump(mode="json")
    assert story["hold"] == story["hold"] | {"held": 0, "epoch": 1, "paid_by": "user"}
    assert [(row["kind"], row["amount"]) for row in story["transfers"]] == [("reserve", PRICE), ("capture", PRICE)]
    assert [row["state"] for row in story["deliveries"]] == ["sent"]
    assert [row["dst"] for row in story["events"]] == [
        "reserved", "running", "rendered", "delivery_unknown", "delivered",
    ]  # fmt: skip
    assert [(row["action"], row["actor"]) for row in story["operator_actions"]] == [("resolve", "ann")]
    assert story["runs"] is None
    assert "run-1" in ops("show", request).output


def test_where_the_time_went_is_told_in_words_in_values_and_as_a_picture(
    books: Books, ops: Ops, tmp_path: Path
) -> None:
    request = books.in_doubt()
    picture = tmp_path / "timeline.svg"
    said = ops("show", request, "--picture", picture).output
    assert picture.read_text(encoding="utf-8").startswith("<svg ")
    assert "Carousel: " in said
    assert "in doubt, the person is asked" in said
    assert "secret plans" not in picture.read_text(encoding="utf-8")
    [carousel] = answer(ops("show", request, "--json"))["timeline"]
    assert (carousel["chapter"], carousel["run_id"]) == ("Carousel", "run-1")
    assert [each["what"] for each in carousel["happened"] if not each["took_s"]] == [
        "confirmed", "claimed", "all slides stored", "in doubt, the person is asked",
    ]  # fmt: skip


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_what_the_user_wrote_is_shown_only_when_asked_for(books: Books, ops: Ops, as_json: list[str]) -> None:
    request = books.outlined()
    assert "secret plans" not in ops("show", request, *as_json).output
    assert "secret plans" in ops("show", request, "--text", *as_json).output
    assert answer(ops("show", request, "--json"))["state"] == "outlined"


@pytest.mark.parametrize("make", [Books.confirmed, Books.in_doubt])
def test_a_hold_is_given_back_once(books: Books, ops: Ops, make: Callable[[Books], UUID]) -> None:
    request = make(books)
    done = answer(ops("release", request, *WHY, "--json"))
    assert (done["state"], done["held"]) == ("released", 0)
    assert books.wallet() == (10, 0)
    assert "nothing is held" in refusal(ops("release", request, *WHY))
    assert len(answer(ops("show", request, "--json"))["operator_actions"]) == 1


@pytest.mark.parametrize(("funding", "left"), [("house", (10, PRICE)), ("user", (10 - PRICE, PRICE))])
def test_a_refunded_request_is_reopened(books: Books, ops: Ops, funding: str, left: tuple[int, int]) -> None:
    request = books.refunded()
    done = answer(ops("reopen", request, "--funding", funding, *WHY, "--json"))
    assert (done["state"], done["epoch"], done["paid_by"]) == ("reserved", 2, funding)
    assert books.wallet() == left
    assert "only a refunded" in refusal(ops("reopen", request, "--funding", funding, *WHY))


@pytest.mark.parametrize(
    ("word", "state", "left"), [("--got", "delivered", (10 - PRICE, 0)), ("--not-got", "rendered", (10 - PRICE, PRICE))]
)
def test_doubt_is_ended(books: Books, ops: Ops, word: str, state: str, left: tuple[int, int]) -> None:
    request = books.in_doubt()
    assert ops("resolve", request, *WHY).exit_code == 2
    assert state in ops("resolve", request, word, *WHY).output
    assert books.wallet() == left
    assert "only one in doubt" in refusal(ops("resolve", request, word, *WHY))


def test_the_same_gift_is_given_once(books: Books, ops: Ops) -> None:
    for granted in (True, False):
        assert answer(ops("grant", SAM, 5, *WHY, "--json"))["granted"] is granted
    assert "was given before" in ops("grant", SAM, 5, *WHY).output
    assert answer(ops("grant", SAM, 5, "--key", "ticket 7", *WHY, "--json"))["granted"]
    assert books.wallet() == (20, 0)
    assert "nobody with the Telegram id 99" in refusal(ops("grant", 99, 5, *WHY))
    assert ops("grant", SAM, 0, *WHY).exit_code == 2


def test_a_deadline_is_tuned_for_every_process(books: Books, ops: Ops) -> None:
    assert answer(ops("rules", "--json"))["deadline_minutes"] == 30
    assert "minutes an attempt may go without" in " ".join(ops("rules").output.split())
    assert answer(ops("rule", "deadline_minutes", 5, *WHY, "--json")) == {
        "name": "deadline_minutes", "before": 30, "value": 5,
    }  # fmt: skip
    request = books.confirmed()
    [row] = books.sql(
        "select deadline - created_at < interval '6 minutes' as soon from ledger.request where id = %s", request
    )
    assert row["soon"]
    [kept] = books.sql("select action, actor, detail from ledger.ops_action")
    assert kept == {"action": "rule", "actor": "ann", "detail": {"name": "deadline_minutes", "from": 30, "to": 5}}
    assert "no such rule: dead_line" in refusal(ops("rule", "dead_line", 5, *WHY))
    assert ops("rule", "deadline_minutes", -1, *WHY).exit_code == 2


@pytest.mark.parametrize(
    "command", [["release"], ["reopen", "--funding", "house"], ["resolve", "--got"], ["grant", "--key", "k", "5"]]
)
def test_a_decision_needs_a_name_and_a_reason(books: Books, ops: Ops, command: list[str]) -> None:
    subject = SAM if command[0] == "grant" else books.in_doubt()
    words = [command[0], subject, *command[1:]]
    assert "--reason" in ops(*words).output
    assert "--reason is too short" in refusal(ops(*words, "--reason", "  no "))
    assert "--actor is too short" in refusal(ops(*words, "--reason", "a good reason", "--actor", "x"))
    assert books.sql("select * from ledger.ops_action") == []


def test_who_decides_is_the_login_unless_said(books: Books, ops: Ops) -> None:
    request = books.confirmed()
    ops("release", request, "--reason", "a good reason")
    [action] = answer(ops("show", request, "--json"))["operator_actions"]
    assert action["actor"] == getpass.getuser()


@pytest.mark.parametrize(
    "command", [["show"], ["release", *WHY], ["reopen", "--funding", "user", *WHY], ["resolve", "--got", *WHY]]
)
def test_an_unknown_request_is_named(ops: Ops, command: list[str]) -> None:
    unknown = uuid4()
    assert str(unknown) in refusal(ops(command[0], unknown, *command[1:]))
    assert ops(command[0], "made-up", *command[1:]).exit_code == 2


def test_without_a_database_it_says_what_to_do(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAROUSEL_HOME", str(tmp_path))
    result = CliRunner().invoke(carousel, ["ops", "show", str(uuid4())])
    assert "carousel up" in refusal(result)
