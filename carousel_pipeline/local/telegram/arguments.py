"""The parameters of one Bot API call, whichever of the three encodings they came in.

Multipart and urlencoded bodies carry strings, JSON bodies carry values; Telegram takes both, so every reader here does.
"""

import json
from collections.abc import Mapping
from typing import Any

from carousel_pipeline.local.telegram.files import Upload
from carousel_pipeline.local.telegram.refusals import bad_request

_TRUE = frozenset({"true", "1", "yes"})
_MAX_INT = 2**63


class Arguments:
    """Typed access to raw parameters.

    Args:
        values: parameters by name, strings or JSON values.
        files: uploads by the name of their part.
    """

    def __init__(self, values: Mapping[str, Any], files: Mapping[str, Upload]) -> None:
        self.values = values
        self.files = files

    def text(self, name: str) -> str:
        """Return a string, empty when absent."""
        value = self.values.get(name)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict | list) else str(value)

    def integer(self, name: str, default: int = 0) -> int:
        """Return an integer; what is no number counts as absent, as at Telegram."""
        try:
            number = int(self.text(name))
        except ValueError:
            return default
        return number if -_MAX_INT <= number < _MAX_INT else default

    def flag(self, name: str) -> bool:
        """Return a boolean, false when absent."""
        return self.text(name).lower() in _TRUE

    def parsed(self, name: str, what: str) -> Any:
        """Return a JSON value, None when absent.

        Raises:
            RefusedError: not JSON; names `what` as Telegram does.
        """
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {what} JSON object") from None

    def mapping(self, name: str, what: str) -> dict[str, Any] | None:
        """Return a JSON object, None when absent.

        Raises:
            RefusedError: something else.
        """
        value = self.parsed(name, what)
        if value is not None and not isinstance(value, dict):
            raise bad_request(f"expected an Object as {what}")
        return value

    def array(self, name: str, what: str) -> list[Any] | None:
        """Return a JSON array, None when absent.

        Raises:
            RefusedError: something else.
        """
        value = self.parsed(name, what)
        if value is not None and not isinstance(value, list):
            raise bad_request(f"expected an Array of {what}")
        return value

    def media(self, name: str, kind: str) -> Upload | str:
        """Return the upload or the file id that a media parameter names.

        Raises:
            RefusedError: there is neither.
        """
        if name in self.files:
            return self.files[name]
        return self.attached(self.text(name)) or _missing(kind)

    def attached(self, value: str) -> Upload | str:
        """Return what `attach://NAME` stands for, or `value` itself; empty when the part is missing."""
        if value.startswith("attach://"):
            return self.files.get(value.removeprefix("attach://"), "")
        if value.startswith(("http://", "https://")):
            # This server reaches nothing outside the machine, so no page ever has the file.
            raise bad_request("failed to get HTTP URL content")
        return value


def _missing(kind: str) -> str:
    raise bad_request(f"there is no {kind} in the request")
