"""Gemini paints the pictures. Whatever comes back is decoded, checked and brought to the slide's exact size here, once.

"No picture" has many forms, most of them with HTTP 200: a blocked prompt, a blocked picture, words instead, a thought instead,
bytes that are none. Each is a typed failure (M11), and what it cost is known all the same. One `paint` is one call: the SDK's own
retries are off, because it silently sends a dropped request again, which bills an image twice. A client lives for one picture,
because its session belongs to an event loop and must be closed there (m27, n10).
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from carousel_pipeline import turns
from carousel_pipeline.imagery.interface import Judge, Picture, PictureBrief, Wish, accept
from carousel_pipeline.imagery.normalise import PictureError, normalise, size_of
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
from carousel_pipeline.providers.usage import price_of_model, used

if TYPE_CHECKING:
    from google.genai.client import AsyncClient
    from google.genai.types import GenerateContentConfig, GenerateContentResponse, HttpOptions

_TIMEOUT_MS = 90_000
_EXAMINED_MS = 15_000
_RATIOS = ("1:1", "4:5", "5:4", "3:4", "4:3", "2:3", "3:2", "9:16", "16:9", "21:9")
_RULES = (
    "No letters, words, numbers, logos or watermarks. Leave calm space where text can stand. Fill the frame, no border."
)
_SOFTER = "A calm abstract composition of light, shapes and texture for a poster background."
_CLEARER = "Answer with one picture and nothing else. One simple subject, few details, wide calm areas."
_PANORAMA = (
    "One continuous {shape} without seams. A frame {fills} it moves along it {way} and stops {slides} times, "
    "so every part is a good picture by itself; the scenes follow one another: "
)
_WIDE = MappingProxyType({"shape": "wide panorama", "fills": "as tall as", "way": "from left to right"})
_TALL = MappingProxyType({"shape": "tall picture", "fills": "as wide as", "way": "from top to bottom"})
_WARM_ANSWER = MappingProxyType(
    {
        "candidates": [
            {
                "content": {"role": "model", "parts": [{"inlineData": {"mimeType": "image/jpeg", "data": ""}}]},
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 1,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1}],
        },
    }
)
_BLOCKED = frozenset({"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII"})


class GeminiPainter:
    """A painter on the Gemini API.

    Args:
        key: API key.
        model: model id.
        base_url: another server, or None for Google's.
        api_version: `v1`, `v1beta`, or None for the SDK's default.
        price: USD per million tokens, or None for the list price.
    """

    demo = False

    def __init__(
        self,
        key: SecretStr,
        model: str,
        base_url: str | None = None,
        api_version: str | None = None,
        price: str | None = None,
    ) -> None:
        self.name = model
        self._key = key
        self._base_url = base_url
        self._api_version = api_version
        self._price = price_of_model(model, price)

    async def paint(
        self,
        brief: PictureBrief,
        reference: Picture | None,
        log: CallLog = UNRECORDED,
        *,
        wish: Wish = "as_briefed",
        judge: Judge = accept,
    ) -> Picture:
        """Return one picture after one call; see `Painter`.

        Raises:
            CallFailedError: no usable picture came of it.
        """
        started = time.perf_counter()
        with recorded(log, Call("picture", "gemini", self.name, brief.position)) as record:
            answer = await self._ask(_prompt(brief, wish), brief, reference)
            record.usage = usage = self._used(answer)
            record.request_id = answer.response_id
            if (data := _picture_in(answer)) is None:
                raise CallFailedError(self._nothing(answer))
            async with turns.async_working():
                try:
                    jpeg = await asyncio.to_thread(
                        normalise, data, brief.width, brief.height, backdrop=brief.palette[0]
                    )
                except PictureError:
                    raise CallFailedError(self._failure("bad_picture", "undecodable")) from None
                if fault := judge(jpeg, size_of(data)):
                    raise CallFailedError(self._failure("bad_picture", fault))
            usage = usage.model_copy(update={"images": 1, "duration_s": time.perf_counter() - started})
            record.usage = usage
        return Picture(jpeg, brief.width, brief.height, self.name, stand_in=False, usage=usage)

    async def examine(self) -> str:
        """Ask whether the key and the model id are good, which costs nothing; return what stands behind in words.

        Raises:
            CarouselError: they are not, or nobody answers.
        """
        try:
            async with self._client(_EXAMINED_MS) as client:
                await client.models.get(model=self.name)
        except CallFailedError as error:
            raise error_of(error.failure, decide(error.failure, MOST_TRIES)) from None
        return f"{self.name} at {self._price}"

    async def _ask(self, prompt: str, brief: PictureBrief, reference: Picture | None) -> GenerateContentResponse:
        from google.genai import types  # noqa: PLC0415 - seconds of imports that only a run should pay

        contents: list[Any] = [prompt]
        if reference is not None:
            contents.insert(0, types.Part.from_bytes(data=reference.data, mime_type="image/jpeg"))
        config = _config(_ratio(brief.width, brief.height))
        async with self._client(_TIMEOUT_MS) as client:
            return await client.models.generate_content(model=self.name, contents=contents, config=config)

    @asynccontextmanager
    async def _client(self, timeout_ms: int) -> AsyncIterator[AsyncClient]:
        """Open a client for one call; whatever fails in it is raised as `CallFailedError`."""
        import aiohttp  # noqa: PLC0415 - as in _ask
        import httpx2  # noqa: PLC0415 - as in _ask
        from google import genai  # noqa: PLC0415 - as in _ask
        from google.genai import errors  # noqa: PLC0415 - as in _ask

        options = _http_options(self._base_url, self._api_version, timeout_ms)
        client = genai.Client(api_key=self._key.get_secret_value(), http_options=options)
        try:
            async with client.aio as opened:
                yield opened
        except errors.APIError as error:
            wait, request_id = _asked_wait(error), _request_id(error)
            raise CallFailedError(
                Failure("gemini", self.name, "http", error.code, _cause(error), wait, request_id)
            ) from None
        except (OSError, aiohttp.ClientError, httpx2.HTTPError, ValueError, errors.UnknownApiResponseError) as error:
            # Transport and parsing errors of four libraries leak from the SDK as they are; none of them is an answer.
            raise CallFailedError(self._failure("no_answer", type(error).__name__)) from None
        finally:
            client.close()

    def _failure(self, kind: Any, code: str | None) -> Failure:
        return Failure("gemini", self.name, kind, code=code)

    def _nothing(self, answer: GenerateContentResponse) -> Failure:
        """Return why an answer holds no picture; a reason of tomorrow is one too."""
        feedback = answer.prompt_feedback
        if feedback is not None and feedback.block_reason is not None:
            return self._failure("blocked", f"prompt {_name(feedback.block_reason)}")
        candidates = answer.candidates or []
        reason = _name(candidates[0].finish_reason) if candidates and candidates[0].finish_reason else "no_candidates"
        return self._failure("blocked" if reason in _BLOCKED else "no_picture", reason)

    def _used(self, answer: GenerateContentResponse) -> Usage:
        """Return what an answer took; a picture's tokens cost more than words, and without details all are taken for it."""
        spent = answer.usage_metadata
        if spent is None:
            return Usage(model=self.name)
        made, thought = spent.candidates_token_count or 0, spent.thoughts_token_count or 0
        details = spent.candidates_tokens_details or []
        words = sum(
            part.token_count or 0 for part in details if part.modality is not None and _name(part.modality) == "TEXT"
        )
        return used(
            self.name,
            self._price,
            read=spent.prompt_token_count or 0,
            text=thought + min(words, made),
            picture=made - min(words, made),
        )


def warm() -> None:
    """Do what a first picture needs once: the SDK imports for a second, and builds some twenty models as it meets them.

    A call is made, and answered in memory: nothing is connected. A run that does it itself takes a tenth of a second for it, and
    also holds it alone, thirty megabytes while it waits.
    """
    import httpx2  # noqa: PLC0415 - as in _ask
    from google import genai  # noqa: PLC0415 - as in _ask
    from google.genai import types  # noqa: PLC0415 - as in _ask

    importlib.import_module("anyio._backends._asyncio")  # what the client imports with its first answer
    options = _http_options(None, None, _TIMEOUT_MS)
    options.client_args = {"transport": httpx2.MockTransport(lambda _: httpx2.Response(200, json=dict(_WARM_ANSWER)))}
    contents: list[Any] = [types.Part.from_bytes(data=b"", mime_type="image/jpeg"), "warm"]
    with genai.Client(api_key="nothing is asked", http_options=options) as client:
        client.models.generate_content(model="none", contents=contents, config=_config("1:1"))


def _config(ratio: str) -> GenerateContentConfig:
    from google.genai import types  # noqa: PLC0415 - as in _ask

    return types.GenerateContentConfig(
        response_modalities=["IMAGE"], image_config=types.ImageConfig(aspect_ratio=ratio, image_size="1K")
    )


def _http_options(base_url: str | None, api_version: str | None, timeout_ms: int) -> HttpOptions:
    from google.genai import types  # noqa: PLC0415 - as in _ask

    return types.HttpOptions(
        base_url=base_url,
        api_version=api_version,
        timeout=timeout_ms,
        retry_options=types.HttpRetryOptions(attempts=1),
        client_args={"verify": _trusted()},
        async_client_args={"verify": _trusted(), "ssl": _trusted()},
    )


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Return the certificates to trust, read once a process: the SDK reads them three times for every client, 75 ms of work."""
    import certifi  # noqa: PLC0415 - as in _ask

    return ssl.create_default_context(
        cafile=os.environ.get("SSL_CERT_FILE", certifi.where()), capath=os.environ.get("SSL_CERT_DIR")
    )


def _name(value: Any) -> str:
    """Return the wire's name of an enumerated value, known to the SDK or not."""
    return str(getattr(value, "value", value))[:60]


def _prompt(brief: PictureBrief, wish: Wish) -> str:
    palette = ", ".join(brief.palette)
    subject = _SOFTER if wish == "softer" else brief.prompt
    if brief.slides > 1:
        shape = _WIDE if brief.width > brief.height else _TALL
        subject = _PANORAMA.format(slides=brief.slides, **shape) + subject
    if wish == "clearer":
        subject = f"{_CLEARER} {subject}"
    return f"{subject}\n\nThe series: {brief.art_direction}\nColours: {palette}; mostly the first.\n{_RULES}".strip()


def _ratio(width: int, height: int) -> str:
    """Return the offered aspect ratio that loses least."""

    def apart(ratio: str) -> float:
        across, down = map(int, ratio.split(":"))
        wanted, offered = width / height, across / down
        return max(wanted / offered, offered / wanted)

    return min(_RATIOS, key=apart)


def _picture_in(answer: GenerateContentResponse) -> bytes | None:
    """Return the last picture of an answer that is no thought, or None; a blocked answer has no parts at all."""
    found = None
    for part in answer.parts or []:
        if part.inline_data is not None and part.inline_data.data and not part.thought:
            found = part.inline_data.data
    return found


def _details(error: Any) -> list[dict[str, Any]]:
    body = error.details if isinstance(error.details, dict) else {}
    inner = body.get("error")
    details = inner.get("details") if isinstance(inner, dict) else None
    return [detail for detail in details or [] if isinstance(detail, dict)]


def _asked_wait(error: Any) -> float | None:
    """Return the seconds in Google's RetryInfo, which the SDK ignores."""
    for detail in _details(error):
        delay = str(detail.get("retryDelay", ""))
        if delay.endswith("s") and delay[:-1].replace(".", "", 1).isdigit():
            return float(delay[:-1])
    return None


def _cause(error: Any) -> str | None:
    """Return the status, with the quota that ran out: a daily one does not come back in a minute."""
    quotas = [
        str(v.get("quotaId", "")) for d in _details(error) for v in d.get("violations", []) if isinstance(v, dict)
    ]
    return " ".join(filter(None, (str(error.status or ""), *quotas))) or None


def _request_id(error: Any) -> str | None:
    """Return Google's id of a refused call, from the details of the error or the answer's headers."""
    for detail in _details(error):
        if detail.get("requestId"):
            return str(detail["requestId"])
    headers = getattr(error.response, "headers", None) or {}
    found = headers.get("x-goog-request-id") or headers.get("x-request-id")
    return str(found) if found else None
