"""From an update to a call: handlers only translate. The order below is the order in which they are asked."""

from aiogram import Router

from bot.handlers import account, carousel, elsewhere, outline, source, stray


def setup() -> Router:
    """Return the router of everything the bot understands."""
    router = Router(name="bot")
    for room in (elsewhere, account, outline, carousel, source, stray):
        router.include_router(room.setup())
    return router
