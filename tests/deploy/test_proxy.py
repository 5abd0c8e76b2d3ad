"""The proxy's configurations, in a real nginx: who gets in, and how the local Telegram sees its callers."""

import base64
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from carousel_pipeline.containers.keys import UI_USER, write_keys
from carousel_pipeline.local.probes import free_port

from . import compose_file

NGINX = shutil.which("nginx")
pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx: apt-get install nginx-light")


class Proxy:
    """One configuration of `carousel_pipeline/containers` in front of an upstream that tells what it was asked."""

    def __init__(self, folder: Path, configuration: str, ports: dict[str, int]) -> None:
        text = (compose_file.ROOT / "carousel_pipeline" / "containers" / configuration).read_text(encoding="utf-8")
        text = re.sub(r"http://(webserver-read-only|webserver):", "http://127.0.0.1:", text)
        text = re.sub(r"(?<=127\.0\.0\.1:)\d+", str(ports["upstream"]), text)
        text = re.sub(r"(?<=listen )\d+", lambda port: f"127.0.0.1:{ports[port[0]]}", text)
        text = text.replace("/tmp/", f"{folder}/{configuration}-").replace("/keys/", f"{folder}/keys/")  # noqa: S108 - the container's
        (folder / configuration).write_text("master_process off;\n" + text, encoding="utf-8")
        self.process = subprocess.Popen([NGINX or "", "-p", str(folder), "-c", str(folder / configuration)])


def as_operator(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{UI_USER}:{password}".encode()).decode()}


async def tell(request: web.Request) -> web.Response:
    return web.json_response({"host": request.headers["Host"], "authorization": request.headers.get("Authorization")})


@pytest.fixture
async def ports(tmp_path: Path) -> AsyncIterator[dict[str, int]]:
    """An upstream and both proxies; their ports by the numbers of the configuration."""
    write_keys(tmp_path / "keys")
    app = web.Application()
    app.router.add_get("/{path:.*}", tell)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ports = {port: free_port(0) for port in ("3000", "3001", "8081")} | {"upstream": runner.addresses[0][1]}
    proxies = [Proxy(tmp_path, name, ports) for name in ("dagster.nginx.conf", "telegram.nginx.conf")]
    for port in ("3000", "8081"):
        await listening(ports[port])
    yield ports
    for proxy in proxies:
        proxy.process.terminate()
        proxy.process.wait(10)
    await runner.cleanup()


async def listening(port: int) -> None:
    deadline = time.monotonic() + 40
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            try:
                async with session.get(f"http://127.0.0.1:{port}/healthz"):
                    return
            except aiohttp.ClientConnectorError:
                continue
    raise AssertionError(f"nginx does not listen at {port}")


@pytest.mark.finding("m41")
async def test_dagster_is_behind_a_password_that_goes_no_further(ports: dict[str, int], tmp_path: Path) -> None:
    password = (tmp_path / "keys" / "ui" / "password").read_text().strip()
    async with aiohttp.ClientSession() as session:
        for port in ("3000", "3001"):
            url = f"http://127.0.0.1:{ports[port]}/graphql"
            for wrong in ({}, as_operator("guess"), as_operator(""), {"Authorization": "Basic \xff"}):
                async with session.get(url, headers=wrong) as answer:
                    assert answer.status == 401
            async with session.get(url, headers=as_operator(password)) as answer:
                assert answer.status == 200
                assert (await answer.json())["authorization"] is None


async def test_another_site_s_page_cannot_use_the_operator_s_password(ports: dict[str, int], tmp_path: Path) -> None:
    operator = as_operator((tmp_path / "keys" / "ui" / "password").read_text().strip())
    site = f"http://127.0.0.1:{ports['3000']}"
    async with aiohttp.ClientSession(headers=operator) as session:
        for origin, status in ((site, 200), ("http://evil.test", 403), ("null", 403), (f"{site}.evil.test", 403)):
            async with session.get(f"{site}/graphql", headers={"Origin": origin}) as answer:
                assert answer.status == status, origin


async def test_the_local_telegram_sees_its_own_machine_or_nobody(ports: dict[str, int]) -> None:
    url = f"http://127.0.0.1:{ports['8081']}/bot1:token/getMe"
    async with aiohttp.ClientSession() as session:
        for asked, seen in (
            ("local-telegram:8081", "127.0.0.1"),
            ("localhost:8081", "localhost:8081"),
            ("127.0.0.1:8081", "127.0.0.1:8081"),
        ):
            async with session.get(url, headers={"Host": asked}) as answer:
                assert (await answer.json())["host"] == seen
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.get(url, headers={"Host": "evil.test:8081"})
