"""Accelerators of one machine, shared out among the trainings that run on it at the same time.

For launchers that know nothing of devices, such as joblib: each training holds a lease on as many as it uses, and sees
no others. A lease is a lock file, which ends with the process that holds it, however that dies. Other sweeps of the
same user on the same machine respect it.
"""

from __future__ import annotations

import functools
import getpass
import itertools
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from keepbest.errors import ConfigError

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable that says which devices a process sees; ROCm's builds of torch read it too."""

_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader")
_ALL = "-1"
_LOOKS_EVERY = 0.5  # seconds


def visible_devices() -> list[str]:
    """Return the names of the accelerators that this process sees, as `CUDA_VISIBLE_DEVICES` lists them.

    CUDA reads the variable up to the first name that is none, such as -1.
    """
    if (listed := os.environ.get(VISIBLE)) is not None:
        return list(itertools.takewhile(lambda name: name not in ("", "-1"), map(str.strip, listed.split(","))))
    return list(_uuids().values())


@functools.cache
def _uuids() -> Mapping[str, str]:
    """Return the identifiers of this machine's NVIDIA devices by their numbers."""
    if shutil.which(_NVIDIA_SMI[0]) is None:
        return {}
    try:
        answer = subprocess.run(_NVIDIA_SMI, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    rows = [line.split(",") for line in answer.stdout.splitlines()] if answer.returncode == 0 else []
    return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}


def devices_needed(trainer: Mapping[str, Any], visible: int = 1) -> int:
    """Return how many accelerators a training takes of those that are shared out; none where it names its own.

    Args:
        trainer: the trainer's settings. `devices=auto` takes one, `devices=-1` all.
        visible: how many there are.
    """
    wanted = trainer.get("devices", "auto")
    if str(trainer.get("accelerator", "auto")) not in ("auto", "gpu", "cuda") or not isinstance(wanted, (int, str)):
        return 0
    if str(wanted) == _ALL:
        return visible
    return int(wanted) if str(wanted).isdecimal() else 0 if "," in str(wanted) else 1


def require_enough(trainer: Mapping[str, Any], devices: Sequence[str]) -> None:
    """Refuse a training that would wait for ever.

    Raises:
        ConfigError: when it needs more devices than there are.
    """
    if devices_needed(trainer, len(devices)) > len(devices):
        raise ConfigError(
            f"a training needs no more accelerators than this machine shows ({len(devices)})",
            received=f"trainer.devices={trainer.get('devices')}",
            remedy=f"Take fewer with trainer.devices=..., or set {VISIBLE}",
        )


@contextmanager
def leased(
    trainer: Mapping[str, Any],
    devices: Sequence[str] | None,
    gives_up: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[bool]:
    """Let this process and those that it starts see only the accelerators that a training holds, until the block ends.

    Waits until enough of them are free. Yields whether the training has what it needs; it has not when the waiting was
    given up.

    Args:
        trainer: the trainer's settings.
        devices: those to be shared out, by name; None: nothing is to be done.
        gives_up: asked again and again while this waits.
        tell: hears once that this waits, and for what.
    """
    count = devices_needed(trainer, len(devices or ()))
    if not devices or not count:
        yield True
        return
    before = os.environ.get(VISIBLE)
    with ExitStack() as leases:
        if (taken := _take(count, devices, leases)) is None:
            tell(f"waiting for {count} of the accelerators {', '.join(devices)}: others use them")
            taken = _take_later(count, devices, leases, gives_up)
        if taken is None:
            yield False
            return
        os.environ[VISIBLE] = ",".join(taken)
        try:
            yield True
        finally:
            os.environ.pop(VISIBLE)
            if before is not None:
                os.environ[VISIBLE] = before


def _take_later(
    count: int, devices: Sequence[str], leases: ExitStack, gives_up: Callable[[], bool]
) -> list[str] | None:
    """Wait for a number of devices."""
    while not gives_up():
        time.sleep(_LOOKS_EVERY * random.uniform(0.5, 1.5))
        if taken := _take(count, devices, leases):
            return taken
    return None


def _take(count: int, devices: Sequence[str], leases: ExitStack) -> list[str] | None:
    """Take a number of devices, or none of them: nobody waits with some in hand, so that nobody waits for another."""
    with ExitStack() as held:
        taken: list[str] = []
        for name in devices:
            if len(taken) < count and _lock(name, held):
                taken.append(name)
        if len(taken) == count:
            leases.push(held.pop_all())
            return taken
    return None


def lock_name(name: str) -> str:
    """Return what a device is called by all processes, whether they see it by its number or its identifier.

    Numbers are those of nvidia-smi, which CUDA counts by as well where the devices are of one kind, or where
    `CUDA_DEVICE_ORDER=PCI_BUS_ID` is set.
    """
    uuids = _uuids()
    meant = [uuid for uuid in uuids.values() if uuid.startswith(name)] if name.startswith("GPU-") else []
    return meant[0] if len(meant) == 1 else uuids.get(name, name)


def _lock(name: str, held: ExitStack) -> bool:
    lock = FileLock(_place() / f"{lock_name(name).replace(os.sep, '_')}.lock", timeout=0)
    try:
        held.enter_context(lock)
    except Timeout:
        return False
    return True


def _place() -> Path:
    """Return the directory of the lock files, the same one for all processes of this user on this machine."""
    place = Path(tempfile.gettempdir(), f"keepbest-devices-{getattr(os, 'getuid', getpass.getuser)()}")
    place.mkdir(mode=0o700, exist_ok=True)
    return place
