"""The Bot API's methods, one coroutine each, found by name in any case as at Telegram."""

from carousel_pipeline.local.telegram.methods import chats, editing, media, messages, payments, profile, receiving, rich
from carousel_pipeline.local.telegram.methods.registry import Call, Method, methods_by_name

__all__ = [
    "Call",
    "Method",
    "chats",
    "editing",
    "media",
    "messages",
    "methods_by_name",
    "payments",
    "profile",
    "receiving",
    "rich",
]
