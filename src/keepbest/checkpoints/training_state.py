"""A training in one file, to go on from in a plain PyTorch loop."""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from keepbest.checkpoints.loading import read_safely, require_checksums
from keepbest.checkpoints.random_state import random_state, restore_random_state
from keepbest.checkpoints.refusal import REFUSED, refusal, require_safe
from keepbest.checkpoints.writing import write_checkpoint
from keepbest.errors import ConfigError, IntegrityError, KeepbestError, did_you_mean
from keepbest.stopping.policy import StoppingPolicy

_FORMAT = "keepbest.training_state"
_VERSION = 1


class Stateful(Protocol):
    """What has a state: a module, an optimizer, a scheduler, a GradScaler, a PolicyState, a BestWeights."""

    def state_dict(self) -> Any:
        """Return the state: tensors and plain containers."""

    def load_state_dict(self, state: Any, /) -> Any:
        """Continue from a state."""


def save_checkpoint(path: str | PathLike[str], *, epoch: int, **parts: Stateful) -> None:
    """Write all that a training needs to go on after `epoch` as if it had not been interrupted.

    That is the state of each part, and that of the global random number generators (see `random_state`). The file takes
    the place of an older one in one step, once it lies on the disk: whatever happens, there is a whole one.

    Call it last in an epoch. A `DataLoader` draws from the global generator too, unless it was given a generator of its
    own, whose state is not saved; with `persistent_workers` its second epoch draws differently from a first one.

    Args:
        path: the file; its directory is made.
        epoch: the epoch that is complete, counted from 0.
        parts: what has a `state_dict` and a `load_state_dict`, by names of your choice.

    Raises:
        ConfigError: when a part has no state, or the epoch is negative.
        KeepbestError: when a state holds what no safe load accepts, naming it; when the file could not be written. An
            older file is still there then.
    """
    _require_stateful(parts)
    path = Path(path)
    states = {name: part.state_dict() for name, part in parts.items()}
    header = {"format": _FORMAT, "version": _VERSION, "epoch": _whole_epoch(epoch)}
    try:
        write_checkpoint({**header, "parts": states, "random_state": random_state()}, path, require_safe)
    except REFUSED as error:
        raise refusal(states, error) from error


def load_checkpoint(path: str | PathLike[str], *, missing_ok: bool = False, **parts: Stateful) -> int:
    """Put parts and random number generators into the state in which `save_checkpoint` saw them.

    Nothing in the file is executed. It is read, checked and compared with the parts before the first part is changed.
    Tensors are read into main memory; each part puts its own where they belong.

    Args:
        path: what `save_checkpoint` wrote.
        missing_ok: without a file, change nothing and return 0: the training begins.
        parts: those that were saved, by the same names.

    Returns:
        The number of the epoch to go on with: the one after the last complete one.

    Raises:
        FileNotFoundError: when there is no file, unless `missing_ok`.
        IntegrityError: when the file is damaged or of another kind.
        ConfigError: when the names are not those that were saved.
        KeepbestError: when a part does not accept its state.
    """
    _require_stateful(parts)
    path = Path(path)
    if missing_ok and not path.exists():
        return 0
    content = _read(path)
    _require_same_names(path, list(content["parts"]), list(parts))
    for name, part in parts.items():
        _load(path, name, part, content["parts"][name])
    restore_random_state(content["random_state"])
    return int(content["epoch"]) + 1


def _require_stateful(parts: Mapping[str, Any]) -> None:
    for name, part in parts.items():
        if not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
            raise ConfigError(
                f"the part {name!r} must have state_dict and load_state_dict",
                received=type(part).__name__,
                remedy="Give its state: policy.start()" if isinstance(part, StoppingPolicy) else None,
            )


def _whole_epoch(epoch: int) -> int:
    try:
        number = index(epoch)  # NumPy's whole numbers too, which a safe load would refuse
    except TypeError:
        number = -1
    if number < 0:
        raise ConfigError("epoch must be a whole number, at least 0", received=epoch)
    return number


# Loading: check all before the first part is changed.


def _read(path: Path) -> dict[str, Any]:
    require_checksums(path)
    content = read_safely(path)
    if not (isinstance(content, dict) and content.get("format") == _FORMAT):
        raise IntegrityError(
            f"load_checkpoint must be given a file that save_checkpoint wrote, {path} is {_kind_of(content)}."
        )
    if content["version"] != _VERSION:
        raise IntegrityError(
            f"{path} must be of version {_VERSION} of its format, it is of {content['version']}. "
            "Load it with the version of keepbest that wrote it."
        )
    return content


def _kind_of(content: Any) -> str:
    """Say what a foreign file is, and what opens it."""
    if not isinstance(content, dict):
        return f"a {type(content).__name__}"
    if "pytorch-lightning_version" in content:
        return (
            "a checkpoint of Lightning's Trainer. Resume that with trainer.fit(model, ckpt_path=...), or open its run "
            "with keepbest.open_run"
        )
    if content and all(isinstance(value, Tensor) for value in content.values()):
        return "weights alone. Load those with model.load_state_dict(torch.load(path, weights_only=True))"
    return f"a dict of {', '.join(map(str, content)) or 'nothing'}"


def _require_same_names(path: Path, saved: list[str], given: list[str]) -> None:
    missing, unknown = [name for name in saved if name not in given], [name for name in given if name not in saved]
    if not missing and not unknown:
        return
    faults = [f"missing {', '.join(missing)}"] if missing else []
    faults += [f"unknown {', '.join(unknown)}"] if unknown else []
    hints = [f"{did_you_mean(name, missing)}" for name in unknown]
    raise ConfigError(
        f"the parts must be those that {path} holds, which are {', '.join(saved) or 'none'}; {'; '.join(faults)}",
        remedy=next(filter(None, hints), "Give the parts that were saved, by the same names"),
    )


def _load(path: Path, name: str, part: Stateful, state: Any) -> None:
    try:
        part.load_state_dict(state)
    except Exception as error:
        raise KeepbestError(
            f"the part {name!r} must be made as it was when {path} was written, it does not accept its state "
            f"({type(error).__name__}: {error}). "
            "Make all parts anew before you go on: some of them may hold states of the file already."
        ) from error
