"""The two packages that Lightning comes in, whose classes look the same and do not know each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepbest.errors import KeepbestError

if TYPE_CHECKING:
    from lightning.pytorch import Callback, Trainer


def require_same_package(callback: Callback, trainer: Trainer) -> None:
    """Refuse a trainer of `pytorch_lightning` for a callback of `lightning.pytorch`.

    Lightning itself says nothing there: such a trainer does not see the callback as an EarlyStopping or a checkpoint
    callback, adds a ModelCheckpoint of its own beside it, and takes that one for `ckpt_path="best"`.

    Raises:
        KeepbestError: with the import to change.
    """
    if any(kind.__module__.partition(".")[0] == "pytorch_lightning" for kind in type(trainer).__mro__):
        raise KeepbestError(
            f"keepbest.{type(callback).__name__} must be used with lightning.pytorch.Trainer, got a Trainer of the "
            "package pytorch_lightning, to which it is a stranger. Import from lightning.pytorch everywhere: "
            "`import lightning.pytorch as pl` instead of `import pytorch_lightning as pl`."
        )
