"""Handwritten digits."""

from __future__ import annotations

from keepbest.data.samples import Samples
from keepbest.data.tensor_datamodule import TensorDataModule


class Digits(TensorDataModule):
    """scikit-learn's digits: 1797 images `[1, 8, 8]` with values in [0, 1], in 10 classes."""

    task = "classification"

    def load(self) -> Samples:
        """Return the images and the digits they show."""
        from sklearn.datasets import load_digits

        source = load_digits()
        images = source.images[:, None] / 16  # 17 levels of grey
        return Samples(images, source.target, classes=tuple(range(10)))
