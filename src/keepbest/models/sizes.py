"""What a model learns about its data from the data module: whether they suit each other, and the sizes of both ends.

A data module of keepbest has, once it is set up, `task` (a key of `MODELS_FOR`), `input_shape` (of one sample, without
the batch) and `num_outputs` (classes, regression targets or mask classes).
"""

from __future__ import annotations

from collections.abc import Sequence

from keepbest.errors import ConfigError

MODELS_FOR = {
    "classification": "model=mlp or model=cnn",
    "regression": "model=regressor",
    "segmentation": "model=unet",
}


def check_task(model: str, task: str, datamodule: object) -> None:
    """Refuse a data module that states another task than the model's; one that states none is taken on trust."""
    stated = getattr(datamodule, "task", None)
    if stated in MODELS_FOR and stated != task:
        raise ConfigError(
            f"{model} needs data for {task}, but {type(datamodule).__name__} is for {stated}",
            remedy=f"Choose {MODELS_FOR[stated]}",
        )


def read_size(model: str, name: str, datamodule: object) -> object:
    """Return the data module's attribute of this name: the size that the model was not given."""
    size = getattr(datamodule, name, None)
    if size is None:
        source = "no data module" if datamodule is None else type(datamodule).__name__
        raise ConfigError(
            f"{model} was not given {name} and cannot read it from the data module",
            received=source,
            remedy="Set model.input_shape and model.num_outputs, or give the data module attributes of these names",
        )
    return size


def image_shape(model: str, input_shape: Sequence[int]) -> tuple[int, int, int]:
    """Return channels, height and width; refuse samples that are not images."""
    if len(input_shape) != 3:
        raise ConfigError(
            f"{model} needs images of shape [channels, height, width]",
            received=list(input_shape),
            remedy="Choose data of images, or a model that takes any shape: model=mlp or model=regressor",
        )
    channels, height, width = input_shape
    return channels, height, width
