"""`python3 -m carousel_pipeline …`: any carousel command from a fresh clone, with nothing but Python installed.

In a clone the first run makes `.venv` beside the package, installs `requirements.lock` with hashes and hands over to
`carousel`; `test` adds `tests/requirements.lock` and runs every check there is. Where the project is installed already
(a wheel, somebody's own environment) it only hands over.

What must stay true:
- Standard library only, and the syntax of an old Python: Python 3.9 must be able to read its own refusal.
- The stamp is written after the last step, so an interrupted installation is taken up again; two starts take turns.
- A start with an unchanged lock starts no pip.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
TEST_LOCK = ROOT / "tests" / "requirements.lock"
OLDEST = (3, 11)
NEWEST = (3, 13)

CHECKS = (
    ("ruff", "check", "--quiet", "."),
    ("ruff", "format", "--check", "--quiet", "."),
    ("mypy", "--no-error-summary"),
    ("lint-imports", "--no-logo"),
    ("vulture",),
)
PYTEST = ("pytest", "-n", "2", "--dist", "loadgroup")


class CannotRunError(Exception):
    """The command cannot run here; the message says what to do."""


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code; a command of the product may replace this process instead."""
    try:
        refuse_python(sys.version_info[:2])
        if arguments[:1] == ["test"]:
            return run_checks(environment([LOCK, TEST_LOCK], "tests"), arguments[1:])
        if LOCK.exists() and (stamp("runtime").exists() if Path(sys.prefix) == VENV else not installed()):
            python = environment([LOCK], "runtime")
            if Path(sys.prefix) != VENV:
                os.execv(python, [str(python), str(VENV / "bin" / "carousel"), *arguments])  # noqa: S606 # no shell wanted
        return dispatch(arguments)
    except CannotRunError as reason:
        say(str(reason))
        return 2
    except KeyboardInterrupt:
        say("Interrupted; the same command takes it up again.")
        return 130


def refuse_python(version: tuple[int, ...]) -> None:
    """Raise `CannotRunError` when this is no Python that every locked package supports, or no POSIX system."""
    if os.name != "posix":
        raise CannotRunError("carousel-pipeline runs on Linux and macOS; on Windows use WSL.")
    if not OLDEST <= version <= NEWEST:
        raise CannotRunError(
            f"Python {'.'.join(map(str, version))} does not run carousel-pipeline: it needs 3.11, 3.12 or 3.13. "
            f"Install one of them and call it by name, for example: python3.12 -m carousel_pipeline up"
        )


def installed() -> bool:
    """Return whether the project is installed for this interpreter, by whatever tool its owner likes."""
    try:
        metadata.distribution("carousel-pipeline")
    except metadata.PackageNotFoundError:
        return False
    return True


def dispatch(arguments: list[str]) -> int:
    """Run the command line in this process; it exits with its own code where it has one."""
    from carousel_pipeline.cli import main as carousel  # noqa: PLC0415 # not importable before the installation

    sys.argv = ["carousel", *arguments]
    carousel()
    return 0


def environment(locks: list[Path], name: str) -> Path:
    """Return `.venv`'s Python with everything in `locks` installed.

    Args:
        locks: requirement files with hashes.
        name: of the stamp that remembers what is installed.

    Raises:
        CannotRunError: it cannot be made; says what is missing.
    """
    import fcntl  # noqa: PLC0415 # absent on Windows, which was refused in words before

    missing = [str(lock.relative_to(ROOT)) for lock in locks if not lock.exists()]
    if missing:
        raise CannotRunError(
            f"{' and '.join(missing)} not found in {ROOT}: this needs a complete clone of the repository."
        )
    state = digest([*locks, ROOT / "pyproject.toml"])
    if up_to_date(name, state):
        return VENV_PYTHON
    with LOCK.open("rb") as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another start is installing; waiting for it.")
            fcntl.flock(turn, fcntl.LOCK_EX)
        if not up_to_date(name, state):
            install(locks)
            stamp(name).write_text(state, encoding="ascii")
    return VENV_PYTHON


def digest(files: list[Path]) -> str:
    """Return one SHA-256 over the contents of `files`."""
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def stamp(name: str) -> Path:
    """Return the file that remembers what is installed under `name`."""
    return VENV / f".installed-{name}"


def up_to_date(name: str, state: str) -> bool:
    """Return whether `state` is installed under `name` in an environment that still has its Python."""
    remembered = stamp(name)
    return VENV_PYTHON.exists() and remembered.exists() and remembered.read_text(encoding="ascii") == state


def install(locks: list[Path]) -> None:
    """Make `.venv` if there is no sound one, install `locks` with hashes and this project on top."""
    started = time.monotonic()
    unfinished = VENV / ".installing"
    # pip takes a half-copied package of an interrupted run for an installed one, so such an environment is made anew.
    sound = quiet([str(VENV_PYTHON), "-c", ""]) and not unfinished.exists()
    installer = (find_installer() if sound else None) or make_venv()
    unfinished.touch()
    say("Installing the locked packages into .venv (once; some minutes on a slow line) …")
    requirements = [argument for lock in locks for argument in ("-r", str(lock))]
    # The locks are complete. Left to resolve them again, pip refuses what asks for an extra of a locked package.
    run_installer([*installer, "--no-deps", "--require-hashes", *requirements])
    run_installer([*installer, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    unfinished.unlink()
    say(f"Installed in {time.monotonic() - started:.0f} s.")


def make_venv() -> list[str]:
    """Make `.venv` and return the command that installs into it.

    Raises:
        CannotRunError: this Python can make no environment that anything could install into.
    """
    say(f"Making .venv with Python {'.'.join(map(str, sys.version_info[:3]))} …")
    # Debian and Ubuntu split `ensurepip` off; an environment without pip still takes packages from a pip or uv outside.
    for options in ([], ["--without-pip"]):
        if quiet([sys.executable, "-m", "venv", "--clear", *options, str(VENV)]):
            installer = find_installer()
            if installer:
                return installer
    version = ".".join(map(str, sys.version_info[:2]))
    raise CannotRunError(
        f"This Python {version} can make no virtual environment: its module venv or ensurepip is missing or broken.\n"
        f"On Debian and Ubuntu: sudo apt install python{version}-venv\n"
        f"Without root: put uv (https://docs.astral.sh/uv) on the PATH and run the same command again."
    )


def find_installer() -> list[str] | None:
    """Return the first working "install into .venv" command: its own pip, this Python's pip, uv."""
    for pip in ([str(VENV_PYTHON), "-m", "pip"], [sys.executable, "-m", "pip", "--python", str(VENV_PYTHON)]):
        if quiet([*pip, "--version"]):
            return [*pip, "install", "--disable-pip-version-check"]
    uv = shutil.which("uv")
    return [uv, "pip", "install", "--python", str(VENV_PYTHON)] if uv else None


def quiet(command: list[str]) -> bool:
    """Run `command` without a word; return whether it ran and succeeded."""
    try:
        return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0  # noqa: S603 # our own commands
    except OSError:
        return False


def run_installer(command: list[str]) -> None:
    """Run an installation step; show a count on a terminal, and what it said only if it fails.

    Raises:
        CannotRunError: it failed.
    """
    said: list[str] = []
    with subprocess.Popen(  # noqa: S603 # our own commands
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as installing:
        for line in installing.stdout or ():
            said.append(line)
            if sys.stderr.isatty() and line.startswith(("Collecting ", "Requirement already ")):
                done = sum(earlier.startswith(("Collecting ", "Requirement already ")) for earlier in said)
                print(f"\r{done} packages ", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr, flush=True)
    if installing.returncode != 0:
        say("".join(line for line in said if not line.startswith("WARNING"))[-4000:])
        raise CannotRunError("The installation stopped at the error above; the same command takes it up again.")


def run(command: list[str]) -> bool:
    """Run `command` in the clone with its output on standard error; return whether it succeeded."""
    return subprocess.run(command, check=False, cwd=ROOT, stdout=sys.stderr).returncode == 0  # noqa: S603 # our own commands


def run_checks(python: Path, pytest_arguments: list[str]) -> int:
    """Run and report every check, then the tests; return 0 only if all passed. pytest's summary is the last line."""
    failed = []
    for tool, *arguments in CHECKS:
        started = time.monotonic()
        passed = run([str(python.parent / tool), *arguments])
        label = " ".join([tool, *arguments[:1]]) if tool == "ruff" else tool
        say(f"{'ok    ' if passed else 'FAILED'}  {label}  ({time.monotonic() - started:.1f} s)")
        if not passed:
            failed.append(label)
    if failed:
        say(f"This command will fail because of {', '.join(failed)}; the tests run all the same.")
    tests = [str(python), "-m", *PYTEST, *pytest_arguments]
    return subprocess.run(tests, check=False, cwd=ROOT).returncode or int(bool(failed))  # noqa: S603 # our own commands


def say(line: str) -> None:
    """Print a line for a person; standard output belongs to the command itself (`--json`)."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
