"""A run, opened from the directory it left, which may have come from somebody else.

Everything is looked at in this order: what a file is and how large, then its hash, then what it says, then each class
that it names. Unless `trust=True`, opening a run executes nothing but known classes and those of modules that were
named; it never writes. `keepbest.composition.allowance` says which classes are known, and why.

The hashes lie beside what they were taken of: they tell that nothing was damaged, not who made it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from keepbest.errors import ConfigError, DataError, IntegrityError, RecordError, did_you_mean
from keepbest.reading.known_record import KnownRecord
from keepbest.reading.run_files import (
    IF_TRUSTED,
    LARGEST_CONFIG,
    LARGEST_TABLE,
    require_file,
    require_modest_table,
)
from keepbest.reading.telling import telling
from keepbest.records.locations import OUTPUTS, newest_run, run_directory
from keepbest.records.metrics_table import METRICS_FILE, RecordedCheck, read_checks, read_metrics
from keepbest.records.store import RUN_FILE

if TYPE_CHECKING:
    import pandas as pd
    from lightning.pytorch import LightningDataModule, LightningModule

    from keepbest.composition.allowance import Allowance
    from keepbest.composition.resolved import PlainConfig


def open_run(path: str | Path, *, trust: bool = False, modules: Sequence[str] = ()) -> Run:
    """Open a run.

    Args:
        path: its directory, or any file right inside it such as `run.json`.
        trust: whether to do whatever the run says, as if it were your own: call any function that its config names,
            follow paths out of its directory, accept a record that was edited. A checkpoint that does not match its
            recorded hash is refused all the same, and is never unpickled.
        modules: modules of yours whose classes its config may name, such as `["my_module"]`; their code is executed.

    Raises:
        RecordError: when there is no run, or its record cannot be read or leads out of the directory.
        IntegrityError: when its record is not as it was written.
        ConfigError: for what is no path, and for modules that are no list of names.
    """
    return Run(run_directory(path).resolve(), trust=trust, modules=modules)


def latest_run(outputs: str | Path = OUTPUTS, *, trust: bool = False, modules: Sequence[str] = ()) -> Run:
    """Open the run that was launched last.

    Args:
        outputs: the directory that holds `runs`.
        trust: see `open_run`.
        modules: see `open_run`.

    Raises:
        RecordError: when there is none; and what `open_run` raises.
    """
    return Run(newest_run(Path(outputs).expanduser()).resolve(), trust=trust, modules=modules)


class Run:
    """A run, as it lies on disk. Nothing is read but the record until it is asked for.

    The record of a run that is trained meanwhile is read again before a file is compared with it; `record` is then the
    new one.

    Attributes:
        directory: where the run lies now.
        record: `run.json` as plain data; its keys are those of `keepbest.records.run_record.RunRecord`. A run
            that says `running` while no process holds it is `interrupted`.
    """

    def __init__(self, directory: Path, *, trust: bool = False, modules: Sequence[str] = ()) -> None:
        self.directory = directory
        self._trust, self._modules = trust, checked_modules(modules)
        self._known = KnownRecord(directory, trust=trust)

    def __repr__(self) -> str:
        record = self._known.value
        score = record.best_model_score
        best = "no best model" if score is None else f"{record.objective.monitor} {score:.6g}"
        text = f"<Run {record.id}: {record.status.value}, {best}>"
        return text if text.isprintable() else repr(text)  # a terminal obeys some characters

    def _repr_html_(self) -> str:
        from keepbest.reading.views import run_html

        return run_html(self._known.value, self.directory)

    @property
    def record(self) -> dict[str, Any]:
        """`run.json` as plain data, as it was last read."""
        return self._known.data

    @functools.cached_property
    def config(self) -> PlainConfig:
        """The resolved config, as plain containers."""
        return self._known.compared(self._read_config)

    def _read_config(self) -> PlainConfig:
        from keepbest.composition.resolved import CONFIG_FILE, read_config

        self._compared_file(CONFIG_FILE, LARGEST_CONFIG, self._known.value.config_sha256, "config")
        config = read_config(self.directory)
        if "hydra" in config and not self._trust:
            raise RecordError(f"the config of a run must not hold Hydra's own settings, {self.directory} does.")
        return config

    @functools.cached_property
    def metrics(self) -> pd.DataFrame:
        """`metrics.csv`: a row per check and epoch, NaN where a row lacks a metric.

        The table of a run that has its result is compared with the recorded hash. One that may still grow has none:
        only its form is looked at.

        Raises:
            RecordError: when there is none, or it is no such table.
            IntegrityError: when it is not the one that was recorded.
        """
        return self._known.compared(self._read_metrics)

    def _read_metrics(self) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(read_metrics(self._compared_metrics()))

    def checks(self, monitor: str | None = None) -> list[RecordedCheck]:
        """Return the evaluations of a metric, in their order: a NaN that was measured is one, an empty cell is none.

        Args:
            monitor: its name; None for the objective's.

        Raises:
            ConfigError: for a metric that the run does not have.
            RecordError: see `metrics`.
            IntegrityError: see `metrics`.
        """
        name = self._known.value.objective.monitor if monitor is None else monitor
        found = self._known.compared(lambda: read_checks(self._compared_metrics(), name))
        if not found:
            available = [str(column) for column in self.metrics if column not in ("epoch", "step")]
            raise ConfigError(
                "a metric to look at must be one of the run",
                received=name,
                remedy=f"{did_you_mean(name, available)} It has {', '.join(available) or 'none'}".lstrip(),
            )
        return found

    def _compared_metrics(self) -> Path:
        record = self._known.value
        path = self._compared_file(METRICS_FILE, LARGEST_TABLE, record.metrics_sha256, "table of metrics")
        if not path.is_file():
            state = f"the run is {record.status.value}"
            raise RecordError(f"the metrics of a run begin with its first check: {state}, and {path} does not exist.")
        if not self._trust:
            require_modest_table(path)
        return path

    @property
    def best_model_path(self) -> Path:
        """The best checkpoint, absolute, after its content was compared with the recorded hash: each time anew.

        After a crash it may still have its temporary name, see `keepbest.checkpoints.recovery`. A training that goes
        on replaces it; `load_model` reads what it has compared all the same.

        Raises:
            RecordError: when the run kept none, the record does not say enough of it, or the file is gone.
            IntegrityError: when it is not the file that was recorded.
        """
        with self._known.compared(self._open_best) as file:
            return Path(file.name)

    def _open_best(self) -> BinaryIO:
        from keepbest.reading.recorded_checkpoint import open_recorded

        record = self._known.value
        if record.best_model_path is None:
            raise RecordError(f"the run has no best model: it is {record.status.value}. See its {RUN_FILE}.")
        path = self._file(record.best_model_path)
        if None in (record.best_sha256, record.best_bytes) and not self._trust:
            raise RecordError(
                "a record must hold the size and the hash of the best checkpoint, best_bytes or best_sha256 is null. "
                f"{IF_TRUSTED}"
            )
        return open_recorded(path, record.best_sha256, record.best_bytes)

    def load_model(self, device: str = "cpu") -> LightningModule:
        """Return the LightningModule with the best weights, in eval mode.

        It is made from the run's config; arguments that the config leaves null are taken from the checkpoint's
        hyperparameters, where training has stored what it learnt from the data (the sizes of keepbest's models).

        Args:
            device: where the weights go, in torch's words.

        Raises:
            IntegrityError: when the checkpoint is not the one that was recorded, holds more than weights, or others
                than the model's.
            ConfigError: when the model's class is not allowed, or cannot be found or made, or the device is none.
        """
        from lightning.pytorch import LightningModule

        from keepbest.composition.build import build_model
        from keepbest.composition.screening import screen
        from keepbest.reading.saved_model import completed, require_data

        config = self._node("model")  # first: the record that was read last is that of the checkpoint
        checkpoint = self._known.compared(self._read_best)
        node = completed(config, checkpoint.get("hyper_parameters"))
        screen(node, "model", LightningModule, self._allowance)
        with telling(ConfigError, "the run's config must describe a model that can be made"):
            model = build_model(node)
            model.configure_model()
        with telling(IntegrityError, "the best checkpoint must hold the weights of the run's model"):
            model.on_load_checkpoint(checkpoint)
            model.load_state_dict(checkpoint["state_dict"], assign=True)  # keeps the precision that was trained in
        require_data(model)
        with telling(ConfigError, f"device must be one of this machine with room for the model, got {device!r}"):
            return model.to(device).eval()

    def datamodule(self) -> LightningDataModule:
        """Return the LightningDataModule of the run's config, set up for fitting and testing.

        It reads the files that the config names, wherever they are.

        Raises:
            ConfigError: when its class is not allowed, or cannot be found or made.
            KeepbestError: whatever else keeps it from being set up.
        """
        from lightning.pytorch import LightningDataModule

        from keepbest.composition.build import build_datamodule
        from keepbest.composition.screening import screen

        node = self._node("data")
        screen(node, "data", LightningDataModule, self._allowance)
        with telling(DataError, "the run's data must be there, as they were when it was trained"):
            datamodule = build_datamodule(node)
            datamodule.prepare_data()
            datamodule.setup("fit")
            datamodule.setup("test")
        return datamodule

    def _file(self, name: str, largest: int | None = None) -> Path:
        return (self.directory / name).resolve() if self._trust else require_file(self.directory, name, largest)

    def _compared_file(self, name: str, largest: int, sha256: str | None, noun: str) -> Path:
        """Return the path of a file that has the recorded hash, where there is one."""
        from keepbest.checkpoints.hashing import require_sha256

        path = self._file(name, largest)
        if sha256 and not self._trust:
            require_sha256(path, sha256, noun)
        return path

    def _read_best(self) -> dict[str, Any]:
        from keepbest.checkpoints.loading import read_opened
        from keepbest.reading.archive import require_stored

        with self._open_best() as file:
            require_stored(file)
            return read_opened(file)

    def _node(self, section: str) -> dict[str, Any]:
        node = self.config.get(section)
        if not isinstance(node, dict):
            rule = f"it must be a mapping with the _target_ of a class, and is a {type(node).__name__}"
            raise ConfigError(rule, key=section)
        return node

    @functools.cached_property
    def _allowance(self) -> Allowance:
        from keepbest.composition.allowance import Allowance, modules_wanted_by

        made = [self.config.get(section) for section in ("model", "data")]
        return Allowance(self.directory, self._modules, self._trust, modules_wanted_by(made, self._modules))


def checked_modules(modules: Sequence[str]) -> tuple[str, ...]:
    """Return the names of modules.

    Raises:
        ConfigError: when they are none.
    """
    if isinstance(modules, str) or not all(isinstance(name, str) and name for name in modules):
        raise ConfigError(
            "modules must be a list of names", received=modules, remedy='Write it as modules=["my_module"]'
        )
    return tuple(modules)
