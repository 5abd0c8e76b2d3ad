"""YooKassa's notifications: who may send them, and the little of them that is believed.

They carry no signature. So the sender's address is checked on the socket's real peer, or on the last hop that our own proxy
wrote; the first entry of `X-Forwarded-For` is the attacker's to write. And of the body only the event and the payment's id are
taken: what happened is asked of the provider afterwards (m26: nothing is "always true", and nothing genuine is refused for
lacking a signature that is never sent).
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from carousel_pipeline.networks import Address, Network, networks, within

SENDERS: Final = networks(
    "185.71.76.0/27, 185.71.77.0/27, 77.75.153.0/25, 77.75.154.128/25, 77.75.156.11, 77.75.156.35, 2a02:5180::/32"
)
"""The provider's published addresses."""

EVENTS: Final = frozenset({"payment.succeeded", "payment.canceled", "payment.waiting_for_capture", "refund.succeeded"})
MAX_BODY: Final = 64 * 1024
_ID: Final = re.compile(r"[A-Za-z0-9-]{8,64}")


@dataclass(frozen=True, slots=True)
class Notification:
    """A hint that something happened to a payment.

    Attributes:
        event: one of `EVENTS`.
        payment: the provider's id of the payment to look at.
        key: names this report, so that its repetitions are known.
    """

    event: str
    payment: str
    key: str


class NotificationError(ValueError):
    """The body is no notification; nothing of it is kept."""


def genuine(address: Address | None, senders: Iterable[Network] = SENDERS) -> bool:
    """Return whether an address is one the provider sends from."""
    return address is not None and within(address, senders)


def read_notification(body: bytes) -> Notification:
    """Return what a notification points to.

    Raises:
        NotificationError: it is none.
    """
    try:
        raw = json.loads(body)
        event, thing = raw["event"], raw["object"]
        payment = thing["payment_id"] if event == "refund.succeeded" else thing["id"]
        name = thing["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NotificationError("not a notification") from None
    names = [part for part in (payment, name) if isinstance(part, str) and _ID.fullmatch(part)]
    if not isinstance(event, str) or event not in EVENTS or len(names) < 2:
        raise NotificationError("not a notification")
    return Notification(event, payment, f"yk:{name}:{event}")
