"""The Gemini API as google-genai 3.4 speaks it: both versions, pictures of the asked ratio, usage, every way to give none.

Without a script it is a good model: every prompt gets a picture of its own. With one, its answers are taken in order, the last
again and again.
"""

import asyncio
import base64
import functools
import hashlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from aiohttp import web
from PIL import Image

KEY = "AIzaSyD3v9KqTn0xZkLw2pVbR7sYcHuEoMi4GqA"
# Bytes in a JSON field of the API are URL-safe or not; the SDK sends one and takes both.
_PIXELS = {"1K": 1024, "2K": 2048, "4K": 4096}
_TOKENS = {"1K": 1120, "2K": 1680, "4K": 3780}
_RATIOS = ("1:1", "1:4", "4:1", "1:8", "8:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")

Answer = Callable[[web.Request, dict[str, Any]], web.StreamResponse]


class FakeGemini:
    """A server's state: what it will answer, and what it was asked."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []

    def app(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application(client_max_size=50_000_000)
        for version in ("v1", "v1beta"):
            app.router.add_post(f"/{version}/models/{{call}}", self._generate)
            app.router.add_get(f"/{version}/models/{{model}}", self._model)
        return app

    @property
    def prompts(self) -> list[str]:
        """The words of every prompt, in order of arrival."""
        return [_words(body) for body in self.asked]

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        self.paths.append(request.path)
        if not request.headers.get("x-goog-api-key"):
            return error(401, "UNAUTHENTICATED")(request, body)
        if problem := _malformed(request, body):
            return error(400, "INVALID_ARGUMENT", message=problem)(request, body)
        if not self.script:
            return good(request, body)
        answer = self.script[min(len(self.asked), len(self.script)) - 1](request, body)
        return await answer if asyncio.iscoroutine(answer) else answer

    async def _model(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["model"]
        if not name.startswith("gemini-"):
            return error(404, "NOT_FOUND")(request, {})
        return web.json_response({"name": f"models/{name}", "supportedGenerationMethods": ["generateContent"]})


def good(_request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Paint what was asked for: the same prompt gives the same picture, another prompt another one."""
    config = body["generationConfig"]["imageConfig"]
    data = picture(config["aspectRatio"], config.get("imageSize", "1K"), _words(body))
    return web.json_response(_body([part(data)], size=config.get("imageSize", "1K")))


@functools.lru_cache(maxsize=64)
def picture(ratio: str, size: str, seed: str) -> str:
    """Return a soft JPEG in Base64, of a ratio and size as the API gives them."""
    across, down = map(int, ratio.split(":"))
    longest = _PIXELS[size]
    scale = (longest * longest / (across * down)) ** 0.5
    width, height = round(across * scale / 8) * 8, round(down * scale / 8) * 8
    random = np.random.default_rng(int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest()))
    small = random.integers(40, 216, (5, 5, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR).save(out, "JPEG", quality=80)
    return base64.b64encode(out.getvalue()).decode()


@functools.lru_cache(maxsize=32)
def flat(colour: str, size: tuple[int, int] = (256, 320)) -> str:
    """Return a PNG of one colour in Base64."""
    return encoded(Image.new("RGB", size, colour))


def encoded(image: Image.Image) -> str:
    """Return a PNG in Base64."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return base64.b64encode(out.getvalue()).decode()


def part(data: str, *, thought: bool = False) -> dict[str, Any]:
    """Return one part with a picture."""
    kind = "image/jpeg" if data.startswith("/9j/") else "image/png"
    return {"inlineData": {"mimeType": kind, "data": data}} | ({"thought": True} if thought else {})


def answer(*parts: dict[str, Any], reason: str = "STOP") -> Answer:
    """Return an answer with status 200: its parts, or none and a reason."""
    return lambda _request, _said: web.json_response(_body(list(parts), reason=reason))


def blocked(_request: web.Request, _said: dict[str, Any]) -> web.StreamResponse:
    """Refuse the prompt, with status 200 and no candidate."""
    usage = {"promptTokenCount": 100, "thoughtsTokenCount": 50, "totalTokenCount": 150}
    return web.json_response({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": usage})


def error(status: int, name: str, *details: dict[str, Any], message: str = "secret prompt text") -> Answer:
    """Return an error as Google words it."""
    body = {"code": status, "status": name, "message": message, "details": list(details)}
    return lambda _request, _said: web.json_response({"error": body}, status=status)


def retry_in(seconds: str) -> dict[str, Any]:
    """Return Google's wish to wait, for the details of an error."""
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": seconds}


def quota(name: str) -> dict[str, Any]:
    """Return which quota ran out, for the details of an error."""
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": name}]}


def raw(body: bytes, status: int = 200, content_type: str = "application/json") -> Answer:
    """Return bytes that are no answer of the API."""
    return lambda _request, _said: web.Response(body=body, status=status, content_type=content_type)


def dropped(request: web.Request, _said: dict[str, Any]) -> web.StreamResponse:
    """Hang up without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _body(parts: list[dict[str, Any]], *, reason: str = "STOP", size: str = "1K") -> dict[str, Any]:
    candidate: dict[str, Any] = {"finishReason": reason, "index": 0}
    if parts:
        candidate["content"] = {"role": "model", "parts": parts}
    made = _TOKENS[size] if any("inlineData" in one for one in parts) else 0
    details = [{"modality": "IMAGE", "tokenCount": made}] if made else []
    usage = {
        "promptTokenCount": 100,
        "candidatesTokenCount": made,
        "thoughtsTokenCount": 200,
        "totalTokenCount": 300 + made,
        "candidatesTokensDetails": details,
    }
    return {"candidates": [candidate], "usageMetadata": usage, "responseId": "resp_1", "modelVersion": "m"}


def _words(body: dict[str, Any]) -> str:
    return " ".join(str(one["text"]) for content in body["contents"] for one in content["parts"] if "text" in one)


def _malformed(request: web.Request, body: dict[str, Any]) -> str:
    if not request.match_info["call"].endswith(":generateContent"):
        return "unknown method"
    config = body.get("generationConfig", {})
    if config.get("responseModalities") != ["IMAGE"]:
        return "responseModalities"
    if config.get("imageConfig", {}).get("aspectRatio") not in _RATIOS:
        return "aspectRatio"
    if config.get("imageConfig", {}).get("imageSize", "1K") not in _PIXELS:
        return "imageSize"
    return ""
