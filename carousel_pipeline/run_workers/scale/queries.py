"""Every query that the bot, the sensors, the runs, the operators and the monitoring make, with its role and its parameters.

What must stay true: a query of the files in `FILES` that is not in `GROWING` is measured and has its plan looked at; nobody has
to remember to add it. Parameters are taken by name, first from the query's own, then from what is common to all.
"""

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from psycopg.types.json import Jsonb

from carousel_pipeline.database import Role, query, query_names
from carousel_pipeline.run_workers.scale.scene import (
    ADMIN,
    BOT,
    DECK,
    FRIEND,
    HASH,
    OBJECT,
    OPTIONS,
    RUN,
    TG,
    UPDATE,
    Scene,
)

FILES: Final[Mapping[str, Role]] = MappingProxyType({
    "bot": "led_bot", "front": "led_bot", "house": "led_house", "payments": "led_pay", "requests": "led_pipeline",
    "attempts": "led_pipeline", "ledger": "led_pipeline", "cleanup": "led_pipeline", "monitoring": "led_bot", "ops": "led_ops",
    "timeline": "led_pipeline",
})  # fmt: skip
_ROLES: Final[Mapping[str, Role]] = MappingProxyType({
    "house.take": "led_bot", "house.mark": "led_bot", "house.look": "led_bot", "house.erase": "led_ops",
    "payments.stars_audit": "led_pipeline", "payments.ops_promo_code": "led_ops", "payments.ops_matched": "led_ops",
    "payments.unmatched": "led_ops", "ledger.ops_release": "led_ops", "ledger.ops_reopen": "led_ops",
    "ledger.ops_resolve": "led_ops", "ledger.ops_grant": "led_ops", "ledger.ops_rule": "led_ops", "ledger.rules": "led_ops",
    "ledger.ops_outbox": "led_ops", "ledger.violations": "led_ops", "ledger.show_request": "led_ops",
    "ledger.show_transfers": "led_ops",
    "ledger.show_deliveries": "led_ops", "ledger.show_events": "led_ops", "ledger.show_actions": "led_ops",
    "monitoring.run_audit": "led_pipeline",
})  # fmt: skip

GROWING: Final[Mapping[str, str]] = MappingProxyType({
    "ledger.violations": "reads the whole journal: that is what it is for; once an hour, by the next one",
    "monitoring.run_audit": "the hourly audit, as ledger.violations",
    "house.draft": "counts everybody whom an announcement would reach; once an announcement",
    "house.start": "writes a row for everybody whom it reaches; once an announcement",
    "house.erase": "looks through a month of payment notices for the person; once a person",
    "cleanup.remembered": "counts what is remembered, never more than the live keys and a day's worth; once a night",
    "cleanup.handled_messages": "counts what a cleanup would delete; only for a dry run, by hand",
})  # fmt: skip

# Which request `id` names, by its state in the scene.
_REQUESTS: Final[Mapping[str, str]] = MappingProxyType({
    "bot.confirm": "outlined", "bot.discard": "outlined", "bot.cancel": "reserved", "bot.resolve": "unknown",
    "bot.queue_place": "reserved", "bot.settle_due": "overdue", "bot.message_put": "running", "bot.message_drop": "running",
    "requests.outline_ready": "drafting", "requests.outline_failed": "drafting", "requests.translated": "retold",
    "requests.report_progress": "running", "requests.keep_artifact": "running", "ledger.claim": "reserved",
    "ledger.second_life": "released", "ledger.heartbeat": "running", "ledger.rendered": "running",
    "ledger.delivery_begin": "rendered", "ledger.arrived": "sending", "ledger.release": "running", "ledger.open_hold": "running",
    "ledger.settle_due": "overdue", "ledger.ops_release": "running", "ledger.ops_reopen": "released",
    "ledger.ops_resolve": "unknown", "cleanup.forget": "old",
})  # fmt: skip
_PARAMETER: Final = re.compile(rb"%\((\w+)\)s")


def names() -> list[str]:
    """Return the name of every query in `FILES`, in their order."""
    return [f"{file}.{name}" for file in FILES for name in query_names(file)]


def role_of(name: str) -> Role:
    """Return the role that makes the query."""
    return _ROLES.get(name, FILES[name.partition(".")[0]])


def asked_for(name: str) -> frozenset[str]:
    """Return the names of the query's parameters."""
    return frozenset(found.decode() for found in _PARAMETER.findall(query(name)))


def parameters(name: str, scene: Scene) -> dict[str, Any]:
    """Return what the query asks for.

    Raises:
        KeyError: it has a parameter that nobody has thought of here.
    """
    values = _common(scene) | {"id": scene.requests[_REQUESTS.get(name, "delivered")]} | _own(scene).get(name, {})
    return {parameter: values[parameter] for parameter in asked_for(name)}


def _common(scene: Scene) -> dict[str, Any]:
    now = datetime.now(UTC)
    delivered = scene.requests["delivered"]
    return {
        "tg": TG, "chat": TG, "user": scene.user, "bot": BOT, "lane": TG, "admin": ADMIN, "message": 9, "messages": [1, 2, 3],
        "thread": 0, "business": "", "destiny": "default", "state": "sent", "data": Jsonb({"a": 1}), "locale": "en",
        "blocked": True, "banned": True, "key": "measured", "client_key": "measured", "code": scene.promo, "limit": 20,
        "after": None, "before": None, "attempts": 5, "done": None, "wait": timedelta(seconds=1), "ids": [delivered],
        "body": "text",
        "source": "tg_update", "options": OPTIONS, "deck": DECK, "parent": delivered, "price": 3, "got": True, "kind": "control",
        "topics": ["dispatch", "outline_ready", "delivered"], "lease": timedelta(minutes=1), "retry_in": timedelta(minutes=1),
        "error": "failed", "age": timedelta(minutes=5), "change": Jsonb({"base": str(delivered)}),
        "parts": Jsonb({"handle": "@a"}),
        "role": "slide", "positions": [1, 2, 3], "files": ["a", "b", "c"], "reason": "measuring", "step": "pictures", "total": 7,
        "position": 4, "recipe": HASH, "sha256": HASH, "content_type": "image/jpeg", "bytes": 1000, "width": 1080, "height": 1350,
        "meta": Jsonb({}), "low": delivered, "high": uuid.UUID(int=delivered.int | (1 << 64) - 1), "credits": 5,
        "audience": "all",
        "actor": "operator", "version": 1, "terms": 1, "pack": "fifty", "stars": 400, "monthly": False, "order": scene.order,
        "charge": "scene0", "paid_at": now, "found_by": "notice", "until": None, "kopecks": 50_000, "payment": "paid",
        "status": "succeeded", "returned": 0, "number": scene.purchase, "name": "stars", "uses": 3, "expires": None,
        "direction": "in", "run": RUN, "request": scene.requests["running"], "slide": 2, "provider": "gemini", "model": "m",
        "calls": 60, "day_usd": 100, "outcome": "ok", "tokens_in": 1, "tokens_out": 1, "images": 1, "cost": Decimal("0.04"),
        "provider_request": "r", "health": "up", "pause": None, "fence": 1, "intent": None, "delivery": scene.delivery,
        "grace": timedelta(0), "funding": "house", "rule": "silence_hours", "value": 72, "retry": True, "keys": [OBJECT],
        "requests": [delivered],
        "spans": Jsonb([{"number": 1, "name": "paint", "slide": 1, "began": 2.0, "ended": 1.0, "failed": False}]),
        "made_before": now - timedelta(days=30), "outlined_before": now - timedelta(days=7),
    }  # fmt: skip


def _own(scene: Scene) -> dict[str, dict[str, Any]]:
    update = {
        "lane": TG,
        "essential": False,
        "body": {"update_id": UPDATE + 1, "message": {"chat": {"type": "private"}}},
    }
    outbox, inbox = {"id": scene.outbox}, {"id": scene.inbox}
    return {
        "bot.referred": {"tg": FRIEND, "code": "nobody"},
        "bot.inbox_put": {"updates": Jsonb([update]), "burst": 20, "per_second": 1},
        "bot.inbox_postpone": {"id": UPDATE},
        "bot.inbox_done": {"ids": [UPDATE]},
        "bot.open_request": {"tg": FRIEND},
        "bot.open_child": {"tg": FRIEND, "parent": scene.requests["friends"]},
        "bot.outbox_done": outbox,
        "bot.outbox_failed": outbox,
        "front.open_edit": {"kind": "style", "price": 0},
        "requests.report_progress": {"done": 3},
        "requests.keep_artifact": {"key": OBJECT},
        "house.stop": {"id": scene.announced},
        "house.figures": {"id": scene.announced},
        "house.mark": {"id": scene.announced},
        "house.start": {"id": scene.draft},
        "house.draft": {"key": "another"},
        "house.erase": {"tg": FRIEND},
        "payments.subscription_changed": {"order": scene.subscribed, "state": "canceled"},
        "payments.stars_paid": {"charge": "measured"},
        "payments.rub_order_named": {"order": scene.rub_order},
        "payments.rub_settle": {"order": scene.rub_order},
        "payments.receipt": {"source": "stars"},
        "payments.inbox_put": {"body": Jsonb({})},
        "payments.inbox_done": inbox,
        "payments.inbox_failed": inbox,
        "payments.stars_audit": {"seen": Jsonb([{"charge": "scene0", "direction": "in"}])},
        "payments.ops_promo_code": {"code": "ANOTHER"},
        "payments.ops_matched": {"source": "stars"},
        "attempts.begin": {"step": "picture"},
        "attempts.end": {"id": scene.attempt},
        "ledger.arrived": {"kind": "photo"},
        "ledger.delivery_begin": {"charge": 3},
        "ledger.delivery_end": {"outcome": "rejected"},
        "ledger.outbox_done": outbox,
        "ledger.ops_outbox": outbox,
        # A look that finds nothing: what it deletes, it has to pay for.
        "ledger.prune": {"age": timedelta(days=400), "limit": 10_000},
        "ledger.open_holds": {"limit": 500},
        "cleanup.settled": {"before": datetime.now(UTC) - timedelta(days=1), "limit": 100},
    }
