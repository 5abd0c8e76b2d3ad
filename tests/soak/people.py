"""People at the local Telegram who never stop: they write texts, change outlines, confirm, cancel, change albums, undo, answer.

They know what stands in the chat and nothing else. While the stack is away they try again; what they wrote, and which price
stood on the button they pressed, is kept for the verdict.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from carousel_pipeline.local.chat import Chat, ChatError, Message, TelegramAwayError, buttons

_AWAY_S: Final = 240.0
_GREETING_S: Final = 120.0
_CHOOSER_S: Final = 60.0
_OUTLINE_S: Final = 240.0
_ALBUM_S: Final = 420.0
_CHANGES: Final = ("sizes", "styles", "text", "undo", "pic", "remove")
_SUBJECTS: Final = ("habits", "gardens", "letters", "mornings", "maps", "kitchens", "bridges", "winters")
_VERBS: Final = ("begin", "wait", "count", "listen", "return", "repair", "walk", "write")


@dataclass
class Story:
    """One visit, as only the visitor knows it.

    Attributes:
        chat: the Telegram id.
        texts: the mark that stands in each text that was sent as a source.
        quoted: the price on the button that was pressed, by request; a change that names none is free.
        answers: what was answered to the question whether an album arrived, by request.
        gave_up: what was awaited in vain.
    """

    chat: int
    texts: list[str] = field(default_factory=list)
    quoted: dict[UUID, int] = field(default_factory=dict)
    answers: dict[UUID, list[str]] = field(default_factory=dict)
    gave_up: list[str] = field(default_factory=list)


class Visitor(Chat):
    """A chat that outlives restarts of the stack.

    Args:
        where: returns the present address of the local Telegram.
        language: of the user's Telegram.
        name: the user's first name.
    """

    def __init__(self, where: Callable[[], str], language: str, name: str) -> None:
        super().__init__(where(), language, name)
        self._where = where

    async def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """Ask again while the stack restarts; a message may so be said twice, as by people."""
        deadline = time.monotonic() + _AWAY_S
        while True:
            self._address = self._where()
            try:
                return await super()._call(method, path, body)
            except TelegramAwayError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.5)


class Crowd:
    """So many people at once; who leaves is followed by somebody new.

    Args:
        where: returns the present address of the local Telegram.
        people: how many at once.
        seed: of everything they decide.

    Attributes:
        stories: of everybody who has come, in order.
    """

    def __init__(self, where: Callable[[], str], people: int, seed: int) -> None:
        self._where = where
        self._people = people
        self._seed = seed
        self._leaving = asyncio.Event()
        self.stories: list[Story] = []

    async def live(self) -> None:
        """Come and go until told to leave; returns when everybody has left."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._people):
                group.create_task(self._seat(number))

    def leave(self) -> None:
        """Begin nothing any more."""
        self._leaving.set()

    async def _seat(self, number: int) -> None:
        chance = random.Random(f"{self._seed}/{number}")  # noqa: S311 - what people do, not a secret
        await asyncio.sleep(chance.uniform(0, 3))
        for turn in itertools.count():
            if self._leaving.is_set():
                return
            name = f"P{number}V{turn}"
            try:
                async with Visitor(self._where, chance.choice(("en", "ru")), name) as chat:
                    story = Story(chat.id)
                    self.stories.append(story)
                    try:
                        await Visit(chat, story, chance, name, self._leaving).run()
                    except ChatError as error:
                        story.gave_up.append(f"{time.strftime('%X')} {error}")
            except TelegramAwayError:
                await asyncio.sleep(1)


class Visit:
    """What one visitor does, from /start to leaving."""

    def __init__(self, chat: Visitor, story: Story, chance: random.Random, name: str, leaving: asyncio.Event) -> None:
        self._chat = chat
        self._story = story
        self._chance = chance
        self._name = name
        self._leaving = leaving
        self._known: set[str] = set()

    async def run(self) -> None:
        """Make one to three carousels, and changes of each."""
        await self._chat.write("/start")
        await self._chat.wait_for("a greeting", lambda said: said or None, _GREETING_S)
        for number in range(self._chance.randint(1, 3)):
            if self._leaving.is_set():
                return
            await self._carousel(f"{self._name}N{number}")

    async def _carousel(self, mark: str) -> None:
        self._story.texts.append(mark)
        await self._chat.write(_text(mark, self._chance))
        outline = await self._outline()
        if self._chance.random() < 0.3:
            outline = await self._choose(outline)
        await self._pause()
        if self._chance.random() < 0.1:
            await self._press(outline, "r:discard:")
            return
        make = _data(outline, "r:make:")
        request = make.split(":")[2]
        self._story.quoted[UUID(request)] = int(make.split(":")[3])
        before = await self._last()
        await self._chat.press(outline, make)
        if self._chance.random() < 0.3:
            await self._chat.press(outline, make)  # the finger slipped
        if self._chance.random() < 0.15:
            await self._cancel(request)
        control = await self._end(request, before)
        for _ in range(self._chance.choice((0, 1, 1, 2, 3))):
            if control is None or self._leaving.is_set():
                return
            await self._pause()
            control = await self._change(control)

    async def _outline(self) -> Message:
        """Return the outline of a request that was not seen before; one that failed is asked for again."""
        retried: set[str] = set()

        def find(said: list[Message]) -> Message | None:
            for message in reversed(said):
                for data in buttons(message):
                    act, _, request = data.removeprefix("r:").partition(":")
                    if act == "make" and request.split(":")[0] not in self._known:
                        return message
                    if act == "retry" and request not in retried:
                        return message
            return None

        while True:
            found = await self._chat.wait_for("the outline", find, _OUTLINE_S)
            again = next((data for data in buttons(found) if data.startswith("r:retry:")), None)
            if again is None:
                self._known.add(_data(found, "r:make:").split(":")[2])
                return found
            retried.add(again.removeprefix("r:retry:"))
            await self._chat.press(found, again)

    async def _choose(self, outline: Message) -> Message:
        """Change what is to be made; the outline that follows is another request's."""
        act, prefix = self._chance.choice((("sizes", "z"), ("paint", "i")))
        chooser = await self._open(outline, f"r:{act}:", f"{prefix}:")
        await self._chat.press(chooser, self._chance.choice(_unchosen(chooser, f"{prefix}:")))
        return await self._outline()

    async def _cancel(self, request: str) -> None:
        """Press cancel if there is still time."""
        await asyncio.sleep(self._chance.uniform(0, 1.5))
        try:
            found = await self._chat.wait_for("the way out", _with(f"r:cancel:{request}"), 3)
            await self._press(found, "r:cancel:")
        except ChatError:
            return

    async def _change(self, control: Message) -> Message | None:
        """Change a finished carousel; return the next control message, or None when the change did not come."""
        request = _data(control, "r:files:").split(":")[2]
        offered = [
            act for act in _CHANGES if act == "remove" or any(d.startswith(f"r:{act}:") for d in buttons(control))
        ]
        act = self._chance.choice(offered)
        before = await self._last()
        match act:
            case "sizes":
                chooser = await self._open(control, "r:sizes:", f"z:{request}")
                await self._chat.press(chooser, self._chance.choice(_unchosen(chooser, "z:")))
            case "styles":
                gallery = await self._open(control, "r:styles:", f"v:{request}")
                look = self._chance.choice(_unchosen(gallery, "v:"))
                take = look.replace("v:", "s:", 1)
                await self._chat.press(gallery, look)
                await self._press(await self._chat.wait_for("the style", _with(take), _CHOOSER_S), take)
            case "text":
                chooser = await self._open(control, "r:text:", f"e:text:{request}")
                question = await self._open(chooser, "e:text:", "m:")
                assert question
                await self._chat.write(f"Said anew {self._chance.randrange(10**6)}\nIn other words")
            case "undo":
                await self._press(control, "r:undo:")
            case "pic":
                chooser = await self._open(control, "r:pic:", f"e:pic:{request}")
                ways = await self._open(chooser, "e:pic:", f"e:new:{request}")
                await self._press(ways, "e:new:")
            case _:
                slide = await self._open(control, f"e:open:{request}:", f"e:move:{request}")
                removal = [data for data in buttons(slide) if data.startswith("e:del:")]
                if not removal:
                    return None
                await self._chat.press(slide, removal[0])
        return await self._end(None, before, price=1 if act == "pic" else 0)

    async def _end(self, request: str | None, before: int, price: int = 0) -> Message | None:
        """Wait for the end of `request`, or of a change that has no name yet; answer what only a person can."""
        answered = 0

        def find(said: list[Message]) -> tuple[str, Message] | None:
            for message in said:
                new = message["message_id"] > before
                end, of = _end_of(message)
                # A change that did not come leaves a word without a button.
                if end == "words" and new and request is None:
                    return end, message
                ours = of == request if request else new and of not in self._known
                if end and of and ours and (end != "doubt" or message["message_id"] > answered):
                    return end, message
            return None

        while True:
            end, message = await self._chat.wait_for(f"the end of {request or 'a change'}", find, _ALBUM_S)
            _, named = _end_of(message)
            if end in {"refund", "words"} or named is None:
                return None
            self._story.quoted.setdefault(UUID(named), price)
            if end == "album":
                self._known.add(named)
                return message
            answered = message["message_id"]
            await self._answer(named, message, before)

    async def _answer(self, request: str, question: Message, before: int) -> None:
        """Say truly whether the album stands in the chat."""
        said = await self._chat.wait_for("the chat", lambda said: said, _CHOOSER_S)
        got = any("photo" in message and message["message_id"] > before for message in said)
        self._story.answers.setdefault(UUID(request), []).append("got" if got else "resend")
        await self._press(question, "r:got:" if got else "r:resend:")

    async def _open(self, message: Message, opener: str, then: str) -> Message:
        await self._press(message, opener)
        return await self._chat.wait_for(f"a message with {then}", _with(then), _CHOOSER_S)

    async def _press(self, message: Message, prefix: str) -> None:
        await self._chat.press(message, _data(message, prefix))

    async def _last(self) -> int:
        said = await self._chat.wait_for("the chat", lambda said: said, _CHOOSER_S)
        return max(int(message["message_id"]) for message in said)

    async def _pause(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.2, 2.5))


def _text(mark: str, chance: random.Random) -> str:
    subject = chance.choice(_SUBJECTS)
    parts = [
        f"First {verb}, then ask. Whoever knows {subject} will {verb} once more before the day is over."
        for verb in chance.sample(_VERBS, chance.randint(2, 4))
    ]
    return "\n\n".join([f"{mark}: what {subject} teach", *parts])


def _end_of(message: Message) -> tuple[str | None, str | None]:
    """Return which end of a carousel a message tells, if it does, and of which request."""
    named = {data.split(":")[1]: data.split(":")[2] for data in buttons(message) if data.startswith("r:")}
    if "make" in named or "cancel" in named:
        return None, None
    for act, end in (("files", "album"), ("got", "doubt"), ("again", "refund")):
        if act in named:
            return end, named[act]
    return ("words" if "text" in message and not buttons(message) else None), None


def _with(prefix: str) -> Callable[[list[Message]], Message | None]:
    """Find the newest message with a button whose data begins so."""
    return lambda said: next((m for m in reversed(said) if any(d.startswith(prefix) for d in buttons(m))), None)


def _data(message: Message, prefix: str) -> str:
    found = next((data for data in buttons(message) if data.startswith(prefix)), None)
    if found is None:
        raise ChatError(f"there is no button {prefix} any more")
    return found


def _unchosen(message: Message, prefix: str) -> list[str]:
    return [data for data, text in buttons(message).items() if data.startswith(prefix) and not text.startswith("• ")]
