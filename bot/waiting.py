"""What the bot has asked and waits for: one question a chat, with everything needed to act on the answer.

A question that is half an hour old has been forgotten by whoever was asked: the next text is a source again, not an answer.
"""

from time import time
from typing import Any, Final, Literal
from uuid import UUID

from aiogram.filters import BaseFilter
from aiogram.fsm.context import FSMContext
from aiogram.types import TelegramObject
from pydantic import BaseModel, ConfigDict, ValidationError

from bot.callbacks import Part

STATE: Final = "front:waiting"
_KEY: Final = "waiting"
_PATIENCE_S: Final = 1800.0

What = Literal["text", "picture", "slide", "handle", "logo", "accent"]


class Waiting(BaseModel):
    """An open question.

    Attributes:
        what: what the answer is for.
        request: the version it changes; None for a brand.
        slide: counted from 1; 0 where no slide is meant.
        part: of the slide's text.
        message: the question's message.
        asked_at: seconds of the epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: What
    request: UUID | None = None
    slide: int = 0
    part: Part = Part.BOTH
    message: int
    asked_at: float


async def ask(
    state: FSMContext,
    what: What,
    message: int,
    *,
    request: UUID | None = None,
    slide: int = 0,
    part: Part = Part.BOTH,
) -> None:
    """Remember what was asked in `message`; an earlier question is forgotten."""
    waiting = Waiting(what=what, request=request, slide=slide, part=part, message=message, asked_at=time())
    await state.update_data({_KEY: waiting.model_dump(mode="json")})
    await state.set_state(STATE)


async def asked(state: FSMContext) -> Waiting | None:
    """Return the open question, None when there is none or it is too old."""
    if await state.get_state() != STATE:
        return None
    try:
        waiting = Waiting.model_validate((await state.get_data()).get(_KEY))
    except ValidationError:
        return None
    return waiting if waiting.asked_at > time() - _PATIENCE_S else None


async def forget(state: FSMContext) -> None:
    """Wait no longer."""
    if await state.get_state() == STATE:
        await state.set_state(None)


class Awaits(BaseFilter):
    """Passes an answer to an open question of one of these kinds, as `waiting`."""

    def __init__(self, *whats: What) -> None:
        self._whats = frozenset(whats)

    async def __call__(self, _event: TelegramObject, state: FSMContext) -> bool | dict[str, Any]:
        """Return the question for the handler, or False."""
        waiting = await asked(state)
        return {"waiting": waiting} if waiting is not None and waiting.what in self._whats else False
