"""Users, chats and messages as Telegram's servers hold them.

Every change goes through the journal before anybody hears of it. Stored objects are never changed in place: an edit puts a new
one. Message ids are counted per chat, so two chats have messages of the same id and a bot that forgets the chat is found out.
User ids are larger than 32 bits, as today's are.
"""

import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from carousel_pipeline.local.telegram.entities import detected
from carousel_pipeline.local.telegram.events import Events
from carousel_pipeline.local.telegram.files import Files
from carousel_pipeline.local.telegram.journal import Journal
from carousel_pipeline.local.telegram.refusals import CHAT_NOT_FOUND, QUERY_TOO_OLD, bad_request, forbidden
from carousel_pipeline.local.telegram.updates import Updates

Message = dict[str, Any]

BOT_NAME: Final = "Carousel"
BOT_USERNAME: Final = "carousel_local_bot"
QUERY_LIFETIME_S: Final = 60
_FIRST_USER: Final = 7_000_000_000
_KEPT_MESSAGES: Final = 3_000  # per chat; older ones fall off, as a long test would otherwise grow without end
_KEPT_CALLS: Final = 20_000
_SURVIVE_RESET: Final = frozenset({"counters", "profile", "commands", "webhook"})


class World:
    """The state of one server.

    Args:
        home: folder for everything that survives a restart.
        bot_id: the number before the colon of the bot's token.
    """

    def __init__(self, home: Path, bot_id: int) -> None:
        self.journal = Journal(home)
        self.files = Files(home / "files", self.journal)
        self.events = Events(self.journal)
        self.updates = Updates(self.journal)
        self._bot_id = bot_id

    def close(self) -> None:
        """Release the journal."""
        self.journal.close()

    def reset(self) -> None:
        """Forget users, chats, messages, updates, files and the log.

        Counters stay: a bot that goes on running holds offsets and ids that must not come back. So do the bot's commands and its
        webhook, which it set at its start and would not set again.
        """
        self.journal.clear(_SURVIVE_RESET)
        self.files.sweep()
        self.updates.forget()
        self.events.forget()

    def count(self, name: str, first: int = 1) -> int:
        """Return the next number of a counter that never goes back."""
        number = int(self.journal.table("counters").get(name, first - 1)) + 1
        self.journal.put("counters", name, number)
        return number

    def bot(self) -> dict[str, Any]:
        """Return the bot as a User."""
        name = self.journal.table("profile").get("name") or BOT_NAME
        return {"id": self._bot_id, "is_bot": True, "first_name": name, "username": BOT_USERNAME}

    # Users and their private chats

    def add_user(self, profile: Mapping[str, Any], *, started: bool) -> dict[str, Any]:
        """Create a user with a private chat and return the chat's row."""
        user_id = self.count("user", _FIRST_USER + 1)
        user = {"id": user_id, "is_bot": False, **{key: value for key, value in profile.items() if value}}
        row = {"user": user, "started": started, "blocked": False, "keyboard": None, "pinned": None}
        self.journal.put("chats", str(user_id), row)
        return row

    def chats(self) -> list[dict[str, Any]]:
        """Return all chats' rows, oldest first."""
        return list(self.journal.table("chats").values())

    def chat(self, chat_id: int) -> dict[str, Any] | None:
        """Return a chat's row (user, started, blocked, keyboard, pinned), or None."""
        row = self.journal.table("chats").get(str(chat_id))
        return row if isinstance(row, dict) else None

    def change_chat(self, chat_id: int, **changes: Any) -> None:
        """Change a chat's row and tell those who watch."""
        row = {**self.journal.table("chats")[str(chat_id)], **changes}
        self.journal.put("chats", str(chat_id), row)
        self.events.publish(chat_id, "chat", **changes)

    def reachable(self, chat_id: str) -> int:
        """Return the id of a chat that the bot may write to.

        Raises:
            RefusedError: unknown chat, or the user blocked the bot or never started it.
        """
        row = self._named(chat_id)
        if row["blocked"]:
            raise forbidden("bot was blocked by the user")
        if not row["started"]:
            raise forbidden("bot can't initiate conversation with a user")
        return int(row["user"]["id"])

    def known(self, chat_id: str) -> int:
        """Return the id of a chat that exists, whoever may write there."""
        return int(self._named(chat_id)["user"]["id"])

    def _named(self, chat_id: str) -> dict[str, Any]:
        if not chat_id:
            raise bad_request("chat_id is empty")
        row = self.chat(int(chat_id)) if re.fullmatch(r"-?\d{1,19}", chat_id) else None
        if row is None:
            raise bad_request(CHAT_NOT_FOUND)
        return row

    @staticmethod
    def chat_object(row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the Chat object of a private chat."""
        user = row["user"]
        names = {key: user[key] for key in ("first_name", "last_name", "username") if key in user}
        return {"id": user["id"], **names, "type": "private"}

    # Messages

    def messages(self, chat_id: int) -> list[Message]:
        """Return the messages of a chat, oldest first."""
        return list(self.journal.table(f"messages/{chat_id}").values())

    def message(self, chat_id: int, message_id: int) -> Message | None:
        """Return one message, or None."""
        found = self.journal.table(f"messages/{chat_id}").get(str(message_id))
        return found if isinstance(found, dict) else None

    def add_message(self, chat_id: int, content: Mapping[str, Any], *, from_bot: bool = True) -> Message:
        """Store a new message and tell those who watch."""
        row = self.journal.table("chats")[str(chat_id)]
        message_id = self.count(f"message/{chat_id}")
        message = {
            "message_id": message_id,
            "from": self.bot() if from_bot else row["user"],
            "chat": self.chat_object(row),
            "date": int(time.time()),
            **content,
        }
        name = f"messages/{chat_id}"
        self.journal.put(name, str(message_id), message)
        self.journal.keep_newest(name, _KEPT_MESSAGES)
        self.events.publish(chat_id, "message", message=message)
        return message

    def replace_message(self, message: Message, *, stamp: bool = True) -> Message:
        """Store the new version of a message and tell those who watch."""
        if stamp:
            message = {**message, "edit_date": int(time.time())}
        chat_id = message["chat"]["id"]
        self.journal.put(f"messages/{chat_id}", str(message["message_id"]), message)
        self.events.publish(chat_id, "edit", message=message)
        return message

    def delete_message(self, chat_id: int, message_id: int) -> None:
        """Remove a message and tell those who watch."""
        self.journal.drop(f"messages/{chat_id}", str(message_id))
        self.events.publish(chat_id, "delete", message_id=message_id)
        if self.journal.table("chats")[str(chat_id)]["pinned"] == message_id:
            self.change_chat(chat_id, pinned=None)

    # What users do

    def say(self, chat_id: int, content: Mapping[str, Any]) -> Message:
        """Store a user's message and queue the update the bot gets."""
        row = self.journal.table("chats")[str(chat_id)]
        if not row["started"] or row["blocked"]:
            self.change_chat(chat_id, started=True, blocked=False)
        text_field = "text" if "text" in content else "caption"
        found = detected(str(content.get(text_field, "")), [])
        entities = {"entities" if text_field == "text" else "caption_entities": found} if found else {}
        message = self.add_message(chat_id, {**content, **entities}, from_bot=False)
        keyboard = row["keyboard"]
        if keyboard and keyboard.get("one_time_keyboard") and content.get("text") in _labels(keyboard):
            self.change_chat(chat_id, keyboard=None)
        self.updates.add("message", message, chat_id)
        return message

    def press(self, message: Message | None, chat_id: int, message_id: int, data: str, age_s: float) -> str:
        """Queue the update of a pressed button and return the query's id. A message that is gone is sent as inaccessible."""
        row = self.journal.table("chats")[str(chat_id)]
        query_id = str(secrets.randbelow(9 * 10**17) + 10**17)
        self.journal.put("queries", query_id, {"chat_id": chat_id, "message_id": message_id, "at": time.time() - age_s})
        self.journal.keep_newest("queries", _KEPT_MESSAGES)
        shown = message or {"chat": self.chat_object(row), "message_id": message_id, "date": 0}
        instance = str(row["user"]["id"] * 31)
        query = {"id": query_id, "from": row["user"], "message": shown, "chat_instance": instance, "data": data}
        self.updates.add("callback_query", query, chat_id)
        return query_id

    def answer_query(self, query_id: str, answer: Mapping[str, Any]) -> None:
        """Show the answer to a pressed button.

        Raises:
            RefusedError: unknown, answered before, or too old.
        """
        query = self.journal.table("queries").get(query_id)
        if query is None or time.time() - query["at"] > QUERY_LIFETIME_S:
            raise bad_request(QUERY_TOO_OLD)
        self.journal.drop("queries", query_id)
        self.events.publish(
            query["chat_id"], "callback_answer", callback_query_id=query_id, message_id=query["message_id"], **answer
        )

    def set_blocked(self, chat_id: int, *, blocked: bool) -> None:
        """Block or unblock the bot and queue the update about it."""
        row = self.journal.table("chats")[str(chat_id)]
        if row["blocked"] == blocked:
            return
        self.change_chat(chat_id, blocked=blocked)
        member, kicked = (
            {"user": self.bot(), "status": "member"},
            {"user": self.bot(), "status": "kicked", "until_date": 0},
        )
        change = {
            "chat": self.chat_object(row),
            "from": row["user"],
            "date": int(time.time()),
            "old_chat_member": member if blocked else kicked,
            "new_chat_member": kicked if blocked else member,
        }
        self.updates.add("my_chat_member", change, chat_id)

    # The log

    def record(self, entry: Mapping[str, Any]) -> None:
        """Add an accepted call to the log."""
        number = self.count("call")
        self.journal.put("log", str(number), {"n": number, "at": round(time.time(), 3), **entry})
        self.journal.keep_newest("log", _KEPT_CALLS)

    def log(self, after: int) -> list[dict[str, Any]]:
        """Return the accepted calls after number `after`, in order."""
        return [entry for entry in self.journal.table("log").values() if entry["n"] > after]


def _labels(keyboard: Mapping[str, Any]) -> set[str]:
    return {button["text"] for row in keyboard.get("keyboard", []) for button in row}
