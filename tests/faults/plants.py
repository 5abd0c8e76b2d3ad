"""Bugs to plant in the money path, to see that the harness finds each of them."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Final, NamedTuple

from carousel_pipeline.assets.claim import Claim
from carousel_pipeline.delivery import WaitAndResend, telegram


def _resend() -> None:
    """Send although an intent is found."""

    def begin_delivery(self: Claim, charge: int | None = None) -> int:
        intent = self._ledger.delivery_begin(self._request_id, self._fence, charge)
        assert intent.delivery_id is not None
        return intent.delivery_id

    Claim.begin_delivery = begin_delivery  # type: ignore[method-assign]  # the fault itself


def _refund_in_doubt() -> None:
    """Take a lost answer for a refusal."""
    Claim.in_doubt = Claim.rejected  # type: ignore[method-assign]  # the fault itself


def _capture_first() -> None:
    """Charge, then send."""
    begin = Claim.begin_delivery

    def begin_delivery(self: Claim, charge: int | None = None) -> int:
        delivery_id = begin(self, charge)
        self.arrived(delivery_id, "photo", [], [])
        return delivery_id

    Claim.begin_delivery = begin_delivery  # type: ignore[method-assign]  # the fault itself


def _believe_everything() -> None:
    """Take whatever happens for an arrival."""

    def in_doubt(self: Claim, delivery_id: int, reason: str) -> None:  # noqa: ARG001 - as Claim's
        self.arrived(delivery_id, "photo", [], [])

    Claim.in_doubt = in_doubt  # type: ignore[method-assign]  # the fault itself


def _impatient() -> None:
    """Send once more whenever there was no answer, as the predecessor did."""
    vars(telegram)["read_failure"] = lambda _error: WaitAndResend(0.0, "no answer")


class Bug(NamedTuple):
    """What to plant, and a case that must find it."""

    plant: Callable[[], None]
    case: str


PLANTS: Final[MappingProxyType[str, Bug]] = MappingProxyType(
    {
        "resend": Bug(_resend, "rerun@delivery_receipt.arrived#1:killed_before"),
        "refund_in_doubt": Bug(_refund_in_doubt, "settled@delivery_receipt.sendMediaGroup#1:reset_after"),
        "capture_first": Bug(_capture_first, "settled@delivery_receipt.sendMediaGroup#1:400"),
        "believe_everything": Bug(_believe_everything, "settled@delivery_receipt.sendMediaGroup#1:500_before"),
        "impatient": Bug(_impatient, "settled@delivery_receipt.sendMediaGroup#1:reset_after"),
    }
)
