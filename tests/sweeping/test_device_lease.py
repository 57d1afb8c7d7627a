"""Accelerators that trainings share out among themselves: names on a machine that has none, locks that are real."""

import os
import threading
import time

import pytest

from keepbest.errors import ConfigError
from keepbest.sweeping import device_lease
from keepbest.sweeping.device_lease import VISIBLE, devices_needed, leased, lock_name, require_enough, visible_devices

NVIDIA_SMI = """#!/bin/sh
[ "$1" = --query-gpu=index,uuid ] || exit 1
echo "0, GPU-aaaa-1"
echo "1, GPU-bbbb-2"
"""
ONE = {"accelerator": "gpu", "devices": 1}


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(device_lease.tempfile, "tempdir", str(tmp_path))
    device_lease._uuids.cache_clear()
    yield
    device_lease._uuids.cache_clear()


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    """Put an nvidia-smi first that knows two devices."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(NVIDIA_SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


@pytest.mark.parametrize(
    ("listed", "names"), [("0,1,-1,2", ["0", "1"]), ("-1", []), ("", []), (" 3 , GPU-x", ["3", "GPU-x"])]
)
def test_devices_are_those_that_cuda_reads(listed, names, monkeypatch):
    monkeypatch.setenv(VISIBLE, listed)
    assert visible_devices() == names


@pytest.mark.parametrize(
    ("devices", "count"), [(-1, 4), ("-1", 4), ("auto", 1), (2, 2), ("3", 3), ([0, 2], 0), ("0,2", 0)]
)
def test_a_training_needs_what_it_says(devices, count):
    trainer = {"accelerator": "gpu", "devices": devices}
    assert devices_needed(trainer, 4) == count
    require_enough(trainer, ["0", "1", "2", "3"])


def test_more_than_there_are_is_refused():
    with pytest.raises(ConfigError, match="no more accelerators than this machine shows"):
        require_enough({"accelerator": "gpu", "devices": 3}, ["0", "1"])


@pytest.mark.usefixtures("two_gpus")
def test_a_device_has_one_lock_by_whatever_name(monkeypatch):
    monkeypatch.delenv(VISIBLE, raising=False)
    assert visible_devices() == ["GPU-aaaa-1", "GPU-bbbb-2"]
    assert [lock_name(name) for name in ("1", "GPU-bbbb-2", "GPU-b", "7", "MIG-x")] == [
        "GPU-bbbb-2", "GPU-bbbb-2", "GPU-bbbb-2", "7", "MIG-x",
    ]  # fmt: skip
    with leased(ONE, ["GPU-aaaa-1"]) as has_it, leased(ONE, ["0", "1"]):
        assert has_it
        assert os.environ[VISIBLE] == "1"


def test_all_devices_are_leased_together():
    with leased({"accelerator": "gpu", "devices": -1}, ["7", "8"]):
        assert os.environ[VISIBLE] == "7,8"


def test_waiting_is_told_once_and_given_up_on_demand():
    told: list[str] = []
    gives_up = threading.Event()
    threading.Timer(1.5, gives_up.set).start()
    began = time.monotonic()
    with leased(ONE, ["7"]), leased(ONE, ["7"], gives_up.is_set, told.append) as has_it:
        assert not has_it
        assert os.environ[VISIBLE] == "7", "that of the first"
    assert 1.4 < time.monotonic() - began < 3
    assert told == ["waiting for 1 of the accelerators 7: others use them"]
