"""Whether the parts of the stack answer. A probe says True or False; it never raises, and gives up within two seconds."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from carousel_pipeline.local.gate import speaks_grpc

_LIMIT_S = 2.0
_LOCATION = """
{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }
"""
_DAEMONS = """
{ instance { daemonHealth { allDaemonStatuses { required lastHeartbeatTime } } } }
"""

Probe = Callable[[], Awaitable[bool]]


def free_port(preferred: int) -> int:
    """Return `preferred` when nothing on this machine listens there, else any free TCP port of 127.0.0.1."""
    for port in (preferred, 0):
        with socket.socket() as caller, socket.socket() as listener:
            caller.settimeout(_LIMIT_S)
            # Beside a server on all addresses, macOS lets another one have 127.0.0.1: ask as a client, too.
            if port and caller.connect_ex(("127.0.0.1", port)) == 0:
                continue
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = listener.getsockname()[1]
            return found
    raise OSError("no free TCP port on 127.0.0.1")


def greets(port: int) -> Probe:
    """A gRPC server on `port` of 127.0.0.1 has loaded what it serves."""

    async def probe() -> bool:
        return await asyncio.to_thread(speaks_grpc, port)

    return probe


def answers(url: str) -> Probe:
    """`url` is answered with 200."""

    async def probe() -> bool:
        return await asyncio.to_thread(_fetch, urllib.request.Request(url)) is not None  # noqa: S310 # our own address

    return probe


def dagster_knows_the_code(url: str) -> Probe:
    """The Dagster UI at `url` has loaded the code location."""

    async def probe() -> bool:
        answer = await _ask_dagster(url, _LOCATION)
        entries = answer.get("workspaceOrError", {}).get("locationEntries", [])
        loaded = [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries]
        return loaded == ["RepositoryLocation"]

    return probe


def daemons_beat(url: str, since: float) -> Probe:
    """Every daemon that the instance of the Dagster UI at `url` needs has worked since `since` (seconds of the epoch)."""

    async def probe() -> bool:
        answer = await _ask_dagster(url, _DAEMONS)
        statuses = answer.get("instance", {}).get("daemonHealth", {}).get("allDaemonStatuses", [])
        beats = [status["lastHeartbeatTime"] for status in statuses if status["required"]]
        return bool(beats) and all(beat is not None and beat >= since for beat in beats)

    return probe


async def telegram_calls(url: str) -> int:
    """Return the number of the last call that the local Telegram at `url` has accepted."""
    last = 0
    while calls := await _telegram_log(url, last):
        last = int(calls[-1]["n"])
    return last


def telegram_was_called(url: str, method: str, after: int) -> Probe:
    """The local Telegram at `url` has accepted `method` after the call numbered `after`."""

    async def probe() -> bool:
        return any(call["method"].lower() == method.lower() for call in await _telegram_log(url, after))

    return probe


async def always() -> bool:
    """Nothing can be asked from here; the process lives, which the supervisor sees by itself."""
    return True


async def _telegram_log(url: str, after: int) -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{url}/sim/log?after={after}")  # noqa: S310 # our own address
    answer = await asyncio.to_thread(_fetch, request)
    calls: list[dict[str, Any]] = json.loads(answer)["calls"] if answer else []
    return calls


async def _ask_dagster(url: str, query: str) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 # our own address
        f"{url}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    answer = await asyncio.to_thread(_fetch, request)
    data: dict[str, Any] | None = json.loads(answer).get("data") if answer else None
    return data or {}


def _fetch(request: urllib.request.Request) -> bytes | None:
    try:
        with urllib.request.urlopen(request, timeout=_LIMIT_S) as answer:  # noqa: S310 # our own address
            body: bytes = answer.read()
            return body if answer.status == HTTPStatus.OK else None
    except OSError:
        return None
