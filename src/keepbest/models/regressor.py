"""MLPRegressor: a multilayer perceptron that predicts numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import mse_loss

from keepbest.errors import DataError
from keepbest.models.arguments import positive_ints, probability_below_one
from keepbest.models.epoch_sums import widest
from keepbest.models.networks import mlp
from keepbest.models.optimization import OptimizerFactory, SchedulerFactory
from keepbest.models.supervised import Supervised


class MLPRegressor(Supervised):
    """Predict `num_outputs` numbers for each flattened sample.

    One number: outputs are [batch], targets [batch] or [batch, 1]. Several: both are [batch, num_outputs]. Minimises
    the mean squared error; logs the mean absolute error (`val_mae`, ...) and R squared (`val_r2`, ...).

    Args:
        hidden_sizes: width of each hidden layer, first to last; empty for linear regression.
        dropout: share of each hidden layer's values that training drops, from 0 to below 1.

    The other arguments are those of `Supervised`.
    """

    task: ClassVar[str] = "regression"

    def __init__(
        self,
        *,
        hidden_sizes: Sequence[int] = (64, 64),
        dropout: float = 0.0,
        input_shape: Sequence[int] | None = None,
        num_outputs: int | None = None,
        optimizer: OptimizerFactory | None = None,
        scheduler: SchedulerFactory | None = None,
        scheduler_interval: str = "epoch",
        monitor: str | None = None,
    ) -> None:
        super().__init__(
            {
                "hidden_sizes": positive_ints("hidden_sizes", hidden_sizes),
                "dropout": probability_below_one("dropout", dropout),
            },
            input_shape=input_shape,
            num_outputs=num_outputs,
            optimizer=optimizer,
            scheduler=scheduler,
            scheduler_interval=scheduler_interval,
            monitor=monitor,
        )

    def build_network(self, input_shape: list[int], num_outputs: int) -> nn.Module:
        """Return the perceptron."""
        return mlp(math.prod(input_shape), self.hparams["hidden_sizes"], num_outputs, self.hparams["dropout"])

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the predictions, [batch] if there is one for each sample, else [batch, num_outputs]."""
        return drop_single_column(super().forward(inputs))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean squared error."""
        return mse_loss(outputs, like(targets, outputs))

    def terms(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Sum, for each target, the errors and what the variance of the targets needs."""
        values = widest(like(targets, outputs))
        errors = widest(outputs) - values
        return {
            "absolute_error": errors.abs().sum(dim=0),
            "squared_error": errors.square().sum(dim=0),
            "value": values.sum(dim=0),
            "squared_value": values.square().sum(dim=0),
        }

    def metrics(self, sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return mean absolute error and R squared, both averaged over the targets.

        R squared is 1 - sum((y - prediction)^2) / sum((y - mean(y))^2), as in sklearn.metrics.r2_score; the
        denominator equals sum(y^2) - sum(y)^2 / samples. It means nothing where a target is constant.
        """
        spread = sums["squared_value"] - sums["value"].square() / sums["samples"]
        return {
            "mae": (sums["absolute_error"] / sums["samples"]).mean(),
            "r2": (1 - sums["squared_error"] / spread).mean(),
        }

    def decide(self, outputs: Tensor) -> Tensor:
        """Return the predictions."""
        return outputs


def drop_single_column(values: Tensor) -> Tensor:
    """Return [batch, 1] as [batch], and anything else as it is."""
    return values.squeeze(1) if values.ndim == 2 else values


def like(targets: Tensor, outputs: Tensor) -> Tensor:
    """Return the targets in the outputs' shape; refuse any other, which would broadcast to a wrong loss in silence."""
    targets = drop_single_column(targets)
    if targets.shape != outputs.shape:
        raise DataError(
            f"regression targets must have one value for each prediction, got targets of shape {list(targets.shape)} "
            f"for predictions of shape {list(outputs.shape)}. Set model.num_outputs to the number of targets."
        )
    return targets.to(outputs.dtype)
