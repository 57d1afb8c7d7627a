"""UNetSegmenter: a small U-Net that gives each pixel a class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from keepbest.errors import ConfigError
from keepbest.models.arguments import positive_int
from keepbest.models.networks import UNet
from keepbest.models.optimization import OptimizerFactory, SchedulerFactory
from keepbest.models.sizes import image_shape
from keepbest.models.supervised import Supervised


class UNetSegmenter(Supervised):
    """Give each pixel of images [batch, channels, height, width] one of `num_outputs` mask classes.

    Targets are class indices, int64 [batch, height, width]. Minimises the cross-entropy of the pixels; logs the mean
    intersection over union (`val_iou`, ...).

    Args:
        base_channels: channels at full size; each halving doubles them.
        depth: how often images are halved; height and width must be divisible by `2**depth`.

    The other arguments are those of `Supervised`.
    """

    task: ClassVar[str] = "segmentation"

    def __init__(
        self,
        *,
        base_channels: int = 16,
        depth: int = 2,
        input_shape: Sequence[int] | None = None,
        num_outputs: int | None = None,
        optimizer: OptimizerFactory | None = None,
        scheduler: SchedulerFactory | None = None,
        scheduler_interval: str = "epoch",
        monitor: str | None = None,
    ) -> None:
        super().__init__(
            {
                "base_channels": positive_int("base_channels", base_channels),
                "depth": positive_int("depth", depth),
            },
            input_shape=input_shape,
            num_outputs=num_outputs,
            optimizer=optimizer,
            scheduler=scheduler,
            scheduler_interval=scheduler_interval,
            monitor=monitor,
        )

    def build_network(self, input_shape: list[int], num_outputs: int) -> nn.Module:
        """Return the U-Net."""
        in_channels, height, width = image_shape("UNetSegmenter", input_shape)
        check_halvings(height, width, self.hparams["depth"])
        return UNet(in_channels, num_outputs, self.hparams["base_channels"], self.hparams["depth"])

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy of the pixels.

        They are laid out as one long batch: on images, CUDA's cross-entropy is not deterministic.
        """
        return cross_entropy(outputs.movedim(1, -1).flatten(0, 2), targets.flatten())

    def terms(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Count, for each class, the pixels in the intersection and in the union of prediction and target."""
        classes = torch.arange(outputs.shape[1], device=outputs.device).unsqueeze(1)
        predicted = self.decide(outputs).flatten() == classes
        true = targets.flatten() == classes
        return {"intersection": (predicted & true).sum(dim=1), "union": (predicted | true).sum(dim=1)}

    def metrics(self, sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the intersection over union, averaged over the classes that occur in a mask or a prediction.

        Pixels are counted over the whole epoch and divided once ("mean IU" of Long et al. 2015, arXiv:1411.4038); an
        average of the batches' or images' ratios would be another number.
        """
        occurs = sums["union"] > 0
        return {"iou": (sums["intersection"][occurs] / sums["union"][occurs]).mean()}

    def decide(self, outputs: Tensor) -> Tensor:
        """Return the masks: the class of the largest logit of each pixel, int64 [batch, height, width]."""
        return outputs.argmax(dim=1)


def check_halvings(height: int, width: int, depth: int) -> None:
    """Refuse images that cannot be halved this often without a remainder."""
    side = math.gcd(height, width)
    if side % 2**depth:
        possible = (side & -side).bit_length() - 1
        raise ConfigError(
            f"the images' height and width must be divisible by 2**depth, which is {2**depth}",
            received=[height, width],
            remedy=f"Set model.depth to at most {possible}" if possible else "Pad or resize the images to even sizes",
        )
