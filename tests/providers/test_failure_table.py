"""The failure table of every provider, row by row: the real SDK, real HTTP, and what the answer makes of the request.

`carousel_pipeline.providers.decide` is the table; here each of its rows arrives over a socket.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from carousel_pipeline.copywriting import Brief
from carousel_pipeline.copywriting.claude import ClaudeWriter
from carousel_pipeline.errors import PermanentError, TransientError
from carousel_pipeline.imagery import Picture, PictureBrief
from carousel_pipeline.imagery.gemini import GeminiPainter
from carousel_pipeline.imagery.painting import paint_deck
from carousel_pipeline.providers import (
    ContentRefusedError,
    Failure,
    ProviderBusyError,
    ProviderStoppedError,
    decide,
)
from carousel_pipeline.requests import Options

from . import fake_claude, fake_gemini
from .conftest import Remembered, Served
from .fake_claude import FakeClaude
from .fake_gemini import FakeGemini

pytestmark = [
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]


@dataclass(frozen=True)
class Row:
    """One row: what arrives, after how many tries, and what becomes of it.

    Attributes:
        then: the error's class, or `stand_in`.
        wait: seconds until the next try; None for a growing wait or no try.
        health: what the provider's breaker hears.
        calls: how many times the server was asked.
    """

    answer: Any
    then: type[Exception] | str
    health: str | None
    tries: int = 0
    wait: float | None = None
    calls: int = 1


def claude(status: int, kind: str, code: str | None = None, **headers: str) -> Any:
    return fake_claude.error(status, kind, code, **headers)


def gemini(status: int, name: str, *details: dict[str, Any]) -> Any:
    return fake_gemini.error(status, name, *details)


HTML = b"<html>Bad gateway</html>"
CLAUDE = {
    "429 rate": Row(claude(429, "rate_limit_error", retry_after="17"), TransientError, "down", wait=17.0),
    "429 rate, an hour": Row(claude(429, "rate_limit_error", retry_after="3600"), TransientError, "down", wait=60.0),
    "429 rate, every try": Row(claude(429, "rate_limit_error"), ProviderBusyError, "down", tries=3),
    "429 spend": Row(claude(429, "rate_limit_error", "enforced_spend_limit_reached"), ProviderStoppedError, "stopped"),
    "429 contract": Row(
        claude(429, "rate_limit_error", "contract_spend_limit_reached"), ProviderStoppedError, "stopped"
    ),
    "402": Row(claude(402, "billing_error"), ProviderStoppedError, "stopped"),
    "529": Row(claude(529, "overloaded_error"), TransientError, "down"),
    "503": Row(claude(503, "api_error"), TransientError, "down", tries=2),
    "504": Row(claude(504, "timeout_error"), TransientError, "down"),
    "500, every try": Row(claude(500, "api_error"), ProviderBusyError, "down", tries=3),
    "502 of a proxy": Row(fake_claude.raw(HTML, 502, "text/html"), TransientError, "down"),
    "400": Row(claude(400, "invalid_request_error"), PermanentError, None),
    "413": Row(claude(413, "request_too_large"), PermanentError, None),
    "422": Row(claude(422, "invalid_request_error"), PermanentError, None),
    "401": Row(claude(401, "authentication_error"), ProviderStoppedError, "stopped"),
    "403": Row(claude(403, "permission_error"), ProviderStoppedError, "stopped"),
    "404": Row(claude(404, "not_found_error"), ProviderStoppedError, "stopped"),
    "408": Row(claude(408, "timeout_error"), TransientError, "down"),
    "409": Row(claude(409, "conflict_error"), TransientError, "down"),
    "reset": Row(fake_claude.dropped, TransientError, "down"),
    "reset, every try": Row(fake_claude.dropped, ProviderBusyError, "down", tries=2),
    "refusal": Row(fake_claude.message(None, "refusal"), ContentRefusedError, "up"),
    "max_tokens": Row(fake_claude.message('{"slides": [', "max_tokens"), PermanentError, "up", calls=2),
    "empty": Row(fake_claude.message(None), PermanentError, "up", calls=2),
    "garbage with 200": Row(fake_claude.raw(b'{"hello": 1}'), PermanentError, "up", calls=2),
    "no JSON with 200": Row(fake_claude.raw(b"<<<"), TransientError, "down"),
}
GEMINI = {
    "429": Row(gemini(429, "RESOURCE_EXHAUSTED", fake_gemini.retry_in("17s")), TransientError, "down", wait=17.0),
    "429, every try": Row(gemini(429, "RESOURCE_EXHAUSTED"), "stand_in", "down", tries=3),
    "429 daily": Row(
        gemini(429, "RESOURCE_EXHAUSTED", fake_gemini.quota("RequestsPerDayPerProject")), "stand_in", "stopped"
    ),
    "402": Row(gemini(402, "FAILED_PRECONDITION"), ProviderStoppedError, "stopped"),
    "401": Row(gemini(401, "UNAUTHENTICATED"), ProviderStoppedError, "stopped"),
    "403": Row(gemini(403, "PERMISSION_DENIED"), ProviderStoppedError, "stopped"),
    "404": Row(gemini(404, "NOT_FOUND"), ProviderStoppedError, "stopped"),
    "400": Row(gemini(400, "INVALID_ARGUMENT"), PermanentError, None),
    "408": Row(gemini(408, "DEADLINE_EXCEEDED"), TransientError, "down"),
    "500": Row(gemini(500, "INTERNAL"), TransientError, "down"),
    "502 of a proxy": Row(fake_gemini.raw(HTML, 502, "text/html"), TransientError, "down"),
    "503": Row(gemini(503, "UNAVAILABLE"), TransientError, "down", tries=2),
    "504, every try": Row(gemini(504, "DEADLINE_EXCEEDED"), "stand_in", "down", tries=3),
    "reset": Row(fake_gemini.dropped, TransientError, "down"),
    "reset, every try": Row(fake_gemini.dropped, "stand_in", "down", tries=2),
    "no JSON with 200": Row(fake_gemini.raw(b"<<<"), TransientError, "down"),
    "prompt blocked": Row(fake_gemini.blocked, "stand_in", "up", calls=2),
    "IMAGE_SAFETY": Row(fake_gemini.answer(reason="IMAGE_SAFETY"), "stand_in", "up", calls=2),
    "NO_IMAGE": Row(fake_gemini.answer(reason="NO_IMAGE"), "stand_in", "up", calls=2),
    "RECITATION": Row(fake_gemini.answer(reason="RECITATION"), "stand_in", "up", calls=2),
    "text only": Row(fake_gemini.answer({"text": "no"}), "stand_in", "up", calls=2),
    "undecodable": Row(fake_gemini.answer(fake_gemini.part("AAAA")), "stand_in", "up", calls=2),
}


async def write(url: str, log: Remembered) -> None:
    writer = ClaudeWriter(SecretStr(fake_claude.KEY), "claude-haiku-5-5", url)
    await writer.write(Brief(source="Sleep helps. Sleep more.", options=Options()), log)


async def paint(url: str, log: Remembered) -> Picture:
    painter = GeminiPainter(SecretStr(fake_gemini.KEY), "gemini-nano-banana-2.1", url)
    brief = PictureBrief(prompt="x", palette=("#ffffff",), seed="s", position=1, total=1, width=108, height=135)
    [made] = await paint_deck([brief], painter, kept={}, keep=lambda *_: None, log=log)
    return made


@pytest.mark.finding("m22", "M9", "m21")
@pytest.mark.parametrize("name", CLAUDE)
async def test_what_becomes_of_a_text_when_claude_fails(claude: Served[FakeClaude], log: Remembered, name: str) -> None:
    row = CLAUDE[name]
    claude.fake.script, log.tries = [row.answer], row.tries
    assert isinstance(row.then, type)
    with pytest.raises(row.then) as caught:
        await write(claude.url, log)
    check(row, caught, log, len(claude.fake.asked))


@pytest.mark.finding("M10", "M11")
@pytest.mark.parametrize("name", GEMINI)
async def test_what_becomes_of_a_picture_when_gemini_fails(
    gemini: Served[FakeGemini], log: Remembered, name: str
) -> None:
    row = GEMINI[name]
    gemini.fake.script, log.tries = [row.answer], row.tries
    if row.then == "stand_in":
        made = await paint(gemini.url, log)
        assert (made.stand_in, made.painter) == (True, "procedural")
        assert log.outcomes[-1] == "stand_in"
        del log.ended[max(log.ended)]
        check(row, None, log, len(gemini.fake.asked))
        return
    assert isinstance(row.then, type)
    with pytest.raises(row.then) as caught:
        await paint(gemini.url, log)
    check(row, caught, log, len(gemini.fake.asked))


def check(row: Row, caught: pytest.ExceptionInfo[Exception] | None, log: Remembered, asked: int) -> None:
    assert asked == row.calls
    assert {ended.health for ended in log.ended.values()} == {row.health}
    assert all(ended.error for ended in log.ended.values())
    if caught is not None:
        assert type(caught.value) is row.then
        assert "secret prompt" not in str(caught.value)
        assert getattr(caught.value, "retry_after_s", None) == row.wait


@pytest.mark.parametrize(
    ("failure", "tries", "act", "wait"),
    [
        (Failure("gemini", "m", "open", retry_after_s=20.0), 0, "retry", 20.0),
        (Failure("gemini", "m", "open", retry_after_s=20.0), 3, "degrade", None),
        (Failure("gemini", "m", "open", retry_after_s=600.0), 0, "degrade", None),
        (Failure("anthropic", "m", "open", retry_after_s=600.0), 0, "fail", None),
        (Failure("anthropic", "m", "request_limit"), 0, "fail", None),
        (Failure("gemini", "m", "request_limit"), 0, "degrade", None),
        (Failure("anthropic", "m", "day_limit", retry_after_s=9000.0), 0, "stop", None),
        (Failure("gemini", "m", "day_limit", retry_after_s=9000.0), 0, "degrade", None),
    ],
)
def test_what_our_own_limits_mean(failure: Failure, tries: int, act: str, wait: float | None) -> None:
    verdict = decide(failure, tries)
    assert (verdict.act, verdict.after_s) == (act, wait)


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (Failure("anthropic", "m", "open", retry_after_s=20.0), TransientError),
        (Failure("anthropic", "m", "open", retry_after_s=600.0), ProviderBusyError),
        (Failure("anthropic", "m", "request_limit"), PermanentError),
        (Failure("anthropic", "m", "day_limit"), ProviderStoppedError),
    ],
)
async def test_a_call_that_may_not_be_made_is_not_made(
    claude: Served[FakeClaude], log: Remembered, refusal: Failure, kind: type[Exception]
) -> None:
    log.refuse = refusal
    with pytest.raises(kind) as caught:
        await write(claude.url, log)
    assert type(caught.value) is kind
    assert claude.fake.asked == []


class OnlyOffline(Remembered):
    def begin(self, call: Any) -> int:
        return Remembered.begin(self, call) if call.provider != "offline" else len(self.begun) + 100


async def test_a_picture_that_may_not_be_bought_is_stood_in_for(gemini: Served[FakeGemini]) -> None:
    log = OnlyOffline(refuse=Failure("gemini", "m", "day_limit"))
    made = await paint(gemini.url, log)
    assert made.stand_in
    assert gemini.fake.asked == []
