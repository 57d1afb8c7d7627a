"""A run, opened from the directory it left."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.errors import RecordError
from keepbest.records.locations import OUTPUTS, newest_run
from keepbest.records.metrics_table import METRICS_FILE, read_metrics
from keepbest.records.store import RUN_FILE, read_record

if TYPE_CHECKING:
    import pandas as pd
    from lightning.pytorch import LightningDataModule, LightningModule

    from keepbest.composition.resolved import PlainConfig


def open_run(path: str | Path) -> Run:
    """Open a run.

    Args:
        path: its directory, or any file right inside it such as `run.json`.

    Raises:
        RecordError: when there is no run, or its record cannot be read.
    """
    directory = Path(path).expanduser().resolve()
    return Run(directory.parent if directory.is_file() else directory)


def latest_run(outputs: str | Path = OUTPUTS) -> Run:
    """Open the run that was launched last.

    Args:
        outputs: the directory that holds `runs`.

    Raises:
        RecordError: when there is none.
    """
    return Run(newest_run(Path(outputs).expanduser()).resolve())


class Run:
    """A run, as it lies on disk. Nothing is read but the record until it is asked for.

    Attributes:
        directory: where the run lies now.
        record: `run.json` as plain data; its keys are those of `keepbest.records.run_record.RunRecord`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._record = read_record(directory)
        self.record: dict[str, Any] = self._record.as_dict()

    def __repr__(self) -> str:
        score = self._record.best_model_score
        best = "no best model" if score is None else f"{self._record.objective.monitor} {score:.6g}"
        return f"<Run {self._record.id}: {self._record.status.value}, {best}>"

    @functools.cached_property
    def config(self) -> PlainConfig:
        """The resolved config, as plain containers."""
        from keepbest.composition.resolved import read_config

        return read_config(self.directory)

    @functools.cached_property
    def metrics(self) -> pd.DataFrame:
        """`metrics.csv`: a row per check and epoch, NaN where a row lacks a metric."""
        import pandas as pd

        path = self.directory / METRICS_FILE
        if not path.is_file():
            raise RecordError(f"{path} does not exist: the run ended before its first check.")
        return pd.DataFrame(read_metrics(path))

    @functools.cached_property
    def best_model_path(self) -> Path:
        """The best checkpoint, absolute, after its content was compared with the recorded hash.

        Raises:
            RecordError: when the run kept none, or the file is gone.
            IntegrityError: when it is not the file that was recorded.
        """
        from keepbest.checkpoints.hashing import require_sha256

        if self._record.best_model_path is None or self._record.best_sha256 is None:
            raise RecordError(f"the run has no best model: it is {self._record.status.value}. See its {RUN_FILE}.")
        path = (self.directory / self._record.best_model_path).resolve()
        if not path.is_file():
            raise RecordError(f"the best checkpoint of the run is gone: {path} does not exist.")
        require_sha256(path, self._record.best_sha256)
        return path

    def load_model(self, device: str = "cpu") -> LightningModule:
        """Return the LightningModule with the best weights, in eval mode.

        It is made from the run's config; arguments that the config leaves null are taken from the checkpoint's
        hyperparameters, where training has stored what it learnt from the data (the sizes of keepbest's models).

        Args:
            device: where the weights go, in torch's words.

        Raises:
            IntegrityError: when the checkpoint is not the one that was recorded, or holds more than weights.
            ConfigError: when the model's class cannot be found or made.
        """
        from lightning.pytorch import LightningModule

        from keepbest.checkpoints.loading import read_checkpoint
        from keepbest.composition.build import build_model
        from keepbest.composition.targets import require_classes

        checkpoint = read_checkpoint(self.best_model_path, sha256=None)
        learnt = checkpoint.get("hyper_parameters") or {}
        node = {name: learnt.get(name) if value is None else value for name, value in self.config["model"].items()}
        require_classes(node, "model", LightningModule)
        model = build_model(node)
        model.configure_model()
        model.on_load_checkpoint(checkpoint)
        model.load_state_dict(checkpoint["state_dict"], assign=True)  # keeps the precision that was trained in
        return model.to(device).eval()

    def datamodule(self) -> LightningDataModule:
        """Return the LightningDataModule of the run's config, set up for fitting and testing."""
        from lightning.pytorch import LightningDataModule

        from keepbest.composition.build import build_datamodule
        from keepbest.composition.targets import require_classes

        require_classes(self.config["data"], "data", LightningDataModule)
        datamodule = build_datamodule(self.config["data"])
        datamodule.prepare_data()
        datamodule.setup("fit")
        datamodule.setup("test")
        return datamodule
