"""Logs for machines: one object a line that says which request it is about, without secrets."""

import json
import logging

import pytest

from bot.logs import JsonFormatter, QuietFormatter, about

TOKEN = "4242:AAF3jQ9dTn0xZkLw2pVbR7sYcHuEoMi4GqA"


def record(error: BaseException | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("bot.outbox", logging.WARNING, __file__, 1, "calling /bot%s/x", (TOKEN,), info)


def test_a_line_is_an_object_that_names_its_request() -> None:
    with about("request", "8f2c"):
        line = JsonFormatter().format(record())
    said = json.loads(line)
    assert (said["level"], said["logger"], said["request"]) == ("warning", "bot.outbox", "8f2c")
    assert said["message"] == "calling /bot<token>/x"
    assert "request" not in json.loads(JsonFormatter().format(record()))


def test_text_names_its_update_too() -> None:
    with about("update", 17):
        assert QuietFormatter("%(message)s").format(record()) == "calling /bot<token>/x update=17"


def test_an_error_is_where_and_what_never_its_words() -> None:
    with pytest.raises(ValueError, match="somebody") as caught:
        raise ValueError(f"{TOKEN} and somebody's words")
    line = JsonFormatter().format(record(caught.value))
    assert "ValueError" in json.loads(line)["error"]
    assert TOKEN not in line
    assert "somebody" not in line
