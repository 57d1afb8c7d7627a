"""What a person who opens a run lets its config make; the config may be somebody else's.

A config is data, but each `_target_` in it names something to call. What is decided here:

* Without a word from the person, only classes that compute: those of `KNOWN_CLASSES`. It lists what is known to be
  harmless, not what is known to harm: elsewhere in torch, torchmetrics and Lightning there are classes that download,
  unpickle, open sockets or write when they are made (`torch.hub`, `torch.package`, `torch.jit`, `torch.distributed`,
  datapipes, metrics that fetch a network, loggers, demos that fetch MNIST).
* A class counts by the module that it is defined in, and the path by which it is named must begin with a known package
  too: a module outside is not even imported, for importing executes it.
* `modules=[...]` adds modules, with all that is inside them. Whoever names one trusts its code; still only classes of
  the kinds that a model or its data is made of are called (see `screening`).
* A class whose purpose is to call what it is given (`CALLERS`) is refused wherever it comes from.
* `trust=True` admits everything, as if the config were one's own.

What the known classes can do on behalf of a hostile config: read a file that it names into tensors (`keepbest.data`),
which go nowhere; use up memory and time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keepbest.errors import ConfigError

KNOWN_PACKAGES = ("torch", "lightning", "pytorch_lightning", "torchmetrics", "keepbest")
KNOWN_PATHS = (
    "torch.nn",
    "torch.optim",
    "torch.utils.data",
    "torchmetrics",
    "lightning.pytorch.demos.boring_classes",
    "pytorch_lightning.demos.boring_classes",
    "keepbest.models",
    "keepbest.data",
)
KNOWN_CLASSES = (
    "torch.nn.attention",
    "torch.nn.modules",
    "torch.nn.utils",
    "torch.optim",
    "torch.utils.data.dataset",
    *(
        f"torchmetrics.{part}"
        for part in (
            "aggregation", "classification", "clustering", "collections", "detection", "image._deprecated",
            "image.psnr", "image.ssim", "nominal", "regression", "retrieval", "segmentation", "wrappers",
        )
    ),
    "lightning.pytorch.demos.boring_classes",
    "pytorch_lightning.demos.boring_classes",
    "keepbest.models",
    "keepbest.data",
)  # fmt: skip
CALLERS = frozenset({
    "torch.nn.modules.loss.TripletMarginWithDistanceLoss",
    "torch.optim.lr_scheduler.LambdaLR",
    "torch.optim.lr_scheduler.MultiplicativeLR",
    "torch.optim.swa_utils.AveragedModel",
    "torchmetrics.audio.pit.PermutationInvariantTraining",
    "torchmetrics.metric.CompositionalMetric",
    "torchmetrics.wrappers.transformations.LambdaInputTransformer",
    "lightning.pytorch.callbacks.lambda_function.LambdaCallback",
    "pytorch_lightning.callbacks.lambda_function.LambdaCallback",
    "torch.utils.data.dataloader.DataLoader",
})  # fmt: skip


@dataclass(frozen=True)
class Allowance:
    """What may be made from a run's config.

    Args:
        directory: of the run, for the line that a refusal gives.
        modules: prefixes of dotted paths whose classes are allowed beside the known ones.
        trust: whether everything is.
        wanted: modules that would have to be named for the whole run; see `modules_wanted_by`.
    """

    directory: Path
    modules: tuple[str, ...] = ()
    trust: bool = False
    wanted: tuple[str, ...] = ()

    def admits_path(self, path: str) -> bool:
        """Return whether a module or class of this path may be imported."""
        named = lies_in(path, self.modules)
        hidden = any(name.startswith("_") for name in path.split("."))
        return named or (lies_in(path, KNOWN_PATHS) and not hidden)

    def admits_class(self, target: type) -> bool:
        """Return whether a class is known or defined in a module that was named."""
        return lies_in(f"{target.__module__}.{target.__qualname__}", (*KNOWN_CLASSES, *self.modules))

    def refusal(self, rule: str, key: str, received: object, module: str | None = None) -> NotAllowed:
        """Return the error for what is not allowed, with what to type to allow it.

        Args:
            rule: what must hold.
            key: where in the config.
            received: what is there.
            module: the one to name, where naming one can help; None where only trust does.
        """
        modules = None if module is None else tuple(dict.fromkeys((*self.modules, *self.wanted, module)))
        return NotAllowed(rule, key, received, self.directory, modules)


class NotAllowed(ConfigError):
    """A run's config asks for what whoever opens it has not allowed.

    Args:
        rule: what must hold.
        key: where in the config.
        received: what is there.
        directory: the run's.
        modules: those that would have to be named to allow it; None where only trust does.
    """

    def __init__(self, rule: str, key: str, received: object, directory: Path, modules: tuple[str, ...] | None) -> None:
        self.modules = modules
        if modules is None:
            opens = opening(directory, trust=True)
            remedy = f"If you trust whoever made the run with everything you can do: {opens}"
        else:
            remedy = f"If you trust that code: {opening(directory, modules)}; trust=True allows everything"
        super().__init__(rule, key=key, received=received, remedy=remedy)


def opening(directory: Path, modules: Iterable[str] = (), *, trust: bool = False) -> str:
    """Return the expression that opens a run."""
    arguments = [json.dumps(str(directory), ensure_ascii=False)]
    if trust:
        arguments.append("trust=True")
    elif names := list(modules):
        arguments.append(f"modules={json.dumps(names)}")
    return f"keepbest.open_run({', '.join(arguments)})"


def module_to_name(path: str) -> str | None:
    """Return the module that would have to be named for a class of this path; None where none would help.

    Naming one cannot help for functions, which by custom begin with a small letter, and for Python's own modules.
    """
    *parents, name = path.split(".")
    if not parents or not name[:1].isupper() or parents[0] in sys.stdlib_module_names:
        return None
    return ".".join(parents) if parents[0] in KNOWN_PACKAGES else parents[0]


def modules_wanted_by(node: Any, modules: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the modules that have to be named to make what a node of a config describes, beside those given."""
    paths = paths_beyond(node, modules)
    return tuple(dict.fromkeys(module for path in paths if (module := module_to_name(path))))


def paths_beyond(node: Any, modules: tuple[str, ...] = ()) -> list[str]:
    """Return the targets in a node of a config that are not among the known ones, or those of the modules given."""
    allowance = Allowance(Path(), modules)
    return [path for path in _targets(node) if is_dotted(path) and not allowance.admits_path(path)]


def is_dotted(path: object) -> bool:
    """Return whether a value is a dotted path without the names that Python keeps for itself (`__globals__`)."""
    if not isinstance(path, str):
        return False
    names = path.removeprefix("__main__.").split(".")  # a notebook's own classes
    return all(name.isidentifier() and not name.startswith("__") for name in names)


def lies_in(path: str, prefixes: Iterable[str]) -> bool:
    """Return whether a dotted path is one of the prefixes, or continues one."""
    return any(f"{path}.".startswith(f"{prefix}.") for prefix in prefixes)


def _targets(node: Any) -> Iterable[Any]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield node["_target_"]
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for item in node:
            yield from _targets(item)
