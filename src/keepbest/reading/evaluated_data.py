"""The data that a best model is evaluated on: whether they suit it, and how many they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from keepbest.errors import ConfigError, DataError, KeepbestError

if TYPE_CHECKING:
    from lightning.pytorch import LightningDataModule, LightningModule, Trainer

    from keepbest.reading.run_model import RunModel

LOADERS = {"val": "val_dataloader", "test": "test_dataloader"}
"""What can be evaluated, and the method of the data module that serves it."""

_LONGEST_MESSAGE, _MOST_SHAPES, _MOST_NAMES = 1000, 8, 20
_NAMES = {
    "classes": "Their numbers would mean others. Write the labels as the run's own data have them",
    "feature_names": "Name the columns so, and give them in that order: data.features=[...]",
}
"""What a data module may state about the meaning of its numbers, and the remedy where it is another."""


def learnt_sizes(made: RunModel, model: LightningModule) -> dict[str, Any]:
    """Return the sizes that a model has from its own data module, and not from the run's config."""
    node = made.section("model")
    names = [name for name in ("input_shape", "num_outputs") if name in node and node[name] is None]
    return {name: _plain(model.hparams[name]) for name in names if model.hparams.get(name) is not None}


def require_suited(learnt: Mapping[str, Any], datamodule: LightningDataModule, *, is_own: bool) -> None:
    """Refuse data of other sizes than those that the model has learnt, where the data module states them.

    Args:
        learnt: see `learnt_sizes`.
        datamodule: set up.
        is_own: whether it is that of the run.

    Raises:
        ConfigError: for such data.
    """
    for name, size in learnt.items():
        stated = getattr(datamodule, name, None)
        if stated is not None and _plain(stated) != size:
            whose = "the run's own data now have" if is_own else f"{type(datamodule).__name__} has"
            raise ConfigError(f"{_rule(name, size)}, {whose} {_plain(stated)}")


def require_same_names(datamodule: LightningDataModule, own: LightningDataModule) -> None:
    """Refuse other data whose classes or feature columns have other names, or another order, than the run's own.

    What only one of them states is not compared, nor names with the numbers from 0 that stand for them; the run's own
    data stand for those that the model was trained on, for its checkpoint holds no names.

    Args:
        datamodule: the other data, set up.
        own: the run's, set up.

    Raises:
        ConfigError: for such data.
    """
    for name, remedy in _NAMES.items():
        stated, known = _names(datamodule, name), _names(own, name)
        if stated and known and stated != known and not _are_numbers_of(stated, known):
            start = _first_difference(stated, known) if max(len(stated), len(known)) > _MOST_NAMES else 0
            rule = f"{_rule(name, _part(known, start))}, {type(datamodule).__name__} has {_part(stated, start)}"
            raise ConfigError(rule, remedy=remedy)


def _are_numbers_of(some: list[Any], others: list[Any]) -> bool:
    """Return whether one of two lists of names numbers those of the other."""
    return len(some) == len(others) and list(range(len(some))) in (some, others)


def _names(datamodule: LightningDataModule, name: str) -> list[Any]:
    """Return the names that a data module states, none where it states something else by that attribute."""
    with suppress(Exception):  # a property of the user's own may raise anything
        stated = getattr(datamodule, name)
        if isinstance(stated, (list, tuple)) and all(isinstance(label, (str, int, float)) for label in stated):
            return list(stated)
    return []


def _first_difference(some: list[Any], others: list[Any]) -> int:
    pairs = enumerate(zip(some, others, strict=False))
    return next((number for number, (one, other) in pairs if one != other), min(len(some), len(others)))


def _part(names: list[Any], start: int) -> str:
    end = start + _MOST_NAMES
    shown = [*(["..."] if start else []), *map(repr, names[start:end]), *(["..."] if len(names) > end else [])]
    return f"[{', '.join(shown)}]"


def failure_on(
    error: Exception, learnt: Mapping[str, Any], datamodule: LightningDataModule, split: str
) -> KeepbestError:
    """Return the error that says what a model could not be evaluated on.

    Args:
        error: what went wrong.
        learnt: see `learnt_sizes`.
        datamodule: set up.
        split: "val" or "test".
    """
    name, shapes = type(datamodule).__name__, _shapes_of_first_batch(datamodule, split)
    words = f"{type(error).__name__}: {str(error)[:_LONGEST_MESSAGE]}"
    size = learnt.get("input_shape")
    if size is not None and shapes and shapes[0][1:] != size:
        return ConfigError(f"{_rule('input_shape', size)}, {name} has {shapes[0][1:]}; {words}")
    text = f"the best model must be one to evaluate on the {split} batches of {name}, {words}"
    shown = ", ".join(map(str, shapes[:_MOST_SHAPES]))
    return DataError(f"{text.rstrip('.')}. Its first batch has the shapes {shown}." if shown else text)


def samples_of(trainer: Trainer, split: str) -> int | None:
    """Return how many samples a trainer has evaluated; None where a loader does not know how many it serves."""
    from lightning.pytorch.utilities import CombinedLoader

    loaders = trainer.val_dataloaders if split == "val" else trainer.test_dataloaders
    batches = trainer.num_val_batches if split == "val" else trainer.num_test_batches
    counts = [_served(*pair) for pair in zip(CombinedLoader(loaders, "sequential").flattened, batches, strict=True)]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _served(loader: Any, batches: float) -> int | None:
    size, sampler = getattr(loader, "batch_size", None), getattr(loader, "sampler", None)
    if not isinstance(size, int):  # a batch sampler of the user's own decides, or the data come in batches
        return None
    with suppress(TypeError, NotImplementedError, AttributeError):
        return int(min(len(sampler), batches * size))  # type: ignore[arg-type]
    return None


def _rule(name: str, size: Any) -> str:
    return f"data must be such as the model was trained on: {name} {size}"


def _plain(size: Any) -> Any:
    return list(size) if isinstance(size, (list, tuple)) else size


def _shapes_of_first_batch(datamodule: LightningDataModule, split: str) -> list[list[int]]:
    """Return the shapes of the arrays of the first batch, none where it cannot be read either."""
    from lightning.pytorch.utilities import CombinedLoader

    with suppress(Exception):
        loaders = CombinedLoader(getattr(datamodule, LOADERS[split])(), "sequential")
        return list(_shapes(next(iter(loaders))[0]))
    return []


def _shapes(batch: Any) -> Iterator[list[int]]:
    if hasattr(batch, "shape"):
        yield [int(length) for length in batch.shape]
    elif isinstance(batch, (Mapping, list, tuple)):
        for item in batch.values() if isinstance(batch, Mapping) else batch:
            yield from _shapes(item)
