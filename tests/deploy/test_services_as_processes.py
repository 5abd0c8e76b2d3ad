"""Every service of docker-compose.yml that runs our image, run as a process: its command, its environment with `.env.example` as
it is, its order, its health check. What a container engine adds (isolation, addresses) is replaced, nothing else is.
"""

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest
from moto.server import ThreadedMotoServer
from psycopg import sql

from carousel_pipeline.containers.databases import prepare, read_passwords
from carousel_pipeline.local.chat import Chat, Message, buttons
from carousel_pipeline.local.postgres import EmbeddedPostgres
from carousel_pipeline.local.probes import free_port

from . import compose_file

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(900)]

OURS = "carousel-pipeline:0.1.0"
ENTRY = ("python", "-m", "carousel_pipeline.containers.entry")
# The image's own environment, as the Dockerfile sets it.
IMAGE = {"PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
HEALTHY_S = 300.0
PORTS = ("3000", "3001", "4000", "5432", "7070", "8082", "8090")


class Machine:
    """One folder and some free ports in the place of a container engine."""

    def __init__(self, folder: Path, memory: str | None) -> None:
        self.folder = folder
        self.compose = compose_file.load(compose_file.example())
        self.ports = {port: str(free_port(0)) for port in PORTS}
        # The gate in front of the local Telegram needs an engine's networks: callers go where it leads.
        self.ports["8081"] = self.ports["8082"]
        self.disk = tempfile.TemporaryDirectory(prefix="carousel-pg-", dir=memory, ignore_cleanup_errors=True)
        self.storage = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self.postgres = EmbeddedPostgres(Path(self.disk.name), durable=False)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.logs: list[IO[bytes]] = []

    def here(self, service: str, text: str) -> str:
        text = re.sub(r"(@|//)(?:postgres|storage|webserver|local-telegram):", r"\g<1>127.0.0.1:", text)
        text = re.sub(r"^0\.0\.0\.0(?=$|:)", "127.0.0.1", text)
        text = re.sub(r"\b(?:3000|3001|4000|5432|7070|8081|8082|8090)\b", lambda port: self.ports[port[0]], text)
        text = re.sub(r"^(file://)?(?=/keys|/var/lib)", rf"\g<1>{self.folder}", text)
        return text.replace("/run/dagster", str(self.folder / "run" / service)).replace(
            "/tmp/carousel",  # noqa: S108 - the container's
            str(self.folder / "tmp" / service),
        )

    def environment(self, service: str) -> dict[str, str]:
        own = {key: self.here(service, value) for key, value in self.compose.services[service].environment.items()}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own |= {"CAROUSEL_CODE_SERVER_HOST": "127.0.0.1"} if "CAROUSEL_CODE_SERVER_HOST" in own else {}
        return {**IMAGE, "PATH": path, "HOME": str(self.folder), **own}

    def start(self, service: str) -> None:
        command = [self.here(service, word) for word in self.compose.services[service].command]
        log = (self.folder / f"{service}.log").open("wb")
        self.logs.append(log)
        self.running[service] = subprocess.Popen(
            [*ENTRY, *command], env=self.environment(service), cwd=self.folder, stdout=log, stderr=log
        )

    def asks(self, service: str) -> subprocess.Popen[bytes]:
        check = self.compose.services[service].healthcheck
        assert check is not None
        kind, *command = check.test
        assert kind == "CMD"
        return subprocess.Popen(
            [self.here(service, word) for word in command],
            env=self.environment(service),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def await_condition(self, service: str, condition: str) -> None:
        process, deadline = self.running[service], time.monotonic() + HEALTHY_S
        if condition == "service_completed_successfully":
            assert process.wait(HEALTHY_S) == 0, self.said(service)
            return
        while self.asks(service).wait(60) != 0:
            assert process.poll() is None, self.said(service)
            assert time.monotonic() < deadline, self.said(service)
            time.sleep(0.5)

    def serve_postgres(self) -> None:
        """Start PostgreSQL as its image would: a superuser `postgres` with the password of the file, and no database."""
        password = (self.folder / "keys" / "admin" / "password").read_text()
        url = self.postgres.start()
        self.ports["5432"] = str(psycopg.conninfo.conninfo_to_dict(url)["port"])
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(sql.SQL("create role postgres superuser login password {}").format(sql.Literal(password)))

    def serve_storage(self) -> None:
        """Start a server that speaks S3 in the place of the one of the image."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.storage.start()
        self.ports["7070"] = str(self.storage.get_host_and_port()[1])

    def said(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text()[-3000:]

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.wait(60)
        self.postgres.stop()
        if self.storage._thread is not None:
            self.storage.stop()
        self.disk.cleanup()
        for log in self.logs:
            log.close()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, memory: str | None) -> Iterator[Machine]:
    """Everything that runs our image, started in the order of the file and healthy."""
    machine = Machine(tmp_path_factory.mktemp("compose"), memory)
    services = compose_file.started(machine.compose, compose_file.example()["COMPOSE_PROFILES"])
    try:
        for service in compose_file.in_order(services):
            for needed, dependency in services[service].depends_on.items():
                if needed in services and services[needed].image == OURS:
                    machine.await_condition(needed, dependency.condition)
            if service == "postgres":
                machine.serve_postgres()
            elif service == "storage":
                machine.serve_storage()
            elif services[service].image == OURS:
                machine.start(service)
        lasting = [name for name, service in services.items() if service.image == OURS and service.healthcheck]
        # The daemon last: its check takes as long as its start, which it would slow down.
        for service in sorted(lasting, key=lambda name: name == "daemon"):
            machine.await_condition(service, "service_healthy")
        yield machine
    finally:
        machine.stop()


def call(url: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(
        url, json.dumps(body).encode() if body is not None else None, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=40) as answer:
        return json.loads(answer.read())


@pytest.mark.finding("M18", "m40", "m42")
async def test_every_service_gets_healthy_in_order_and_together_they_make_an_album(machine: Machine) -> None:
    text = (compose_file.ROOT / "carousel_pipeline/local/examples/en.txt").read_text(encoding="utf-8")
    async with Chat(f"http://127.0.0.1:{machine.ports['8082']}", "en", "Ada") as chat:
        await chat.write("/start")
        await chat.write(text)

        def offer(said: list[Message]) -> tuple[Message, str] | None:
            return next(((one, data) for one in said for data in buttons(one) if data.startswith("r:make:")), None)

        outline, button = await chat.wait_for("an outline", offer, 240)
        await chat.press(outline, button)

        def album(said: list[Message]) -> list[Message] | None:
            # The welcome shows pictures, too.
            return [one for one in said if "photo" in one and one["message_id"] > outline["message_id"]] or None

        assert await chat.wait_for("an album", album, 240)
    from moto.s3.models import s3_backends

    bucket = s3_backends["123456789012"]["aws"].buckets["carousel"]
    assert [key for key in bucket.keys if key.startswith("artifacts/objects/")]


@pytest.mark.parametrize(
    ("login", "role", "allowed"),
    [
        ("carousel_bot", "led_bot", True),
        ("carousel_bot", "led_pay", True),
        ("carousel_bot", "led_house", True),
        ("carousel_bot", "led_pipeline", False),
        ("carousel_pipeline", "led_pipeline", True),
        ("carousel_pipeline", "led_ops", False),
        ("carousel_pipeline", "led_pay", False),
        ("carousel_dagster", "led_pipeline", False),
        ("carousel_analyst", "led_analyst", True),
        ("carousel_analyst", "led_pipeline", False),
        ("carousel_bot", "led_analyst", False),
        ("carousel_pipeline", "led_analyst", False),
    ],
)
def test_a_login_becomes_its_own_roles_and_no_other(machine: Machine, login: str, role: str, *, allowed: bool) -> None:
    pgpass = machine.folder / "keys" / "admin" / "pgpass"
    address = f"postgresql://{login}@127.0.0.1:{machine.ports['5432']}/carousel"
    refusal = nullcontext() if allowed else pytest.raises(psycopg.OperationalError, match="permission denied")
    with refusal, psycopg.connect(address, passfile=str(pgpass), options=f"-crole={role}"):
        pass


def test_the_report_is_made_with_the_analyst_s_rights_alone(machine: Machine) -> None:
    machine.start("usage")
    machine.await_condition("usage", "service_completed_successfully")
    assert "requests" in machine.said("usage")


def test_the_bot_does_not_see_dagsters_database(machine: Machine) -> None:
    pgpass = machine.folder / "keys" / "bot" / "pgpass"
    address = f"postgresql://carousel_bot@127.0.0.1:{machine.ports['5432']}/dagster"
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(address, passfile=str(pgpass))


def test_the_read_only_twin_refuses_what_changes_something(machine: Machine) -> None:
    question = {"query": "{ canBulkTerminate }"}
    answers = [call(f"http://127.0.0.1:{machine.ports[port]}/graphql", question) for port in ("3000", "3001")]
    assert [answer["data"]["canBulkTerminate"] for answer in answers] == [True, False]


def test_keys_databases_and_logins_can_be_made_again(machine: Machine) -> None:
    keys = machine.folder / "keys"
    before = (keys / "bot" / "pgpass").read_text()
    machine.start("keys")
    machine.await_condition("keys", "service_completed_successfully")
    assert (keys / "bot" / "pgpass").read_text() == before
    environment = machine.environment("migrate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSFILE", environment["PGPASSFILE"])
        passwords = read_passwords(keys / "admin" / "pgpass")
        prepare(environment["DATABASE_URL"], environment["DAGSTER_DATABASE_URL"], passwords)


def test_no_password_is_in_an_environment_or_a_log(machine: Machine) -> None:
    keys = machine.folder / "keys"
    words = {line.rsplit(":", 1)[1] for line in (keys / "admin" / "pgpass").read_text().splitlines()}
    words |= {(keys / "ui" / "password").read_text().strip(), (keys / "telegram" / "token").read_text()}
    words.add((keys / "storage" / "secret").read_text())
    places = [json.dumps(machine.environment(service)) for service in machine.compose.services]
    places += [log.read_text() for log in machine.folder.glob("*.log")]
    assert not [word[:4] for word in words for place in places if word in place]


# The daemon is missing here: its heartbeats count for a while after it has gone, as Dagster wants it.
@pytest.mark.finding("M18")
@pytest.mark.parametrize("service", ["bot", "local-telegram", "webserver", "webserver-read-only", "code-server"])
def test_a_stopped_service_goes_in_time_and_is_unhealthy(machine: Machine, service: str) -> None:
    process = machine.running[service]
    process.terminate()
    process.wait(compose_file.seconds(machine.compose.services[service].stop_grace_period))
    assert machine.asks(service).wait(60) == 1
