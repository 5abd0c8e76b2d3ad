"""Which updates are about money, and how much of them is kept."""

from collections.abc import Mapping
from typing import Any, Final

KINDS: Final = frozenset({"pre_checkout_query", "subscription"})
"""Kinds of updates that are about money and nothing else; payments themselves come as messages."""
_MESSAGES: Final = ("successful_payment", "refunded_payment")


def is_money(update: Mapping[str, Any]) -> bool:
    """Return whether an update goes to the cashier."""
    if not KINDS.isdisjoint(update):
        return True
    message = update.get("message")
    return isinstance(message, dict) and any(kind in message for kind in _MESSAGES)


def essence(update: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report without names and texts; what it says about money is kept as it came, even where it makes no sense."""
    kept: dict[str, Any] = {"update_id": update.get("update_id")}
    if isinstance(changed := update.get("subscription"), dict):
        kept["subscription"] = {**changed, "user": _id(changed.get("user"))}
    if isinstance(message := update.get("message"), dict):
        said = {key: message[key] for key in ("message_id", "date", *_MESSAGES) if key in message}
        kept["message"] = {**said, "from": _id(message.get("from")), "chat": _id(message.get("chat"))}
    return kept


def _id(of: object) -> dict[str, Any]:
    return {"id": of.get("id")} if isinstance(of, dict) else {}
