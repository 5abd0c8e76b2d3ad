"""The Anthropic API as anthropic 2.12 speaks it: headers, structured output, usage, every way to fail.

Without a script it is a good model: it writes a deck from the order, in the schema that it was given. With one, its answers are
taken in order, the last again and again. It refuses what the real API refuses, so that a request which only a fake would take
does not pass.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

from carousel_pipeline.copywriting.offline import compose
from carousel_pipeline.requests import Options

VERSION = "2026-10-21"
KEY = "sk-ant-0123456789abcdefghij"
USAGE = {"input_tokens": 1000, "output_tokens": 2000, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}

Answer = Callable[[web.Request, dict[str, Any]], web.StreamResponse]

_UNENFORCED = {"minLength", "maxLength", "minimum", "maximum", "maxItems", "multipleOf"}
_WORDS = {
    "ru": ("Это важно знать", "Здесь сказано то же самое по-русски, коротко и ясно."),
    "en": ("What matters here", "This says the same in English, short and clear."),
    "de": ("Was hier zählt", "Hier steht dasselbe auf Deutsch, kurz und klar."),
}


class FakeClaude:
    """A server's state: what it will answer, and what it was asked."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._ids = itertools.count(1)

    def app(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_get("/v1/models/{model}", self._model)
        return app

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        if (refused := _unauthorised(request)) is not None:
            return refused
        body = await request.json()
        self.asked.append(body)
        self.headers.append(dict(request.headers))
        if problem := _malformed(body):
            return error(400, "invalid_request_error", message=problem)(request, body)
        if not self.script:
            return message(json.dumps(written(body), ensure_ascii=False), request_id=f"req_{next(self._ids)}")(
                request, body
            )
        answer = self.script[min(len(self.asked), len(self.script)) - 1](request, body)
        return await answer if asyncio.iscoroutine(answer) else answer

    async def _model(self, request: web.Request) -> web.StreamResponse:
        if (refused := _unauthorised(request)) is not None:
            return refused
        name = request.match_info["model"]
        if not name.startswith("claude-"):
            return error(404, "not_found_error")(request, {})
        return web.json_response(
            {"id": name, "type": "model", "display_name": name, "created_at": "2026-10-07T00:00:00Z"}
        )


def written(body: dict[str, Any]) -> dict[str, Any]:
    """Return the deck that a good model writes for an order."""
    order = json.loads(body["messages"][0]["content"])
    if "deck" in order:
        return translated_deck(order)
    wishes, source = order["wishes"], order["source"]
    count = wishes["slides"] if isinstance(wishes["slides"], int) else None
    keep = wishes["words"].startswith("only split")
    deck = compose(source, Options(slides=count, words="keep" if keep else "rewrite"))
    wanted = wishes["language"]
    translated = _WORDS.get(wanted) if wanted != deck.language else None
    slides = [
        {
            "heading": f"{translated[0]}: {number}" if translated else slide.heading,
            "body": translated[1] if translated else slide.body,
            "alt": slide.alt,
            "picture": f"A quiet scene, number {number}",
            "sentences": [number],
        }
        for number, slide in enumerate(deck.slides, 1)
    ]
    return {
        "language": wanted if translated else deck.language,
        "structure": deck.structure,
        "slides": slides,
        "caption": deck.caption,
        "hashtags": list(deck.hashtags),
        "art_direction": "One calm series in morning light",
    }


def translated_deck(order: dict[str, Any]) -> dict[str, Any]:
    """Return what a good model makes of a deck that is to be translated: other words, the same marks, figures and links."""
    deck = order["deck"]

    def said(text: str) -> str:
        words = itertools.cycle(re.findall(r"[^\W\d_]+", " ".join(_WORDS[order["language"]])))
        return re.sub(r"\S+://\S+|[^\W\d_]+", lambda found: found[0] if "://" in found[0] else next(words), text)

    slides = [slide | {field: said(slide[field]) for field in ("heading", "body", "alt")} for slide in deck["slides"]]
    return {"slides": slides, "caption": said(deck["caption"]), "hashtags": [said(tag) for tag in deck["hashtags"]]}


def message(
    text: str | None, stop: str = "end_turn", *, usage: dict[str, Any] | None = None, request_id: str = "req_1"
) -> Answer:
    """Return an answer with status 200."""
    content = [] if text is None else [{"type": "text", "text": text}]
    details = {"type": "refusal", "category": "general_harms", "explanation": "no"} if stop == "refusal" else None
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "stop_details": details,
        "usage": usage or USAGE,
    }
    return lambda _request, _body: web.json_response(body, headers={"request-id": request_id})


def error(
    status: int, kind: str, code: str | None = None, *, message: str = "secret prompt text", **headers: str
) -> Answer:
    """Return an error as the API words it."""
    body: dict[str, Any] = {"type": kind, "message": message}
    if code:
        body["details"] = {"error_code": code}
    return lambda _request, _body: web.json_response(
        {"type": "error", "error": body, "request_id": "req_7"},
        status=status,
        headers={"request-id": "req_7"} | {name.replace("_", "-"): value for name, value in headers.items()},
    )


def raw(body: bytes, status: int = 200, content_type: str = "application/json") -> Answer:
    """Return bytes that are no answer of the API: a proxy's page, garbage."""
    return lambda _request, _body: web.Response(body=body, status=status, content_type=content_type)


def dropped(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
    """Hang up without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _unauthorised(request: web.Request) -> web.Response | None:
    key = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.headers.get("x-api-key", "")
    if not key.startswith("sk-ant-"):
        answer = {"type": "error", "error": {"type": "authentication_error", "message": "no such key"}}
        return web.json_response(answer, status=401)
    if request.headers.get("anthropic-version") != VERSION:
        answer = {"type": "error", "error": {"type": "invalid_request_error", "message": "anthropic-version"}}
        return web.json_response(answer, status=400)
    return None


def _malformed(body: dict[str, Any]) -> str:
    if missing := {"model", "max_tokens", "messages"} - body.keys():
        return f"missing {sorted(missing)}"
    if unknown := body.keys() & {"temperature", "top_p", "top_k"}:
        return f"not supported any more: {sorted(unknown)}"
    schema = body.get("output_config", {}).get("format", {}).get("schema", {})
    return _unsupported(schema)


def _unsupported(schema: Any) -> str:
    if isinstance(schema, list):
        return next(filter(None, map(_unsupported, schema)), "")
    if not isinstance(schema, dict):
        return ""
    if found := _UNENFORCED & schema.keys():
        return f"not supported in a schema: {sorted(found)}"
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return "additionalProperties must be false"
    return next(filter(None, map(_unsupported, schema.values())), "")
