"""Keyboards: what Telegram accepts under a message and below the input field, and what it says to the rest."""

from typing import Any, Final

from carousel_pipeline.local.telegram.entities import normal_url
from carousel_pipeline.local.telegram.refusals import RefusedError, bad_request

_MAX_DATA: Final = 64
_MAX_COPY: Final = 256
_MAX_BUTTONS: Final = 100
_MAX_ROW: Final = 8
_STYLES: Final = frozenset({"danger", "success", "primary"})
_ACTIONS: Final = frozenset(
    {
        "url",
        "callback_data",
        "web_app",
        "login_url",
        "switch_inline_query",
        "switch_inline_query_current_chat",
        "switch_inline_query_chosen_chat",
        "copy_text",
        "callback_game",
        "pay",
        "disabled",
    }
)

Markup = dict[str, Any]


def checked(markup: Any, *, invoice: bool = False, inline_only: bool = False) -> Markup | None:
    """Return a reply markup without empty fields, or None when there is none.

    Args:
        markup: the parsed `reply_markup`.
        invoice: the message is an invoice, where a pay button may and must come first.
        inline_only: an edit, which takes inline keyboards alone.

    Raises:
        RefusedError: something in it is not allowed.
    """
    if markup is None:
        return None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    if "inline_keyboard" in markup:
        rows = [[_inline(button, invoice=invoice) for button in row] for row in _rows(markup, "inline_keyboard")]
        rows = [row for row in rows if row]
        if invoice and rows and not rows[0][0].get("pay"):
            raise bad_request("the first button of an invoice must be a pay button")
        return {"inline_keyboard": rows}
    if inline_only and markup:
        raise bad_request("inline keyboard expected")
    for name in (
        "force_reply",
        "remove_keyboard",
        "selective",
        "resize_keyboard",
        "one_time_keyboard",
        "is_persistent",
    ):
        if markup.get(name) is not None and not isinstance(markup[name], bool):
            raise bad_request(f'field "{name}" must be of type Boolean')
    if "keyboard" in markup:
        rows = [[_plain(button) for button in row] for row in _rows(markup, "keyboard")]
        return {**_present(markup), "keyboard": [row for row in rows if row]}
    return _present(markup) or None


def _rows(markup: Markup, field: str) -> list[list[Any]]:
    rows = markup[field]
    if not isinstance(rows, list):
        raise bad_request(f'field "{field}" must be of type Array')
    if not all(isinstance(row, list) for row in rows):
        raise bad_request(f'field "{field}" must be an Array of Arrays')
    if sum(len(row) for row in rows) > _MAX_BUTTONS or any(len(row) > _MAX_ROW for row in rows):
        raise bad_request("reply markup is too long")
    return rows


def _present(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value is not None}


def _inline(raw: Any, *, invoice: bool) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise _unreadable("expected an Object")
    button = _present(raw)
    if "text" not in button:
        raise _unreadable('Can\'t find field "text"')
    if not isinstance(button["text"], str):
        raise _unreadable('Field "text" must be of type String')
    actions = [name for name in _ACTIONS if _used(button, name)]
    if not actions:
        raise _unreadable("Text buttons are unallowed in the inline keyboard")
    if not button["text"].strip():
        raise bad_request("button text must be non-empty")
    _check_values(button, actions, invoice=invoice)
    return button


def _check_values(button: dict[str, Any], actions: list[str], *, invoice: bool) -> None:
    if button.get("style") not in {None, *_STYLES}:
        raise bad_request("BUTTON_STYLE_INVALID")
    if len(str(button.get("callback_data", "")).encode("utf-8", "surrogatepass")) > _MAX_DATA:
        raise bad_request("BUTTON_DATA_INVALID")
    for name in ("copy_text", "web_app"):
        if name in actions and not isinstance(button[name], dict):
            raise _unreadable(f'Field "{name}" must be of type Object')
    if "copy_text" in actions and not 1 <= len(str(button["copy_text"].get("text", ""))) <= _MAX_COPY:
        raise bad_request("BUTTON_COPY_TEXT_INVALID")
    if ("pay" in actions and not invoice) or "callback_game" in actions:
        raise bad_request("BUTTON_TYPE_INVALID")
    if "url" in actions:
        _check_url(str(button["url"]))
    if "web_app" in actions and not str(button["web_app"].get("url", "")).startswith("https://"):
        url = button["web_app"].get("url", "")
        raise bad_request(f"inline keyboard button Web App URL '{url}' is invalid: Only HTTPS links are allowed")


def _used(button: dict[str, Any], name: str) -> bool:
    value = button.get(name)
    if name.startswith("switch_inline_query"):
        return value is not None  # an empty query is a query
    return value is not None and value != "" and value is not False


def _check_url(url: str) -> None:
    scheme = url.partition("://")[0].lower() if "://" in url else "http"
    if scheme not in {"http", "https", "tg", "ton"}:
        raise bad_request(f"inline keyboard button URL '{url}' is invalid: Unsupported URL protocol")
    if normal_url(url) is None:
        raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")


def _plain(button: Any) -> dict[str, Any]:
    if isinstance(button, str):
        return {"text": button}
    if not isinstance(button, dict) or not isinstance(button.get("text"), str):
        raise bad_request("can't parse keyboard button: Can't find field \"text\"")
    return _present(button)


def _unreadable(reason: str) -> RefusedError:
    return bad_request(f"can't parse inline keyboard button: {reason}")
