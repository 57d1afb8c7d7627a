"""Accelerators of one machine, shared out among the trainings that run on it at the same time.

For launchers that know nothing of devices, such as joblib: each training holds a lease on as many as it uses, and sees
no others. A lease is a lock file, which ends with the process that holds it, however that dies. Other sweeps of the
same user on the same machine respect it.
"""

from __future__ import annotations

import getpass
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from keepbest.errors import ConfigError

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable that says which devices a process sees; ROCm's builds of torch read it too."""

_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader")
_LOOKS_EVERY = 0.5  # seconds


def visible_devices() -> list[str]:
    """Return the names of the accelerators that this process sees, as `CUDA_VISIBLE_DEVICES` lists them."""
    if (listed := os.environ.get(VISIBLE)) is not None:
        return [name.strip() for name in listed.split(",") if name.strip() not in ("", "-1")]
    if shutil.which(_NVIDIA_SMI[0]) is None:
        return []
    try:
        answer = subprocess.run(_NVIDIA_SMI, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.split() if answer.returncode == 0 else []


def devices_needed(trainer: Mapping[str, Any]) -> int:
    """Return how many accelerators a training takes of those that are shared out; none where it names its own.

    Args:
        trainer: the trainer's settings. `devices=auto` takes one.
    """
    wanted = trainer.get("devices", "auto")
    if str(trainer.get("accelerator", "auto")) not in ("auto", "gpu", "cuda") or not isinstance(wanted, (int, str)):
        return 0
    return int(wanted) if str(wanted).isdecimal() else 0 if "," in str(wanted) else 1


def require_enough(trainer: Mapping[str, Any], devices: Sequence[str]) -> None:
    """Refuse a training that would wait for ever.

    Raises:
        ConfigError: when it needs more devices than there are.
    """
    if devices_needed(trainer) > len(devices):
        raise ConfigError(
            f"a training needs no more accelerators than this machine shows ({len(devices)})",
            received=f"trainer.devices={trainer.get('devices')}",
            remedy=f"Take fewer with trainer.devices=..., or set {VISIBLE}",
        )


@contextmanager
def leased(trainer: Mapping[str, Any], devices: Sequence[str] | None) -> Iterator[None]:
    """Let this process and those that it starts see only the accelerators that a training holds, until the block ends.

    Waits until enough of them are free.

    Args:
        trainer: the trainer's settings.
        devices: those to be shared out, by name; None: nothing is to be done.
    """
    count = devices_needed(trainer)
    if not devices or not count:
        yield
        return
    before = os.environ.get(VISIBLE)
    with ExitStack() as leases:
        os.environ[VISIBLE] = ",".join(_take(count, devices, leases))
        try:
            yield
        finally:
            os.environ.pop(VISIBLE)
            if before is not None:
                os.environ[VISIBLE] = before


def _take(count: int, devices: Sequence[str], leases: ExitStack) -> list[str]:
    """Wait for a number of devices. Nobody waits with some of them in hand, so that nobody waits for another."""
    while True:
        with ExitStack() as held:
            taken: list[str] = []
            for name in devices:
                if len(taken) < count and _lock(name, held):
                    taken.append(name)
            if len(taken) == count:
                leases.push(held.pop_all())
                return taken
        time.sleep(_LOOKS_EVERY * random.uniform(0.5, 1.5))


def _lock(name: str, held: ExitStack) -> bool:
    lock = FileLock(_place() / f"{name.replace(os.sep, '_')}.lock", timeout=0)
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
