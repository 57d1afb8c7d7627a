"""MLPClassifier: a multilayer perceptron for samples of any shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from keepbest.models.arguments import positive_ints, probability_below_one
from keepbest.models.classification import Classifier
from keepbest.models.networks import mlp
from keepbest.models.optimization import OptimizerFactory, SchedulerFactory


class MLPClassifier(Classifier):
    """Classify flattened samples with fully connected layers.

    Args:
        hidden_sizes: width of each hidden layer, first to last; empty for logistic regression.
        dropout: share of each hidden layer's values that training drops, from 0 to below 1.

    The other arguments are those of `Supervised`.
    """

    def __init__(
        self,
        *,
        hidden_sizes: Sequence[int] = (512,),
        dropout: float = 0.1,
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
