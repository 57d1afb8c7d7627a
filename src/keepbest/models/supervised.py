"""Supervised: what the models share around their networks, from sizes and steps to metrics and optimizer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from keepbest.errors import ConfigError
from keepbest.models.arguments import one_of, positive_int, positive_ints
from keepbest.models.epoch_sums import EpochSums, widest
from keepbest.models.optimization import OptimizerFactory, SchedulerFactory, adam, checked_factory, schedule
from keepbest.models.sizes import check_task, read_size

INTERVALS = ("epoch", "step")


class Supervised(LightningModule, ABC):
    """Base of the models that learn from batches `(inputs, targets)`.

    Logs, once per epoch, `train_loss`, `val_loss`, `test_loss` and the metrics of the task under the same prefixes.
    Hyperparameters are plain numbers, strings and lists, so that a checkpoint loads with `weights_only=True`.

    Args:
        architecture: the plain, checked arguments that `build_network` reads from `self.hparams`.
        input_shape: shape of one sample, without the batch. None: read from the data module.
        num_outputs: classes, regression targets or mask classes. None: read from the data module.
        optimizer: makes the optimizer from the parameters, such as a `functools.partial`. None: Adam, lr 1e-3.
        scheduler: makes the learning-rate scheduler from the optimizer. None: the rate stays as it is.
        scheduler_interval: what the scheduler counts, `epoch` or `step`.
        monitor: the logged metric that a ReduceLROnPlateau watches.

    Raises:
        ConfigError: an argument is out of range; later, the data module does not suit the model or lacks the sizes.
    """

    task: ClassVar[str]

    def __init__(
        self,
        architecture: Mapping[str, Any],
        *,
        input_shape: Sequence[int] | None,
        num_outputs: int | None,
        optimizer: OptimizerFactory | None,
        scheduler: SchedulerFactory | None,
        scheduler_interval: str,
        monitor: str | None,
    ) -> None:
        super().__init__()
        self._optimizer = checked_factory("optimizer", optimizer) or adam
        self._scheduler = checked_factory("scheduler", scheduler)
        self._epochs = {stage: EpochSums() for stage in ("train", "val", "test")}
        self.network: nn.Module | None = None
        self.save_hyperparameters(
            {
                **architecture,
                "input_shape": None if input_shape is None else positive_ints("input_shape", input_shape),
                "num_outputs": None if num_outputs is None else positive_int("num_outputs", num_outputs),
                "scheduler_interval": one_of("scheduler_interval", scheduler_interval, INTERVALS),
                "monitor": monitor,
            }
        )
        if input_shape is not None and num_outputs is not None:
            self.configure_model()

    @abstractmethod
    def build_network(self, input_shape: list[int], num_outputs: int) -> nn.Module:
        """Return the network for these sizes; the architecture is in `self.hparams`."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch."""

    @abstractmethod
    def terms(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return a batch's terms of the sums that `metrics` needs."""

    @abstractmethod
    def metrics(self, sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the metrics of an epoch from its sums; `sums["samples"]` counts the samples."""

    @abstractmethod
    def decide(self, outputs: Tensor) -> Tensor:
        """Return what `predict_step` gives for the network's outputs."""

    def setup(self, stage: str) -> None:
        """Refuse data made for another task."""
        check_task(type(self).__name__, self.task, self._datamodule)

    def configure_model(self) -> None:
        """Build the network, once, with the sizes that were given or else are read from the trainer's data module."""
        if self.network is not None:
            return
        if self.hparams["input_shape"] is None:
            self.hparams["input_shape"] = positive_ints("input_shape", self._size_of_data("input_shape"))
        if self.hparams["num_outputs"] is None:
            self.hparams["num_outputs"] = positive_int("num_outputs", self._size_of_data("num_outputs"))
        self.network = self.build_network(self.hparams["input_shape"], self.hparams["num_outputs"])

    def _size_of_data(self, name: str) -> object:
        return read_size(type(self).__name__, name, self._datamodule)

    @property
    def _datamodule(self) -> object:
        return getattr(self.trainer, "datamodule", None)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the network's outputs: logits or values."""
        if self.network is None:
            raise ConfigError(
                f"{type(self).__name__} has no network before its sizes are known",
                remedy="Give it input_shape and num_outputs, or let a Trainer read them from a data module",
            )
        outputs: Tensor = self.network(inputs)
        return outputs

    def training_step(self, batch: Sequence[Tensor]) -> Tensor:
        """Return the loss to minimise."""
        return self._step("train", batch)

    def validation_step(self, batch: Sequence[Tensor]) -> None:
        """Add a batch to the epoch's sums."""
        self._step("val", batch)

    def test_step(self, batch: Sequence[Tensor]) -> None:
        """Add a batch to the epoch's sums."""
        self._step("test", batch)

    def predict_step(self, batch: Tensor | Sequence[Tensor]) -> Tensor:
        """Return the decisions for a batch of inputs; targets beside them are ignored."""
        return self.decide(self(batch if isinstance(batch, Tensor) else batch[0]))

    def _step(self, stage: str, batch: Sequence[Tensor]) -> Tensor:
        inputs, targets = batch
        outputs = self(inputs)
        loss = self.loss(outputs, targets)
        terms = {"loss": widest(loss.detach()) * len(inputs), **self.terms(outputs.detach(), targets)}
        self._epochs[stage].add(len(inputs), terms)
        return loss

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's sums."""
        self._epochs["train"].reset()

    def on_validation_epoch_start(self) -> None:
        """Begin the epoch's sums; Lightning's sanity check ran through the same ones before the first epoch."""
        self._epochs["val"].reset()

    def on_test_epoch_start(self) -> None:
        """Begin the epoch's sums."""
        self._epochs["test"].reset()

    def on_train_epoch_end(self) -> None:
        """Log the epoch's loss and metrics."""
        self._log_epoch("train")

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's loss and metrics."""
        self._log_epoch("val")

    def on_test_epoch_end(self) -> None:
        """Log the epoch's loss and metrics."""
        self._log_epoch("test")

    def _log_epoch(self, stage: str) -> None:
        sums = self._epochs[stage].total(self.trainer.strategy.reduce)
        if not sums:  # a run resumed from a checkpoint of the epoch's last validation ends that epoch without a batch
            return
        values = {"loss": sums["loss"] / sums["samples"], **self.metrics(sums)}
        logged = {f"{stage}_{name}": value.float() for name, value in values.items()}
        # The processes agree already. Without sync_dist Lightning warns that they might not, and without batch_size
        # it may weigh, and so round, the value by the size of the last batch.
        self.log_dict(logged, prog_bar=True, sync_dist=True, batch_size=1)
        self._epochs[stage].reset()  # a checkpoint of a later batch holds none of them

    def epoch_state_dict(self) -> dict[str, Any]:
        """Return the training epoch's sums so far, for a checkpoint in the middle of it."""
        return self._epochs["train"].state_dict()

    def load_epoch_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them."""
        self._epochs["train"].load_state_dict(state)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Make the optimizer, and the scheduler if there is one."""
        optimizer = self._optimizer(self.parameters())
        if self._scheduler is None:
            return optimizer
        interval, monitor = self.hparams["scheduler_interval"], self.hparams["monitor"]
        return {
            "optimizer": optimizer,
            "lr_scheduler": schedule(self._scheduler, optimizer, self.trainer, interval, monitor),
        }
