"""Arrows point one way: what each room of keepbest may import from the others, and from outside.

Every import counts, wherever it stands: at the top of a module, inside a function, under `if TYPE_CHECKING`. A type is
a dependency like any other, so the table of rooms makes no exception for it; and neither do the three rooms that know
nothing of torch, Lightning and Hydra, not even their names. Imports under `if TYPE_CHECKING` are exempt from one rule
only, that of `reading`, which is about what loading a module costs: there they load nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "keepbest"
EVERYTHING = ("",)
HEAVY = frozenset({"torch", "lightning", "pytorch_lightning", "lightning_fabric", "torchmetrics", "hydra", "omegaconf"})

PLAIN = ("errors", "stopping", "records")
# Room -> what its modules may import beside each other: a room, or a single module of one.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "errors": (),
    "stopping": ("errors",),
    "records": ("errors",),
    "checkpoints": PLAIN,
    "callbacks": (*PLAIN, "checkpoints.best_weights", "checkpoints.random_state"),
    "guards": (*PLAIN, "callbacks.logged_metrics"),
    "composition": ("errors", "stopping", "records"),
    "models": ("errors",),
    "data": ("errors",),
    # a run's picture is one of the files that it leaves
    "training": (
        "errors", "stopping", "records", "callbacks", "checkpoints", "guards", "composition", "reports.curve",
    ),
    # ... and of a shared training's
    "sweeping": (
        "errors", "stopping", "records", "callbacks", "checkpoints", "composition", "training", "reports.curve",
        "reports.shared_curve",
    ),
    # ... and what is read can be drawn, and shown in a notebook; what is evaluated is compared with the training data
    "reading": (
        "errors", "stopping", "records", "checkpoints", "composition", "guards.identical_samples", "reports.curve",
        "reports.heatmap", "reports.notebook", "reports.replay", "reports.sweep_curves",
    ),
    "reports": ("errors", "stopping", "records", "reading"),
    "cli": EVERYTHING,
    "__main__": EVERYTHING,
    "__init__": EVERYTHING,  # the public names, see test_lazy_import.py
}  # fmt: skip
NOTHING_HEAVY = ("errors", "stopping", "records")
HEAVY_IN_FUNCTIONS = ("reading",)


class Import(NamedTuple):
    """One import: of `target`, by the module of that dotted path inside the package."""

    module: str
    line: int
    target: str
    in_function: bool
    for_types: bool

    @property
    def room(self) -> str:
        return self.module.partition(".")[0]

    @property
    def inside(self) -> str | None:
        """The target's dotted path inside the package; "" is the package itself, None something else."""
        head, _, rest = self.target.partition(".")
        return rest if head == "keepbest" else None

    @property
    def is_heavy(self) -> bool:
        return self.target.partition(".")[0] in HEAVY

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


class Reader(ast.NodeVisitor):
    """Collects the imports of one module."""

    def __init__(self, package: Path, path: Path) -> None:
        self.package = package
        parts = path.relative_to(package).with_suffix("").parts
        self.module = ".".join(parts)
        self.folder = parts[:-1]
        self.found: list[Import] = []
        self._functions = self._for_types = 0

    def visit_FunctionDef(self, node: ast.AST) -> None:
        self._functions += 1
        self.generic_visit(node)
        self._functions -= 1

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

    def visit_If(self, node: ast.If) -> None:
        if not ast.unparse(node.test).endswith("TYPE_CHECKING"):
            self.generic_visit(node)
            return
        self._for_types += 1
        for statement in node.body:
            self.visit(statement)
        self._for_types -= 1
        for statement in node.orelse:
            self.visit(statement)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._take(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            folder = self.folder[: len(self.folder) - node.level + 1]
            base = ".".join(filter(None, ("keepbest", *folder, base)))
        for alias in node.names:  # what is imported from a package may be a module of it
            whole = f"{base}.{alias.name}"
            self._take(node, whole if self._is_module(whole) else base)

    def _is_module(self, target: str) -> bool:
        head, *rest = target.split(".")
        place = self.package.joinpath(*rest)
        return head == "keepbest" and (place.with_suffix(".py").is_file() or place.is_dir())

    def _take(self, node: ast.stmt, target: str) -> None:
        self.found.append(Import(self.module, node.lineno, target, bool(self._functions), bool(self._for_types)))


def imports_of(package: Path) -> Iterator[Import]:
    for path in sorted(package.rglob("*.py")):
        reader = Reader(package, path)
        reader.visit(ast.parse(path.read_text(encoding="utf-8")))
        yield from reader.found


def rooms_of(package: Path) -> set[str]:
    return {path.relative_to(package).with_suffix("").parts[0] for path in package.rglob("*.py")}


def wrong_arrows(package: Path) -> list[str]:
    """Return the imports between rooms that the table does not allow."""
    wrong = []
    for found in imports_of(package):
        if found.inside is None:
            continue
        allowed = (found.room, *MAY_IMPORT[found.room])
        if not any(where == "" or f"{found.inside}.".startswith(f"{where}.") for where in allowed):
            wrong.append(str(found))
    return wrong


def heavy_imports(package: Path) -> list[str]:
    """Return the imports of torch, Lightning, Hydra and OmegaConf where they have no place."""
    heavy = [found for found in imports_of(package) if found.is_heavy]
    return [str(found) for found in heavy if found.room in NOTHING_HEAVY] + [
        str(found)
        for found in heavy
        if found.room in HEAVY_IN_FUNCTIONS and not found.in_function and not found.for_types
    ]


def test_every_room_has_a_row_and_every_row_a_room() -> None:
    assert rooms_of(PACKAGE) == set(MAY_IMPORT)


def test_no_arrow_points_the_wrong_way() -> None:
    assert wrong_arrows(PACKAGE) == []


def test_torch_lightning_and_hydra_stay_out_of_the_plain_rooms() -> None:
    assert heavy_imports(PACKAGE) == []


def test_one_module_only_instantiates() -> None:
    """Only composition/build.py names Hydra's instantiate, in whatever way it could be reached."""
    users = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, (ast.Name, ast.Attribute)) and "instantiate" in (
                getattr(node, "id", None),
                getattr(node, "attr", None),
            )
            imported = isinstance(node, ast.ImportFrom) and any(alias.name == "instantiate" for alias in node.names)
            if named or imported:
                users.add(path.relative_to(PACKAGE).as_posix())
    assert users == {"composition/build.py"}


# The reader itself, on modules that do what they must not.

CAUGHT = {
    "at the top": ("stopping/rule.py", "import keepbest.records.store", "keepbest.records.store"),
    "from a module": ("records/book.py", "from keepbest.stopping.policy import Mode", "keepbest.stopping.policy"),
    "in a function": ("guards/gate.py", "def look():\n    from keepbest.training import job", "keepbest.training"),
    "in a method": ("data/set.py", "class A:\n    async def b():\n        import keepbest.cli", "keepbest.cli"),
    "for types": ("models/net.py", "if TYPE_CHECKING:\n    from keepbest.data import Digits", "keepbest.data"),
    "a module of a package": ("errors.py", "from keepbest.records import atomic", "keepbest.records.atomic"),
    "relative": ("reports/page.py", "from ..training import job", "keepbest.training"),
    "relative, of a package": ("composition/a.py", "from .. import cli", "keepbest.cli"),
    "the package's own names": ("callbacks/stop.py", "from keepbest import StoppingPolicy", "keepbest"),
    "a module beside the allowed one": (
        "training/end.py", "from keepbest.reports.terminal import show", "keepbest.reports.terminal",
    ),
    "under try": ("reading/sweep.py", "try:\n    import keepbest.reports\nexcept ImportError: ...", "keepbest.reports"),
}  # fmt: skip


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for folder in ("stopping", "records", "guards", "data", "models", "reports", "composition", "callbacks"):
        (tmp_path / folder).mkdir()
    for folder in ("training", "reading", "cli"):
        (tmp_path / folder).mkdir()
    for module in ("records/atomic.py", "reports/curve.py", "training/__init__.py", "cli/__init__.py"):
        (tmp_path / module).touch()
    return tmp_path


@pytest.mark.parametrize(("place", "text", "target"), CAUGHT.values(), ids=CAUGHT)
def test_a_wrong_arrow_is_caught(package: Path, place: str, text: str, target: str) -> None:
    (package / place).write_text(text)
    (wrong,) = wrong_arrows(package)
    assert wrong.endswith(f" imports {target}")


ALLOWED = {
    "its own room": ("stopping/rule.py", "from keepbest.stopping.policy import StoppingPolicy\nfrom . import reasons"),
    "a room below": ("guards/gate.py", "from keepbest.errors import DataError"),
    "the one allowed module": ("training/end.py", "from keepbest.reports.curve import draw_curve"),
    "another library of a similar name": ("stopping/rule.py", "import keepbest_extras.records"),
}


@pytest.mark.parametrize(("place", "text"), ALLOWED.values(), ids=ALLOWED)
def test_a_right_arrow_passes(package: Path, place: str, text: str) -> None:
    (package / place).write_text(text)
    assert wrong_arrows(package) == []


HEAVY_CASES = {
    "at the top": ("reading/run.py", "import torch", 1),
    "in a function": ("reading/run.py", "def load():\n    import torch", 0),
    "for types": ("reading/run.py", "if TYPE_CHECKING:\n    from lightning.pytorch import Trainer", 0),
    "beside types": ("reading/run.py", "if TYPE_CHECKING:\n    import torch\nelse:\n    import omegaconf", 1),
    "plain room, top": ("records/store.py", "from omegaconf import OmegaConf", 1),
    "plain room, function": ("stopping/policy.py", "def f():\n    import hydra.utils", 1),
    "plain room, types": ("errors.py", "if TYPE_CHECKING:\n    from torch import Tensor", 1),
    "a room that may": ("callbacks/history.py", "import torch, lightning", 0),
}


@pytest.mark.parametrize(("place", "text", "faults"), HEAVY_CASES.values(), ids=HEAVY_CASES)
def test_heavy_imports_are_told_apart(package: Path, place: str, text: str, faults: int) -> None:
    (package / place).write_text(text)
    assert len(heavy_imports(package)) == faults
