"""YooKassa's API as far as we use it, over real HTTP, with its ways to fail; its books are what a checker compares ours with."""

import asyncio
import base64
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from aiohttp import web

SHOP, SECRET = "506751", "live_Zq8vT3nW1yKd5hRb7mXc"
FAULTS = ("500", "html", "drop", "hang", "429", "401", "400", "list", "made_then_500", "made_then_drop", "garbage")


class Provider:
    """One shop's YooKassa.

    Attributes:
        payments: by id, as the API shows them.
        refunds: oldest first.
        faults: what the next calls run into, one each.
        calls: every request that was let in: method, path, key.
        patience_s: how long a call that hangs is kept.
    """

    def __init__(self) -> None:
        self.payments: dict[str, dict[str, Any]] = {}
        self.refunds: list[dict[str, Any]] = []
        self.faults: deque[str] = deque()
        self.calls: list[tuple[str, str, str]] = []
        self.patience_s = 60.0
        self._keys: dict[str, tuple[str, str]] = {}
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Provider"]:
        app = web.Application()
        app.router.add_route("*", "/v3/{rest:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    # What buyers and the shop's owner do

    def make(self, order: str, value: str = "899.00", **changes: Any) -> str:
        """Make a payment and return its id."""
        now = datetime.now(UTC)
        payment: dict[str, Any] = {
            "id": secrets.token_hex(18), "status": "pending", "paid": False, "amount": {"value": value, "currency": "RUB"},
            "recipient": {"account_id": SHOP, "gateway_id": "1"}, "metadata": {"order": order}, "test": False,
            "created_at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "refundable": False,
            "confirmation": {"type": "redirect", "confirmation_url": f"https://yoomoney.example/{secrets.token_hex(4)}"},
        }  # fmt: skip
        payment |= changes
        self.payments[payment["id"]] = payment
        return str(payment["id"])

    def pay(self, payment: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.payments[payment] |= {"status": "succeeded", "paid": True, "captured_at": now}

    def cancel(self, payment: str) -> None:
        self.payments[payment] |= {"status": "canceled", "paid": False}

    def refund(self, payment: str, value: str | None = None) -> str:
        amount = {**self.payments[payment]["amount"]}
        amount["value"] = value or amount["value"]
        self.payments[payment]["refunded_amount"] = amount
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        refund = {"id": secrets.token_hex(18), "payment_id": payment, "status": "succeeded", "amount": amount}
        self.refunds.append({**refund, "created_at": now})
        return str(refund["id"])

    def notice(self, event: str, payment: str) -> dict[str, Any]:
        """Return the body of a notification."""
        thing = self.payments[payment]
        if event == "refund.succeeded":
            thing = next(refund for refund in self.refunds if refund["payment_id"] == payment)
        return {"type": "notification", "event": event, "object": thing}

    # What the shop's program asks

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        expected = "Basic " + base64.b64encode(f"{SHOP}:{SECRET}".encode()).decode()
        if request.headers.get("Authorization") != expected:
            return _error(401, "invalid_credentials")
        self.calls.append((request.method, request.path, request.headers.get("Idempotence-Key", "")))
        fault = self.faults.popleft() if self.faults else ""
        if fault.startswith("made_then"):
            self._perform(request, body)
        if fault:
            return await self._misbehave(request, fault.removeprefix("made_then_"))
        return self._perform(request, body)

    async def _misbehave(self, request: web.Request, fault: str) -> web.StreamResponse:
        if fault == "drop":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault == "hang":
            await asyncio.sleep(self.patience_s)
        if fault == "html":
            return web.Response(status=502, text="<html>502 Bad Gateway</html>", content_type="text/html")
        if fault == "garbage":
            return web.Response(body=b"\x00{", content_type="application/json")
        if fault == "list":
            return web.json_response([])
        if fault == "429":
            return web.json_response(
                {"type": "error", "code": "too_many_requests"}, status=429, headers={"Retry-After": "0"}
            )
        code = {"401": "invalid_credentials", "400": "invalid_request"}.get(fault, "internal_server_error")
        return _error(int(fault) if fault.isdigit() else 500, code)

    def _perform(self, request: web.Request, body: str) -> web.Response:
        _, _, kind, *rest = request.path.split("/")
        if request.method == "POST" and kind == "payments":
            return self._create(request.headers.get("Idempotence-Key", ""), body)
        if kind == "payments" and rest:
            found = self.payments.get(rest[0])
            return web.json_response(found) if found else _error(404, "not_found")
        rows = list(self.payments.values()) if kind == "payments" else self.refunds
        since = datetime.fromisoformat(request.query.get("created_at.gte", "2000-01-01T00:00:00+00:00"))
        rows = [
            row for row in rows[::-1] if datetime.fromisoformat(row["created_at"]) >= since - timedelta(milliseconds=1)
        ]
        start, limit = int(request.query.get("cursor", 0)), int(request.query.get("limit", 10))
        page: dict[str, Any] = {"type": "list", "items": rows[start : start + limit]}
        if len(rows) > start + limit:
            page["next_cursor"] = str(start + limit)
        return web.json_response(page)

    def _create(self, key: str, body: str) -> web.Response:
        if not 1 <= len(key) <= 64:
            return _error(400, "invalid_request")
        if key in self._keys:
            known, payment = self._keys[key]
            return web.json_response(self.payments[payment]) if known == body else _error(400, "invalid_request")
        asked = json.loads(body)
        if (
            asked.get("capture") is not True
            or not asked["receipt"]["items"]
            or "email" not in asked["receipt"]["customer"]
        ):
            return _error(400, "invalid_request")
        payment = self.make(asked["metadata"]["order"], asked["amount"]["value"], description=asked["description"])
        self._keys[key] = (body, payment)
        return web.json_response(self.payments[payment])


def _error(status: int, code: str) -> web.Response:
    return web.json_response({"type": "error", "id": secrets.token_hex(8), "code": code}, status=status)


async def send(
    http: aiohttp.ClientSession, url: str, body: Any, sender: str | None = "185.71.76.5", *, raw: bytes | None = None
) -> int:
    """Post a notification through a proxy of ours that saw it come from `sender`; returns the status."""
    headers = {"Content-Type": "application/json", **({"X-Forwarded-For": sender} if sender is not None else {})}
    data = raw if raw is not None else json.dumps(body).encode()
    async with http.post(url, data=data, headers=headers) as answer:
        await answer.read()
        return answer.status
