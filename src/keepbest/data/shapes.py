"""Generated images of plain shapes, with the mask of each."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from keepbest.data.samples import Samples
from keepbest.data.settings import check_integer
from keepbest.data.tensor_datamodule import TensorDataModule
from keepbest.errors import ConfigError

CLASSES = ("background", "circle", "rectangle", "triangle")
MAX_SHAPES = 3


class Shapes(TensorDataModule):
    """Images `[1, S, S]` of one to three filled shapes under noise, and masks `[S, S]` of the shape at each pixel.

    The brightness of a shape says nothing about its class, so a model has to see its outline. The background is 0, a
    shape 0.5 to 1; later shapes cover earlier ones.

    Args:
        num_samples: images in all three splits together.
        image_size: S, in pixels, at least 8.
        noise: standard deviation of the Gaussian noise on every pixel.
        generation_seed: decides the images; `split_seed` decides which of them go where.
        batch_size, val_fraction, test_fraction, split_seed, num_workers: see `TensorDataModule`.
    """

    task = "segmentation"

    def __init__(
        self,
        *,
        num_samples: int = 600,
        image_size: int = 32,
        noise: float = 0.2,
        generation_seed: int = 0,
        batch_size: int = 64,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            split_seed=split_seed,
            num_workers=num_workers,
        )
        check_integer("num_samples", num_samples, minimum=1)
        check_integer("image_size", image_size, minimum=8)
        check_integer("generation_seed", generation_seed, minimum=0)
        _check_noise(noise)
        self.num_samples, self.image_size = num_samples, image_size
        self.noise, self.generation_seed = noise, generation_seed

    def load(self) -> Samples:
        """Draw the images and their masks."""
        rng = np.random.default_rng(self.generation_seed)
        size = (self.num_samples, self.image_size, self.image_size)
        images: NDArray[np.float64] = np.zeros(size)
        masks: NDArray[np.int64] = np.zeros(size, dtype=np.int64)
        shapes_per_image = rng.integers(1, MAX_SHAPES + 1, self.num_samples)
        for drawn in range(MAX_SHAPES):
            outlines, kinds = _random_shapes(rng, self.num_samples, self.image_size)
            covered = outlines & (shapes_per_image > drawn)[:, None, None]
            brightness = rng.uniform(0.5, 1, (self.num_samples, 1, 1))
            images = np.where(covered, brightness, images)
            masks = np.where(covered, kinds[:, None, None], masks)
        images = images + rng.normal(0, self.noise, size)
        return Samples(images[:, None], masks, classes=CLASSES)


def _random_shapes(
    rng: np.random.Generator, count: int, image_size: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return one random shape per image: the pixels inside it `[count, S, S]`, and its class `[count]`."""
    kinds = rng.integers(1, len(CLASSES), count)
    centre = rng.uniform(0.2, 0.8, (2, count, 1, 1)) * image_size
    half_height, half_width = rng.uniform(0.12, 0.25, (2, count, 1, 1)) * image_size
    pixels = np.arange(image_size) + 0.5
    dy, dx = pixels[:, None] - centre[0], pixels - centre[1]
    circle = dy**2 + dx**2 <= half_height**2
    rectangle = (abs(dy) <= half_height) & (abs(dx) <= half_width)
    triangle = (abs(dy) <= half_height) & (2 * abs(dx) * half_height <= (dy + half_height) * half_width)  # apex up
    return np.choose(kinds[:, None, None] - 1, [circle, rectangle, triangle]), kinds


def _check_noise(noise: object) -> None:
    if not isinstance(noise, (int, float)) or not 0 <= noise < math.inf:
        raise ConfigError(
            "noise must be a number of at least 0", received=noise, remedy="Set for example data.noise=0.2"
        )
