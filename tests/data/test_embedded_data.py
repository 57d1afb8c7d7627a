"""What is particular to the data sets that scikit-learn ships."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_diabetes

from keepbest.data import BreastCancer, Diabetes, Digits


def test_digits_are_scaled_to_the_unit_interval() -> None:
    images = torch.cat([images for images, _ in Digits().train_dataloader()])
    assert (images.min(), images.max()) == (0, 1)


def test_breast_cancer_names_its_classes_and_is_standardised() -> None:
    data = BreastCancer()
    inputs = torch.cat([inputs for inputs, _ in data.train_dataloader()])
    assert data.classes == ("malignant", "benign")
    torch.testing.assert_close(inputs.mean(0), torch.zeros(30), atol=1e-5, rtol=0)
    torch.testing.assert_close(inputs.std(0, correction=0), torch.ones(30))


def test_diabetes_targets_lead_back_to_their_score() -> None:
    data = Diabetes()
    served = torch.cat([targets for _, targets in data.test_dataloader()]).numpy()
    assert data.target_standardizer is not None
    scores = load_diabetes().target[data.split_indices["test"]]
    np.testing.assert_allclose(data.target_standardizer.inverse(served), scores, rtol=1e-5)
