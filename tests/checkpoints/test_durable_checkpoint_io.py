"""Checkpoints appear whole, with their hash, and a disk that refuses is told in plain words, in a thread too."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from pickle import PicklingError
from typing import Any

import fsspec
import pytest
import torch

from keepbest.checkpoints.async_checkpoint_io import AsyncDurableCheckpointIO
from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO
from keepbest.checkpoints.hashing import sha256_of
from keepbest.checkpoints.writing import write_checkpoint
from keepbest.errors import KeepbestError
from keepbest.records.atomic import partials_of

Make = Callable[..., dict[str, Any]]
MORE_THAN_A_BUFFER = 100_000  # numbers of 4 bytes


@pytest.fixture(params=[DurableCheckpointIO, AsyncDurableCheckpointIO])
def io(request: pytest.FixtureRequest) -> Iterator[DurableCheckpointIO]:
    made = request.param()
    yield made
    made.teardown()


def save(io: DurableCheckpointIO, content: dict[str, Any], path: Path | str) -> None:
    """Save, and wait for it."""
    io.save_checkpoint(content, path)
    io.wait()


def weights_in(path: Path) -> int:
    return int(torch.load(path, weights_only=True)["state_dict"]["layer.weight"].numel())


@pytest.mark.parametrize("numbers", [4, MORE_THAN_A_BUFFER])
def test_the_recorded_hash_is_that_of_the_file(
    io: DurableCheckpointIO, tmp_path: Path, checkpoint: Make, numbers: int
) -> None:
    path = tmp_path / "new" / "folder" / "best.ckpt"
    save(io, checkpoint(numbers), path)
    assert io.sha256 == {path: hashlib.sha256(path.read_bytes()).hexdigest()} == {path: sha256_of(path)}
    assert [file.name for file in path.parent.iterdir()] == ["best.ckpt"]


def test_a_path_may_be_text_as_lightning_gives_it(io: DurableCheckpointIO, tmp_path: Path, checkpoint: Make) -> None:
    path = tmp_path / "best.ckpt"
    save(io, checkpoint(), str(path))
    assert io.sha256[path] == sha256_of(path)


def test_what_was_written_is_what_torch_reads(io: DurableCheckpointIO, tmp_path: Path, checkpoint: Make) -> None:
    content = checkpoint(1000, hyper_parameters={"lr": 0.1}, callbacks={"a": {"n": [1, None]}})
    save(io, content, tmp_path / "best.ckpt")
    found = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert torch.equal(found["state_dict"].pop("layer.weight"), content["state_dict"].pop("layer.weight"))
    assert found == content


def test_writing_again_replaces_file_and_hash(io: DurableCheckpointIO, tmp_path: Path, checkpoint: Make) -> None:
    path = tmp_path / "best.ckpt"
    save(io, checkpoint(4), path)
    before = io.sha256[path]
    save(io, checkpoint(5), path)
    assert before != io.sha256[path] == sha256_of(path)
    assert weights_in(path) == 5


@pytest.mark.parametrize("kind", [str, Path])
def test_removing_forgets(
    io: DurableCheckpointIO, tmp_path: Path, checkpoint: Make, kind: type[str] | type[Path]
) -> None:
    path, other = tmp_path / "best.ckpt", tmp_path / "last.ckpt"
    for target in (path, other):
        save(io, checkpoint(), target)
    io.remove_checkpoint(kind(path))
    io.wait()
    assert not path.exists()
    assert list(io.sha256) == [other]
    io.remove_checkpoint(kind(path))  # nothing to remove is no fault, for Lightning either


def test_a_path_with_a_scheme_is_left_to_lightning(io: DurableCheckpointIO, checkpoint: Make) -> None:
    path = "memory://runs/best.ckpt"
    save(io, checkpoint(hyper_parameters={"path": Path("x")}), path)
    with fsspec.open(path) as file:
        assert torch.load(file, weights_only=True)["hyper_parameters"] == {"path": "x"}
    assert io.sha256 == {}
    io.remove_checkpoint(path)
    assert not fsspec.filesystem("memory").exists("/runs/best.ckpt")


def test_a_new_checkpoint_is_announced_before_it_takes_its_place(
    io: DurableCheckpointIO, tmp_path: Path, checkpoint: Make
) -> None:
    path, told = tmp_path / "best.ckpt", []
    save(io, checkpoint(4), path)
    io.before_save = told.append
    io.before_replace = lambda *facts: told.append((*facts, weights_in(path), weights_in(partials_of(path)[0])))
    save(io, checkpoint(5), path)
    assert told == [path, (path, sha256_of(path), path.stat().st_size, 4, 5)]


def test_an_announcement_that_fails_leaves_the_old_checkpoint(
    io: DurableCheckpointIO, tmp_path: Path, checkpoint: Make
) -> None:
    io.before_replace = lambda *facts: (tmp_path / "nowhere" / "record").touch()
    (tmp_path / "checkpoints").mkdir()
    path = tmp_path / "checkpoints" / "best.ckpt"
    write_checkpoint(checkpoint(4), path)
    io.sha256[path] = sha256_of(path)
    assert_refused(io, checkpoint(5), path, "No such file or directory")


def test_what_no_safe_load_accepts_leaves_the_old_checkpoint(
    io: DurableCheckpointIO, tmp_path: Path, checkpoint: Make
) -> None:
    path = tmp_path / "best.ckpt"
    write_checkpoint(checkpoint(4), path)
    with pytest.raises(KeepbestError, match=r"must hold only tensors and plain containers, .* needs pathlib\."):
        save(io, checkpoint(5, callbacks={"mine": Path("x")}), path)
    assert weights_in(path) == 4
    assert [file.name for file in tmp_path.iterdir()] == ["best.ckpt"]


# Disks that refuse


def assert_refused(io: DurableCheckpointIO, content: dict[str, Any], path: Path, why: str) -> None:
    """The save fails with the reason and its remedy, the old checkpoint and its hash stay, and nothing else is left."""
    before = path.read_bytes()
    with pytest.raises(KeepbestError, match=f"^the checkpoint {re.escape(str(path))} could not be written: {why}"):
        save(io, content, path)
    assert path.read_bytes() == before
    assert io.sha256[path] == hashlib.sha256(before).hexdigest()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


SIZES = [pytest.param(15_500, id="noticed at the end"), pytest.param(300_000, id="within")]


@pytest.mark.parametrize("numbers", SIZES)
def test_a_full_disk(io: DurableCheckpointIO, small_disk: Path, checkpoint: Make, numbers: int) -> None:
    path = small_disk / "best.ckpt"
    save(io, checkpoint(4), path)
    why = r"No space left on device\. Free some space on that disk\. A checkpoint .* is still whole\.$"
    assert_refused(io, checkpoint(numbers), path, why)
    save(io, checkpoint(5), path)  # and the disk takes the next one that fits
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
    io: DurableCheckpointIO,
    tmp_path: Path,
    checkpoint: Make,
    limited_file_size: Callable[[int], AbstractContextManager[None]],
    numbers: int,
    limit: int,
) -> None:
    path = tmp_path / "best.ckpt"
    save(io, checkpoint(4), path)
    with limited_file_size(limit):
        assert_refused(io, checkpoint(numbers), path, r"File too large\. See the system's message\. ")


@pytest.mark.parametrize("numbers", [4, MORE_THAN_A_BUFFER])
def test_whatever_a_disk_refuses_the_old_checkpoint_is_whole(
    io: DurableCheckpointIO,
    tmp_path: Path,
    checkpoint: Make,
    limited_file_size: Callable[[int], AbstractContextManager[None]],
    numbers: int,
) -> None:
    path = tmp_path / "best.ckpt"
    save(io, checkpoint(4), path)
    before = path.read_bytes()
    for limit in range(0, 1100, 100):
        with limited_file_size(limit), pytest.raises((KeepbestError, RuntimeError), match=r"large|unexpected pos"):
            save(io, checkpoint(numbers), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["best.ckpt"]


def test_a_read_only_disk(
    io: DurableCheckpointIO, small_disk: Path, make_read_only: Callable[[Path], None], checkpoint: Make
) -> None:
    path = small_disk / "best.ckpt"
    save(io, checkpoint(), path)
    make_read_only(small_disk)
    assert_refused(io, checkpoint(5), path, r"Read-only file system\. Choose a directory on a writable disk\. ")


def test_a_directory_of_somebody_else(
    io: DurableCheckpointIO,
    tmp_path: Path,
    checkpoint: Make,
    without_permission: Callable[[Path], AbstractContextManager[None]],
) -> None:
    path = tmp_path / "best.ckpt"
    save(io, checkpoint(), path)
    before = path.read_bytes()
    why = r"could not be written: Permission denied\. Give this user permission to write there\. "
    with without_permission(tmp_path), pytest.raises(KeepbestError, match=why):
        save(io, checkpoint(5), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["best.ckpt"]


def test_a_file_in_the_directorys_place(io: DurableCheckpointIO, tmp_path: Path, checkpoint: Make) -> None:
    (tmp_path / "checkpoints").touch()
    path = tmp_path / "checkpoints" / "best.ckpt"
    with pytest.raises(KeepbestError, match=r"best\.ckpt could not be written: File exists\. See the system's message"):
        save(io, checkpoint(), path)
    assert io.sha256 == {}


def test_what_cannot_be_pickled_leaves_nothing_behind(
    io: DurableCheckpointIO, tmp_path: Path, checkpoint: Make
) -> None:
    path = tmp_path / "best.ckpt"
    with pytest.raises((AttributeError, PicklingError), match="local object"):
        save(io, checkpoint(callbacks={"mine": lambda: 1}), path)
    assert list(tmp_path.iterdir()) == []
    assert io.sha256 == {}
