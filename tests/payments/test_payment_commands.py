"""`carousel ops` about payments: what waits for a human, closing it, and promo codes."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from carousel_pipeline.cli import carousel
from carousel_pipeline.errors import CarouselError

ANN = 4001
WHY = ("--actor", "anna", "--reason", "returned by hand", "--json")


@pytest.fixture
def ops(till: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DATABASE_URL", till.url)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(carousel, ["ops", *arguments])

    return run


async def test_a_payment_without_an_order_is_listed_until_it_is_closed(till: Any, ops: Any) -> None:
    await till.books.stars_paid(till.report(ANN, None, charge="stx-lost"), "notice")
    listed = json.loads(ops("payments", "--json").output)
    assert (listed["unmatched"], [row["charge"] for row in listed["payments"]]) == (1, ["stx-lost"])
    assert "stx-lost" in ops("payments").output
    assert json.loads(ops("matched", "stars", "stx-lost", "in", *WHY).output)["closed"]
    assert json.loads(ops("payments", "--json").output)["payments"] == []
    refused = ops("matched", "stars", "stx-lost", "in", *WHY)
    assert isinstance(refused.exception, CarouselError) or refused.exit_code != 0
    [act] = till.sql("select actor, reason from ledger.ops_action where action = 'payment_matched'")
    assert act == {"actor": "anna", "reason": "returned by hand"}


async def test_a_code_is_made_once(till: Any, ops: Any) -> None:
    made = ops("promo-code", "autumn", "--credits", "5", "--uses", "2", "--days", "7", *WHY)
    assert json.loads(made.output)["credits"] == 5
    assert (await till.books.redeem(ANN, "Autumn")).credits == 5
    for wrong in ("autumn", "no spaces", "x"):
        assert ops("promo-code", wrong, "--credits", "5", "--uses", "2", *WHY).exit_code != 0
    assert ops("promo-code", "winter", "--credits", "5000", "--uses", "2", *WHY).exit_code == 2
