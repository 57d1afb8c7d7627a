"""Articles of clothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keepbest.data.idx import read_idx
from keepbest.data.samples import Samples
from keepbest.data.settings import check_text
from keepbest.data.tensor_datamodule import TensorDataModule
from keepbest.errors import DataError

CLASSES = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
FILES = tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


class FashionMNIST(TensorDataModule):
    """Fashion-MNIST: 60000 training and 10000 test images `[1, 28, 28]` with values in [0, 1], in 10 classes.

    The test split is the official one. Nothing is downloaded: the four `.gz` files are read from where they are.

    Args:
        data_dir: the directory with the four files.
        val_fraction: share of the 60000 to validate on, in (0, 1).
        batch_size, split_seed, num_workers: see `TensorDataModule`.

    Raises:
        ConfigError: a setting that cannot work.
        DataError: from `setup`, if a file is missing, damaged or not what its name says.
    """

    task = "classification"
    has_test_set = True

    def __init__(
        self,
        *,
        data_dir: str,
        batch_size: int = 64,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size, val_fraction=val_fraction, split_seed=split_seed, num_workers=num_workers
        )
        check_text("data_dir", data_dir)
        self.data_dir = data_dir

    def load(self) -> Samples:
        """Read the four files; the official test set comes last."""
        directory = Path(self.data_dir).expanduser()
        _require_files(directory)
        train_images, train_labels = _read_part(directory, "train")
        test_images, test_labels = _read_part(directory, "t10k")
        images = np.concatenate([train_images, test_images])[:, None] / np.float32(255)
        labels = np.concatenate([train_labels, test_labels])
        return Samples(images, labels, classes=CLASSES, test_size=len(test_labels))


def _require_files(directory: Path) -> None:
    missing = [name for name in FILES if not (directory / name).is_file()]
    if missing:
        found = "is not a directory" if not directory.is_dir() else f"lacks {', '.join(missing)}"
        raise DataError(
            f"Fashion-MNIST needs the files {', '.join(FILES)}, but {str(directory)!r} {found}. "
            "Install them with a system package (Debian: dataset-fashion-mnist, in /usr/share/datasets/fashion-mnist) "
            "or download them (https://github.com/zalandoresearch/fashion-mnist), then set data.data_dir."
        )


def _read_part(directory: Path, part: str) -> tuple[NDArray[Any], NDArray[Any]]:
    images = read_idx(directory / f"{part}-images-idx3-ubyte.gz", dimensions=3)
    labels = read_idx(directory / f"{part}-labels-idx1-ubyte.gz", dimensions=1)
    if len(images) != len(labels):
        raise DataError(
            f"{part} images and labels in {str(directory)!r} must be equally many, "
            f"got {len(images)} and {len(labels)}. Put the original files in their place."
        )
    if labels.size and labels.max() >= len(CLASSES):
        raise DataError(
            f"{part} labels in {str(directory)!r} must be 0 to {len(CLASSES) - 1}, got {labels.max()}. "
            "Is this another data set of the MNIST family?"
        )
    return images, labels
