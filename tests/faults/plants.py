"""Bugs to plant in the money path, to see that the harness finds each of them."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from carousel_pipeline.assets.claim import Claim
from carousel_pipeline.delivery import WaitAndResend, telegram


def _resend() -> None:
    """Send although an intent is found."""

    def begin_delivery(self: Claim, charge: int | None = None) -> int:
        intent = self._ledger.delivery_begin(self._request_id, self._fence, charge)
        assert intent.delivery_id is not None
        return intent.delivery_id

    Claim.begin_delivery = begin_delivery  # type: ignore[method-assign]


def _refund_in_doubt() -> None:
    """Take a lost answer for a refusal."""
    Claim.in_doubt = Claim.rejected  # type: ignore[method-assign]


def _capture_first() -> None:
    """Charge, then send."""
    begin = Claim.begin_delivery

    def begin_delivery(self: Claim, charge: int | None = None) -> int:
        delivery_id = begin(self, charge)
        self._ledger.delivered(delivery_id, [])
        return delivery_id

    Claim.begin_delivery = begin_delivery  # type: ignore[method-assign]


def _believe_everything() -> None:
    """Take whatever happens for an arrival."""

    def in_doubt(self: Claim, delivery_id: int, reason: str) -> None:  # noqa: ARG001 - as Claim's
        self._ledger.delivered(delivery_id, [])

    Claim.in_doubt = in_doubt  # type: ignore[method-assign]


def _impatient() -> None:
    """Send once more whenever there was no answer, as the predecessor did."""
    vars(telegram)["read_failure"] = lambda _error: WaitAndResend(0.0, "no answer")


PLANTS: Final[MappingProxyType[str, Callable[[], None]]] = MappingProxyType(
    {
        "resend": _resend,
        "refund_in_doubt": _refund_in_doubt,
        "capture_first": _capture_first,
        "believe_everything": _believe_everything,
        "impatient": _impatient,
    }
)
