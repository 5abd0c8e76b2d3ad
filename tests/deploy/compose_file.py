"""docker-compose.yml as Docker Compose reads it, as far as this project uses it: an unknown key is an error."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

ROOT = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_0-9]+)(?::-(?P<default>[^}]*))?\}")

Duration = Annotated[str, StringConstraints(pattern=r"^\d+(ms|s|m|h)$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class HealthCheck(Strict):
    test: list[str]
    interval: Duration
    timeout: Duration
    retries: int
    start_period: Duration
    start_interval: Duration


class Dependency(Strict):
    condition: Literal["service_healthy", "service_completed_successfully"]
    required: bool = True
    restart: bool = False


class Service(Strict):
    image: str
    build: str | None = None
    entrypoint: list[str] = []
    command: list[str]
    scale: int = 1
    user: str | None = None
    profiles: list[str] = []
    restart: Literal["no", "unless-stopped"]
    init: bool
    read_only: bool
    cap_drop: list[str]
    security_opt: list[str]
    pids_limit: int
    logging: dict[str, str]
    stop_grace_period: Duration
    shm_size: str | None = None
    tmpfs: list[str]
    environment: dict[str, str] = {}
    ports: list[str] = []
    volumes: list[str] = []
    networks: list[str] = []
    network_mode: str | None = None
    healthcheck: HealthCheck | None = None
    depends_on: dict[str, Dependency] = {}


class Network(Strict):
    internal: bool = False


class Compose(Strict):
    name: str
    services: dict[str, Service]
    networks: dict[str, Network]
    volumes: dict[str, Annotated[dict[str, Any], Field(max_length=0)]]


def seconds(duration: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", duration).groups()  # type: ignore[union-attr]  # checked by Duration
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


def raw() -> dict[str, Any]:
    """The file with anchors resolved and variables as written, without its `x-` blocks."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return {key: value for key, value in document.items() if not key.startswith("x-")}


def load(variables: dict[str, str]) -> Compose:
    """The file with variables filled in."""
    return Compose.model_validate(_filled(raw(), variables))


def example() -> dict[str, str]:
    """What `.env.example`, copied as it is, sets."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line[:1].isalpha())


def started(compose: Compose, profiles: str) -> dict[str, Service]:
    """The services that these COMPOSE_PROFILES start."""
    asked = set(profiles.split(","))
    return {name: one for name, one in compose.services.items() if not one.profiles or asked & set(one.profiles)}


def named_variables() -> set[str]:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    return {match["name"] for match in _VARIABLE.finditer(text)}


def in_order(services: dict[str, Service]) -> list[str]:
    """Names such that each comes after what it depends on.

    Raises:
        ValueError: a dependency is unknown or circular.
    """
    order: list[str] = []
    while len(order) < len(services):
        ready = [name for name in services if name not in order and set(services[name].depends_on) <= set(order)]
        if not ready:
            raise ValueError(f"unknown or circular dependencies among {services.keys() - set(order)}")
        order += ready
    return order


def _filled(value: Any, variables: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, variables) for item in value]
    if isinstance(value, str):
        filled = _VARIABLE.sub(lambda match: variables.get(match["name"]) or match["default"] or "", value)
        return filled.replace("$$", "$")
    return value
