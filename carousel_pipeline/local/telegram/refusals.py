"""What Telegram answers when it refuses: the words, the code and the JSON shape that client libraries take apart.

Libraries map refusals to exception classes by code and by text, so a paraphrase here would hide bugs there. The texts are those
of api.telegram.org and of tdlib/telegram-bot-api, which writes the first letter of a sentence in lower case after
"Bad Request: ".
"""

from typing import Any


class RefusedError(Exception):
    """A call that Telegram does not accept.

    Attributes:
        code: HTTP status and `error_code`.
        description: the whole text, prefix included.
        retry_after: seconds to wait, only with code 429.
        migrate_to: the new id of a group that became a supergroup, only with code 400.
    """

    def __init__(
        self, code: int, description: str, *, retry_after: int | None = None, migrate_to: int | None = None
    ) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after
        self.migrate_to = migrate_to

    def body(self) -> dict[str, Any]:
        """Return the JSON object of the answer."""
        body: dict[str, Any] = {"ok": False, "error_code": self.code, "description": self.description}
        if self.retry_after is not None:
            body["parameters"] = {"retry_after": self.retry_after}
        if self.migrate_to is not None:
            body["parameters"] = {"migrate_to_chat_id": self.migrate_to}
        return body


def bad_request(reason: str) -> RefusedError:
    """Return a 400. Codes in capitals (`BUTTON_DATA_INVALID`) keep their case, sentences lose their first capital."""
    shouted = len(reason) > 1 and (reason[1] == "_" or reason[1].isupper())
    return RefusedError(400, f"Bad Request: {reason if shouted else reason[:1].lower() + reason[1:]}")


def forbidden(reason: str) -> RefusedError:
    """Return a 403: the user blocked the bot or never started it."""
    return RefusedError(403, f"Forbidden: {reason}")


def conflict(reason: str) -> RefusedError:
    """Return a 409: updates are fetched in two ways at once."""
    return RefusedError(409, f"Conflict: {reason}")


def too_many_requests(retry_after: int) -> RefusedError:
    """Return a 429 that asks to wait `retry_after` seconds."""
    return RefusedError(429, f"Too Many Requests: retry after {retry_after}", retry_after=retry_after)


def too_large() -> RefusedError:
    """Return the 413 that api.telegram.org gives for an upload of more than 50 MB."""
    return RefusedError(413, "Request Entity Too Large")


def unauthorized() -> RefusedError:
    """Return the 401 for a token that is well formed and wrong."""
    return RefusedError(401, "Unauthorized")


def not_found(reason: str = "") -> RefusedError:
    """Return the 404 for a malformed token or an unknown method."""
    return RefusedError(404, f"Not Found: {reason}" if reason else "Not Found")


CHAT_NOT_FOUND = "chat not found"
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current content "
    "and reply markup of the message"
)
WRONG_FILE = "wrong file identifier/HTTP URL specified"
QUERY_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"
