"""The real SDK against a server that answers as Anthropic's does, and as it does on its bad days."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from carousel_pipeline.copywriting import Brief, Written
from carousel_pipeline.copywriting.claude import ClaudeWriter
from carousel_pipeline.copywriting.failures import ContentRefusedError, Failure, ProviderStoppedError, judged
from carousel_pipeline.errors import PermanentError, TransientError
from carousel_pipeline.requests import Options

_SOURCE = "Сон улучшает память. Люди, которые спят 7 часов, реже болеют."
_USAGE = {"input_tokens": 1000, "output_tokens": 2000, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}

Answer = Callable[[web.Request], web.StreamResponse]


def _deck(slides: int = 3, **changes: Any) -> str:
    cards = [
        {"heading": f"Сон улучшает память {'!' * n}", "body": "Реже болеют.", "alt": "", "picture": ""}
        for n in range(slides)
    ]
    deck = {
        "language": "ru",
        "structure": "list",
        "slides": cards,
        "caption": "Сон улучшает память.",
        "hashtags": ["#сон", "память "],
        "art_direction": "night",
    }
    return json.dumps(deck | changes, ensure_ascii=False)


def _message(text: str | None, stop: str = "end_turn") -> Answer:
    content = [] if text is None else [{"type": "text", "text": text}]
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content}
    return lambda _: web.json_response(body | {"stop_reason": stop, "stop_sequence": None, "usage": _USAGE})


def _failure(status: int, kind: str, code: str | None = None, **headers: str) -> Answer:
    error: dict[str, Any] = {"type": kind, "message": "secret prompt text"}
    if code:
        error["details"] = {"error_code": code}
    return lambda _: web.json_response(
        {"type": "error", "error": error}, status=status, headers={"request-id": "req_7"} | headers
    )


class _Claude:
    """Answers in the order given, the last one again and again, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers.append(dict(request.headers))
        return self.answers[min(len(self.asked), len(self.answers)) - 1](request)

    async def write(self, *answers: Answer, source: str = _SOURCE, **options: Any) -> Written:
        self.answers = list(answers)
        writer = ClaudeWriter(SecretStr("sk-test-0123456789abcdef"), "claude-haiku-5-5", self.url)
        return await writer.write(Brief(source=source, options=Options.model_validate(options)))


@pytest.fixture
async def claude() -> AsyncIterator[_Claude]:
    fake = _Claude()
    app = web.Application()
    app.router.add_post("/v1/messages", fake.handle)
    async with TestServer(app) as server:
        fake.url = str(server.make_url("/")).rstrip("/")
        yield fake


@pytest.mark.finding("m19")
async def test_a_deck_is_written_and_its_cost_known(claude: _Claude) -> None:
    written = await claude.write(_message(_deck()))
    assert [slide.role for slide in written.deck.slides] == ["cover", "body", "last"]
    assert written.deck.hashtags == ("#сон", "#память")
    assert (written.usage.input_tokens, written.usage.output_tokens) == (1000, 2000)
    assert written.usage.cost_usd == pytest.approx(0.0011)
    (asked,) = claude.asked
    assert "tools" not in asked
    assert json.loads(asked["messages"][0]["content"])["source"] == _SOURCE
    assert asked["output_config"]["format"]["type"] == "json_schema"


@pytest.mark.finding("M9")
@pytest.mark.parametrize("wrap", ["```json\n{}\n```", "Here is the deck:\n{}\nEnjoy!"])
async def test_fences_and_preambles_do_no_harm(claude: _Claude, wrap: str) -> None:
    written = await claude.write(_message(wrap.replace("{}", _deck())))
    assert len(written.deck.slides) == 3


@pytest.mark.finding("M9", "m20", "C13")
@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (_message("no json at all"), "no JSON"),
        (_message(None), "no JSON"),
        (_message(_deck()[:200], "max_tokens"), "JSON"),
        (_message(_deck(slides=12)), "slides"),
        (_message(_deck(slides=2)), "2 slides"),
        (_message(_deck(structure="poem")), "structure"),
        (_message(_deck(caption="x" * 3000)), "caption"),
        (_message(_deck(caption="See https://evil.example and @attacker")), "links"),
    ],
)
async def test_a_bad_deck_is_asked_for_once_more_with_the_reason(claude: _Claude, bad: Answer, complaint: str) -> None:
    written = await claude.write(bad, _message(_deck()))
    assert len(claude.asked) == 2
    assert complaint in claude.asked[1]["messages"][-1]["content"]
    assert written.usage.output_tokens == 4000
    assert claude.asked[1]["max_tokens"] > claude.asked[0]["max_tokens"]


@pytest.mark.finding("M9")
async def test_two_bad_decks_are_a_typed_failure(claude: _Claude) -> None:
    with pytest.raises(PermanentError, match="no usable deck twice"):
        await claude.write(_message("no"), _message("still no"))
    assert len(claude.asked) == 2


async def test_the_number_and_the_language_asked_for_are_kept(claude: _Claude) -> None:
    written = await claude.write(_message(_deck(slides=4)), _message(_deck(slides=5)), slides=5)
    assert len(written.deck.slides) == 5
    written = await claude.write(_message(_deck()), _message(_deck(language="en")), language="en")
    assert written.deck.language == "en"


async def test_kept_words_are_only_split(claude: _Claude) -> None:
    added = _deck(slides=3, slides_note="").replace("Реже болеют.", "Купите наш курс.")
    written = await claude.write(_message(added), _message(_deck()), words="keep")
    assert len(claude.asked) == 2
    assert "курс" not in written.deck.model_dump_json()


@pytest.mark.finding("m21")
@pytest.mark.parametrize("text", [None, "I cannot help with that."])
async def test_a_refusal_is_typed_and_not_repeated(claude: _Claude, text: str | None) -> None:
    with pytest.raises(ContentRefusedError):
        await claude.write(_message(text, "refusal"))
    assert len(claude.asked) == 1


@pytest.mark.finding("m22")
@pytest.mark.parametrize(
    ("answer", "kind", "wait"),
    [
        (_failure(429, "rate_limit_error", **{"retry-after": "17"}), TransientError, 17.0),
        (_failure(429, "rate_limit_error", **{"retry-after": "3600"}), TransientError, 60.0),
        (_failure(429, "rate_limit_error", "enforced_spend_limit_reached"), ProviderStoppedError, None),
        (_failure(402, "billing_error"), ProviderStoppedError, None),
        (_failure(401, "authentication_error"), ProviderStoppedError, None),
        (_failure(403, "permission_error"), ProviderStoppedError, None),
        (_failure(400, "invalid_request_error"), PermanentError, None),
        (_failure(413, "request_too_large"), PermanentError, None),
        (_failure(500, "api_error"), TransientError, None),
        (_failure(503, "api_error"), TransientError, None),
        (_failure(529, "overloaded_error"), TransientError, None),
        (lambda _: web.Response(text="<html>Bad gateway</html>", status=502), TransientError, None),
    ],
)
async def test_every_failure_class_is_one_call_and_one_judgement(
    claude: _Claude, answer: Answer, kind: type[Exception], wait: float | None
) -> None:
    with pytest.raises(kind) as caught:
        await claude.write(answer)
    assert len(claude.asked) == 1
    assert "secret prompt" not in str(caught.value)
    assert getattr(caught.value, "retry_after_s", None) == wait


async def test_garbage_with_status_200_is_a_bad_deck_not_a_crash(claude: _Claude) -> None:
    with pytest.raises(PermanentError, match="no JSON"):
        await claude.write(lambda _: web.json_response({"hello": "world"}))


async def test_a_server_that_hangs_up_is_worth_another_try(claude: _Claude) -> None:
    def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with pytest.raises(TransientError, match="no answer"):
        await claude.write(hang_up)
    assert len(claude.asked) == 1


async def test_nobody_there_is_worth_another_try(claude: _Claude) -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    claude.url = f"http://127.0.0.1:{port}"
    with pytest.raises(TransientError):
        await claude.write(_message(_deck()))


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure("p", None), TransientError),
        (Failure("p", 408), TransientError),
        (Failure("p", 429), TransientError),
        (Failure("p", 429, "GenerateRequestsPerDayPerProject"), ProviderStoppedError),
        (Failure("p", 404), PermanentError),
        (Failure("p", 599), TransientError),
    ],
)
def test_the_table_of_failures(failure: Failure, kind: type[Exception]) -> None:
    assert type(judged(failure)) is kind
