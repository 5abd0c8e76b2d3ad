"""Every fault that was found in the predecessor has a test here that would find it again."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]
FOUND = {"C": 13, "M": 23, "m": 42, "n": 20}


def test_every_finding_has_a_marked_test() -> None:
    marked = {
        argument.value
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.finding"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }
    wanted = {f"{kind}{number}" for kind, count in FOUND.items() for number in range(1, count + 1)}
    assert wanted - marked == set(), "findings without a test"
    assert marked - wanted == set(), "marks that name no finding"
