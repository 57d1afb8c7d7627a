"""Hyperparameters become plain containers, and what has no plain form is left out."""

from __future__ import annotations

import functools
from collections import OrderedDict, deque
from collections.abc import Callable
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, ListConfig, OmegaConf

from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO
from keepbest.checkpoints.plain import plain_hyperparameters


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Size(str, Enum):
    SMALL = "small"


class Opaque(Enum):
    THING = object()


class Name(str):
    """Text of a class of its own."""


class Pair(NamedTuple):
    a: int
    b: str


CONFIG = OmegaConf.create({"lr": 0.1, "twice": "${lr}", "deep": {"sizes": [1, 2]}, "none": None})
LEFT_OUT = "left out"

TABLE: dict[str, tuple[object, object]] = {
    "none": (None, None),
    "truth": (True, True),
    "whole number": (3, 3),
    "number": (0.1, 0.1),
    "text": ("a", "a"),
    "mapping": ({"a": {"b": 1}}, {"a": {"b": 1}}),
    "keys become text": ({1: "one", 2.5: "x"}, {"1": "one", "2.5": "x"}),
    "another mapping": (OrderedDict(a=1), {"a": 1}),
    "list": ([1, [2, "b"]], [1, [2, "b"]]),
    "tuple": ((1, (2, 3)), [1, [2, 3]]),
    "named tuple": (Pair(1, "b"), [1, "b"]),
    "set": ({7}, [7]),
    "frozen set": (frozenset({"a"}), ["a"]),
    "range": (range(3), [0, 1, 2]),
    "deque": (deque([1, 2]), [1, 2]),
    "size": (torch.Size([2, 3]), [2, 3]),
    "DictConfig": (CONFIG, {"lr": 0.1, "twice": 0.1, "deep": {"sizes": [1, 2]}, "none": None}),
    "DictConfig inside": ({"a": [CONFIG.deep]}, {"a": [{"sizes": [1, 2]}]}),
    "ListConfig": (CONFIG.deep.sizes, [1, 2]),
    "path": (Path("data/x"), str(Path("data/x"))),
    "pure path": (PurePosixPath("/data"), "/data"),
    "path in a DictConfig": (OmegaConf.create({"p": Path("x")}), {"p": "x"}),
    "numpy float64": (np.float64(0.1), 0.1),
    "numpy float32": (np.float32(0.5), 0.5),
    "numpy int64": (np.int64(7), 7),
    "numpy uint8": (np.uint8(7), 7),
    "numpy bool": (np.bool_(True), True),
    "numpy text": (np.str_("a"), "a"),
    "numpy scalar array": (np.array(3.0), 3.0),
    "numpy scalars in a list": ([np.int64(1), np.float32(0.5)], [1, 0.5]),
    "enum": (Colour.RED, "red"),
    "int enum": (Level.HIGH, 3),
    "str enum": (Size.SMALL, "small"),
    "enum without a plain value": (Opaque.THING, LEFT_OUT),
    "subclass of text": (Name("a"), "a"),
    "subclass of int": (type("Count", (int,), {})(3), 3),
    "subclass of float": (type("Share", (float,), {})(0.5), 0.5),
    "partial": (functools.partial(torch.optim.SGD, lr=0.1), LEFT_OUT),
    "function": (len, LEFT_OUT),
    "class": (torch.nn.ReLU, LEFT_OUT),
    "network": (torch.nn.Linear(2, 2), LEFT_OUT),
    "network in a list": ([1, torch.nn.ReLU(), 2], [1, 2]),
    "network in a mapping": ({"net": torch.nn.ReLU(), "lr": 0.1}, {"lr": 0.1}),
    "parameter": (torch.nn.Parameter(torch.ones(2)), LEFT_OUT),
    "dtype": (torch.float32, LEFT_OUT),
    "bytes": (b"x", LEFT_OUT),
    "object": (object(), LEFT_OUT),
}


@pytest.mark.parametrize(("value", "plain"), TABLE.values(), ids=TABLE)
def test_each_kind_of_value(value: object, plain: object) -> None:
    found = plain_hyperparameters({"x": value})
    assert found == ({} if plain is LEFT_OUT else {"x": plain})
    assert types_in(found) <= {dict, list, str, int, float, bool, type(None)}


def types_in(value: Any) -> set[type]:
    """Return the exact types of a value and of everything in it."""
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return {type(value)}.union(*map(types_in, inner))


def test_a_tensor_stays_a_tensor() -> None:
    weights = torch.tensor([0.2, 0.8])
    assert plain_hyperparameters({"class_weights": weights})["class_weights"] is weights


def test_what_is_no_mapping_becomes_an_empty_one() -> None:
    assert plain_hyperparameters([1, 2]) == {}
    assert plain_hyperparameters(None) == {}


def test_the_original_is_left_as_it_was() -> None:
    sizes = (1, 2)
    original = {"sizes": sizes, "net": torch.nn.ReLU()}
    plain_hyperparameters(original)
    assert set(original) == {"sizes", "net"}
    assert original["sizes"] is sizes


@pytest.mark.parametrize("key", ["hyper_parameters", "datamodule_hyper_parameters"])
def test_a_checkpoint_with_all_of_them_loads_safely(
    tmp_path: Path, checkpoint: Callable[..., dict[str, object]], key: str
) -> None:
    hyperparameters = {name: value for name, (value, _) in TABLE.items()}
    path = tmp_path / "a.ckpt"
    DurableCheckpointIO().save_checkpoint(checkpoint(**{key: hyperparameters}), path)
    assert torch.serialization.get_unsafe_globals_in_checkpoint(str(path)) == []
    kept = {name: plain for name, (_, plain) in TABLE.items() if plain is not LEFT_OUT}
    assert torch.load(path, weights_only=True)[key] == kept


@pytest.mark.parametrize("container", [CONFIG, CONFIG.deep.sizes], ids=["DictConfig", "ListConfig"])
def test_hyperparameters_that_are_a_config_load_safely(
    tmp_path: Path, checkpoint: Callable[..., dict[str, object]], container: DictConfig | ListConfig
) -> None:
    """Lightning then stores the container's class beside it."""
    path = tmp_path / "a.ckpt"
    content = checkpoint(hyper_parameters=container, hparams_name="kwargs", hparams_type=type(container))
    DurableCheckpointIO().save_checkpoint(content, path)
    assert torch.serialization.get_unsafe_globals_in_checkpoint(str(path)) == []
    assert torch.load(path, weights_only=True)["hparams_name"] == "kwargs"
    assert content["hparams_type"] is type(container), "the caller's checkpoint was changed"


def test_a_data_modules_config_loads_safely_too(tmp_path: Path, checkpoint: Callable[..., dict[str, object]]) -> None:
    path = tmp_path / "a.ckpt"
    content = checkpoint(datamodule_hyper_parameters=CONFIG, datamodule_hparams_type=DictConfig)
    DurableCheckpointIO().save_checkpoint(content, path)
    assert torch.serialization.get_unsafe_globals_in_checkpoint(str(path)) == []


@pytest.mark.parametrize("array", [np.array([1, 2]), np.array([[0.5], [1.5]]), np.array(["a", "b"])])
def test_a_numpy_array_becomes_a_list(array: np.ndarray[Any, Any]) -> None:
    assert plain_hyperparameters({"x": array}) == {"x": array.tolist()}


def test_a_long_double_becomes_a_float_or_is_left_out() -> None:
    assert plain_hyperparameters({"x": np.longdouble(0.5)}) in ({}, {"x": 0.5})
