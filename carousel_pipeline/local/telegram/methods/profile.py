"""What a bot says about itself: name, descriptions, commands, menu button."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from carousel_pipeline.local.telegram.events import EVERYWHERE
from carousel_pipeline.local.telegram.methods.registry import Call, Method, method
from carousel_pipeline.local.telegram.refusals import bad_request

_MAX_COMMANDS: Final = 100
_MAX_COMMAND_TEXT: Final = 256
_COMMAND: Final = re.compile(r"[a-z0-9_]{1,32}")
_PROFILE: Final = MappingProxyType(
    {
        "Name": ("name", "name", 64, "BOT_TITLE_INVALID"),
        "Description": ("description", "description", 512, "BOT_DESCRIPTION_INVALID"),
        "ShortDescription": ("short_description", "short_description", 120, "BOT_SHORT_DESCRIPTION_INVALID"),
    }
)


@method("getMe")
async def get_me(call: Call) -> dict[str, Any]:
    """Return the bot."""
    return {
        **call.world.bot(),
        "can_join_groups": False,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


def _changed(call: Call) -> None:
    call.world.events.publish(EVERYWHERE, "bot")


def _scope_key(call: Call) -> str:
    scope = call.arguments.mapping("scope", "BotCommandScope") or {"type": "default"}
    kind = str(scope.get("type", "default"))
    if kind not in {"default", "all_private_chats", "all_group_chats", "all_chat_administrators", "chat"}:
        raise bad_request("can't parse BotCommandScope: unsupported type specified")
    chat = f":{call.world.known(str(scope.get('chat_id', '')))}" if kind == "chat" else ""
    return f"{kind}{chat}/{call.arguments.text('language_code')}"


@method("setMyCommands")
async def set_my_commands(call: Call) -> bool:
    """Set the commands of the menu for a scope and a language."""
    commands = call.arguments.array("commands", "BotCommand") or []
    if len(commands) > _MAX_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    kept = []
    for command in commands:
        if not isinstance(command, dict):
            raise bad_request("can't parse BotCommand: expected an Object")
        name, text = str(command.get("command", "")).removeprefix("/"), str(command.get("description", "")).strip()
        if not _COMMAND.fullmatch(name):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(text) <= _MAX_COMMAND_TEXT:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
        kept.append({"command": name, "description": text})
    call.world.journal.put("commands", _scope_key(call), kept)
    _changed(call)
    return True


@method("getMyCommands")
async def get_my_commands(call: Call) -> list[dict[str, str]]:
    """Return the commands of exactly this scope and language."""
    return list(call.world.journal.table("commands").get(_scope_key(call), []))


@method("deleteMyCommands")
async def delete_my_commands(call: Call) -> bool:
    """Remove the commands of exactly this scope and language."""
    call.world.journal.drop("commands", _scope_key(call))
    _changed(call)
    return True


def commands_for(commands: Mapping[str, Any], chat_id: int, language: str) -> list[dict[str, str]]:
    """Return the menu a user sees: the narrowest scope first, within it the user's language first."""
    for scope in (f"chat:{chat_id}", "all_private_chats", "default"):
        for code in (language, ""):
            if found := commands.get(f"{scope}/{code}"):
                return list(found)
    return []


def _profile_methods(suffix: str, field: str, key: str, longest: int, invalid: str) -> tuple[Method, Method]:
    async def setter(call: Call) -> bool:
        value = call.arguments.text(field)
        if len(value) > longest:
            raise bad_request(invalid)
        code = call.arguments.text("language_code")
        call.world.journal.put("profile", f"{key}/{code}" if code else key, value)
        _changed(call)
        return True

    async def getter(call: Call) -> dict[str, str]:
        profile = call.world.journal.table("profile")
        code = call.arguments.text("language_code")
        default = call.world.bot()["first_name"] if key == "name" else ""
        return {field: profile.get(f"{key}/{code}" if code else key) or profile.get(key) or default}

    return method(f"setMy{suffix}")(setter), method(f"getMy{suffix}")(getter)


for _suffix, _details in _PROFILE.items():
    _profile_methods(_suffix, *_details)


@method("setChatMenuButton")
async def set_chat_menu_button(call: Call) -> bool:
    """Set the button beside the input field."""
    button = call.arguments.mapping("menu_button", "MenuButton") or {"type": "default"}
    call.world.journal.put("profile", "menu_button", button)
    return True


@method("getChatMenuButton")
async def get_chat_menu_button(call: Call) -> dict[str, Any]:
    """Return the button beside the input field."""
    return dict(call.world.journal.table("profile").get("menu_button") or {"type": "commands"})
