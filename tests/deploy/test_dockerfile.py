"""The rules that hadolint and a careful reader would hold the Dockerfile to."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from . import compose_file

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LINES = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).splitlines()
INSTRUCTIONS = [(line.split()[0], line.split(maxsplit=1)[1]) for line in LINES if line.strip()]
BASES = [index for index, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM"]
FINAL = INSTRUCTIONS[BASES[-1] :]
COPIED = [
    source
    for word, arguments in INSTRUCTIONS
    if word == "COPY" and "--from" not in arguments
    for source in arguments.split()[:-1]
]


def of(word: str) -> list[str]:
    return [arguments for name, arguments in INSTRUCTIONS if name == word]


@pytest.mark.finding("M17")
def test_the_image_runs_as_a_user_by_number_and_never_as_root() -> None:
    words = [word for word, _ in FINAL]
    (user,) = [arguments for word, arguments in FINAL if word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert "RUN" not in words[words.index("USER") :]
    assert f"--uid {user.split(':')[0]} " in TEXT
    owner, group = user.split(":")
    tmpfs = compose_file.load({}).services["bot"].tmpfs[1]
    assert f"uid={owner},gid={group}" in tmpfs


def test_bases_are_one_exact_release_and_the_comment_says_how_to_pin_bytes() -> None:
    images = {arguments.split()[0] for arguments in of("FROM")}
    assert len(images) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", images.pop())
    assert "imagetools inspect" in TEXT
    assert len(BASES) == 2


def test_everything_installed_has_a_hash_and_nothing_is_cached() -> None:
    installs = [part for arguments in of("RUN") for part in arguments.split("&&") if "pip --python" in part]
    assert len(installs) == 2
    for install in installs:
        assert "--no-deps" in install
        assert "--no-cache-dir" in install
    assert "--require-hashes" in installs[0]
    assert "--only-binary :all:" in installs[0]
    assert "--no-index" in installs[1]
    assert "apt" not in TEXT


def test_what_hadolint_forbids_is_absent() -> None:
    assert not of("ADD")
    assert not of("MAINTAINER")
    assert not re.search(r"\b(sudo|curl|wget|latest)\b", TEXT)
    for word in ("CMD", "ENTRYPOINT"):
        assert all(arguments.startswith("[") for arguments in of(word)), "exec form: a shell would swallow signals"
    assert all(arguments.startswith("/") for arguments in of("WORKDIR"))
    assert not re.search(r"(TOKEN|SECRET|PASSWORD|_KEY)=", TEXT)
    for arguments in of("RUN"):
        assert ";" not in arguments, "a failure in the middle would be lost"
        assert "|" not in arguments, "a failure in the middle would be lost"
        shlex.split(arguments)


def test_the_context_holds_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(COPIED)
    assert all((ROOT / source).exists() for source in COPIED)


@pytest.mark.finding("n18")
def test_what_the_wheel_needs_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], project["project"]["readme"]}
    assert needed | set(project["project"]["license-files"]) <= set(COPIED)
    assert f"carousel-pipeline:{project['project']['version']}" == compose_file.load({}).services["bot"].image


@pytest.mark.finding("M17")
def test_volumes_of_ours_belong_to_the_user_from_the_first_start() -> None:
    services = compose_file.load({}).services.values()
    targets = {volume.split(":")[1] for service in services if service.build for volume in service.volumes}
    (prepared,) = [arguments for arguments in of("RUN") if "install -d -o carousel" in arguments]
    assert targets == {word for word in prepared.split() if word.startswith(("/keys/", "/var/lib/"))}


def test_the_processes_test_runs_with_the_image_s_environment() -> None:
    from .test_services_as_processes import ENTRY, IMAGE

    words = dict(part.split("=", 1) for part in of("ENV")[-1].split())
    assert {name: words[name] for name in IMAGE} == IMAGE
    assert words.keys() - IMAGE.keys() == {"PATH", "HOME"}
    assert of("ENTRYPOINT") == ["[" + ", ".join(f'"{word}"' for word in ENTRY) + "]"]
