"""Checkpoints appear whole, with their hash, and a disk that refuses is told in plain words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from pickle import PicklingError
from typing import Any

import fsspec
import pytest
import torch

from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO
from keepbest.checkpoints.hashing import sha256_of
from keepbest.errors import KeepbestError

Make = Callable[..., dict[str, Any]]
MORE_THAN_A_BUFFER = 100_000  # numbers of 4 bytes


def weights_in(path: Path) -> int:
    return int(torch.load(path, weights_only=True)["state_dict"]["layer.weight"].numel())


@pytest.mark.parametrize("numbers", [4, MORE_THAN_A_BUFFER])
def test_the_recorded_hash_is_that_of_the_file(tmp_path: Path, checkpoint: Make, numbers: int) -> None:
    io, path = DurableCheckpointIO(), tmp_path / "new" / "folder" / "best.ckpt"
    io.save_checkpoint(checkpoint(numbers), path)
    assert io.sha256 == {path: hashlib.sha256(path.read_bytes()).hexdigest()} == {path: sha256_of(path)}
    assert [file.name for file in path.parent.iterdir()] == ["best.ckpt"]


def test_a_path_may_be_text_as_lightning_gives_it(tmp_path: Path, checkpoint: Make) -> None:
    io, path = DurableCheckpointIO(), tmp_path / "best.ckpt"
    io.save_checkpoint(checkpoint(), str(path))
    assert io.sha256[path] == sha256_of(path)


def test_what_was_written_is_what_torch_reads(tmp_path: Path, checkpoint: Make) -> None:
    content = checkpoint(1000, hyper_parameters={"lr": 0.1}, callbacks={"a": {"n": [1, None]}})
    DurableCheckpointIO().save_checkpoint(content, tmp_path / "best.ckpt")
    found = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert torch.equal(found["state_dict"].pop("layer.weight"), content["state_dict"].pop("layer.weight"))
    assert found == content


def test_writing_again_replaces_file_and_hash(tmp_path: Path, checkpoint: Make) -> None:
    io, path = DurableCheckpointIO(), tmp_path / "best.ckpt"
    io.save_checkpoint(checkpoint(4), path)
    before = io.sha256[path]
    io.save_checkpoint(checkpoint(5), path)
    assert before != io.sha256[path] == sha256_of(path)
    assert weights_in(path) == 5


@pytest.mark.parametrize("kind", [str, Path])
def test_removing_forgets(tmp_path: Path, checkpoint: Make, kind: type[str] | type[Path]) -> None:
    io, path, other = DurableCheckpointIO(), tmp_path / "best.ckpt", tmp_path / "last.ckpt"
    for target in (path, other):
        io.save_checkpoint(checkpoint(), target)
    io.remove_checkpoint(kind(path))
    assert not path.exists()
    assert list(io.sha256) == [other]
    io.remove_checkpoint(kind(path))  # nothing to remove is no fault, for Lightning either


def test_a_path_with_a_scheme_is_left_to_lightning(checkpoint: Make) -> None:
    io, path = DurableCheckpointIO(), "memory://runs/best.ckpt"
    io.save_checkpoint(checkpoint(hyper_parameters={"path": Path("x")}), path)
    with fsspec.open(path) as file:
        assert torch.load(file, weights_only=True)["hyper_parameters"] == {"path": "x"}
    assert io.sha256 == {}
    io.remove_checkpoint(path)
    assert not fsspec.filesystem("memory").exists("/runs/best.ckpt")


# Disks that refuse


def assert_refused(io: DurableCheckpointIO, content: dict[str, Any], path: Path, why: str) -> None:
    """The save fails with the reason and its remedy, the old checkpoint and its hash stay, and nothing else is left."""
    before = path.read_bytes()
    with pytest.raises(KeepbestError, match=f"^the checkpoint {re.escape(str(path))} could not be written: {why}"):
        io.save_checkpoint(content, path)
    assert path.read_bytes() == before
    assert io.sha256[path] == hashlib.sha256(before).hexdigest()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


SIZES = [pytest.param(15_500, id="noticed at the end"), pytest.param(300_000, id="within")]


@pytest.mark.parametrize("numbers", SIZES)
def test_a_full_disk(small_disk: Path, checkpoint: Make, numbers: int) -> None:
    io, path = DurableCheckpointIO(), small_disk / "best.ckpt"
    io.save_checkpoint(checkpoint(4), path)
    why = r"No space left on device\. Free some space on that disk\. A checkpoint .* is still whole\.$"
    assert_refused(io, checkpoint(numbers), path, why)
    io.save_checkpoint(checkpoint(5), path)  # and the disk takes the next one that fits
    assert weights_in(path) == 5


@pytest.mark.parametrize(
    ("numbers", "limit"),
    [
        pytest.param(4, 500, id="in the first bytes"),
        pytest.param(500, 3000, id="noticed at the end"),
        pytest.param(MORE_THAN_A_BUFFER, 10_000, id="within"),
    ],
)
def test_a_file_that_may_not_grow(
    tmp_path: Path,
    checkpoint: Make,
    limited_file_size: Callable[[int], AbstractContextManager[None]],
    numbers: int,
    limit: int,
) -> None:
    io, path = DurableCheckpointIO(), tmp_path / "best.ckpt"
    io.save_checkpoint(checkpoint(4), path)
    with limited_file_size(limit):
        assert_refused(io, checkpoint(numbers), path, r"File too large\. See the system's message\. ")


@pytest.mark.parametrize("numbers", [4, MORE_THAN_A_BUFFER])
def test_whatever_a_disk_refuses_the_old_checkpoint_is_whole(
    tmp_path: Path,
    checkpoint: Make,
    limited_file_size: Callable[[int], AbstractContextManager[None]],
    numbers: int,
) -> None:
    io, path = DurableCheckpointIO(), tmp_path / "best.ckpt"
    io.save_checkpoint(checkpoint(4), path)
    before = path.read_bytes()
    for limit in range(0, 1100, 100):
        with limited_file_size(limit), pytest.raises((KeepbestError, RuntimeError), match=r"large|unexpected pos"):
            io.save_checkpoint(checkpoint(numbers), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["best.ckpt"]


def test_a_read_only_disk(small_disk: Path, make_read_only: Callable[[Path], None], checkpoint: Make) -> None:
    io, path = DurableCheckpointIO(), small_disk / "best.ckpt"
    io.save_checkpoint(checkpoint(), path)
    make_read_only(small_disk)
    assert_refused(io, checkpoint(5), path, r"Read-only file system\. Choose a directory on a writable disk\. ")


def test_a_directory_of_somebody_else(
    tmp_path: Path, checkpoint: Make, without_permission: Callable[[Path], AbstractContextManager[None]]
) -> None:
    io, path = DurableCheckpointIO(), tmp_path / "best.ckpt"
    io.save_checkpoint(checkpoint(), path)
    before = path.read_bytes()
    why = r"could not be written: Permission denied\. Give this user permission to write there\. "
    with without_permission(tmp_path), pytest.raises(KeepbestError, match=why):
        io.save_checkpoint(checkpoint(5), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["best.ckpt"]


def test_a_file_in_the_directorys_place(tmp_path: Path, checkpoint: Make) -> None:
    (tmp_path / "checkpoints").touch()
    io, path = DurableCheckpointIO(), tmp_path / "checkpoints" / "best.ckpt"
    with pytest.raises(KeepbestError, match=r"best\.ckpt could not be written: File exists\. See the system's message"):
        io.save_checkpoint(checkpoint(), path)
    assert io.sha256 == {}


def test_what_cannot_be_pickled_leaves_nothing_behind(tmp_path: Path, checkpoint: Make) -> None:
    io, path = DurableCheckpointIO(), tmp_path / "best.ckpt"
    with pytest.raises((AttributeError, PicklingError), match="local object"):
        io.save_checkpoint(checkpoint(callbacks={"mine": lambda: 1}), path)
    assert list(tmp_path.iterdir()) == []
    assert io.sha256 == {}
