"""How Lightning's trainer writes checkpoints under keepbest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import LightningDataModule, LightningModule

from keepbest.checkpoints.loading import refusals_told
from keepbest.checkpoints.plain import plain_hyperparameters
from keepbest.checkpoints.writing import BeforeReplace, write_checkpoint
from keepbest.errors import KeepbestError

_OWNERS = (LightningModule, LightningDataModule)
_HYPERPARAMETERS = [owner.CHECKPOINT_HYPER_PARAMS_KEY for owner in _OWNERS]
_THEIR_TYPES = [owner.CHECKPOINT_HYPER_PARAMS_TYPE for owner in _OWNERS]


class DurableCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target, hashes it on the way, flushes it to the disk and renames it.

    A reader sees the old checkpoint or the new one, never a part. Hyperparameters are stored as plain containers, so
    that the file loads with `weights_only=True`; what has no plain form is left out.

    Attributes:
        before_replace: is told the target, the sha256 and the bytes of a new checkpoint that lies whole on the disk
            under a temporary name, before it takes its place. There the caller records them, durably; what a crash then
            leaves, `recovery` puts in order. What it raises leaves the old checkpoint, and must mean that nothing was
            recorded.
        before_save: is told the target in the training's thread when a save begins. Only now is the state of trainer
            and callbacks that of the checkpoint: what `before_replace` records about it must be noted here.
    """

    def __init__(
        self, before_replace: BeforeReplace | None = None, before_save: Callable[[Path], None] | None = None
    ) -> None:
        super().__init__()
        self.before_replace = before_replace
        self.before_save = before_save
        self._sha256: dict[Path, str] = {}
        self._checked: set[str] = set()

    @property
    def sha256(self) -> dict[Path, str]:
        """The hash of each checkpoint that this object wrote and did not remove, by path."""
        return self._sha256

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint; a path with a scheme, such as `s3://...`, is left to Lightning.

        Raises:
            KeepbestError: when the disk is full or the directory cannot be written, naming both; when the checkpoint
                holds what no safe load accepts. The old checkpoint is still there.
        """
        checkpoint = _with_plain_hyperparameters(checkpoint)
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        if self.before_save:
            self.before_save(Path(path))
        self._save(checkpoint, Path(path))

    def _save(self, checkpoint: dict[str, Any], target: Path) -> None:
        accept = None if checkpoint.keys() <= self._checked else _require_safe
        self._sha256[target] = write_checkpoint(checkpoint, target, accept, self.before_replace)
        self._checked |= checkpoint.keys()  # the first with something new in it is looked at, too

    def load_checkpoint(self, path: str | Path, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Read a checkpoint; whether only safely, Lightning's `weights_only` says.

        Raises:
            IntegrityError: when a safe load refuses it, or cannot parse it.
        """
        safely = options.get("weights_only") and "://" not in str(path)
        with refusals_told(Path(path)) if safely else nullcontext():
            return super().load_checkpoint(path, *arguments, **options)

    def wait(self) -> None:
        """Return when every checkpoint lies on the disk: at once."""

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint."""
        self._sha256.pop(Path(path), None)
        super().remove_checkpoint(path)


def _with_plain_hyperparameters(checkpoint: dict[str, Any]) -> dict[str, Any]:
    plain = {key: plain_hyperparameters(checkpoint[key]) for key in _HYPERPARAMETERS if key in checkpoint}
    # the type of an OmegaConf container would be a class in the file, which a safe load refuses
    return {key: value for key, value in checkpoint.items() if key not in _THEIR_TYPES} | plain


def _require_safe(path: Path) -> None:
    """Refuse a checkpoint that a safe load would refuse, after the first check and not after the whole training."""
    unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    if unsafe:
        raise KeepbestError(
            "a checkpoint must hold only tensors and plain containers, what on_save_checkpoint, a state_dict or a "
            f"callback adds needs {', '.join(sorted(unsafe))}. Store it as tensors, numbers, texts, lists and dicts."
        )
