"""Where the checkpoints of a run may lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.errors import ConfigError

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import ModelCheckpoint


def require_inside(keeper: ModelCheckpoint, job_dir: Path) -> None:
    """Refuse a place for the best checkpoints from which the run could neither be resumed nor opened once it was moved.

    A place with a scheme, such as `s3://...`, is left alone.

    Raises:
        ConfigError: for a directory outside of the run's, also by way of a link.
    """
    place = keeper.dirpath
    if place is None or "://" in str(place) or Path(place).resolve().is_relative_to(job_dir.resolve()):
        return
    raise ConfigError(
        "the checkpoints must lie in the run's own directory, so that the run can be resumed, moved and opened",
        key="callbacks.model_checkpoint.dirpath",
        received=str(place),
        remedy=f"Put the whole run on that disk with hydra.run.dir=..., instead of {job_dir}",
    )
