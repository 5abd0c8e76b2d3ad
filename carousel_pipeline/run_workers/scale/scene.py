"""The present, the same after every past: one busy person and ten others, made through the calls that the product makes.

Each request stands where one of the calls that are measured finds it.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from carousel_pipeline.database import Row, query
from carousel_pipeline.requests import Deck, Options, Slide
from carousel_pipeline.requests.deck import roles

TG: Final = 8_000_000_001
FRIEND: Final = 8_000_000_002
ADMIN: Final = 8_000_000_003
BOT: Final = 1
UPDATE: Final = 9_000_000_000_001
_OTHERS: Final = tuple(range(8_000_000_011, 8_000_000_021))
_SLIDES: Final = 3
RUN: Final = "run"
HASH: Final = "ab" * 32
OBJECT: Final = f"objects/ab/{HASH}.jpg"
OPTIONS: Final = Jsonb(Options().model_dump(mode="json"))
DECK: Final = Jsonb(
    Deck(
        language="en", slides=tuple(Slide(role=role, heading=f"A {role}") for role in roles(_SLIDES))
    ).model_dump(mode="json")
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """What stands there; requests by the state they are in.

    Attributes:
        user: internal id of the person.
        requests: id of a request by its state.
        open: ids of the requests that have a hold.
        delivery: the sending that nobody has ended.
        attempt: a call to a provider that nobody has ended.
        order: an invoice that may be paid.
        subscribed: the order of the running subscription.
        rub_order: the same in rubles.
        purchase: number of the pack that may be returned.
        promo: a code nobody has used.
        outbox: a message that waits.
        inbox: a payment notice that waits.
        announced: the announcement that is being sent.
        draft: one that is not.
    """

    user: int
    requests: dict[str, uuid.UUID]
    open: tuple[uuid.UUID, ...]
    delivery: int
    attempt: int
    order: uuid.UUID
    subscribed: uuid.UUID
    rub_order: uuid.UUID
    purchase: int
    promo: str
    outbox: int
    inbox: int
    announced: int
    draft: int


def set_scene(owner: psycopg.Connection[Row]) -> Scene:
    """Play it, as a superuser, at the end of whatever past there is."""
    stage = _Stage(owner)
    user = stage.call("bot.meet", tg=TG, locale="en")
    stage.call("bot.meet", tg=FRIEND, locale="ru")
    stage.call("bot.meet", tg=ADMIN, locale="en")
    code = stage.call("payments.referral_code", tg=FRIEND)
    stage.call("bot.referred", tg=TG, code=code)
    order, subscribed, rub_order = stage.pay()
    requests = stage.requests()
    crowd = [stage.running(tg, "crowd") for tg in _OTHERS]
    attempt = stage.call(
        "attempts.begin", request=requests["running"], run=RUN, step="picture", slide=1, provider="gemini", model="m",
        calls=60, day_usd=100,
    )  # fmt: skip
    stage.do("scale.scene_inbox", bot=BOT, update=UPDATE, lane=TG, body=Jsonb({"update_id": UPDATE}))
    stage.call("payments.inbox_put", source="tg_update", key="scene", body=Jsonb({}))
    stage.do("bot.draft_put", chat=TG, message=1, tg=TG, body="A thought")
    stage.do("scale.scene_outbox")
    stage.do("scale.scene_age")
    return Scene(
        user=user,
        requests=requests,
        open=(*(requests[state] for state in ("reserved", "running", "rendered", "sending", "overdue")), *crowd),
        delivery=stage.call("scale.scene_delivery", id=requests["sending"]),
        attempt=attempt,
        order=order,
        subscribed=subscribed,
        rub_order=rub_order,
        purchase=stage.call("payments.purchases", tg=TG, limit=1),
        promo="SCENE",
        outbox=stage.call("scale.scene_waiting"),
        inbox=stage.call("scale.scene_notice"),
        announced=stage.call("scale.scene_announced", admin=ADMIN, people=[TG, FRIEND, ADMIN]),
        draft=stage.call("house.draft", admin=ADMIN, key="scene", body="News"),
    )


class _Stage:
    """Calls by name; each helper takes a request as far as its name says."""

    def __init__(self, owner: psycopg.Connection[Row]) -> None:
        self._owner = owner

    def call(self, name: str, **values: Any) -> Any:
        """Return the first field of the first row."""
        [first, *_] = self._owner.execute(query(name), values).fetchall()
        return next(iter(first.values()))

    def do(self, name: str, **values: Any) -> None:
        self._owner.execute(query(name), values)

    def pay(self) -> tuple[uuid.UUID, uuid.UUID, uuid.UUID]:
        """Buy two packs, the second one monthly; return an order that is not paid yet, the plan's, and one in rubles."""
        now = datetime.now(UTC)
        self.call("payments.agree", tg=TG, version=1)
        for tg in _OTHERS:
            self.call("bench.topup", user=tg, charge=f"scene-{tg}")
            for more in range(_SLIDES):
                self.call("bench.topup", user=tg, charge=f"scene-{tg}-{more}")
        pack = {"tg": TG, "terms": 1, "pack": "fifty", "credits": 150, "stars": 400}
        paid, subscribed, order = (
            self.call("payments.star_order_open", **pack, monthly=monthly) for monthly in (False, True, False)
        )
        for number, (which, until) in enumerate(((paid, None), (subscribed, now + timedelta(days=30)))):
            self.call(
                "payments.stars_paid", tg=TG, order=which, charge=f"scene{number}", stars=400, paid_at=now,
                found_by="notice", until=until,
            )  # fmt: skip
        rubles = self.call("payments.rub_order_open", tg=TG, terms=1, pack="fifty", credits=150, kopecks=50000)
        self.call(
            "payments.ops_promo_code", code="SCENE", credits=5, uses=10, expires=None, actor="scale", reason="scene"
        )
        return order, subscribed, rubles

    def requests(self) -> dict[str, uuid.UUID]:
        made = {
            "outlined": self.outlined(TG, "outlined"),
            "old": self.outlined(TG, "old"),
            "reserved": self.reserved(TG, "reserved"),
            "running": self.running(TG, "running"),
            "failing": self.reserved(TG, "failing"),
            "overdue": self.running(TG, "overdue", lease=timedelta(0)),
            "rendered": self.rendered(TG, "rendered"),
            "sending": self.sending(TG, "sending")[0],
            "unknown": self.unknown(TG, "unknown"),
            "released": self.running(TG, "released"),
            "delivered": self.delivered(TG, "delivered"),
            "friends": self.outlined(FRIEND, "friends"),
        }
        self.call("ledger.release", id=made["released"], fence=1, reason="images")
        made["retold"] = self.call(
            "front.open_edit", tg=TG, parent=made["delivered"], key="retold", kind="language", options=OPTIONS, deck=DECK,
            change=Jsonb({"base": str(made["delivered"]), "language": "de"}), price=0,
        )  # fmt: skip
        made["drafting"] = self.drafting(TG, "drafting")
        return made

    def drafting(self, tg: int, key: str) -> uuid.UUID:
        request: uuid.UUID = self.call(
            "bot.open_request", tg=tg, chat=tg, client_key=key, source="A text", options=OPTIONS, message=1
        )
        return request

    def outlined(self, tg: int, key: str) -> uuid.UUID:
        request = self.drafting(tg, key)
        self.call("requests.outline_ready", id=request, deck=DECK, price=_SLIDES, run=RUN, spans=Jsonb([]))
        return request

    def reserved(self, tg: int, key: str) -> uuid.UUID:
        request = self.outlined(tg, key)
        self.call("bot.confirm", tg=tg, id=request, price=_SLIDES)
        self.do("bot.message_put", id=request, kind="progress", chat=tg, message=2)
        return request

    def running(self, tg: int, key: str, lease: timedelta = timedelta(hours=1)) -> uuid.UUID:
        request = self.reserved(tg, key)
        self.call("ledger.claim", id=request, run=RUN, lease=lease)
        return request

    def rendered(self, tg: int, key: str) -> uuid.UUID:
        request = self.running(tg, key)
        self.call("ledger.rendered", id=request, fence=1)
        return request

    def sending(self, tg: int, key: str) -> tuple[uuid.UUID, int]:
        request = self.rendered(tg, key)
        return request, self.call("ledger.delivery_begin", id=request, fence=1, charge=None, intent=None)

    def unknown(self, tg: int, key: str) -> uuid.UUID:
        request, delivery = self.sending(tg, key)
        self.call("ledger.delivery_end", delivery=delivery, outcome="unknown", error="timeout")
        return request

    def delivered(self, tg: int, key: str) -> uuid.UUID:
        request, delivery = self.sending(tg, key)
        places = list(range(1, _SLIDES + 1))
        for role, position in product(("picture", "slide"), places):
            self.call(
                "requests.keep_artifact", id=request, role=role, position=position, recipe=HASH, sha256=HASH, key=OBJECT,
                content_type="image/jpeg", bytes=250_000, width=1080, height=1350, meta=Jsonb({}),
            )  # fmt: skip
        self.call(
            "ledger.arrived",
            id=request,
            delivery=delivery,
            kind="photo",
            messages=places,
            files=[f"f{n}" for n in places],
        )
        self.do("bot.message_put", id=request, kind="control", chat=tg, message=3)
        self.do("front.files_put", id=request, role="slide", positions=places, files=[f"d{n}" for n in places])
        return request
