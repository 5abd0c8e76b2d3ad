"""The real SDK against a server that answers as Google's does, and as it does on its bad days."""

import base64
import functools
import io
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image
from pydantic import SecretStr

from carousel_pipeline.copywriting.failures import ProviderStoppedError
from carousel_pipeline.errors import PermanentError, TransientError
from carousel_pipeline.imagery import Picture, PictureBrief
from carousel_pipeline.imagery.gemini import GeminiPainter
from carousel_pipeline.imagery.procedural import ProceduralPainter

# The SDK's own warnings, about its session class and about reasons that it does not know yet.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.* is not a valid FinishReason:UserWarning"),
]

Answer = Callable[[web.Request], web.StreamResponse]
_USAGE = {"promptTokenCount": 100, "candidatesTokenCount": 1120, "thoughtsTokenCount": 0, "totalTokenCount": 1220}


@functools.cache
def _png(colour: str) -> str:
    out = io.BytesIO()
    Image.new("RGB", (256, 320), colour).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def _part(data: str, *, thought: bool = False) -> dict[str, Any]:
    return {"inlineData": {"mimeType": "image/png", "data": data}} | ({"thought": True} if thought else {})


def _answer(*parts: dict[str, Any], reason: str = "STOP") -> Answer:
    candidate: dict[str, Any] = {"finishReason": reason, "index": 0}
    if parts:
        candidate["content"] = {"role": "model", "parts": list(parts)}
    return lambda _: web.json_response({"candidates": [candidate], "usageMetadata": _USAGE})


def _failure(status: int, name: str, *details: dict[str, Any]) -> Answer:
    error = {"code": status, "status": name, "message": "secret prompt text", "details": list(details)}
    return lambda _: web.json_response({"error": error}, status=status)


_BLUE = _answer(_part(_png("#2050c0")))
_BLOCKED: Answer = lambda _: web.json_response(  # noqa: E731 - one of a table
    {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": _USAGE}
)


class _Gemini:
    """Answers in the order given, the last one again and again, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.paths.append(request.path)
        return self.answers[min(len(self.asked), len(self.answers)) - 1](request)

    async def paint(
        self, *answers: Answer, reference: Picture | None = None, version: str | None = None, **changes: Any
    ) -> Picture:
        self.answers = list(answers)
        fields = {"prompt": "a quiet lake", "palette": ("#ffffff", "#2050c0"), "seed": "s", "position": 1, "total": 3}
        brief = PictureBrief.model_validate(fields | {"width": 540, "height": 675} | changes)
        painter = GeminiPainter(SecretStr("key-0123456789abcdef"), "gemini-nano-banana-2.1", self.url, version)
        return await painter.paint(brief, reference)


@pytest.fixture
async def gemini() -> AsyncIterator[_Gemini]:
    fake = _Gemini()
    app = web.Application(client_max_size=50_000_000)
    app.router.add_post("/{tail:.*}", fake.handle)
    async with TestServer(app) as server:
        fake.url = str(server.make_url("/")).rstrip("/")
        yield fake


def _colour(picture: Picture) -> tuple[int, ...]:
    found = Image.open(io.BytesIO(picture.data)).getpixel((200, 200))
    assert isinstance(found, tuple)
    return found


async def test_a_picture_is_brought_to_the_slides_size_and_its_cost_known(gemini: _Gemini) -> None:
    picture = await gemini.paint(_BLUE)
    assert Image.open(io.BytesIO(picture.data)).size == (540, 675)
    assert (picture.painter, picture.stand_in) == ("gemini-nano-banana-2.1", False)
    assert picture.usage.cost_usd == pytest.approx(0.03375)
    (asked,) = gemini.asked
    assert asked["generationConfig"]["imageConfig"]["aspectRatio"] == "4:5"
    assert asked["generationConfig"]["responseModalities"] == ["IMAGE"]


@pytest.mark.parametrize(("version", "path"), [(None, "/v1/"), ("v1beta", "/v1beta/")])
async def test_the_api_version_is_a_setting(gemini: _Gemini, version: str | None, path: str) -> None:
    await gemini.paint(_BLUE, version=version)
    assert gemini.paths[0].startswith(path)


async def test_the_decks_first_picture_is_shown_as_reference(gemini: _Gemini) -> None:
    first = await gemini.paint(_BLUE)
    await gemini.paint(_BLUE, reference=first)
    shown = gemini.asked[-1]["contents"][0]["parts"][0]["inlineData"]["data"]
    assert base64.urlsafe_b64decode(shown) == first.data or base64.b64decode(shown) == first.data


@pytest.mark.finding("M11")
async def test_thoughts_are_no_pictures_and_the_last_picture_counts(gemini: _Gemini) -> None:
    answer = _answer(_part(_png("#ff0000")), _part(_png("#00ff00")), _part(_png("#0000ff"), thought=True))
    assert _colour(await gemini.paint(answer))[1] > 240


@pytest.mark.finding("M10", "M11", "m23")
@pytest.mark.parametrize(
    "nothing",
    [
        _BLOCKED,
        _answer(reason="IMAGE_SAFETY"),
        _answer(reason="NO_IMAGE"),
        _answer(reason="A_REASON_OF_TOMORROW"),
        _answer({"text": "I would rather describe it."}),
        _answer(_part(_png("#ff0000"), thought=True)),
        _answer(_part(base64.b64encode(b"not a picture").decode())),
        lambda _: web.json_response({}),
        lambda _: web.json_response({"hello": "world"}),
    ],
)
async def test_no_picture_is_asked_for_once_more_softer_then_stood_in_for(gemini: _Gemini, nothing: Answer) -> None:
    saved = await gemini.paint(nothing, _BLUE)
    assert not saved.stand_in
    assert _colour(saved)[2] > 150
    assert "quiet lake" in str(gemini.asked[0])
    assert "quiet lake" not in str(gemini.asked[1])

    gemini.asked.clear()
    instead = await gemini.paint(nothing, nothing)
    assert (len(gemini.asked), instead.stand_in, instead.painter) == (2, True, "procedural")
    assert Image.open(io.BytesIO(instead.data)).size == (540, 675)


_RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}
_DAILY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "RequestsPerDayPerProject"}],
}


@pytest.mark.finding("M10")
@pytest.mark.parametrize(
    ("answer", "kind", "wait"),
    [
        (_failure(429, "RESOURCE_EXHAUSTED", _RETRY), TransientError, 17.0),
        (_failure(429, "RESOURCE_EXHAUSTED", _DAILY), ProviderStoppedError, None),
        (_failure(401, "UNAUTHENTICATED"), ProviderStoppedError, None),
        (_failure(403, "PERMISSION_DENIED"), ProviderStoppedError, None),
        (_failure(400, "INVALID_ARGUMENT"), PermanentError, None),
        (_failure(404, "NOT_FOUND"), PermanentError, None),
        (_failure(500, "INTERNAL"), TransientError, None),
        (_failure(503, "UNAVAILABLE"), TransientError, None),
        (lambda _: web.Response(text="<html>", status=502), TransientError, None),
    ],
)
async def test_every_failure_class_is_one_call_and_one_judgement(
    gemini: _Gemini, answer: Answer, kind: type[Exception], wait: float | None
) -> None:
    with pytest.raises(kind) as caught:
        await gemini.paint(answer)
    assert len(gemini.asked) == 1
    assert "secret prompt" not in str(caught.value)
    assert getattr(caught.value, "retry_after_s", None) == wait


async def test_a_dropped_connection_is_not_sent_again_in_silence(gemini: _Gemini) -> None:
    def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with pytest.raises(TransientError, match="no answer"):
        await gemini.paint(hang_up)
    assert len(gemini.asked) == 1


async def test_the_stand_in_is_the_procedural_picture(gemini: _Gemini) -> None:
    instead = await gemini.paint(_BLOCKED)
    brief = PictureBrief(
        prompt="a quiet lake",
        palette=("#ffffff", "#2050c0"),
        seed="s",
        position=1,
        total=3,
        width=540,
        height=675,
    )
    assert instead.data == (await ProceduralPainter().paint(brief, None)).data
