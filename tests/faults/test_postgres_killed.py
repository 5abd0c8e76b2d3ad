"""PostgreSQL killed with `immediate` and started again while eight clients move credits."""

from .restarts import kill_and_restart


def test_what_was_acknowledged_survives(seed: int) -> None:
    found = kill_and_restart(3, seed)
    assert found["acknowledged"] > 100
    assert (found["lost"], found["wallets_wrong"], found["violations"]) == (0, 0, 0), found
