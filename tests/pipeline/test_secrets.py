"""No key, no token and no password reaches what an operator reads: Dagster's events, their tracebacks, the processes' logs.

The other sides are hostile here: each answers with an error that repeats the credential it was given.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from dagster._serdes import serialize_value

from carousel_pipeline.settings import get_settings

from .conftest import Pipeline

CLAUDE = "sk-ant-canary-Zq8Xw3Lk9Vt2Rb7Yc"
GEMINI = "AIzaCanaryQ7mK2vX9pL4sT8wR3nB6yD1"
TELEGRAM = "77001:AAcanaryH2kV9xQ4mR7tW3pL8sB5nY"


class _Echo(BaseHTTPRequestHandler):
    """Answers everything with 400, and with every header and path it got."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = f"{self.path} {dict(self.headers)}"
        body = {"ok": False, "error_code": 400, "description": said, "type": "error"}
        body["error"] = {"code": 400, "status": "INVALID_ARGUMENT", "type": "invalid_request_error", "message": said}
        data = json.dumps(body).encode()
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def everything_written(pipeline: Pipeline, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> str:
    events = [
        serialize_value(record.event_log_entry)
        for run in pipeline.instance.get_runs()
        for record in pipeline.instance.get_records_for_run(run.run_id).records
    ]
    assert sum("STEP_FAILURE" in event for event in events) >= 2, "the runs failed, with tracebacks"
    output = capfd.readouterr()
    return "\n".join([*events, output.out, output.err, caplog.text])


@pytest.mark.finding("M23")
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")  # google-genai's own
def test_no_secret_is_written_where_people_read(
    pipeline: Pipeline,
    echo: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    request_id, _ = pipeline.confirmed(slides=3)
    monkeypatch.setenv("ANTHROPIC_API_KEY", CLAUDE)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", echo)
    get_settings.cache_clear()
    assert not pipeline.run("outline", pipeline.open()).success
    monkeypatch.setenv("GEMINI_API_KEY", GEMINI)
    monkeypatch.setenv("GEMINI_BASE_URL", echo)
    get_settings.cache_clear()
    assert not pipeline.run("carousel", request_id).success
    monkeypatch.delenv("GEMINI_API_KEY")
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", TELEGRAM)
    monkeypatch.setenv("TELEGRAM_API_URL", echo)
    get_settings.cache_clear()
    pipeline.run("carousel", request_id)
    written = everything_written(pipeline, capfd, caplog)
    for secret in (CLAUDE, GEMINI, TELEGRAM, TELEGRAM.partition(":")[2]):
        assert secret not in written, f"{secret[:12]}… was written"
