"""A person at the local Telegram, as a program: writes, presses buttons that are there, waits for what the bot does.

Only the control API of the chat page is used. The bot cannot tell this person from one in a browser.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from carousel_pipeline.errors import CarouselError

_WAIT_S = 10.0
T = TypeVar("T")
Message = dict[str, Any]


class ChatError(CarouselError):
    """The bot did not do what a person would have waited for; the message shows its last words."""


class TelegramAwayError(ChatError):
    """The local Telegram does not answer; it may be starting again."""


class Chat:
    """One new user's chat with the bot.

    Args:
        address: of the local Telegram.
        language: ISO 639 code of the user's Telegram.
        name: the user's first name.

    Attributes:
        id: of the chat, and of the user.
    """

    def __init__(self, address: str, language: str, name: str) -> None:
        self._address = address
        self._person = {"first_name": name, "language_code": language}
        self.id = 0
        self._path = ""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_WAIT_S + 10))

    async def __aenter__(self) -> Self:
        try:
            person = await self._post("/sim/users", self._person)
        except BaseException:
            await self._session.close()
            raise
        self.id = int(person["chat_id"])
        self._path = f"/sim/chats/{self.id}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def write(self, text: str) -> None:
        """Send a text; a long one goes as several messages, as from every Telegram client."""
        await self._post(f"{self._path}/messages", {"text": text})

    async def press(self, message: Message, data: str) -> None:
        """Press the button of `message` that carries `data`."""
        await self._post(f"{self._path}/press", {"message_id": message["message_id"], "data": data})

    async def wait_for(self, what: str, find: Callable[[list[Message]], T | None], limit_s: float) -> T:
        """Return what `find` finds in the bot's messages, oldest first, as soon as it finds something.

        Raises:
            ChatError: it found nothing within `limit_s` seconds; names `what` was awaited.
        """
        deadline = time.monotonic() + limit_s
        messages: list[Message] = []
        while time.monotonic() < deadline:
            state = await self._get(f"{self._path}/messages")
            messages = [message for message in state["messages"] if message["from"]["is_bot"]]
            if (found := find(messages)) is not None:
                return found
            wait = min(_WAIT_S, max(0.0, deadline - time.monotonic()))
            await self._get(f"{self._path}/events?after={state['next']}&wait={wait:.1f}")
        raise ChatError(f"{what} did not come within {limit_s:.0f} s; the bot's last words: {_last_words(messages)}")

    async def download(self, file_id: str) -> bytes:
        """Return a file that the bot sent."""
        try:
            async with self._session.get(f"{self._address}/sim/files/{file_id}") as answer:
                answer.raise_for_status()
                return await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ChatError(f"a file of the album could not be downloaded: {error}") from error

    async def _get(self, path: str) -> dict[str, Any]:
        return await self._call("GET", path, None)

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self._call("POST", path, body)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            async with self._session.request(method, f"{self._address}{path}", json=body) as answer:
                result: dict[str, Any] = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise TelegramAwayError(f"the local Telegram at {self._address} does not answer: {error}") from error
        if "error" in result:
            raise ChatError(f"the local Telegram refuses: {result['error']['message']}")
        return result


def buttons(message: Message) -> dict[str, str]:
    """Return the words on a message's buttons by the data they carry."""
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return {button["callback_data"]: button["text"] for row in rows for button in row if "callback_data" in button}


def words(message: Message) -> str:
    """Return what a message says."""
    said: str = message.get("text") or message.get("caption") or ""
    return said


def _last_words(messages: list[Message]) -> str:
    said = [words(message) for message in messages if words(message)]
    return f"“{said[-1]}”" if said else "none"
