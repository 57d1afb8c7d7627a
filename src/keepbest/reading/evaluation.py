"""The best checkpoint of a run, evaluated again by Lightning's own loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.errors import ConfigError, DataError, KeepbestError, did_you_mean
from keepbest.reading.devices import accelerator_of
from keepbest.reading.evaluated_data import LOADERS, failure_on, learnt_sizes, require_suited, samples_of
from keepbest.reading.run_model import RunModel, set_up
from keepbest.reading.telling import telling
from keepbest.reading.trained_samples import TrainedSamples, limit_of, trained_samples
from keepbest.reading.undisturbed import generators_kept, interruptible, quiet, switches_kept, take_threads
from keepbest.records.run_record import Evaluation, RunRecord
from keepbest.records.versions import installed_version

if TYPE_CHECKING:
    from lightning.pytorch import LightningDataModule, LightningModule, Trainer

SPLITS = {"val": "validation_step", "test": "test_step"}
"""What can be evaluated, and the step of the model that does it."""

_SETTINGS = ("precision", "deterministic", "benchmark", "inference_mode")
_LIMITS = ("limit_val_batches", "limit_test_batches", "overfit_batches")


@dataclass(frozen=True)
class Wanted:
    """What is to be evaluated.

    Args:
        split: "val" or "test".
        data: the config of other data than the run's own, a mapping; None for those.
        device: in torch's words, or "auto".
        own_place: where the relative paths of the run's own data start; None for the working directory. Other data are
            compared with them.
        tell: is told which samples of other data the model was trained on.
    """

    split: str
    data: Any
    device: str
    own_place: Path | None = None
    tell: Callable[[TrainedSamples], object] | None = None

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            near = did_you_mean(self.split, SPLITS) if isinstance(self.split, str) else ""
            raise ConfigError(f"split must be one of {', '.join(SPLITS)}", received=self.split, remedy=near or None)
        if self.data is not None and not (isinstance(self.data, Mapping) and "_target_" in self.data):
            remedy = 'Write it as {"_target_": "keepbest.data.Digits", "batch_size": 32}'
            raise ConfigError("data must be the config of a data module", received=self.data, remedy=remedy)


def evaluation_of(wanted: Wanted, made: RunModel, checkpoint: dict[str, Any], record: RunRecord) -> Evaluation:
    """Evaluate a checkpoint; see `keepbest.reading.run.Run.evaluate`.

    Args:
        wanted: what.
        made: makes the model and the data.
        checkpoint: the content of the best one.
        record: the run's, of the time when that was read.

    Raises:
        KeepbestError: when it cannot be evaluated.
    """
    with generators_kept(), switches_kept(), quiet(), interruptible():
        take_threads(record.environment.threads)
        trainer = _trainer(made, wanted)
        datamodule = _datamodule(made, wanted.data, checkpoint, trainer, record.seed, wanted.split)
        model = made.model(checkpoint, "cpu")
        learnt = learnt_sizes(made, model)
        require_suited(learnt, datamodule, is_own=wanted.data is None)
        results = _results(trainer, model, datamodule, wanted.split, learnt)
        metrics, samples = _metrics(trainer, results, record.objective.monitor), samples_of(trainer, wanted.split)
        if wanted.data is None:
            overlap = None
        else:  # last: reading the run's own data must not change a random number of the metrics
            overlap = _overlap(
                wanted, made, trainer, datamodule, lambda: _datamodule(made, None, checkpoint, trainer, record.seed)
            )
    return Evaluation(
        split=wanted.split,
        data=None if wanted.data is None else dict(wanted.data),
        metrics=metrics,
        finished=datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds"),
        device=str(trainer.strategy.root_device),
        best_sha256=record.best_sha256,
        keepbest_version=installed_version(),
        samples=samples,
        cwd=None if wanted.data is None else str(Path.cwd()),
        overlap=overlap,
    )


def _overlap(
    wanted: Wanted,
    made: RunModel,
    trainer: Trainer,
    data: LightningDataModule,
    own_data: Callable[[], LightningDataModule],
) -> int | None:
    """Return how many of the evaluated samples the model was trained on; None where that cannot be told."""
    loaders = trainer.val_dataloaders if wanted.split == "val" else trainer.test_dataloaders
    limit = limit_of(_trainer_settings(made))
    known = trained_samples(data, wanted.split, loaders, own_data, wanted.own_place, limit)
    if wanted.tell is not None:
        wanted.tell(known)
    return known.overlap


def _trainer(made: RunModel, wanted: Wanted) -> Trainer:
    """Return a trainer that evaluates as the run's did, on one device, and does nothing else."""
    from lightning.pytorch import Trainer

    settings = _trainer_settings(made)
    names = (*_SETTINGS, *(_LIMITS if wanted.data is None else ()))
    taken = {name: settings[name] for name in names if settings.get(name) is not None}
    accelerator, devices = accelerator_of(wanted.device, settings.get("accelerator"))
    with telling(ConfigError, f"the run must be one that can be evaluated on device {wanted.device!r}"):
        return Trainer(
            **taken,
            accelerator=accelerator,
            devices=devices,
            callbacks=made.own_callbacks(),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=made.directory,
        )


def _trainer_settings(made: RunModel) -> dict[str, Any]:
    config = made.config.get("trainer")
    return config if isinstance(config, dict) else {}


def _datamodule(
    made: RunModel,
    data: Mapping[str, Any] | None,
    checkpoint: dict[str, Any],
    trainer: Trainer,
    seed: int | None,
    split: str | None = None,
) -> LightningDataModule:
    """Return the data as training saw them, where their split is drawn from the global generators, too.

    Args:
        made: makes them.
        data: the config of others than the run's own.
        checkpoint: the content of the best one.
        trainer: that they are to belong to.
        seed: of the run.
        split: that is to be evaluated.
    """
    from lightning.pytorch import seed_everything

    if seed is not None:
        with telling(ConfigError, "the run's seed must be one"):
            seed_everything(seed, workers=True, verbose=False)
    datamodule = made.datamodule(data)
    model = made.untrained_model()  # before the data are set up, for it draws from the generators, too
    if split is not None:
        _require_split(model, datamodule, split)
    datamodule.trainer = trainer
    set_up(datamodule, "fit")
    state = checkpoint.get(type(datamodule).__qualname__)
    if data is None and isinstance(state, dict):
        with telling(DataError, "the run's data module must take its state from the best checkpoint"):
            datamodule.load_state_dict(state)
    return datamodule


def _require_split(model: LightningModule, datamodule: LightningDataModule, split: str) -> None:
    from lightning.pytorch.utilities.model_helpers import is_overridden

    for thing, name in ((model, SPLITS[split]), (datamodule, LOADERS[split])):
        if not is_overridden(name, thing):
            raise ConfigError(
                f"a run can be evaluated on {split!r} only with a {name}, {type(thing).__name__} has none"
            )


def _results(
    trainer: Trainer, model: LightningModule, datamodule: LightningDataModule, split: str, learnt: Mapping[str, Any]
) -> Any:
    """Let the trainer evaluate, and return what its loop has logged.

    Raises:
        ConfigError: when the model cannot be evaluated on batches of another shape than it has learnt.
        DataError: when it cannot be evaluated on them, or there are none.
    """
    evaluate = trainer.validate if split == "val" else trainer.test
    try:
        results = evaluate(model, datamodule=datamodule, verbose=False)
    except KeepbestError:
        raise
    except Exception as error:
        raise failure_on(error, learnt, datamodule, split) from error
    batches = trainer.num_val_batches if split == "val" else trainer.num_test_batches
    if sum(batches) == 0:
        raise DataError(
            f"the {split} split must have batches, {type(datamodule).__name__} has none. Check its split sizes, and "
            "trainer.limit_*_batches of the run's config."
        )
    return results


def _metrics(trainer: Trainer, results: Any, monitor: str) -> dict[str, float]:
    metrics = {name: float(value) for result in results for name, value in result.items()}
    measured = trainer.callback_metrics.get(monitor)
    if measured is not None:  # one that is logged for callbacks only
        metrics.setdefault(monitor, float(measured))
    return metrics
