"""The HTTP server: Bot API calls in, answers or faults out.

The token never reaches a log: the access log is our own and names methods only. The server listens on 127.0.0.1 and answers only
requests that name this machine in `Host` and come from its own page or from no page at all: otherwise any web site open in the
same browser could talk to the bot.
"""

import asyncio
import hmac
import logging
import re
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from carousel_pipeline.local.telegram.arguments import Arguments
from carousel_pipeline.local.telegram.body import read_arguments
from carousel_pipeline.local.telegram.control import Control
from carousel_pipeline.local.telegram.faults import Fault, Faults
from carousel_pipeline.local.telegram.limits import Limits
from carousel_pipeline.local.telegram.methods import Call, Method, methods_by_name
from carousel_pipeline.local.telegram.refusals import RefusedError, not_found, unauthorized
from carousel_pipeline.local.telegram.stars import Stars
from carousel_pipeline.local.telegram.state import World
from carousel_pipeline.local.telegram.till import Till
from carousel_pipeline.local.telegram.webhook import WebhookSender
from carousel_pipeline.paths import resource

_log = logging.getLogger(__name__)
_TOKEN: Final = re.compile(r"\d{1,20}:[A-Za-z0-9_-]{3,}")
_PAGE: Final = Path(__file__).parent / "page"
_HTML_502: Final = (
    "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
)
_FONTS: Final = frozenset(
    {"Inter.ttf", "NotoColorEmoji.ttf"}
)  # the renderer's; the page does without where they are missing
_QUIET: Final = frozenset({"getUpdates"})  # neither logged nor counted: it asks for news and changes nothing
_LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_CSP: Final = "default-src 'self'; img-src 'self' data:; style-src 'self'; frame-ancestors 'none'"
_MAX_BODY: Final = 1024**3  # the real limit is per file, in body.py

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TelegramServer:
    """One bot's Telegram.

    Args:
        world: the state.
        token: the only token that is accepted.
        realistic_limits: refuse what is faster than Telegram's published pace.
        dagster_url: shown on the page as a link, if any.
    """

    def __init__(
        self, world: World, token: str, *, realistic_limits: bool = False, dagster_url: str | None = None
    ) -> None:
        self._world = world
        self._token = token.encode()
        self._faults = Faults()
        self._limits = Limits(active=realistic_limits)
        self._stars = Stars(world, self._faults.take)
        self._control = Control(world, self._faults, self._limits, dagster_url)

    def application(self) -> web.Application:
        """Return the aiohttp application with all routes."""
        app = web.Application(middlewares=[_only_from_here], client_max_size=_MAX_BODY)
        app.router.add_route("*", "/bot{token:[^/]+}/{method}", self._api)
        app.router.add_get("/file/bot{token:[^/]+}/{folder}/{file_id}", self._download)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/", self._index)
        app.router.add_get("/page/fonts/{name}", self._font)
        app.router.add_static("/page", _PAGE)
        Till(self._world, self._stars).add_routes(app.router)
        self._control.add_routes(app.router)
        app.cleanup_ctx.append(self._deliver_webhooks)
        return app

    async def _deliver_webhooks(self, _app: web.Application) -> Any:
        sender = asyncio.create_task(WebhookSender(self._world).run())
        yield
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        headers = {"Content-Security-Policy": _CSP, "Cache-Control": "no-cache", "Referrer-Policy": "no-referrer"}
        return web.FileResponse(_PAGE / "index.html", headers=headers)

    async def _font(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in _FONTS:
            raise web.HTTPNotFound
        try:
            fonts = resource("assets_static") / "fonts"
        except FileNotFoundError:
            raise web.HTTPNotFound from None
        if not (fonts / name).is_file():
            raise web.HTTPNotFound
        return web.FileResponse(fonts / name)

    def _authorize(self, token: str) -> None:
        if not _TOKEN.fullmatch(token):
            raise not_found()
        if not hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token):
            raise unauthorized()

    async def _download(self, request: web.Request) -> web.StreamResponse:
        try:
            self._authorize(request.match_info["token"])
        except RefusedError as refusal:
            return _answer(refusal)
        path = await self._world.files.path(request.match_info["file_id"])
        if path is None:
            return _answer(not_found())
        return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})

    async def _api(self, request: web.Request) -> web.StreamResponse:
        started = time.monotonic()
        wanted = request.match_info["method"]
        name, method = methods_by_name.get(wanted.lower(), ("an unknown method", None))
        try:
            self._authorize(request.match_info["token"])
            fault = self._faults.take(wanted)
            if fault is not None and fault.when == "before" and (answer := await self._misbehave(request, fault)):
                return answer
            result = await self._perform(request, name, method, fault)
        except RefusedError as refusal:
            _log.log(_level(name), "%s %d %.0f ms", name, refusal.code, 1000 * (time.monotonic() - started))
            return _answer(refusal)
        _log.log(_level(name), "%s 200 %.0f ms", name, 1000 * (time.monotonic() - started))
        response = web.json_response({"ok": True, "result": result})
        if fault is not None and fault.when == "after":
            return await self._misbehave(request, fault, accepted=response) or response
        return response

    async def _perform(self, request: web.Request, name: str, method: Method | None, fault: Fault | None) -> Any:
        arguments = await read_arguments(request, self._world.files)
        if method is None:
            raise not_found("method not found")
        call = Call(self._world, arguments, self._limits, self._stars, fault)
        try:
            result = await method(call)
        except RefusedError:
            if call.sent is not None:
                self._record(name, arguments, call.sent, complete=False)
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, the bot gets an answer
            # A fault of ours looks like one of Telegram's, and its text, which may quote a message, stays out of the log.
            trace = "".join(traceback.format_tb(error.__traceback__))
            _log.error("%s failed: %s\n%s", name, type(error).__name__, trace)
            raise RefusedError(500, "Internal Server Error") from None
        if name not in _QUIET:
            self._record(name, arguments, result, complete=True)
        return result

    def _record(self, method: str, arguments: Arguments, result: Any, *, complete: bool) -> None:
        params = {key: "…" if key == "secret_token" else value for key, value in arguments.values.items()}
        files = [
            {"field": field, "name": upload.name, "size": upload.blob.size, "sha256": upload.blob.sha256}
            for field, upload in arguments.files.items()
        ]
        self._world.record({"method": method, "params": params, "files": files, "result": result, "complete": complete})

    async def _misbehave(
        self, request: web.Request, fault: Fault, *, accepted: web.Response | None = None
    ) -> web.StreamResponse | None:
        """Act out a fault; None means that the call goes on as if nothing were."""
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.kind == "error":
            return _answer(fault.refusal())
        if fault.kind == "html":
            return web.Response(text=_HTML_502, status=502, content_type="text/html")
        if fault.kind == "garbage":
            return web.Response(body=b"\x00<not json", content_type="application/json")
        if fault.kind == "drop":
            return _reset(request)
        if fault.kind == "cut" and accepted is not None:
            return await _cut(request, accepted)
        return None


@web.middleware
async def _only_from_here(request: web.Request, handler: Handler) -> web.StreamResponse:
    host = (
        request.headers.get("Host", "").rsplit(":", 1)[0]
        if not request.headers.get("Host", "").endswith("]")
        else "[::1]"
    )
    origin = request.headers.get("Origin")
    if host not in _LOCAL_HOSTS or (origin is not None and origin != f"http://{request.headers['Host']}"):
        return web.json_response({"error": "this server answers only its own machine and its own page"}, status=403)
    response = await handler(request)
    if not response.prepared:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        if request.path.startswith("/page/"):
            response.headers.setdefault("Cache-Control", "no-cache")
    return response


def _level(name: str) -> int:
    return logging.DEBUG if name in _QUIET else logging.INFO


def _answer(refusal: RefusedError) -> web.Response:
    headers = {"Retry-After": str(refusal.retry_after)} if refusal.retry_after is not None else None
    return web.json_response(refusal.body(), status=refusal.code, headers=headers)


def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _cut(request: web.Request, accepted: web.Response) -> web.StreamResponse:
    body = accepted.body if isinstance(accepted.body, bytes) else b""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    _reset(request)
    return response
