"""Claude writes the deck and translates it. What does not hold is asked for once more, and only once; then it is a typed failure.

The SDK neither retries nor waits: the caller's schedule does, or a timeout would be paid for three times. It is
`messages.create` and not `parse`, which raises on a cut answer and loses what it cost. A client lives for one deck and is closed
with it, because a run has its own event loop and makes one deck (m27, n10).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from carousel_pipeline.copywriting import translation, wire
from carousel_pipeline.copywriting.interface import Brief, TooLong, Written, fits_anything
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.providers import (
    UNRECORDED,
    Call,
    CallFailedError,
    CallLog,
    Failure,
    Usage,
    decide,
    error_of,
    recorded,
)
from carousel_pipeline.providers.failures import MOST_TRIES
from carousel_pipeline.providers.usage import Price, price_of_model, used
from carousel_pipeline.requests import Deck

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types import Message, MessageParam

_TIMEOUT_S = 90.0
_EXAMINED_S = 15.0
_TOKENS = 6_000


@dataclass(frozen=True, slots=True)
class _Task:
    """What the model is asked for, and how its answer is read: from its text, and whether it is the last one, to a deck."""

    system: str
    schema: dict[str, Any]
    order: str
    read: Callable[[str, bool], Deck]


@dataclass(frozen=True, slots=True)
class _Draft:
    """An acceptable deck, and the words of the answer that held it."""

    deck: Deck
    text: str


class ClaudeWriter:
    """A copywriter on the Anthropic API.

    Args:
        key: API key.
        model: model id.
        base_url: another server, or None for Anthropic's.
        price: USD per million tokens, or None for the list price.
        other: the writer who takes over when this model stays away, or None.
    """

    demo = False

    def __init__(
        self,
        key: SecretStr,
        model: str,
        base_url: str | None = None,
        price: str | None = None,
        other: ClaudeWriter | None = None,
    ) -> None:
        self.name = model
        self._key = key
        self._base_url = base_url
        self._price: Price = price_of_model(model, price)
        self._other = other

    async def write(
        self, brief: Brief, log: CallLog = UNRECORDED, too_long: Callable[[Deck], Sequence[TooLong]] = fits_anything
    ) -> Written:
        """Return a deck; see `Copywriter`.

        Raises:
            ContentRefusedError: the model declined the text.
            ProviderStoppedError: the key, the account or the model id does not work.
            ProviderBusyError: every try failed, the other model's too.
            PermanentError: two answers were no acceptable deck.
            TransientError: the provider is busy or unreachable.
        """
        task = _Task(
            wire.SYSTEM, wire.schema(), wire.order(brief), lambda text, last: wire.read(text, brief, last=last)
        )
        checked = fits_anything if wire.keeps_words(brief) else too_long
        return await self._carry_out(task, log, checked, lambda other: other.write(brief, log, too_long))

    async def translate(self, deck: Deck, language: str, log: CallLog = UNRECORDED) -> Written:
        """Return a deck in another language; see `Copywriter`.

        Raises:
            CarouselError: as in `write`.
        """
        task = _Task(
            translation.SYSTEM,
            translation.schema(),
            translation.order(deck, language),
            lambda text, last: translation.read(text, deck, language, last=last),
        )
        return await self._carry_out(task, log, fits_anything, lambda other: other.translate(deck, language, log))

    async def _carry_out(
        self,
        task: _Task,
        log: CallLog,
        too_long: Callable[[Deck], Sequence[TooLong]],
        instead: Callable[[ClaudeWriter], Awaitable[Written]],
    ) -> Written:
        from anthropic import AsyncAnthropic  # noqa: PLC0415 - a second of imports that only a run should pay

        started = time.perf_counter()
        try:
            async with AsyncAnthropic(
                api_key=self._key.get_secret_value(), base_url=self._base_url, timeout=_TIMEOUT_S, max_retries=0
            ) as client:
                deck, spent = await _Order(self.name, self._price, client, task, log).fill(too_long)
        except _UnusableError as error:
            raise PermanentError(f"{self.name} gave no usable deck twice: {error.complaint}") from None
        except CallFailedError as error:
            failure = error.failure
            verdict = decide(failure, log.tries)
            if verdict.act == "degrade" and self._other is not None:
                return await instead(self._other)
            raise error_of(failure, verdict) from None
        return Written(deck=deck, usage=spent.model_copy(update={"duration_s": time.perf_counter() - started}))

    async def examine(self) -> str:
        """Ask whether the key and the model id are good, which costs nothing; return what stands behind in words.

        Raises:
            CarouselError: they are not, or nobody answers.
        """
        import anthropic  # noqa: PLC0415 - as in write

        try:
            async with anthropic.AsyncAnthropic(
                api_key=self._key.get_secret_value(), base_url=self._base_url, timeout=_EXAMINED_S, max_retries=0
            ) as client:
                await client.models.retrieve(self.name)
        except (anthropic.APIError, ValueError) as error:
            failure = _failed(self.name, error)
            raise error_of(failure, decide(failure, MOST_TRIES)) from None
        return f"{self.name} at {self._price}"


class _Order:
    """One deck's conversation with the model: an answer and at most one more."""

    def __init__(self, model: str, price: Price, client: AsyncAnthropic, task: _Task, log: CallLog) -> None:
        self._model = model
        self._price = price
        self._client = client
        self._task = task
        self._log = log
        self._messages: list[MessageParam] = [{"role": "user", "content": task.order}]
        self._spent = Usage(model=model)

    async def fill(self, too_long: Callable[[Deck], Sequence[TooLong]]) -> tuple[Deck, Usage]:
        """Return the deck and what both calls took.

        Raises:
            CallFailedError: a call failed, or two answers were no deck.
        """
        try:
            draft = await self._ask(_TOKENS, tries=0)
        except _UnusableError as error:
            self._say(error.text, wire.repaired(error.complaint))
            return (await self._ask(2 * _TOKENS, tries=1)).deck, self._spent
        excess = too_long(draft.deck)
        if not excess:
            return draft.deck, self._spent
        self._say(draft.text, wire.shortened(excess))
        try:
            shorter = await self._ask(2 * _TOKENS, tries=1)
        except CallFailedError:
            # A good deck is in hand; the layout cuts what is too long and says so.
            return draft.deck, self._spent
        better = len(too_long(shorter.deck)) <= len(excess)
        return shorter.deck if better else draft.deck, self._spent

    def _say(self, answer: str, wish: str) -> None:
        self._messages += [
            {"role": "assistant", "content": answer or "(no answer)"},
            {"role": "user", "content": wish},
        ]

    async def _ask(self, tokens: int, *, tries: int) -> _Draft:
        with recorded(self._log, Call(self._log.step, "anthropic", self._model)) as record:
            answer = await self._send(tokens)
            usage = _usage(self._model, self._price, answer)
            record.usage, record.request_id = usage, answer._request_id  # noqa: SLF001 - the SDK's documented name for it
            self._spent = self._spent.plus(usage)
            if answer.stop_reason == "refusal":
                raise CallFailedError(self._failure("refused", getattr(answer.stop_details, "category", None)))
            text = "".join(block.text for block in answer.content or [] if block.type == "text")
            try:
                deck = self._task.read(text, tries > 0)
            except wire.BadDeckError as error:
                code = (
                    answer.stop_reason if answer.stop_reason in {"max_tokens", "model_context_window_exceeded"} else ""
                )
                failure = self._failure("unusable", code or ("bad_deck" if text else "empty"))
                raise _UnusableError(failure, text, str(error)) from None
            record.outcome = "repaired" if tries else "ok"
        return _Draft(deck, text)

    async def _send(self, tokens: int) -> Message:
        import anthropic  # noqa: PLC0415 - as in write

        try:
            return await self._client.messages.create(
                model=self._model,
                max_tokens=tokens,
                system=self._task.system,
                messages=self._messages,
                output_config={"effort": "low", "format": {"type": "json_schema", "schema": self._task.schema}},
            )
        except (anthropic.APIError, ValueError) as error:
            raise CallFailedError(_failed(self._model, error)) from None

    def _failure(self, kind: Any, code: str | None) -> Failure:
        return Failure("anthropic", self._model, kind, code=code)


def warm() -> None:
    """Do what a first deck needs once: the SDK imports for a second, and builds the types of answers as it meets them.

    A call is made, and answered in memory: nothing is connected.
    """
    import httpx2  # noqa: PLC0415 - as in write
    from anthropic import Anthropic  # noqa: PLC0415 - as in write

    usage = {"input_tokens": 1, "output_tokens": 1}
    content = [{"type": "text", "text": "{}"}]
    answer = {"id": "none", "type": "message", "role": "assistant", "model": "none", "content": content, "usage": usage}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=answer))
    with Anthropic(api_key="nothing is asked", http_client=httpx2.Client(transport=transport)) as client:
        client.messages.create(model="none", max_tokens=1, messages=[{"role": "user", "content": "warm"}])


class _UnusableError(CallFailedError):
    """An answer that is no deck: its text, and why, in words for the model alone."""

    def __init__(self, failure: Failure, text: str, complaint: str) -> None:
        super().__init__(failure)
        self.text = text
        self.complaint = complaint


def _failed(model: str, error: Exception) -> Failure:
    """Return what the SDK raised as a failure: a status, a timeout, a reset, or bytes that are no JSON, which it lets through."""
    import anthropic  # noqa: PLC0415 - as in write

    if not isinstance(error, anthropic.APIStatusError):
        return Failure("anthropic", model, "no_answer", code=type(error).__name__)
    wait = _seconds(error.response.headers.get("retry-after"))
    code = error.error_code or error.type
    return Failure("anthropic", model, "http", error.status_code, code, wait, error.request_id)


def _usage(model: str, price: Price, answer: Message) -> Usage:
    tokens: Any = answer.usage
    if tokens is None:  # garbage with status 200 is a message full of nothing
        return Usage(model=model)
    read_ = tokens.input_tokens + (tokens.cache_creation_input_tokens or 0) + (tokens.cache_read_input_tokens or 0)
    return used(model, price, read=read_, text=tokens.output_tokens)


def _seconds(header: str | None) -> float | None:
    try:
        return None if header is None else float(header)
    except ValueError:
        return None
