"""From an update to a call: handlers only translate. The order below is the order in which they are asked."""

from aiogram import Router

from bot.handlers import account, carousel, choices, elsewhere, outline, personal, slides, source, stray
from bot.house import handlers as house
from bot.payments import handlers as payments


def setup() -> Router:
    """Return the router of everything the bot understands."""
    router = Router(name="bot")
    for room in (elsewhere, house, payments, account, personal, slides, outline, choices, carousel, source, stray):
        router.include_router(room.setup())
    return router
