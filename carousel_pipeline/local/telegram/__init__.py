"""A Telegram on this machine: the Bot API over real HTTP, a control API that plays the users, and a chat page.

The bot must not be able to tell it from api.telegram.org: answers, refusals and limits are Telegram's, in Telegram's words. Tests
and the page act only through HTTP, so whatever they see is what a bot and a person would see.

Nothing here imports aiogram (the server has to be up in about a second) or anything else of this project.
"""
