"""`import keepbest` is quick: what it names is loaded when it is used, and the plain rooms never load torch.

Each question is put to a fresh interpreter.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import keepbest

PACKAGE = Path(keepbest.__file__).parent
ASK = """
import json, sys
{code}
heavy = {{"torch", "lightning", "pytorch_lightning", "torchmetrics", "hydra", "omegaconf", "pandas", "matplotlib"}}
print(json.dumps(sorted(heavy & set(sys.modules))))
"""


def heavy_after(code: str) -> list[str]:
    """Return which of the heavy libraries a fresh interpreter has loaded after running `code`."""
    answer = subprocess.run([sys.executable, "-c", ASK.format(code=code)], capture_output=True, text=True, check=True)
    loaded: list[str] = json.loads(answer.stdout)
    return loaded


def modules_of(*rooms: str) -> list[str]:
    paths = [path for room in rooms for path in (PACKAGE / room).rglob("*.py")]
    return [f"keepbest.{'.'.join(path.relative_to(PACKAGE).with_suffix('').parts)}" for path in paths]


LIGHT = {
    "the package": "import keepbest; dir(keepbest)",
    "the stopping policy": "import keepbest; keepbest.StoppingPolicy(patience=2).start().update(1.0, 0)",
    "the plain rooms": f"import keepbest.errors, {', '.join(modules_of('stopping', 'records'))}",
    "a replay": "import keepbest; keepbest.replay([1.0, 2.0, 3.0], patience=[1, 2], mode='min').recommend()",
    "opening a run": "import keepbest; keepbest.open_run; keepbest.Run; keepbest.latest_run",
    "listing and comparing": "import keepbest; keepbest.list_runs; keepbest.compare",
    "opening a sweep": "import keepbest; keepbest.open_sweep; keepbest.latest_sweep; keepbest.Sweep",
}


@pytest.mark.parametrize("code", LIGHT.values(), ids=LIGHT)
def test_it_loads_neither_torch_nor_lightning_nor_hydra(code: str) -> None:
    assert heavy_after(code) == []


@pytest.mark.parametrize("name", keepbest.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(keepbest, name).__name__ == name
    assert name in dir(keepbest)


def test_type_checkers_see_the_same_public_names() -> None:
    """The names are listed three times: in __all__, for the import on first use, and for type checkers."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    typed = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(typed) == sorted(keepbest.__all__)
    assert typed == {name: getattr(keepbest, name).__module__ for name in typed}


def test_an_unknown_name_is_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match="module 'keepbest' has no attribute 'open_rum'"):
        keepbest.open_rum  # noqa: B018 - looking is the test
