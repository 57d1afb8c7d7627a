"""A run, opened from the directory it left, which may have come from somebody else.

Everything is looked at in this order: what a file is and how large, then its hash, then what it says, then each class
that it names. Unless `trust=True`, opening a run executes nothing but known classes and those of modules that were
named; it never writes. `keepbest.composition.allowance` says which classes are known, and why.

The hashes lie beside what they were taken of: they tell that nothing was damaged, not who made it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.errors import ConfigError, did_you_mean
from keepbest.reading.compared_files import ComparedFiles
from keepbest.reading.known_record import KnownRecord
from keepbest.reading.named_modules import checked_modules
from keepbest.reading.newest import newest_run
from keepbest.records.locations import OUTPUTS, run_directory
from keepbest.records.metrics_table import RecordedCheck, read_checks, read_metrics

if TYPE_CHECKING:
    import pandas as pd
    from lightning.pytorch import LightningDataModule, LightningModule
    from matplotlib.figure import Figure

    from keepbest.composition.resolved import PlainConfig
    from keepbest.reading.prediction import Predictor
    from keepbest.reading.run_model import RunModel
    from keepbest.reading.trained_samples import TrainedSamples
    from keepbest.records.run_record import Evaluation


def open_run(path: str | Path, *, trust: bool = False, modules: Sequence[str] = ()) -> Run:
    """Open a run.

    Args:
        path: its directory, or any file right inside it such as `run.json`.
        trust: whether to do whatever the run says, as if it were your own: call any function that its config names,
            follow paths out of its directory, accept a record that was edited. A checkpoint that does not match its
            recorded hash is refused all the same, and is never unpickled.
        modules: modules of yours whose classes its config may name, such as `["my_module"]`; their code is executed
            when its model or data are made, and one that is not there is refused then.

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
        self._files = ComparedFiles(directory, self._known, trust=trust)

    def __repr__(self) -> str:
        record = self._known.value
        score = record.best_model_score
        best = "no best model" if score is None else f"{record.objective.monitor} {score:.6g}"
        text = f"<Run {record.id}: {record.status.value}, {best}>"
        return text if text.isprintable() else repr(text)  # a terminal obeys some characters

    def _repr_html_(self) -> str:
        from keepbest.reading.views import run_html

        return run_html(self._known.value, self.directory, lambda: self.config)

    @property
    def record(self) -> dict[str, Any]:
        """`run.json` as plain data, as it was last read."""
        return self._known.data

    @functools.cached_property
    def config(self) -> PlainConfig:
        """The resolved config, as plain containers."""
        return self._known.compared(self._files.config)

    @functools.cached_property
    def metrics(self) -> pd.DataFrame:
        """`metrics.csv`: a row per check and epoch, NaN where a row lacks a metric.

        The table of a run that has its result is compared with the recorded hash. One that may still grow has none:
        only its form is looked at.

        Raises:
            RecordError: when there is none, or it is no such table.
            IntegrityError: when it is not the one that was recorded.
        """
        import pandas as pd

        return self._known.compared(lambda: pd.DataFrame(read_metrics(self._files.metrics())))

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
        found = self._known.compared(lambda: read_checks(self._files.metrics(), name))
        if not found:
            available = [str(column) for column in self.metrics if column not in ("epoch", "step")]
            raise ConfigError(
                "a metric to look at must be one of the run",
                received=name,
                remedy=f"{did_you_mean(str(name), available)} It has {', '.join(available) or 'none'}".lstrip(),
            )
        return found

    def plot(self, metric: str | None = None, *, ax: Any = None) -> Figure:
        """Draw a metric, the objective's with the best epoch, the stop and the patience window; return the figure.

        A run that goes on is drawn as far as it is.

        Args:
            metric: its name; None for the objective's.
            ax: the matplotlib axes to draw in; None makes a new figure.

        Raises:
            ConfigError: for a metric that the run does not have.
            RecordError: before the first check.
            IntegrityError: for metrics that are not as they were recorded.
        """
        from keepbest.reports.curve import plot_curve

        checks = self.checks(metric)
        record = self._known.value
        return plot_curve(checks, metric or record.objective.monitor, record, ax)

    @property
    def best_model_path(self) -> Path:
        """The best checkpoint, absolute, after its content was compared with the recorded hash: each time anew.

        After a crash it may still have its temporary name, see `keepbest.checkpoints.recovery`. A training that goes
        on replaces it; `load_model` reads what it has compared all the same.

        Raises:
            RecordError: when the run kept none, the record does not say enough of it, or the file is gone.
            IntegrityError: when it is not the file that was recorded.
        """
        with self._known.compared(self._files.open_best) as file:
            return Path(file.name)

    def load_model(self, device: str = "cpu") -> LightningModule:
        """Return the LightningModule with the best weights, in eval mode.

        It is made from the run's config; arguments that the config leaves null are taken from the checkpoint's
        hyperparameters, where training has stored what it learnt from the data (the sizes of keepbest's models).
        The global random number generators are left as they were.

        Args:
            device: where the weights go, in torch's words.

        Raises:
            IntegrityError: when the checkpoint is not the one that was recorded, holds more than weights, or others
                than the model's.
            ConfigError: when the model's class is not allowed, or cannot be found or made, or the device is none.
        """
        from keepbest.reading.undisturbed import generators_kept

        made = self._made  # first: the record that was read last is that of the checkpoint
        made.section("model")
        checkpoint = self._known.compared(self._files.read_best)
        with generators_kept():
            return made.model(checkpoint, device)

    def predict(self, inputs: Any, *, device: str = "cpu") -> Any:
        """Return what the best model's `forward` gives for a batch, without gradients: a quick look.

        The model is loaded at the first call, and kept until the record names another best.

        Args:
            inputs: a batch: a tensor, a NumPy array, numbers in lists, a list of samples (which are stacked), or a
                mapping of such. A tuple holds several arguments of `forward`. Numbers with a fraction are given the
                type of the model's weights.
            device: where the model computes, in torch's words.

        Returns:
            The result, its tensors on the CPU.

        Raises:
            ConfigError: for inputs that the model does not take; and what `load_model` raises.
        """
        return self._predictor.predict(inputs, device)

    def datamodule(self) -> LightningDataModule:
        """Return the LightningDataModule of the run's config, set up for fitting and testing.

        It reads the files that the config names, wherever they are.

        Raises:
            ConfigError: when its class is not allowed, or cannot be found or made.
            KeepbestError: whatever else keeps it from being set up.
        """
        from keepbest.reading.run_model import set_up

        datamodule = self._made.datamodule()
        set_up(datamodule, "fit", "test")
        return datamodule

    def evaluate(
        self, split: str = "val", *, data: Mapping[str, Any] | None = None, device: str = "auto"
    ) -> dict[str, float]:
        """Return the metrics of the best checkpoint on a split of its data, or of other data.

        Lightning's `Trainer.validate` or `Trainer.test` computes them on one device, with the run's seed, number of
        threads and precision, and, on the run's own data, its `limit_*_batches`. On the CPU a run of the CPU gives
        the recorded score bit for bit; where "val" gives another one, beyond a thousandth, there is a warning.
        Nothing is written, and the process's generators and settings are left as they were.

        The config's callbacks, loggers, plugins and strategy take no part, so that a metric that a callback logs is
        missing; of a run that is opened with `trust=True`, callbacks of your own do.

        The samples of other data are looked for in the run's own training split, for a few seconds: there is a warning
        where the model was trained on some, and where that cannot be told. Classes and columns must be its own, too.

        Args:
            split: "val" or "test".
            data: the config of another data module, a plain dict with a `_target_`; None for the run's own. It prepares
                its data by itself: it decides what the split is, and standardises by its own statistics.
            device: in torch's words; "auto" is the accelerator of the run's config, where this machine has it.

        Raises:
            ConfigError: for another split, for a model or a data module that has none of it, and for data that are
                not made for the model; and what `load_model` and `datamodule` raise.
            DataError: when the split has no batches, or the data cannot be read.
        """
        from keepbest.reading.repeated_score import warn_of_another_score
        from keepbest.reading.trained_samples import warn_of_trained_samples

        told: list[TrainedSamples] = []
        found = self.evaluation(split, data=data, device=device, tell=told.append)
        warn_of_trained_samples(told)
        warn_of_another_score(found, self._known.value)
        return found.metrics

    def evaluation(
        self,
        split: str = "val",
        *,
        data: Mapping[str, Any] | None = None,
        device: str = "auto",
        own_place: Path | None = None,
        tell: Callable[[TrainedSamples], object] | None = None,
    ) -> Evaluation:
        """Return what `evaluate` does, as an entry of the record; see `keepbest.reading.evaluation.Wanted`."""
        from keepbest.reading.evaluation import Wanted, evaluation_of

        wanted, made = Wanted(split, data, device, own_place, tell), self._made
        checkpoint = self._known.compared(self._files.read_best)
        return evaluation_of(wanted, made, checkpoint, self._known.value)

    @functools.cached_property
    def _made(self) -> RunModel:
        from keepbest.reading.run_model import RunModel

        return RunModel(self.directory, self.config, self._modules, trust=self._trust)

    @functools.cached_property
    def _predictor(self) -> Predictor:
        from keepbest.reading.prediction import Predictor

        return Predictor(self._known, self.load_model)
