"""Generated shapes: masks mark what the images show, and settings decide what is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keepbest.data import Shapes
from keepbest.errors import ConfigError


def test_without_noise_the_mask_is_where_the_image_is_bright() -> None:
    samples = Shapes(noise=0).load()
    inside = samples.targets > 0
    assert samples.inputs[:, 0][inside].min() >= 0.5
    assert samples.inputs.max() <= 1
    assert not samples.inputs[:, 0][~inside].any()


def test_every_image_shows_a_shape_and_background() -> None:
    masks = Shapes().load().targets.reshape(600, -1)
    assert (masks > 0).any(axis=1).all()
    assert (masks == 0).any(axis=1).all()


def test_brightness_does_not_give_the_class_away() -> None:
    samples = Shapes(num_samples=2000, noise=0).load()
    means = [samples.inputs[:, 0][samples.targets == kind].mean() for kind in (1, 2, 3)]
    np.testing.assert_allclose(means, 0.75, atol=0.03)


@pytest.mark.parametrize(
    ("kind", "filled"), [(1, np.pi / 4), (2, 1.0), (3, 0.5)], ids=["circle", "rectangle", "triangle"]
)
def test_each_class_has_its_outline(kind: int, filled: float) -> None:
    """A circle fills pi/4 of its bounding box, a rectangle all of it, an upright triangle half of it."""
    shares = []
    for mask in Shapes(num_samples=300, image_size=64, noise=0).load().targets:
        rows, columns = np.nonzero(mask)
        if set(mask[rows, columns]) == {kind}:
            shares.append(len(rows) / (np.ptp(rows) + 1) / (np.ptp(columns) + 1))
    assert len(shares) > 20
    assert np.quantile(shares, 0.9 if kind == 2 else 0.5) == pytest.approx(filled, abs=0.06)


def test_noise_has_the_deviation_asked_for() -> None:
    samples = Shapes(noise=0.3).load()
    assert samples.inputs[:, 0][samples.targets == 0].std() == pytest.approx(0.3, rel=0.02)


def test_generation_seed_decides_the_images_and_split_seed_does_not() -> None:
    images = [
        Shapes(num_samples=20, **seeds).load().inputs
        for seeds in ({}, {"split_seed": 1}, {"generation_seed": 1})
    ]  # fmt: skip
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_samples": 0}, "num_samples must be an integer of at least 1, got 0"),
        ({"image_size": 4}, "image_size must be an integer of at least 8, got 4"),
        ({"generation_seed": -1}, "generation_seed must be an integer of at least 0, got -1"),
        ({"noise": -0.1}, r"noise must be a number of at least 0, got -0.1\. Set for example data.noise=0.2"),
        ({"noise": float("inf")}, "noise must be a number of at least 0, got inf"),
    ],
)
def test_settings_that_cannot_work_are_named_with_their_value(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Shapes(**settings)
