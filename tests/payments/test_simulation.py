"""The short version of `python -m tests.payments --payments 10000`."""

import pytest

from .simulation import Simulation


@pytest.mark.finding("M16", "C1")
async def test_every_payment_is_credited_once_whatever_becomes_of_its_report_and_of_the_bot(
    database_url: str, seed: int
) -> None:
    figures = await Simulation(database_url, payments=80, crashes=1, reconcile_s=1.0, buyers=8, seed=seed).run()
    assert figures.paid >= 80
    assert figures.wrong == []
    assert set(figures.fates) == {"sent", "lose", "duplicate", "late"}
    assert len(figures.arrived_s) + len(figures.lost_s) == figures.paid
