"""Which samples are held out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def hold_out(
    indices: Indices, count: int, rng: np.random.Generator, classes: NDArray[Any] | None = None
) -> tuple[Indices, Indices]:
    """Divide indices at random into those that remain and `count` that are held out, both in ascending order.

    With classes the draw is stratified: samples are shuffled, sorted by class and taken at even distances, so that
    each class gives its share, rounded up or down. Unlike scikit-learn's `train_test_split`, this accepts classes with
    a single sample, as rare labels in a user's table are.

    Args:
        indices: `[N]`, distinct.
        count: how many to hold out, 0 to N.
        rng: the source of the draw; the global generators are not touched.
        classes: the class of every sample that an index can point at.
    """
    order = rng.permutation(len(indices))
    if classes is not None:
        order = order[np.argsort(classes[indices[order]], kind="stable")]
    held_out = np.zeros(len(indices), dtype=bool)
    held_out[order[_evenly_spaced(count, len(indices))]] = True
    return indices[~held_out], indices[held_out]


def _evenly_spaced(count: int, length: int) -> Indices:
    """Return `count` distinct positions below `length`: the middles of as many equal stretches."""
    return (2 * np.arange(count) + 1) * length // (2 * max(count, 1))
