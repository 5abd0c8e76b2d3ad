"""The control API under /sim: the users' side, for tests, the demo and the chat page.

Every answer is JSON; a wrong request is answered with `{"error": {"code", "message"}}` that says what was wrong.

    POST /sim/users {first_name, last_name, username, language_code, started=true} -> {user_id, chat_id}
    PATCH /sim/users/{chat} {first_name, last_name, language_code}            GET /sim/users -> {users}
    POST /sim/chats/{chat}/messages, JSON or multipart -> {message_id, message_ids}: `text` (split at 4096 as clients do),
         or a file `document` or `photo` with `caption`, or `content`: any other fields of a Message (a voice, a sticker);
         with it `reply_to_message_id`, `forward_origin`, `media_group_id`
    PUT  /sim/chats/{chat}/messages/{message} {text}: the user edits an own text
    POST /sim/chats/{chat}/press {message_id, data} -> {callback_query_id}; `age_s` makes the query old, `crafted` sends data
         that no button has, `inaccessible` sends a message the bot cannot see any more
    POST /sim/chats/{chat}/block, /unblock
    GET  /sim/chats/{chat} -> {user, started, blocked, keyboard, pinned, commands, description, next}
    GET  /sim/chats/{chat}/messages -> {messages, next}
    GET  /sim/chats/{chat}/events?after=N&wait=S -> {events, next, missed}
    GET  /sim/log?after=N&limit=L -> {calls: [{n, at, method, params, files, result, complete}], next}; getUpdates is not in it
    GET/POST/DELETE /sim/faults, DELETE /sim/faults/{id}; see faults.py       POST /sim/limits {active}
    GET  /sim/updates -> {pending}                                            POST /sim/updates/replay {last} -> {replayed}
    GET  /sim/files/{file_id} -> the bytes; `?download` names the file        POST /sim/reset
"""

import functools
import json
import mimetypes
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from carousel_pipeline.local.telegram.arguments import Arguments
from carousel_pipeline.local.telegram.body import read_arguments
from carousel_pipeline.local.telegram.entities import utf16_length
from carousel_pipeline.local.telegram.faults import FaultError, Faults
from carousel_pipeline.local.telegram.limits import Limits
from carousel_pipeline.local.telegram.methods.messages import MAX_CAPTION, MAX_TEXT
from carousel_pipeline.local.telegram.methods.profile import commands_for
from carousel_pipeline.local.telegram.refusals import RefusedError
from carousel_pipeline.local.telegram.state import Message, World

_MAX_WAIT_S: Final = 60.0
_LOG_PAGE: Final = 1_000
_SHOWN_INLINE: Final = ("image/jpeg", "image/png", "image/webp", "image/gif")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlError(Exception):
    """A wrong request to the control API; `status` is the HTTP status, `code` a stable name."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Control:
    """The routes under /sim.

    Args:
        world: the state they act on.
        faults: the faults they arm.
        limits: the limits they switch.
        dagster_url: told to the page.
    """

    def __init__(self, world: World, faults: Faults, limits: Limits, dagster_url: str | None) -> None:
        self._world = world
        self._faults = faults
        self._limits = limits
        self._dagster_url = dagster_url

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add all routes."""
        routes: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/sim/info", self._info),
            ("GET", "/sim/users", self._users),
            ("POST", "/sim/users", self._add_user),
            ("PATCH", "/sim/users/{chat}", self._change_user),
            ("GET", "/sim/chats/{chat}", self._chat),
            ("GET", "/sim/chats/{chat}/messages", self._messages),
            ("POST", "/sim/chats/{chat}/messages", self._say),
            ("PUT", "/sim/chats/{chat}/messages/{message}", self._edit),
            ("POST", "/sim/chats/{chat}/press", self._press),
            ("GET", "/sim/chats/{chat}/events", self._events),
            ("POST", "/sim/chats/{chat}/block", functools.partial(self._block, blocked=True)),
            ("POST", "/sim/chats/{chat}/unblock", functools.partial(self._block, blocked=False)),
            ("GET", "/sim/log", self._log),
            ("GET", "/sim/faults", self._list_faults),
            ("POST", "/sim/faults", self._arm),
            ("DELETE", "/sim/faults", self._disarm),
            ("DELETE", "/sim/faults/{fault}", self._disarm),
            ("POST", "/sim/limits", self._set_limits),
            ("GET", "/sim/updates", self._pending),
            ("POST", "/sim/updates/replay", self._replay),
            ("GET", "/sim/files/{file_id}", self._file),
            ("POST", "/sim/reset", self._reset),
            ("*", "/sim/{rest:.*}", self._unknown),
        )
        for http_method, path, handler in routes:
            router.add_route(http_method, path, answering_errors(handler))

    def _row(self, request: web.Request) -> tuple[int, dict[str, Any]]:
        name = request.match_info["chat"]
        row = self._world.chat(int(name)) if name.isascii() and name.isdigit() else None
        if row is None:
            raise ControlError(404, "unknown_chat", f"there is no chat {name}; POST /sim/users makes one")
        return int(row["user"]["id"]), row

    def _found(self, chat_id: int, message_id: Any) -> Message:
        found = self._world.message(chat_id, message_id) if isinstance(message_id, int) else None
        if found is None:
            raise ControlError(404, "unknown_message", f"there is no message {message_id} in chat {chat_id}")
        return found

    async def _info(self, _request: web.Request) -> web.Response:
        bot = self._world.bot()
        profile = self._world.journal.table("profile")
        about = profile.get("description", "")
        return web.json_response({"bot": bot, "description": about, "dagster_url": self._dagster_url})

    async def _users(self, _request: web.Request) -> web.Response:
        users = [
            {**row["user"], "user_id": row["user"]["id"], "chat_id": row["user"]["id"], "started": row["started"]}
            for row in self._world.chats()
        ]
        return web.json_response({"users": users})

    async def _add_user(self, request: web.Request) -> web.Response:
        sent = await read_object(request)
        profile = {
            "first_name": str(sent.get("first_name") or "Anna")[:64],
            "last_name": str(sent.get("last_name") or "")[:64],
            "username": str(sent.get("username") or "")[:32],
            "language_code": str(sent.get("language_code") or "en")[:8],
        }
        row = self._world.add_user(profile, started=bool(sent.get("started", True)))
        return web.json_response({"user_id": row["user"]["id"], "chat_id": row["user"]["id"]}, status=201)

    async def _change_user(self, request: web.Request) -> web.Response:
        chat_id, row = self._row(request)
        sent = await read_object(request)
        changes = {key: str(sent[key])[:64] for key in ("first_name", "last_name", "language_code") if sent.get(key)}
        self._world.change_chat(chat_id, user={**row["user"], **changes})
        return web.json_response({"user": {**row["user"], **changes}})

    async def _chat(self, request: web.Request) -> web.Response:
        chat_id, row = self._row(request)
        language = row["user"].get("language_code", "en")
        commands = commands_for(self._world.journal.table("commands"), chat_id, language)
        profile = self._world.journal.table("profile")
        about = profile.get(f"description/{language}") or profile.get("description", "")
        state = {**row, "chat_id": chat_id, "commands": commands, "description": about, "next": self._world.events.last}
        return web.json_response(state)

    async def _messages(self, request: web.Request) -> web.Response:
        chat_id, _ = self._row(request)
        # Read together and without a pause, so that events after `next` are exactly those that are not in `messages`.
        return web.json_response({"messages": self._world.messages(chat_id), "next": self._world.events.last})

    async def _say(self, request: web.Request) -> web.Response:
        chat_id, _ = self._row(request)
        arguments = await read_arguments(request, self._world.files)
        contents = await self._contents(arguments)
        reply_to = arguments.integer("reply_to_message_id")
        if reply_to:
            quoted = {key: value for key, value in self._found(chat_id, reply_to).items() if key != "reply_to_message"}
            contents[0]["reply_to_message"] = quoted
        extra = {"forward_origin": arguments.parsed("forward_origin", "forward origin")}
        extra["media_group_id"] = arguments.text("media_group_id")
        contents = [{**content, **{key: value for key, value in extra.items() if value}} for content in contents]
        sent = [self._world.say(chat_id, content)["message_id"] for content in contents]
        return web.json_response({"message_id": sent[0], "message_ids": sent}, status=201)

    async def _contents(self, arguments: Arguments) -> list[dict[str, Any]]:
        caption = arguments.text("caption").strip()
        if utf16_length(caption) > MAX_CAPTION:
            raise ControlError(400, "caption_too_long", f"a caption has at most {MAX_CAPTION} characters")
        extra = {"caption": caption} if caption else {}
        if "photo" in arguments.files or arguments.text("photo"):
            return [{"photo": await self._world.files.photo(arguments.media("photo", "photo")), **extra}]
        if "document" in arguments.files or arguments.text("document"):
            return [{"document": self._world.files.document(arguments.media("document", "document")), **extra}]
        if isinstance(other := arguments.parsed("content", "content"), dict) and other:
            return [{**other, **extra}]
        text = arguments.text("text").strip()
        if not text:
            raise ControlError(400, "nothing_to_send", "a message has a text, a document, a photo or other content")
        return [{"text": part} for part in split_text(text)]

    async def _edit(self, request: web.Request) -> web.Response:
        chat_id, _ = self._row(request)
        number = request.match_info["message"]
        message = self._found(chat_id, int(number) if number.isdigit() else number)
        text = str((await read_object(request)).get("text") or "").strip()
        if message["from"]["is_bot"] or "text" not in message:
            raise ControlError(400, "not_editable", "only the user's own text messages can be edited")
        if not text or utf16_length(text) > MAX_TEXT:
            raise ControlError(400, "bad_text", f"a text has 1 to {MAX_TEXT} characters")
        kept = {key: value for key, value in message.items() if key != "entities"}
        edited = self._world.replace_message({**kept, "text": text})
        self._world.updates.add("edited_message", edited, chat_id)
        return web.json_response({"message_id": edited["message_id"]})

    async def _press(self, request: web.Request) -> web.Response:
        chat_id, _ = self._row(request)
        sent = await read_object(request)
        message_id, data = sent.get("message_id"), sent.get("data")
        if not isinstance(message_id, int) or not isinstance(data, str) or not data:
            raise ControlError(
                400, "bad_press", "a press names message_id (a number) and data (the button's callback_data)"
            )
        if sent.get("inaccessible"):
            message = None
        else:
            message = self._found(chat_id, message_id)
            if not sent.get("crafted") and data not in _callback_data(message):
                raise ControlError(404, "unknown_button", f"message {message_id} has no button with data {data!r}")
        query_id = self._world.press(message, chat_id, message_id, data, float(sent.get("age_s") or 0))
        return web.json_response({"callback_query_id": query_id}, status=201)

    async def _events(self, request: web.Request) -> web.Response:
        chat_id, _ = self._row(request)
        after = _number(request, "after", 0)
        wait_s = min(max(_number(request, "wait", 0.0), 0.0), _MAX_WAIT_S)
        found = self._world.events.since(chat_id, int(after))
        loop_end = request.loop.time() + wait_s
        while not found["events"] and not found["missed"] and (left := loop_end - request.loop.time()) > 0:
            await self._world.events.changed.wait(left)
            found = self._world.events.since(chat_id, int(after))
        return web.json_response(found)

    async def _block(self, request: web.Request, *, blocked: bool) -> web.Response:
        chat_id, _ = self._row(request)
        self._world.set_blocked(chat_id, blocked=blocked)
        return web.json_response({"blocked": blocked})

    async def _log(self, request: web.Request) -> web.Response:
        after, limit = int(_number(request, "after", 0)), int(_number(request, "limit", _LOG_PAGE))
        calls = self._world.log(after)[: max(1, limit)]
        return web.json_response({"calls": calls, "next": calls[-1]["n"] if calls else after})

    async def _list_faults(self, _request: web.Request) -> web.Response:
        return web.json_response({"faults": self._faults.listed()})

    async def _arm(self, request: web.Request) -> web.Response:
        try:
            fault = self._faults.arm(await read_object(request))
        except (FaultError, TypeError, ValueError) as error:
            raise ControlError(400, "bad_fault", str(error)) from None
        return web.json_response(asdict(fault), status=201)

    async def _disarm(self, request: web.Request) -> web.Response:
        number = request.match_info.get("fault")
        if number is not None and not number.isdigit():
            raise ControlError(404, "unknown_fault", f"there is no fault {number}")
        self._faults.disarm(None if number is None else int(number))
        return web.json_response({"faults": self._faults.listed()})

    async def _set_limits(self, request: web.Request) -> web.Response:
        active = (await read_object(request)).get("active")
        if not isinstance(active, bool):
            raise ControlError(400, "bad_limits", "active is true or false")
        self._limits.active = active
        return web.json_response({"active": active})

    async def _pending(self, _request: web.Request) -> web.Response:
        return web.json_response({"pending": [row["update"] for row in self._world.updates.pending()]})

    async def _replay(self, request: web.Request) -> web.Response:
        last = (await read_object(request)).get("last", 1)
        if not isinstance(last, int) or last < 1:
            raise ControlError(400, "bad_replay", "last is how many confirmed updates come again")
        return web.json_response({"replayed": self._world.updates.replay(last)})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        file_id = request.match_info["file_id"]
        row, path = self._world.files.describe(file_id), await self._world.files.path(file_id)
        if row is None or path is None:
            raise ControlError(404, "unknown_file", "there is no such file id")
        name = row.get("name") or path.name
        mime = row.get("mime") or (mimetypes.guess_type(path.name)[0] if "." in path.name else None) or "image/jpeg"
        if row["kind"] == "photo" and "." not in path.name:
            mime = _picture_type(path.read_bytes()[:12])
        inline = mime in _SHOWN_INLINE and "download" not in request.query
        disposition = "inline" if inline else f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        headers = {
            "Content-Type": mime if inline else "application/octet-stream",
            "Content-Disposition": disposition,
            "Cache-Control": "private, max-age=31536000, immutable",
        }
        return web.FileResponse(path, headers=headers)

    async def _reset(self, _request: web.Request) -> web.Response:
        self._faults.disarm()
        self._world.reset()
        return web.json_response({"reset": True})

    async def _unknown(self, request: web.Request) -> web.Response:
        raise ControlError(404, "unknown_path", f"{request.method} {request.path} is not part of the control API")


def split_text(text: str) -> list[str]:
    """Cut a long text into messages of at most 4096 characters, at a line's or a word's end where there is one, as clients do."""
    parts: list[str] = []
    while utf16_length(text) > MAX_TEXT:
        end = MAX_TEXT
        while utf16_length(text[:end]) > MAX_TEXT:
            end -= max(1, (utf16_length(text[:end]) - MAX_TEXT) // 2)
        cut = max(text.rfind("\n", end // 2, end), text.rfind(" ", end // 2, end))
        cut = cut if cut > 0 else end
        parts.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*parts, text] if text else parts


def _callback_data(message: Message) -> set[str]:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return {button["callback_data"] for row in rows for button in row if "callback_data" in button}


def _picture_type(head: bytes) -> str:
    signatures = {b"\xff\xd8": "image/jpeg", b"\x89PNG": "image/png", b"GIF8": "image/gif", b"BM": "image/bmp"}
    if head[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for start, mime in signatures.items() if head.startswith(start)), "application/octet-stream")


def _number(request: web.Request, name: str, default: float) -> float:
    try:
        return float(request.query.get(name, default))
    except ValueError:
        raise ControlError(400, "bad_number", f"{name} is a number") from None


async def read_object(request: web.Request) -> dict[str, Any]:
    """Return the JSON object of a request's body.

    Raises:
        ControlError: it is something else.
    """
    try:
        sent = json.loads(await request.read() or b"{}")
    except ValueError:
        raise ControlError(400, "bad_json", "the body is not JSON") from None
    if not isinstance(sent, dict):
        raise ControlError(400, "bad_json", "the body is not a JSON object")
    return sent


def answering_errors(handler: Handler) -> Handler:
    """Return the handler with its refusals answered as JSON."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ControlError as error:
            return web.json_response({"error": {"code": error.code, "message": str(error)}}, status=error.status)
        except RefusedError as refusal:
            return web.json_response(
                {"error": {"code": "refused", "message": refusal.description}}, status=refusal.code
            )

    return answer
