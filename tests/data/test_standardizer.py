"""Standardising is exact, can be undone, and never divides by zero."""

from __future__ import annotations

import numpy as np

from keepbest.data.standardizer import Standardizer


def test_fitted_values_have_zero_mean_and_unit_variance_per_column() -> None:
    values = np.random.default_rng(0).normal([5, -300], [0.1, 40], (200, 2))
    standard = Standardizer.fit(values).transform(values)
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(standard.std(axis=0), 1)


def test_inverse_undoes_transform() -> None:
    values = np.array([1.0, 2.0, 4.0])
    standardizer = Standardizer.fit(values)
    np.testing.assert_allclose(standardizer.inverse(standardizer.transform(values)), values)


def test_constant_column_is_centred_and_keeps_its_unit() -> None:
    standardizer = Standardizer.fit(np.full((30, 1), 0.1))  # whose computed deviation is not exactly 0
    assert standardizer.scale.tolist() == [1.0]
    np.testing.assert_allclose(standardizer.transform(np.array([[0.1], [0.3]])), [[0], [0.2]], atol=1e-12)
