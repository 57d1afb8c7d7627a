"""Progression of diabetes."""

from __future__ import annotations

from keepbest.data.samples import Samples
from keepbest.data.tensor_datamodule import TensorDataModule


class Diabetes(TensorDataModule):
    """scikit-learn's diabetes table: 442 patients, 10 standardised features, the disease's progression to regress.

    The target is a score of 25 to 346 one year after the baseline. It is served standardised, so that a loss of 1 is
    what predicting the mean gives; `target_standardizer.inverse` leads back to the score.
    """

    task = "regression"
    standardize = True

    def load(self) -> Samples:
        """Return the measurements and the scores, in their units."""
        from sklearn.datasets import load_diabetes

        source = load_diabetes(scaled=False)
        return Samples(source.data, source.target)
