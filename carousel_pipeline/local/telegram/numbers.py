"""Numbers inside JSON that bots send: Telegram takes them as strings too, and takes nonsense as nought."""

from typing import Any


def whole(value: Any) -> int:
    """Return a whole number from a JSON value, 0 when it is none."""
    if isinstance(value, str):
        return int(value) if value.lstrip("-").isdecimal() and value.isascii() else 0
    return int(value) if isinstance(value, int | float) and abs(value) < 2**63 else 0
