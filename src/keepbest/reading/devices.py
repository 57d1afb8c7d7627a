"""Devices to evaluate on, in torch's words, as Lightning names them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from keepbest.errors import ConfigError

if TYPE_CHECKING:
    import torch

_ACCELERATORS = ("cpu", "gpu", "cuda", "mps", "auto")


def accelerator_of(name: str, trained_on: object) -> tuple[str, int | list[int]]:
    """Return Lightning's accelerator and devices.

    Args:
        name: of the device, or "auto".
        trained_on: the accelerator of the run's trainer, which "auto" means where this machine has it.

    Raises:
        ConfigError: for what this machine does not have.
    """
    if name == "auto":
        return _accelerator_like(trained_on), 1
    device = _device(name)
    if device is None or not _is_here(device):
        rule = "device must be auto, cpu, cuda, cuda:1, mps or the like, and one that this machine has"
        raise ConfigError(rule, received=name, remedy=f"It has {', '.join(_devices())}")
    return ("cpu", 1) if device.type == "cpu" else (device.type, [device.index or 0])


def _accelerator_like(trained_on: object) -> str:
    from lightning.pytorch.accelerators import AcceleratorRegistry

    accelerator = trained_on if isinstance(trained_on, str) and trained_on in _ACCELERATORS else "auto"
    kind = "cuda" if accelerator == "gpu" else accelerator
    is_here = kind in ("auto", "cpu") or AcceleratorRegistry.get(kind).is_available()
    return accelerator if is_here else "auto"


def _device(name: object) -> torch.device | None:
    import torch

    with suppress(RuntimeError):
        return torch.device(name) if isinstance(name, str) else None
    return None


def _is_here(device: torch.device) -> bool:
    where = device.type if device.type == "cpu" else f"{device.type}:{device.index or 0}"
    return where in _devices()


def _devices() -> list[str]:
    """Return the devices of this machine."""
    import torch

    cuda = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu", *cuda, *(["mps:0"] if torch.backends.mps.is_available() else [])]
