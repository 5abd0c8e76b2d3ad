"""The architecture's rules hold, and the tool that watches them can see a breach."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [path for top in ("carousel_pipeline", "bot") for path in (ROOT / top).rglob("*.py")]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--config",
        str(ROOT / "pyproject.toml"),
        "--no-cache",
    ]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.finding("C7", "m7", "n4")
def test_the_import_contracts_are_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_contracts_see_a_breach(tmp_path: Path) -> None:
    for top in ("carousel_pipeline", "bot"):
        for path in (ROOT / top).rglob("*.py"):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    breach = tmp_path / "carousel_pipeline" / "requests" / "price.py"
    breach.write_text("import carousel_pipeline.ledger.pipeline\nimport dagster\n" + breach.read_text(encoding="utf-8"))
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-500:]
    for contract in ("Only the orchestration knows Dagster", "The rooms of craft know neither Postgres nor Telegram"):
        assert f"{contract} BROKEN" in done.stdout


@pytest.mark.finding("m5")
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_sets_attributes_by_a_computed_name(path: Path) -> None:
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr"
    ]
    assert [call.lineno for call in calls if not isinstance(call.args[1], ast.Constant)] == []


@pytest.mark.finding("n8")
def test_no_module_is_named_like_a_builtin() -> None:
    import builtins

    named = {path.stem for path in SOURCES if not path.stem.startswith("__")}
    assert named & set(dir(builtins)) <= {"copyright"}
