"""Disks that refuse, each for real, and what tells two states apart."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

NOBODY = 65534


@pytest.fixture
def checkpoint() -> Callable[..., dict[str, object]]:
    """What Lightning would hand over, with that many numbers for weights and anything else."""

    def make(numbers: int = 4, **more: object) -> dict[str, object]:
        weights = torch.arange(numbers, dtype=torch.float32)
        return {"epoch": 1, "state_dict": {"layer.weight": weights}, "optimizer_states": [], **more}

    return make


@pytest.fixture(scope="session")
def same() -> Callable[[Any, Any], bool]:
    """Whether two nested states are equal: the same types, tensors of the same type, shape and bits."""

    def compare(one: Any, other: Any) -> bool:
        if type(one) is not type(other):
            return False
        if isinstance(one, torch.Tensor):
            return one.dtype == other.dtype and torch.equal(one, other)
        if isinstance(one, dict):
            return list(one) == list(other) and all(compare(one[key], other[key]) for key in one)
        if isinstance(one, (list, tuple)):
            return len(one) == len(other) and all(map(compare, one, other))
        return bool(one == other)

    return compare


@pytest.fixture
def limited_file_size() -> Callable[[int], AbstractContextManager[None]]:
    """No file may grow beyond some bytes for the length of a block."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limit(number: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (number, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture
def disk_of(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Make a file system of a size such as 64k, at a place of its own or at one that is named."""
    places: list[Path] = []

    def make(size: str, place: Path | None = None) -> Path:
        place = place or tmp_path / f"disk{len(places)}"
        place.mkdir(parents=True)
        _mount(["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)])
        places.append(place)
        return place

    yield make
    for place in places:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def small_disk(disk_of: Callable[[str], Path]) -> Path:
    """A file system of 64 KiB."""
    return disk_of("64k")


@pytest.fixture
def make_read_only() -> Callable[[Path], None]:
    """Mount a file system anew, read-only, which stops root too."""
    return lambda place: _mount(["-o", "remount,ro", str(place)])


@pytest.fixture
def without_permission() -> Callable[[Path], AbstractContextManager[None]]:
    """Be somebody who may not write into a directory, for the length of a block."""

    @contextmanager
    def forbid(place: Path) -> Iterator[None]:
        mode, user = place.stat().st_mode, os.geteuid()
        place.chmod(0o555)
        if user == 0:
            _become(NOBODY)
        try:
            yield
        finally:
            if user == 0:
                os.seteuid(0)
            place.chmod(mode)

    return forbid


def _mount(arguments: list[str]) -> None:
    try:
        subprocess.run(["mount", *arguments], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user cannot mount a file system")


def _become(user: int) -> None:
    try:
        os.seteuid(user)
    except OSError:
        pytest.skip("this root cannot become another user")
