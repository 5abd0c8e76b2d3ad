"""What survives a restart, a kill and a second start; what never stands in a log."""

import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from carousel_pipeline.errors import ConfigurationError
from carousel_pipeline.local.telegram.journal import Journal

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_killed_server_comes_back_with_everything(
    tmp_path: Path, serve: Any, connect: Any, token: str, draw: Any
) -> None:
    async with aiohttp.ClientSession() as http:
        with serve(tmp_path) as server:
            sim = connect(http, server.url)
            chat = await sim.user()
            await sim.say(chat, "hello")
            form = aiohttp.FormData({"chat_id": str(chat)})
            form.add_field("photo", draw(), filename="a.jpg")
            _, sent = await sim.status("POST", f"/bot{token}/sendPhoto", data=form)
            await sim.api("setMyCommands", commands=[{"command": "start", "description": "Begin"}])
            before, log = await sim.messages(chat), await sim.log()
            seen = (await sim.call("GET", f"/sim/chats/{chat}/events?after=0"))["next"]
            server.stop(kill=True)
        with (tmp_path / "journal.jsonl").open("ab") as journal:
            journal.write(b'["messages/1","7",{"torn')
        with serve(tmp_path) as server:
            sim = connect(http, server.url)
            assert await sim.messages(chat) == before
            assert await sim.log() == log
            [update] = (await sim.api("getUpdates"))[1]["result"]
            assert update["message"]["text"] == "hello"
            file_id = sent["result"]["photo"][-1]["file_id"]
            async with http.get(f"{server.url}/file/bot{token}/photos/{file_id}") as answer:
                assert await answer.read() == draw()
            new = (await sim.api("sendMessage", chat_id=chat, text="on"))[1]["result"]
            assert new["message_id"] == before[-1]["message_id"] + 1
            event = await sim.until(chat, "message", seen)
            assert event["message"]["text"] == "on"
            assert (await sim.call("GET", f"/sim/chats/{chat}/events?after=1"))["missed"]


async def test_one_home_one_server_one_port(tmp_path: Path, serve: Any, token: str) -> None:
    def refused(*arguments: str) -> str:
        command = [sys.executable, "-m", "carousel_pipeline.local.telegram", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        return done.stderr

    with serve(tmp_path / "a") as server:
        port = server.url.rsplit(":", 1)[1]
        assert "is in use" in refused("--port", "0", "--home", str(tmp_path / "a"), "--token", token)
        assert f"port {port} is taken" in refused("--port", port, "--home", str(tmp_path / "b"), "--token", token)
    assert "--token" in refused("--port", "0", "--home", str(tmp_path / "b"), "--token", "nonsense")
    with socket.create_server(("127.0.0.1", int(port))):
        pass  # the port is free again


async def test_the_token_and_texts_never_reach_the_log(tmp_path: Path, serve: Any, connect: Any, token: str) -> None:
    async with aiohttp.ClientSession() as http:
        with serve(tmp_path) as server:
            sim = connect(http, server.url)
            chat = await sim.user()
            await sim.api("sendMessage", chat_id=chat, text="private words")
            await sim.api("sendMessage", chat_id=1, text="private words")
            await sim.status("POST", f"/bot{token}X/getMe")
            await sim.fault(method="getMe", kind="drop")
            with pytest.raises(aiohttp.ClientError):
                await sim.api("getMe")
            logged = server.stop()
    assert "sendMessage 200" in logged
    assert token.partition(":")[2] not in logged
    assert "private words" not in logged
    assert token.partition(":")[2] not in (tmp_path / "journal.jsonl").read_text()


async def test_a_reset_leaves_no_files_and_no_old_numbers(tmp_path: Path, serve: Any, connect: Any, draw: Any) -> None:
    async with aiohttp.ClientSession() as http:
        with serve(tmp_path) as server:
            sim = connect(http, server.url)
            first = await sim.user()
            form = aiohttp.FormData()
            form.add_field("photo", draw(), filename="a.jpg")
            await sim.call("POST", f"/sim/chats/{first}/messages", data=form)
            [before] = (await sim.call("GET", "/sim/updates"))["pending"]
            assert len(list((tmp_path / "files").iterdir())) == 1
            await sim.call("POST", "/sim/reset")
            assert list((tmp_path / "files").iterdir()) == []
            second = await sim.user()
            await sim.say(second, "again")
            [after] = (await sim.call("GET", "/sim/updates"))["pending"]
    assert second > first
    assert after["update_id"] > before["update_id"]


async def test_the_journal_stays_small_and_names_damage(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(12_000):
        journal.put("t", "same", number)
    journal.put("t", "other", "ы")
    journal.drop("t", "same")
    journal.close()
    assert len((tmp_path / "journal.jsonl").read_bytes().splitlines()) < 6_000
    again = Journal(tmp_path)
    assert dict(again.table("t")) == {"other": "ы"}
    again.close()
    (tmp_path / "journal.jsonl").write_bytes(b"nonsense\n[]\n")
    with pytest.raises(ConfigurationError, match="damaged at line 1"):
        Journal(tmp_path)


async def test_it_starts_fast(tmp_path: Path, serve: Any) -> None:
    started = time.monotonic()
    with serve(tmp_path):
        assert time.monotonic() - started < 5  # 0.6 s on a quiet machine; this only guards against importing the world


async def test_the_server_imports_neither_aiogram_nor_the_pipeline() -> None:
    heavy = ("aiogram", "PIL", "dagster", "psycopg", "pydantic")
    code = "import sys, carousel_pipeline.local.telegram.__main__\nprint([n for n in sys.argv[1:] if n in sys.modules])"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, *heavy, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.strip() == b"[]"
