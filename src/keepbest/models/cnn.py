"""CNNClassifier: a small convolutional network for images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from keepbest.errors import ConfigError
from keepbest.models.arguments import positive_ints, probability_below_one
from keepbest.models.classification import Classifier
from keepbest.models.networks import convnet
from keepbest.models.optimization import OptimizerFactory, SchedulerFactory
from keepbest.models.sizes import image_shape


class CNNClassifier(Classifier):
    """Classify images [batch, channels, height, width] with blocks of convolutions that halve them.

    Args:
        channels: channels of each block, first to last; at least one.
        dropout: share of the last block's features that training drops, from 0 to below 1.

    The other arguments are those of `Supervised`.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] = (32, 64),
        dropout: float = 0.0,
        input_shape: Sequence[int] | None = None,
        num_outputs: int | None = None,
        optimizer: OptimizerFactory | None = None,
        scheduler: SchedulerFactory | None = None,
        scheduler_interval: str = "epoch",
        monitor: str | None = None,
    ) -> None:
        if not channels:
            raise ConfigError("channels must name at least one block", received=channels, remedy="Write it as [32,64]")
        super().__init__(
            {
                "channels": positive_ints("channels", channels),
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
        """Return the convolutional network."""
        shape = image_shape("CNNClassifier", input_shape)
        return convnet(shape, self.hparams["channels"], num_outputs, self.hparams["dropout"])
