"""Who gets a second life on the house: a rerun that somebody decided on, and no run that was merely still under way."""

from typing import Any

import pytest

from carousel_pipeline.assets.claim import asks_for_second_life
from carousel_pipeline.database import connect

from .conftest import Pipeline

PRESS_CANCEL = """
create function public.press_cancel() returns trigger language plpgsql security definer as $f$
begin
  perform ledger.cancel(u.tg_user_id, new.request_id)
     from carousel.request r join ledger.app_user u on u.id = r.user_id where r.id = new.request_id;
  return null;
end $f$;
create trigger t_press_cancel after update on carousel.progress
  for each row when (new.step = 'rendering') execute function public.press_cancel();
"""


@pytest.mark.parametrize(
    ("tags", "asks"),
    [
        ({"dagster/partition": "x"}, True),
        ({"carousel/dispatch": "d"}, False),
        ({"carousel/dispatch": "d", "dagster/parent_run_id": "r"}, True),
        ({"carousel/dispatch": "d", "dagster/parent_run_id": "r", "dagster/retry_number": "1"}, False),
        ({"dagster/backfill": "b"}, False),
        ({"dagster/backfill": "b", "dagster/parent_run_id": "r"}, False),
        ({"dagster/backfill": "b", "carousel/second-life": "house"}, True),
        ({"dagster/backfill": "b", "carousel/second-life": "user"}, False),
        ({"dagster/backfill": "b", "carousel/second-life": "house", "dagster/retry_number": "1"}, False),
    ],
)
def test_a_second_life_is_somebodys_decision(tags: dict[str, str], *, asks: bool) -> None:
    assert asks_for_second_life(tags) is asks


def cancel(pipeline: Pipeline, request_id: Any) -> None:
    row = pipeline.bot.execute("select ledger.cancel(%s, %s) as answer", [pipeline.chat, request_id]).fetchone()
    assert row == {"answer": "cancelled"}


@pytest.mark.finding("M16")
def test_a_run_whose_request_was_cancelled_while_it_waited_makes_nothing(pipeline: Pipeline) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    cancel(pipeline, request_id)
    assert not pipeline.run("carousel", request_id).success
    assert pipeline.telegram.photos(pipeline.chat) == []
    assert pipeline.state(request_id) == "released"


@pytest.mark.finding("M16")
@pytest.mark.parametrize("by_hand", [False, True])
def test_a_request_cancelled_under_way_is_not_finished_on_the_house(
    pipeline: Pipeline, database_url: str, *, by_hand: bool
) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    with connect(database_url, None) as owner:  # the user presses Cancel while the slides are drawn
        owner.execute(PRESS_CANCEL)
    result = pipeline.rerun(request_id) if by_hand else pipeline.run("carousel", request_id)
    assert not result.success
    assert pipeline.telegram.photos(pipeline.chat) == []
    assert pipeline.money() == (10, 0)
    assert pipeline.state(request_id) == "released"
