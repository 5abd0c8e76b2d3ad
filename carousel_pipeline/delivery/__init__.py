"""Sending finished slides to a chat, and telling arrived, refused and unknown apart."""

from carousel_pipeline import lean as _lean  # noqa: F401 (comes before every import of aiogram, see there)
from carousel_pipeline.delivery.outcome import Arrived, Outcome, Refused, Unknown, WaitAndResend, read_failure
from carousel_pipeline.delivery.telegram import Page, send_album, telegram_bot, warm

__all__ = [
    "Arrived",
    "Outcome",
    "Page",
    "Refused",
    "Unknown",
    "WaitAndResend",
    "read_failure",
    "send_album",
    "telegram_bot",
    "warm",
]
