"""The Bot API's methods, one coroutine each, found by name in any case as at Telegram."""

from carousel_pipeline.local.telegram.methods import chats, editing, media, messages, payments, profile, receiving, rich
from carousel_pipeline.local.telegram.methods.registry import METHODS, Call, Method

__all__ = ["METHODS", "Call", "Method", "chats", "editing", "media", "messages", "payments", "profile", "receiving", "rich"]
