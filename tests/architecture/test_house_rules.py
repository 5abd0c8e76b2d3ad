"""Small promises about the sources themselves, each of them once broken: dead code, dead settings, states nobody enters, lists
that somebody appended to.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carousel_pipeline.settings import Settings

ROOT = Path(__file__).parents[2]
SOURCES = {path: path.read_text("utf-8") for top in ("carousel_pipeline", "bot") for path in (ROOT / top).rglob("*.py")}
TREES = {path: ast.parse(source) for path, source in SOURCES.items()}
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
_MUTABLE = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)
_STATES = r"check\s*\(\s*(?:state|phase)\s+in\s*\(([^)]*)\)\s*\)"
# Read by boto3 from the environment, which is where both look.
_READ_BY_BOTO = {"aws_region", "aws_access_key_id", "aws_secret_access_key"}


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


@pytest.mark.finding("m2", "m10", "m39")
def test_no_code_is_dead(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vulture", "--config", str(ROOT / "pyproject.toml")]
    sound = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert sound.returncode == 0, sound.stdout
    (tmp_path / "dead.py").write_text("def f(wanted, unwanted):\n    return wanted\n    print('never')\n")
    dead = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "unreachable" in dead.stdout


@pytest.mark.finding("m38")
def test_every_setting_has_an_effect() -> None:
    read = {
        node.attr
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and path.name != "settings.py"
    }
    own = ast.parse(SOURCES[ROOT / "carousel_pipeline" / "settings.py"])
    read_by_itself = {node.attr for node in ast.walk(own) if isinstance(node, ast.Attribute)}
    assert set(Settings.model_fields) - read - read_by_itself - _READ_BY_BOTO == set()


@pytest.mark.finding("n1", "n15", "n16")
def test_types_are_strict_and_every_exception_has_a_reason() -> None:
    assert PROJECT["tool"]["mypy"]["strict"] is True
    assert "overrides" not in PROJECT["tool"]["mypy"], "no module is exempt"
    assert PROJECT["tool"]["ruff"]["lint"]["select"] == ["ALL"]
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for path, source in SOURCES.items()
        for number, line in enumerate(source.splitlines(), 1)
        for comment in re.findall(r"#\s*(?:noqa|type:\s*ignore)\b.*", line)
        if not re.match(r"#\s*(?:noqa: [A-Z]+\d+(?:, [A-Z]+\d+)*|type: ignore\[[\w, -]+\])\s*(?:#|-|\()", comment)
    ]
    assert bare == [], "an ignore names its rule and says why"


@pytest.mark.finding("n2", "n7")
def test_a_package_with_a_face_says_what_it_exports() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path, tree in TREES.items()
        if path.name == "__init__.py"
        and any(
            isinstance(node, ast.ImportFrom | ast.Import)
            and not all((name.asname or name.name).startswith("_") for name in node.names)
            for node in tree.body
        )
        and not any(isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__" for node in tree.body)
        and not any(isinstance(node, ast.FunctionDef) for node in tree.body)
    ]
    assert silent == []


@pytest.mark.finding("n3")
def test_the_python_that_is_asked_for_is_the_python_that_is_used() -> None:
    low, high = re.findall(r"3\.(\d+)", PROJECT["project"]["requires-python"])
    named = {int(minor) for minor in re.findall(r"Python :: 3\.(\d+)", " ".join(PROJECT["project"]["classifiers"]))}
    assert named == set(range(int(low), int(high)))
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py3{low}"
    assert sys.version_info[1] in named


@pytest.mark.finding("n5")
def test_every_state_that_a_row_may_have_is_entered_and_asked_for() -> None:
    sql = "\n".join(path.read_text("utf-8") for path in (ROOT / "sql").rglob("*.sql"))
    sets = re.findall(_STATES, sql)
    states = {name for values in sets for name in re.findall(r"'(\w+)'", values)}
    assert {"drafting", "reserved", "sent"} <= states
    rest = re.sub(_STATES, "", sql) + "\n".join(SOURCES.values())
    assert [state for state in states if len(re.findall(rf"['\"]{state}['\"]", rest)) <= 1] == []


def handlers() -> Iterator[tuple[Path, ast.Call]]:
    for path, tree in TREES.items():
        if path.is_relative_to(ROOT / "bot"):
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and re.search(r"(?:^|\.)register$", ast.unparse(node.func)):
                    yield path, node


@pytest.mark.finding("n6")
def test_handlers_are_named_for_what_they_do() -> None:
    prefixed = re.compile(r"(?:on|cmd|handle|process|callback|cb)_|.*_(?:handler|callback)$")
    assert [where(path, call) for path, call in handlers() if prefixed.match(ast.unparse(call.args[0]))] == []
    assert sum(1 for _ in handlers()) > 10


@pytest.mark.finding("n13")
def test_constants_are_immutable() -> None:
    mutable = [
        where(path, node)
        for path, tree in TREES.items()
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, _MUTABLE)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id.lstrip("_").isupper()
    ]
    assert mutable == [], "a tuple, a frozenset or a MappingProxyType cannot be changed by accident"


@pytest.mark.finding("n19", "n20")
def test_the_commands_of_the_readme_are_the_commands() -> None:
    assert not [name for name in ("Makefile", "justfile", "tox.ini", "noxfile.py") if (ROOT / name).exists()]
    assert "python3 -m carousel_pipeline test" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert "python3 -m carousel_pipeline test" in (ROOT / "README.md").read_text("utf-8")
