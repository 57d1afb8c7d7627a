"""Fashion-MNIST: the four files are read as they are, and whatever is wrong with one is said."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from keepbest.data import FashionMNIST
from keepbest.errors import ConfigError, DataError

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def set_up(directory: Path) -> FashionMNIST:
    data = FashionMNIST(data_dir=str(directory))
    data.setup("fit")
    return data


def idx_file(*dimensions: int, values: bytes) -> bytes:
    """A file that announces the dimensions and holds the values, whether or not they agree."""
    return gzip.compress(bytes([0, 0, 8, len(dimensions)]) + np.array(dimensions, dtype=">u4").tobytes() + values)


def test_images_and_labels_are_those_of_the_files(fashion_dir: Path) -> None:
    data = set_up(fashion_dir)
    for split, loader in {"val": data.val_dataloader(), "test": data.test_dataloader()}.items():
        images, labels = next(iter(loader))
        numbers = torch.from_numpy(data.split_indices[split])
        torch.testing.assert_close(images, (numbers / 255)[:, None, None, None].expand(-1, 1, 6, 4).float())
        assert labels.tolist() == (numbers % 10).tolist()


def test_official_test_set_is_the_test_split_and_validation_is_stratified(fashion_dir: Path) -> None:
    data = set_up(fashion_dir)
    assert data.split_indices["test"].tolist() == list(range(100, 120))
    assert sorted(data.split_indices["val"] % 10) == list(range(10))
    assert data.classes[9] == "ankle boot"


def test_missing_file_is_named_with_the_directory_and_where_to_get_it(fashion_dir: Path) -> None:
    (fashion_dir / TRAIN_LABELS).unlink()
    with pytest.raises(DataError, match=f"{fashion_dir}' lacks {TRAIN_LABELS}.*dataset-fashion-mnist.*data.data_dir"):
        set_up(fashion_dir)


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"needs the files .*t10k-labels-idx1-ubyte.gz, but '.*nowhere' is not a direct"
    ):
        set_up(tmp_path / "nowhere")


def test_data_dir_is_required_text() -> None:
    with pytest.raises(ConfigError, match="data_dir must be a string, not empty, got ''"):
        FashionMNIST(data_dir="")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (TRAIN_LABELS, b"plain text", "must be a readable, whole gzip file: Not a gzipped file"),
        (TRAIN_LABELS, gzip.compress(bytes(1000))[:-9], "must be a readable, whole gzip file: Compressed file ended"),
        (TRAIN_LABELS, b"", "must open with the IDX header of 1-dimensional bytes, 0x00000801, got 0x"),
        (TRAIN_IMAGES, idx_file(100, values=bytes(100)), "header of 3-dimensional bytes, 0x00000803, got 0x00000801"),
        (TRAIN_IMAGES, gzip.compress(b"\0\0\x08\x03\0\0"), "must open with the IDX header of 3-dimensional bytes"),
        (
            TRAIN_IMAGES,
            idx_file(100, 6, 4, values=bytes(2399)),
            r"must hold 2400 values of shape \[100, 6, 4\] by its own header, got 2399",
        ),
        (TRAIN_LABELS, idx_file(100, values=bytes(101)), "must hold 100 values .*, got 101.*truncated or damaged"),
        (TRAIN_LABELS, idx_file(99, values=bytes(99)), "must be equally many, got 100 and 99"),
        (TRAIN_LABELS, idx_file(100, values=bytes(99) + b"\x1a"), "labels in .* must be 0 to 9, got 26"),
    ],
    ids=[
        "not gzip",
        "cut gzip",
        "empty",
        "labels as images",
        "cut header",
        "short",
        "long",
        "unequal",
        "other classes",
    ],
)
def test_damaged_file_is_named_with_what_is_wrong(fashion_dir: Path, name: str, content: bytes, message: str) -> None:
    (fashion_dir / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        set_up(fashion_dir)
