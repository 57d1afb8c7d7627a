"""Classifier: what the classifiers share, whatever network they hold."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import cross_entropy

from keepbest.models.supervised import Supervised


class Classifier(Supervised, ABC):
    """Base of models that give each sample one of `num_outputs` classes. Targets are class indices, int64 [batch].

    Minimises cross-entropy; logs the share of samples whose largest logit is their class as `train_acc`, `val_acc`,
    `test_acc`.
    """

    task: ClassVar[str] = "classification"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy."""
        return cross_entropy(outputs, targets)

    def terms(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Count the samples that are classified correctly."""
        return {"correct": (self.decide(outputs) == targets).sum()}

    def metrics(self, sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the accuracy."""
        return {"acc": sums["correct"] / sums["samples"]}

    def decide(self, outputs: Tensor) -> Tensor:
        """Return the class of the largest logit, int64 [batch]."""
        return outputs.argmax(dim=1)
