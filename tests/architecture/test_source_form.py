"""A module fits in a head: documented, of bounded length, made of short functions."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
MODULES = {path.relative_to(SOURCE).as_posix(): path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
LONGEST_MODULE, LONGEST_FUNCTION = 300, 60


def test_every_public_module_has_a_docstring() -> None:
    public = [name for name in MODULES if not Path(name).name.startswith("_") or Path(name).name == "__init__.py"]
    assert [name for name in public if not ast.get_docstring(ast.parse(MODULES[name]))] == []


def test_no_module_is_longer_than_a_few_screens() -> None:
    assert {name: n for name, text in MODULES.items() if (n := len(text.splitlines())) > LONGEST_MODULE} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    lengths = {
        f"{name}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for name, text in MODULES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}
