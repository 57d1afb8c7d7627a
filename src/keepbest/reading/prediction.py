"""A quick look at what a run's best model says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from keepbest.errors import ConfigError
from keepbest.reading.known_record import KnownRecord

if TYPE_CHECKING:
    import torch
    from lightning.pytorch import LightningModule

_LONGEST_REASON = 300


class Predictor:
    """Keeps a run's best model for as long as it is the best.

    Args:
        known: the run's record.
        load: returns the best model, on a device.
    """

    def __init__(self, known: KnownRecord, load: Callable[[str], LightningModule]) -> None:
        self._known, self._load = known, load
        self._kept: tuple[tuple[object, ...], LightningModule] | None = None

    def predict(self, inputs: Any, device: str) -> Any:
        """Return what the model's `forward` gives; see `keepbest.reading.run.Run.predict`."""
        import torch
        from lightning_utilities.core.apply_func import apply_to_collection

        model = self._model(device)
        arguments = inputs if isinstance(inputs, tuple) else (inputs,)
        tensors = [_as_tensors(argument, model) for argument in arguments]
        try:
            with torch.no_grad():
                outputs = model(*tensors)
        except Exception as error:
            raise _refusal(model, tensors, error) from error
        return apply_to_collection(outputs, torch.Tensor, lambda tensor: tensor.detach().cpu())

    def _model(self, device: str) -> LightningModule:
        self._known.read()
        if self._kept is None or self._kept[0] != self._key(device):
            self._kept = None  # two models may be more than the device holds
            model = self._load(device)
            self._kept = self._key(device), model
        return self._kept[1]

    def _key(self, device: str) -> tuple[object, ...]:
        record = self._known.value
        return device, record.best_sha256, record.best_model_path, record.best_epoch, record.best_step


def _as_tensors(inputs: Any, model: LightningModule) -> Any:
    if isinstance(inputs, Mapping):
        return {name: _as_tensors(item, model) for name, item in inputs.items()}
    try:
        tensor = _as_tensor(inputs)
    except Exception as error:
        raise ConfigError(
            f"inputs must be numbers that fit in one tensor: {type(error).__name__}: {str(error)[:_LONGEST_REASON]}",
            received=type(inputs).__name__,
            remedy="Hand over a tensor, a NumPy array, or a tuple of the arguments of the model's forward",
        ) from error
    return tensor.to(model.device, _dtype_of(model) if tensor.is_floating_point() else tensor.dtype)


def _as_tensor(inputs: Any) -> torch.Tensor:
    import numpy as np
    import torch

    if isinstance(inputs, torch.Tensor):
        return inputs.detach()
    if isinstance(inputs, list) and inputs and all(isinstance(item, (torch.Tensor, np.ndarray)) for item in inputs):
        return torch.stack([_as_tensor(item) for item in inputs])
    array = np.array(inputs)  # a copy: torch takes none that is read-only, reversed or of another byte order
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _dtype_of(model: LightningModule) -> torch.dtype:
    import torch

    weights = (weight.dtype for weight in model.parameters() if weight.is_floating_point())
    return next(weights, torch.get_default_dtype())


def _refusal(model: LightningModule, tensors: list[Any], error: Exception) -> ConfigError:
    shape = model.hparams.get("input_shape")
    learnt = f"It was trained on samples of shape {list(shape)}, the batch comes before that. " if shape else ""
    reason = f"{type(error).__name__}: {str(error)[:_LONGEST_REASON]}"
    return ConfigError(
        f"inputs must be what {type(model).__name__}.forward takes",
        received=_Shown(", ".join(map(_shown, tensors))),
        remedy=f"{learnt}It raised {reason}",
    )


class _Shown(str):
    """A text without the quotes of a text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_shown(item)}' for name, item in value.items())}}}"
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
