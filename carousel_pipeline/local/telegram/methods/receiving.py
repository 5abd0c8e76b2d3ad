"""How the bot gets its updates: long polling or a webhook, never both."""

import re
from typing import Any, Final

from carousel_pipeline.local.telegram.methods.registry import Call, method
from carousel_pipeline.local.telegram.refusals import bad_request

_MAX_BATCH: Final = 100
_MAX_WAIT_S: Final = 50
_MAX_SECRET: Final = 256
_MAX_CONNECTIONS: Final = 100
_DEFAULT_CONNECTIONS: Final = 40
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]*")


def _allowed(call: Call) -> None:
    kinds = call.arguments.array("allowed_updates", "allowed updates")
    if kinds is not None:
        call.world.updates.set_allowed([str(kind) for kind in kinds])


@method("getUpdates")
async def get_updates(call: Call) -> list[dict[str, Any]]:
    """Return pending updates, waiting for the first."""
    _allowed(call)
    arguments = call.arguments
    limit = arguments.integer("limit", _MAX_BATCH)
    return await call.world.updates.poll(
        arguments.integer("offset"),
        limit if 1 <= limit <= _MAX_BATCH else _MAX_BATCH,
        min(max(arguments.integer("timeout"), 0), _MAX_WAIT_S),
        duplicate=call.fault is not None and call.fault.kind == "duplicate",
    )


@method("setWebhook")
async def set_webhook(call: Call) -> bool:
    """Send updates to a URL from now on. Plain HTTP is fine here, as with a self-hosted Bot API server."""
    url, secret = call.arguments.text("url").strip(), call.arguments.text("secret_token")
    if url and not re.match(r"https?://[^/\s]+", url):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if len(secret) > _MAX_SECRET:
        raise bad_request("secret token is too long")
    if not _SECRET.fullmatch(secret):
        raise bad_request("secret token contains unallowed characters")
    _allowed(call)
    if call.arguments.flag("drop_pending_updates"):
        call.world.updates.drop_pending()
    connections = call.arguments.integer("max_connections", _DEFAULT_CONNECTIONS)
    journal = call.world.journal
    journal.put("webhook", "max_connections", min(max(connections, 1), _MAX_CONNECTIONS))
    journal.put("webhook", "secret_token", secret)
    journal.drop("webhook", "last_error")
    journal.put("webhook", "url", url)
    call.world.updates.changed.set_off()
    return True


@method("deleteWebhook")
async def delete_webhook(call: Call) -> bool:
    """Stop sending updates to a URL."""
    if call.arguments.flag("drop_pending_updates"):
        call.world.updates.drop_pending()
    for key in ("url", "secret_token", "last_error"):
        call.world.journal.drop("webhook", key)
    call.world.updates.changed.set_off()
    return True


@method("getWebhookInfo")
async def get_webhook_info(call: Call) -> dict[str, Any]:
    """Return the webhook's state."""
    hook = call.world.journal.table("webhook")
    info: dict[str, Any] = {
        "url": hook.get("url", ""),
        "has_custom_certificate": False,
        "pending_update_count": len(call.world.updates.pending()),
    }
    if info["url"]:
        info["max_connections"] = hook.get("max_connections", _DEFAULT_CONNECTIONS)
    if hook.get("allowed_updates"):
        info["allowed_updates"] = hook["allowed_updates"]
    if error := hook.get("last_error"):
        info |= {"last_error_date": error["date"], "last_error_message": error["message"]}
    return info


@method("logOut")
async def log_out(_call: Call) -> bool:
    """Agree; there is no cloud to log out from."""
    return True


@method("close")
async def close(_call: Call) -> bool:
    """Agree; the server goes on."""
    return True
