"""Small files in the formats that data modules read."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

IMAGES, LABELS = "images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, dtype=">u4").tobytes()
    return gzip.compress(header + values.tobytes())


@pytest.fixture
def fashion_dir(tmp_path: Path) -> Path:
    """A directory with the four files: 100 training and 20 test images of 6x4 pixels, every class equally often.

    All pixels of an image hold its number, and test images count on from 100.
    """
    for part, numbers in {"train": range(100), "t10k": range(100, 120)}.items():
        images = np.repeat(np.array(numbers, dtype=np.uint8), 24).reshape(-1, 6, 4)
        labels = np.array([number % 10 for number in numbers], dtype=np.uint8)
        (tmp_path / f"{part}-{IMAGES}").write_bytes(idx_bytes(images))
        (tmp_path / f"{part}-{LABELS}").write_bytes(idx_bytes(labels))
    return tmp_path


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., str]:
    """Write a table of 60 rows, with columns added or replaced, and return its path."""

    def write(name: str = "table.csv", sep: str = ",", **columns: object) -> str:
        rng = np.random.default_rng(0)
        table = pd.DataFrame({"age": rng.normal(40, 10, 60), "weight": rng.normal(70, 5, 60), "constant": 0.1})
        table = table.assign(kind=["dog", "cat", "bird"] * 20, price=2 * table["age"] + 100).assign(**columns)
        table.to_csv(tmp_path / name, sep=sep, index=False)
        return str(tmp_path / name)

    return write
