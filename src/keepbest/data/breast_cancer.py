"""Measurements of breast tumours."""

from __future__ import annotations

from keepbest.data.samples import Samples
from keepbest.data.tensor_datamodule import TensorDataModule


class BreastCancer(TensorDataModule):
    """scikit-learn's breast cancer table: 569 tumours, 30 standardised features, malignant (0) or benign (1)."""

    task = "classification"
    standardize = True

    def load(self) -> Samples:
        """Return the measurements and the diagnoses."""
        from sklearn.datasets import load_breast_cancer

        source = load_breast_cancer()
        return Samples(source.data, source.target, classes=tuple(source.target_names.tolist()))
