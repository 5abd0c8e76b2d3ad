"""The sensor submits what has no run and ticks off what has one."""

from carousel_pipeline.requests.dispatch import MissedDispatch, plan_dispatch


def missed(number: int) -> MissedDispatch:
    return MissedDispatch(number, f"dispatch:{number}", f"request-{number}", "carousel", 7)


def test_a_row_whose_run_exists_is_ticked_off_and_never_submitted_again() -> None:
    plan = plan_dispatch([missed(1), missed(2), missed(3)], {"dispatch:2"})
    assert plan.submit == (missed(1), missed(3))
    assert plan.tick_off == (missed(2),)


def test_nothing_missed_is_nothing_to_do() -> None:
    plan = plan_dispatch([], {"dispatch:2"})
    assert (plan.submit, plan.tick_off) == ((), ())
