"""Gemini paints the pictures. Whatever comes back is decoded, checked and brought to the slide's exact size here, once.

"No picture" has many forms, most of them with HTTP 200: a blocked prompt, a blocked picture, words instead, a thought instead,
bytes that are none. Each is asked for once more in other words; then the procedural painter stands in, says so, and nobody pays.
The SDK's own retries are off: it silently sends a dropped request again, which bills an image twice. A client lives for one
picture, because its session belongs to an event loop and must be closed there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr, ValidationError

from carousel_pipeline.copywriting.failures import Failure, judged
from carousel_pipeline.copywriting.interface import Usage
from carousel_pipeline.imagery.interface import Picture, PictureBrief
from carousel_pipeline.imagery.normalise import PictureError, normalise
from carousel_pipeline.imagery.procedural import ProceduralPainter

if TYPE_CHECKING:
    from google.genai.types import GenerateContentResponse

_TIMEOUT_MS = 90_000
_MILLION = 1_000_000
# USD per million tokens, in and out; pictures are output. A model that is not listed costs what the dearest listed one would.
_PRICES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "gemini-nano-banana-2.1": (1.5, 30.0),
        "gemini-3.1-flash-lite-image": (1.5, 30.0),
        "gemini-3.1-flash-image": (1.5, 60.0),
        "gemini-3-pro-image": (2.0, 120.0),
    }
)
_RATIOS = ("1:1", "4:5", "5:4", "3:4", "4:3", "2:3", "3:2", "9:16", "16:9")
_RULES = (
    "No letters, words, numbers, logos or watermarks. Leave calm space where text can stand. Fill the frame, no border."
)
_SOFTER = "A calm abstract composition of light, shapes and texture for a poster background."


class GeminiPainter:
    """A painter on the Gemini API.

    Args:
        key: API key.
        model: model id.
        base_url: another server, or None for Google's.
        api_version: `v1`, `v1beta`, or None for the SDK's default.
    """

    demo = False

    def __init__(self, key: SecretStr, model: str, base_url: str | None = None, api_version: str | None = None) -> None:
        self.name = model
        self._key = key
        self._base_url = base_url
        self._api_version = api_version
        self._stand_in = ProceduralPainter()

    async def paint(self, brief: PictureBrief, reference: Picture | None) -> Picture:
        """Return the picture of one slide; see `Painter`. `stand_in` is set where the model gave none twice.

        Raises:
            ProviderStoppedError: the key or the account does not work.
            PermanentError: the request is wrong.
            TransientError: the provider is busy or unreachable.
        """
        started = time.perf_counter()
        spent = Usage(model=self.name)
        for subject in (brief.prompt, _SOFTER):
            answer = await self._ask(_prompt(brief, subject), brief, reference)
            spent = _plus(spent, answer)
            if data := _picture_in(answer):
                try:
                    jpeg = await asyncio.to_thread(
                        normalise, data, brief.width, brief.height, backdrop=brief.palette[0]
                    )
                except PictureError:
                    continue
                spent = spent.model_copy(update={"duration_s": time.perf_counter() - started})
                return Picture(jpeg, brief.width, brief.height, self.name, stand_in=False, usage=spent)
        instead = await self._stand_in.paint(brief, None)
        spent = spent.model_copy(update={"duration_s": time.perf_counter() - started})
        return Picture(instead.data, brief.width, brief.height, instead.painter, stand_in=True, usage=spent)

    async def _ask(self, prompt: str, brief: PictureBrief, reference: Picture | None) -> GenerateContentResponse:
        import aiohttp  # noqa: PLC0415 - as below
        import httpx2  # noqa: PLC0415 - as below
        from google import genai  # noqa: PLC0415 - seconds of imports that only a run should pay
        from google.genai import errors, types  # noqa: PLC0415 - as above

        contents: list[Any] = [prompt]
        if reference is not None:
            contents.insert(0, types.Part.from_bytes(data=reference.data, mime_type="image/jpeg"))
        options = types.HttpOptions(
            base_url=self._base_url,
            api_version=self._api_version,
            timeout=_TIMEOUT_MS,
            retry_options=types.HttpRetryOptions(attempts=1),
        )
        config = types.GenerateContentConfig(
            response_modalities=["IMAGE"],
            image_config=types.ImageConfig(aspect_ratio=_ratio(brief.width, brief.height), image_size="1K"),
        )
        client = genai.Client(api_key=self._key.get_secret_value(), http_options=options)
        try:
            async with client.aio as model:
                return await model.models.generate_content(model=self.name, contents=contents, config=config)
        except errors.APIError as error:
            raise judged(Failure(self.name, error.code, _cause(error), _asked_wait(error))) from None
        except (
            OSError,
            aiohttp.ClientError,
            httpx2.HTTPError,
            ValidationError,
            errors.UnknownApiResponseError,
        ) as error:
            # Transport and parsing errors of four libraries leak from the SDK as they are; none of them is an answer.
            raise judged(Failure(self.name, None, type(error).__name__)) from None
        finally:
            client.close()


def _prompt(brief: PictureBrief, subject: str) -> str:
    palette = ", ".join(brief.palette)
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


def _plus(spent: Usage, answer: GenerateContentResponse) -> Usage:
    used = answer.usage_metadata
    if used is None:
        return spent
    read = used.prompt_token_count or 0
    made = (used.candidates_token_count or 0) + (used.thoughts_token_count or 0)
    price_in, price_out = _PRICES.get(spent.model, max(_PRICES.values()))
    return spent.model_copy(
        update={
            "input_tokens": spent.input_tokens + read,
            "output_tokens": spent.output_tokens + made,
            "cost_usd": spent.cost_usd + (read * price_in + made * price_out) / _MILLION,
        }
    )


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
