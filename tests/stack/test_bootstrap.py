"""`python3 -m carousel_pipeline` in a clone, by the real bootstrap on a tiny project whose packages lie in a folder."""

import ast
import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from carousel_pipeline import __main__ as bootstrap

CLI = """
import sys
from importlib import metadata
import tiny
def main():
    print(sys.argv[0], tiny.VERSION, *sys.argv[1:])
"""
# The smallest build backend there is: an editable wheel that points at the clone.
BACKEND = """
import pathlib, zipfile
def build_editable(directory, config_settings=None, metadata_directory=None):
    name, info = "carousel_pipeline-1.0-py3-none-any.whl", "carousel_pipeline-1.0.dist-info/"
    with zipfile.ZipFile(pathlib.Path(directory, name), "w") as wheel:
        wheel.writestr("carousel_pipeline.pth", str(pathlib.Path(__file__).parent))
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: carousel-pipeline\\nVersion: 1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "entry_points.txt", "[console_scripts]\\ncarousel = carousel_pipeline.cli:main\\n")
        wheel.writestr(info + "RECORD", "")
    return name
def get_requires_for_build_editable(config_settings=None):
    return []
"""
# `python -m venv` where `ensurepip` is missing.
VENV = """
import runpy, sys
if "--without-pip" not in sys.argv:
    sys.exit("ensurepip is not available")
sys.path.remove(__file__.rpartition("/")[0])
runpy.run_module("venv", run_name="__main__")
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


class Clone:
    """A clone with one dependency, `tiny`, of which there are several versions."""

    def __init__(self, root: Path) -> None:
        self.root = root
        package = root / "carousel_pipeline"
        package.mkdir(parents=True)
        source = Path(bootstrap.__file__).parent
        for name in ("__init__.py", "__main__.py"):
            shutil.copy(source / name, package / name)
        (package / "cli.py").write_text(CLI)
        (root / "backend.py").write_text(BACKEND)
        (root / "pyproject.toml").write_text(PROJECT)
        (root / "wheels").mkdir()
        self.lock("1.0")

    def lock(self, version: str, digest: str | None = None, *, payload: int = 0) -> None:
        """Lock `tiny` at `version`, by its true hash unless another `digest` is given."""
        wheel = self.root / "wheels" / f"tiny-{version}-py3-none-any.whl"
        info = f"tiny-{version}.dist-info/"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("tiny.py", f"VERSION = {version!r}\n")
            archive.writestr("tiny_payload", os.urandom(payload))
            archive.writestr(f"{info}METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
            archive.writestr(f"{info}WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}RECORD", "")
        digest = digest or hashlib.sha256(wheel.read_bytes()).hexdigest()
        lock = f"--no-index\n--find-links {wheel.parent}\ntiny=={version} --hash=sha256:{digest}\n"
        (self.root / "requirements.lock").write_text(lock)

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        """Start the bootstrap with a bare Python, one that has nothing of ours installed."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        return subprocess.Popen(
            [bare_python(), "-m", "carousel_pipeline", *arguments],
            cwd=self.root,
            env={**kept, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Run it and return exit code, stdout and stderr."""
        with self.start(*arguments, **environment) as process:
            out, err = process.communicate(timeout=120)
            return process.returncode, out, err


def bare_python() -> str:
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone")


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH that takes `ensurepip` away, as Debian does."""
    folder = tmp_path / "debian"
    folder.mkdir()
    (folder / "venv.py").write_text(VENV)
    return folder


def test_first_start_installs_the_next_is_instant_and_a_changed_lock_installs_again(clone: Clone) -> None:
    code, out, err = clone.run("up", "--json")
    assert (code, out.split()[1:]) == (0, ["1.0", "up", "--json"])
    assert out.split()[0] == "carousel" or out.split()[0].endswith("/bin/carousel")
    assert "Making .venv" in err
    assert "Installed in" in err

    began = time.monotonic()
    code, out, err = clone.run("doctor")
    assert (code, out.split()[1:], err) == (0, ["1.0", "doctor"], "")
    assert time.monotonic() - began < 2

    clone.lock("1.1")
    code, out, err = clone.run("up")
    assert (code, out.split()[1:]) == (0, ["1.1", "up"])
    assert "Making .venv" not in err

    clone.lock("1.2", digest=base64.b16encode(bytes(32)).decode().lower())
    code, out, err = clone.run("up")
    assert (code, out) == (2, "")
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in err
    assert "the same command takes it up again" in err


def test_an_interrupted_installation_is_made_anew_and_two_starts_take_turns(clone: Clone, debian: Path) -> None:
    clone.lock("1.0", payload=100_000_000)
    with clone.start("up", PYTHONPATH=str(debian)) as first:
        marker = clone.root / ".venv" / ".installing"
        deadline = time.monotonic() + 60
        while not marker.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(first.pid, signal.SIGKILL)
    clone.lock("1.0")
    with clone.start("up", PYTHONPATH=str(debian)) as one, clone.start("up", PYTHONPATH=str(debian)) as two:
        answers = [process.communicate(timeout=120) for process in (one, two)]
    assert [out.split()[1:] for out, _ in answers] == [["1.0", "up"]] * 2
    assert sorted("Making .venv" in err for _, err in answers) == [False, True]
    assert sorted("waiting for it" in err for _, err in answers) == [False, True]


def test_without_ensurepip_a_pip_outside_installs(clone: Clone, debian: Path) -> None:
    code, out, err = clone.run("up", PYTHONPATH=str(debian))
    assert (code, out.split()[1:]) == (0, ["1.0", "up"]), err
    assert not (clone.root / ".venv" / "bin" / "pip").exists()


def test_without_any_installer_the_refusal_says_what_to_install(clone: Clone, debian: Path) -> None:
    (debian / "pip.py").write_text("raise ImportError")
    code, _, err = clone.run("up", PYTHONPATH=str(debian), PATH="/usr/bin:/bin")
    assert code == 2
    assert "apt install python3." in err
    assert "Traceback" not in err


def test_test_needs_a_complete_clone(clone: Clone) -> None:
    code, _, err = clone.run("test")
    assert (code, err.split()[0]) == (2, "tests/requirements.lock")


@pytest.mark.parametrize("version", [(3, 9), (3, 10), (3, 14), (4, 0)])
def test_other_pythons_are_refused_by_name(version: tuple[int, int]) -> None:
    with pytest.raises(bootstrap.CannotRunError, match=f"Python {version[0]}.{version[1]} does not run .*3.11"):
        bootstrap.refuse_python(version)


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_supported_pythons_are_welcome(version: tuple[int, int]) -> None:
    bootstrap.refuse_python(version)


def test_an_old_python_can_read_its_refusal() -> None:
    package = Path(bootstrap.__file__).parent
    for name in ("__init__.py", "__main__.py"):
        ast.parse((package / name).read_text(encoding="utf-8"), feature_version=(3, 7))
