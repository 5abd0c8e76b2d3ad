"""What docker-compose.yml promises about every container, checked over the parsed file."""

import re

import pytest
import yaml

from carousel_pipeline.containers.keys import LOGINS
from carousel_pipeline.paths import resource
from carousel_pipeline.settings import Settings

from . import compose_file

COMPOSE = compose_file.load(compose_file.example())
SERVICES = COMPOSE.services
ONE_SHOT = {"keys", "migrate", "usage"}
every_service = pytest.mark.parametrize("name", sorted(SERVICES))


@pytest.mark.finding("M17")
@every_service
def test_a_container_has_no_rights_and_nothing_to_write_but_its_own(name: str) -> None:
    service = SERVICES[name]
    assert service.read_only
    assert service.init
    assert service.cap_drop == ["ALL"]
    assert service.security_opt == ["no-new-privileges:true"]
    assert service.tmpfs[0].startswith("/tmp:")  # noqa: S108 - the container's
    # The Dockerfile's USER is ours; other images are told, by number, so that no passwd file decides.
    assert service.build is not None or re.fullmatch(r"[1-9]\d*:[1-9]\d*", service.user or "")
    assert not [volume for volume in service.volumes if "docker.sock" in volume or volume.startswith("/")]


@every_service
def test_an_image_is_one_exact_release(name: str) -> None:
    _, _, tag = SERVICES[name].image.rpartition(":")
    assert re.match(r"v?\d+\.\d+\.?\d*", tag), SERVICES[name].image


@pytest.mark.finding("m41")
@every_service
def test_ports_are_for_this_machine_alone(name: str) -> None:
    for port in SERVICES[name].ports:
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


@pytest.mark.finding("m41")
def test_dagster_and_postgres_are_reached_through_the_password_alone() -> None:
    assert {name for name, service in SERVICES.items() if service.ports} == {"proxy", "local-telegram"}
    assert COMPOSE.networks["private"].internal
    assert COMPOSE.networks["runs"].internal
    for name in ("postgres", "storage", "webserver-read-only"):
        assert SERVICES[name].networks == ["private"]
    # Who hands runs to the workers, and the workers; whatever talks to strangers and is not one of them is kept away.
    for name in ("daemon", "webserver"):
        assert SERVICES[name].networks == ["private", "runs"]
    assert SERVICES["redis"].networks == ["runs"]
    assert {name for name, one in SERVICES.items() if "runs" in one.networks} == {
        "daemon",
        "webserver",
        "redis",
        "worker",
    }


@pytest.mark.finding("M18")
@every_service
def test_every_lasting_service_says_whether_it_is_well(name: str) -> None:
    service, check = SERVICES[name], SERVICES[name].healthcheck
    if name in ONE_SHOT:
        assert (service.restart, check) == ("no", None)
        return
    assert service.restart == "unless-stopped"
    assert check is not None
    assert check.test[0] == "CMD"
    assert compose_file.seconds(check.timeout) >= 5
    assert compose_file.seconds(check.timeout) <= compose_file.seconds(check.interval)
    if service.build:
        # No curl in our image, and four imports of Dagster side by side take a small machine minutes.
        assert check.test[1] in {"python", "dagster-daemon"}
        assert compose_file.seconds(check.start_period) >= 120


@pytest.mark.finding("m42")
def test_services_wait_for_what_they_need_to_be_healthy() -> None:
    order = compose_file.in_order(SERVICES)
    assert order.index("keys") < order.index("postgres") < order.index("migrate") < order.index("code-server")
    for service in SERVICES.values():
        for needed, dependency in service.depends_on.items():
            done = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
            assert dependency.condition == done
            # What a profile may leave out must not be needed.
            assert dependency.required or SERVICES[needed].profiles
            assert not dependency.required or set(SERVICES[needed].profiles) <= set(service.profiles)


def test_runs_may_end_before_docker_kills() -> None:
    longest = yaml.safe_load(resource("dagster.yaml").read_text(encoding="utf-8"))["run_monitoring"][
        "max_runtime_seconds"
    ]
    for name in ("code-server", "worker"):
        assert compose_file.seconds(SERVICES[name].stop_grace_period) > longest
    command = SERVICES["code-server"].command
    assert float(command[command.index("--finish") + 1]) >= longest


def test_a_cluster_has_several_workers_that_are_the_code_server_s_twins() -> None:
    worker, code_server = SERVICES["worker"], SERVICES["code-server"]
    assert worker.scale >= 2
    assert worker.profiles == SERVICES["redis"].profiles == ["cluster"]
    assert (worker.environment, worker.volumes) == (code_server.environment, code_server.volumes)
    for name in ("code-server", "webserver", "webserver-read-only", "daemon", "worker", "migrate"):
        assert "CAROUSEL_BROKER_URL" in SERVICES[name].environment


@pytest.mark.finding("m40", "M20")
def test_the_example_is_enough_and_every_setting_arrives() -> None:
    example = compose_file.example()
    assert set(example) == compose_file.named_variables() | {"COMPOSE_PROFILES"}
    assert example["COMPOSE_PROFILES"].split(",") == [
        *SERVICES["local-telegram"].profiles,
        *SERVICES["storage"].profiles,
    ]
    arriving = {name for service in SERVICES.values() for name in service.environment}
    assert {name.upper() for name in Settings.model_fields} <= arriving


@pytest.mark.finding("M23")
def test_no_secret_is_written_down() -> None:
    for service in SERVICES.values():
        for name, value in service.environment.items():
            assert not re.search(r"TOKEN$|SECRET|_KEY$|PASSWORD$", name) or value == "", name
            assert not re.search(r"//[^/@]*:[^/@]*@", value), name


def test_a_process_gets_the_keys_that_it_needs_and_the_providers_keys_go_to_two() -> None:
    mounted = {
        name: sorted(volume.split(":")[0] for volume in service.volumes if volume.startswith("keys-"))
        for name, service in SERVICES.items()
    }
    assert mounted.pop("keys") == sorted(f"keys-{owner}" for owner in (*LOGINS, "storage", "telegram", "ui"))
    assert [name for name, keys in mounted.items() if "keys-admin" in keys] == ["postgres", "migrate"]
    assert mounted["bot"] == ["keys-bot", "keys-storage", "keys-telegram"]
    assert mounted["code-server"] == ["keys-pipeline", "keys-storage", "keys-telegram"]
    assert mounted["usage"] == ["keys-analyst"]
    assert {name for name, service in SERVICES.items() if "ANTHROPIC_API_KEY" in service.environment} == {
        "bot",
        "code-server",
        "worker",
    }
    for name, service in SERVICES.items():
        keys = [volume for volume in service.volumes if volume.startswith("keys-")]
        assert name == "keys" or all(volume.endswith(":ro") for volume in keys)


def test_who_shares_a_network_starts_again_with_its_owner() -> None:
    guests = {
        name: service for name, service in SERVICES.items() if (service.network_mode or "").startswith("service:")
    }
    assert list(guests) == ["telegram-gate"]
    for service in guests.values():
        assert service.depends_on[str(service.network_mode).removeprefix("service:")].restart


def test_volumes_and_networks_are_those_that_are_used() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.volumes}
    files = {volume for volume in used if volume.startswith("./")}
    assert used - files == set(COMPOSE.volumes)
    assert all((compose_file.ROOT / file).is_file() for file in files)
    assert {network for service in SERVICES.values() for network in service.networks} == set(COMPOSE.networks)


@pytest.mark.finding("n18")
def test_everything_of_ours_is_one_image_with_different_commands() -> None:
    ours = [service for service in SERVICES.values() if service.build]
    assert len({service.image for service in ours}) == 1
    assert len({tuple(service.command) for service in ours}) == len(ours)


@pytest.mark.finding("n17")
def test_nothing_reloads_itself() -> None:
    commands = [" ".join(service.command) for service in SERVICES.values()]
    assert not [command for command in commands if re.search(r"dagster dev|--reload|code-server start", command)]
