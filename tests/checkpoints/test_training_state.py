"""A training goes on from its checkpoint as if it had not been interrupted, or says why it cannot."""

from __future__ import annotations

import functools
import random
import re
from collections import defaultdict, namedtuple
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, TensorDataset

from keepbest import BestWeights, StoppingPolicy, load_checkpoint, save_checkpoint
from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO
from keepbest.checkpoints.random_state import random_state
from keepbest.errors import ConfigError, IntegrityError, KeepbestError

Same = Callable[[Any, Any], bool]
EPOCHS = 5


class Part:
    """Anything with a state."""

    def __init__(self, state: Any = None) -> None:
        self.state = {"value": 1} if state is None else state

    def state_dict(self) -> Any:
        return self.state

    def load_state_dict(self, state: Any) -> None:
        self.state = state


class Training:
    """A loop in which every generator has its say: shuffling, dropout, augmentation by NumPy and by Python."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        samples = torch.arange(24.0).reshape(12, 2) / 24
        self.batches = DataLoader(TensorDataset(samples), batch_size=4, shuffle=True)
        self.model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, 0.1, total_steps=EPOCHS)
        self.average = AveragedModel(self.model)
        self.state = StoppingPolicy(patience=100).start()
        self.best = BestWeights(self.model)

    @property
    def parts(self) -> dict[str, Any]:
        names = ("model", "optimizer", "scheduler", "average", "state", "best")
        return {name: getattr(self, name) for name in names}

    @property
    def everything(self) -> list[Any]:
        return [random_state(), *(part.state_dict() for part in self.parts.values())]

    def run_epoch(self, epoch: int) -> None:
        self.model.train()
        total = 0.0
        for (batch,) in self.batches:
            self.optimizer.zero_grad()
            loss = self.model(batch * random.gauss(1, 0.1) + np.random.normal()).square().mean()
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        self.scheduler.step()
        self.average.update_parameters(self.model)
        self.best.offer(total, epoch)
        self.state.update(total, epoch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "last.ckpt"


@pytest.fixture
def saved(path: Path) -> Path:
    save_checkpoint(path, epoch=3, model=nn.Linear(100, 10), other=Part())
    return path


@pytest.fixture
def parts(same: Same) -> Iterator[dict[str, Any]]:
    """The parts of `saved`, which must be as they were when the test ends: a load that fails changes nothing."""
    made: dict[str, Any] = {"model": nn.Linear(100, 10), "other": Part({"value": 2})}
    weights = made["model"].weight.clone()
    before = random_state()
    yield made
    assert torch.equal(made["model"].weight, weights)
    assert made["other"].state == {"value": 2}
    assert same(random_state(), before)


# Going on


@settings(
    deadline=None,
    database=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(interruptions=st.sets(st.integers(0, EPOCHS - 2)), seed=st.integers(0, 3))
@example(interruptions=set(range(EPOCHS - 1)), seed=0)
def test_an_interrupted_training_equals_an_uninterrupted_one(
    path: Path, same: Same, interruptions: set[int], seed: int
) -> None:
    whole = Training(seed)
    for epoch in range(EPOCHS):
        whole.run_epoch(epoch)
    expected = whole.everything

    training = Training(seed)
    epoch = 0
    while epoch < EPOCHS:
        training.run_epoch(epoch)
        save_checkpoint(path, epoch=epoch, **training.parts)
        epoch += 1
        if epoch - 1 in interruptions:
            training = Training(seed + 1)
            assert load_checkpoint(path, **training.parts) == epoch
    assert same(training.everything, expected)


def test_another_seed_gives_another_training(same: Same) -> None:
    """Or the test above would prove little. The schedulers alone are the same."""

    def trained(seed: int) -> list[Any]:
        training = Training(seed)
        training.run_epoch(0)
        return training.everything

    differ = [not same(one, other) for one, other in zip(trained(0), trained(1), strict=True)]
    assert differ == [True, True, True, False, True, True, True]


@pytest.mark.parametrize("epoch", [0, 7, np.int64(7), torch.tensor(7)])
def test_the_epoch_to_go_on_with_is_the_one_after(path: Path, epoch: Any) -> None:
    save_checkpoint(path, epoch=epoch, part=Part())
    number = load_checkpoint(path, part=Part())
    assert (number, type(number)) == (int(epoch) + 1, int)


def test_a_path_may_be_text_and_its_directory_is_made(tmp_path: Path) -> None:
    path = f"{tmp_path}/new/folder/last.ckpt"
    save_checkpoint(path, epoch=0, part=Part())
    assert load_checkpoint(path, part=Part()) == 1
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["last.ckpt"]


def test_the_file_holds_nothing_but_tensors_and_plain_containers(path: Path) -> None:
    training = Training(0)
    training.run_epoch(0)
    save_checkpoint(path, epoch=0, **training.parts)
    assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []
    content = torch.load(path, weights_only=True)
    assert (content["format"], content["version"], content["epoch"]) == ("keepbest.training_state", 1, 0)
    assert list(content["parts"]) == list(training.parts)


def test_random_numbers_drawn_by_a_part_that_loads_do_not_count(path: Path) -> None:
    class Drawing(Part):
        def load_state_dict(self, state: Any) -> None:
            torch.rand(1)

    save_checkpoint(path, epoch=0, part=Drawing())
    expected = torch.rand(3)
    load_checkpoint(path, part=Drawing())
    assert torch.equal(torch.rand(3), expected)


def test_a_missing_file_begins_the_training(path: Path, parts: dict[str, Any]) -> None:
    assert load_checkpoint(path, missing_ok=True, **parts) == 0
    assert not path.exists()


def test_a_missing_file_is_an_error_unless_it_may_be_missing(path: Path, parts: dict[str, Any]) -> None:
    with pytest.raises(FileNotFoundError, match=r"last\.ckpt"):
        load_checkpoint(path, **parts)


# Saving what could not be loaded

Pair = namedtuple("Pair", "a b")
REFUSED: dict[str, tuple[Any, str, str]] = {
    "a NumPy scalar, deep": (
        {"groups": [{"lr": 0.1}, {"lr": np.float64(0.1)}]},
        "['groups'][1]['lr']",
        "numpy.float64",
    ),
    "a NumPy array": ({"x": np.ones(2)}, "['x']", "numpy.ndarray"),
    "a module": ({"x": (1, nn.ReLU())}, "['x'][1]", "torch.nn.modules.activation.ReLU"),
    "a function": ({"x": functools.partial(torch.add, 1)}, "['x']", "functools.partial"),
    "what cannot be pickled": ({"x": [lambda: 1]}, "['x'][0]", "builtins.function"),
    "an open file": ({"x": open}, "['x']", "builtins.builtin_function_or_method"),
    "a container of another kind": ({"x": defaultdict(int)}, "['x']", "collections.defaultdict"),
    "a named tuple": ({"x": Pair(1, 2)}, "['x']", f"{__name__}.Pair"),
    "a state that is an object": (Path("x"), "", "pathlib.PosixPath"),
}


@pytest.mark.parametrize(("state", "place", "kind"), REFUSED.values(), ids=REFUSED)
def test_a_state_that_no_safe_load_accepts_is_refused_with_its_place(
    saved: Path, state: Any, place: str, kind: str
) -> None:
    before = saved.read_bytes()
    message = rf"only tensors and plain containers, bad{re.escape(place)} is a {re.escape(kind)} \("
    with pytest.raises(KeepbestError, match=message):
        save_checkpoint(saved, epoch=4, good=Part(), bad=Part(state), fine=nn.Linear(1, 1))
    assert saved.read_bytes() == before
    assert [file.name for file in saved.parent.iterdir()] == ["last.ckpt"]


def test_an_optimizer_with_a_numpy_learning_rate_is_refused(path: Path) -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=np.float64(0.1))
    with pytest.raises(KeepbestError, match=r"optimizer\['param_groups'\]\[0\]\['lr'\] is a numpy\.float64"):
        save_checkpoint(path, epoch=0, optimizer=optimizer)
    assert not path.exists()


@pytest.mark.parametrize("function", [save_checkpoint, functools.partial(load_checkpoint, missing_ok=True)])
@pytest.mark.parametrize(
    ("part", "more"),
    [
        (StoppingPolicy(), r"'StoppingPolicy'\. Give its state: policy\.start\(\)\."),
        ({"a": 1}, r"'dict'\."),
        (None, ""),
    ],
)
def test_a_part_without_a_state_is_refused(path: Path, function: Any, part: Any, more: str) -> None:
    epoch = {"epoch": 0} if function is save_checkpoint else {}
    with pytest.raises(ConfigError, match=f"the part 'policy' must have state_dict and load_state_dict, got {more}"):
        function(path, **epoch, policy=part)
    assert not path.exists()


@pytest.mark.parametrize("epoch", [-1, 1.0, "3", None])
def test_an_epoch_is_a_whole_number(path: Path, epoch: Any) -> None:
    with pytest.raises(ConfigError, match=f"epoch must be a whole number, at least 0, got {re.escape(repr(epoch))}"):
        save_checkpoint(path, epoch=epoch, part=Part())
    assert not path.exists()


# Disks that refuse


def test_a_full_disk_leaves_the_old_checkpoint(small_disk: Path) -> None:
    path = small_disk / "last.ckpt"
    save_checkpoint(path, epoch=0, part=Part())
    before = path.read_bytes()
    with pytest.raises(KeepbestError, match=r"last\.ckpt could not be written: No space left on device\. Free some"):
        save_checkpoint(path, epoch=1, part=nn.Linear(1000, 1000))
    assert path.read_bytes() == before
    assert load_checkpoint(path, part=Part()) == 1


def test_a_directory_of_somebody_else(
    saved: Path, without_permission: Callable[[Path], AbstractContextManager[None]]
) -> None:
    before = saved.read_bytes()
    with without_permission(saved.parent), pytest.raises(KeepbestError, match=r"Permission denied\. Give this user"):
        save_checkpoint(saved, epoch=4, part=Part())
    assert saved.read_bytes() == before


# Other names


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["model"], r"missing other\. Give the parts that were saved"),
        (["model", "other", "more"], r"unknown more\. Give the parts that were saved"),
        (["modle", "other"], r"missing model; unknown modle\. Did you mean 'model'\?"),
        ([], r"missing model, other\."),
    ],
)
def test_other_names_are_refused(saved: Path, parts: dict[str, Any], names: list[str], message: str) -> None:
    given = dict(zip(names, [parts["model"], parts["other"], Part()], strict=False))
    with pytest.raises(
        ConfigError, match=rf"the parts must be those that .*last\.ckpt holds, which are model, other; {message}"
    ):
        load_checkpoint(saved, **given)


def test_a_part_that_does_not_accept_its_state_is_named(saved: Path) -> None:
    with pytest.raises(
        KeepbestError, match=r"the part 'model' must be made as it was when .*last\.ckpt was written"
    ) as e:
        load_checkpoint(saved, model=nn.Linear(100, 11), other=Part())
    assert "size mismatch for weight" in str(e.value)
    assert "Make all parts anew" in str(e.value)


# Files that are damaged, or something else


@settings(
    deadline=None,
    database=None,
    derandomize=True,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed_where_it_matters(saved: Path, same: Same, place: float, bit: int) -> None:
    whole = saved.read_bytes()
    expected = torch.load(saved, weights_only=True)["parts"]
    damaged = bytearray(whole)
    damaged[int(place * len(damaged))] ^= 1 << bit
    model, other = nn.Linear(100, 10), Part({"value": 2})
    saved.write_bytes(damaged)
    try:
        load_checkpoint(saved, model=model, other=other)
    except IntegrityError:
        assert other.state == {"value": 2}
    else:
        assert same([model.state_dict(), other.state], list(expected.values()))
    finally:
        saved.write_bytes(whole)


def test_a_flipped_bit_in_a_weight_is_damage(saved: Path, parts: dict[str, Any]) -> None:
    content = bytearray(saved.read_bytes())
    weight = torch.load(saved, weights_only=True)["parts"]["model"]["weight"]
    content[content.index(weight.numpy().tobytes()) + 1000] ^= 1
    saved.write_bytes(content)
    assert not torch.equal(torch.load(saved, weights_only=True)["parts"]["model"]["weight"], weight), "torch is silent"
    with pytest.raises(IntegrityError, match=r"must be as it was written, .*last\.ckpt is damaged in .*data/\d"):
        load_checkpoint(saved, **parts)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved: Path, parts: dict[str, Any], share: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        IntegrityError, match=r"must be a whole file of torch\.save, .*last\.ckpt is damaged or something"
    ):
        load_checkpoint(saved, **parts)


def test_checksums_are_written_even_where_they_are_switched_off(path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        save_checkpoint(path, epoch=0, part=nn.Linear(3, 3))
        assert not torch.serialization.get_crc32_options(), "the setting is left as it was"
    finally:
        torch.serialization.set_crc32_options(True)
    assert load_checkpoint(path, part=nn.Linear(3, 3)) == 1


FOREIGN = {
    "Lightning's": (
        {"state_dict": {}, "pytorch-lightning_version": "2.6.6", "epoch": 1},
        r"a checkpoint of Lightning's Trainer\. Resume that with trainer\.fit.* open its run with keepbest\.open_run",
    ),
    "weights": ({"weight": torch.ones(2)}, r"weights alone\. Load those with model\.load_state_dict"),
    "a dict": ({"epoch": 1, "model": {}}, r"a dict of epoch, model\."),
    "an empty dict": ({}, r"a dict of nothing\."),
    "a tensor": (torch.ones(2), r"a Tensor\."),
    "a list": ([1], r"a list\."),
}


@pytest.mark.parametrize(("content", "message"), FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_refused_with_what_it_is(
    path: Path, parts: dict[str, Any], content: Any, message: str
) -> None:
    torch.save(content, path)
    with pytest.raises(
        IntegrityError, match=rf"must be given a file that save_checkpoint wrote, .*last\.ckpt is {message}"
    ):
        load_checkpoint(path, **parts)


def test_a_checkpoint_of_keepbests_runs_is_told_apart(
    path: Path, parts: dict[str, Any], checkpoint: Callable[..., dict[str, Any]]
) -> None:
    DurableCheckpointIO().save_checkpoint(checkpoint(**{"pytorch-lightning_version": "2.6.6"}), path)
    with pytest.raises(IntegrityError, match="a checkpoint of Lightning's Trainer"):
        load_checkpoint(path, **parts)


def test_text_is_no_checkpoint(path: Path, parts: dict[str, Any]) -> None:
    path.write_text("weights")
    with pytest.raises(IntegrityError, match="damaged or something else: File is not a zip file"):
        load_checkpoint(path, **parts)


def test_a_file_of_a_later_version_is_refused(saved: Path, parts: dict[str, Any]) -> None:
    torch.save(torch.load(saved, weights_only=True) | {"version": 2}, saved)
    with pytest.raises(
        IntegrityError, match=r"must be of version 1 of its format, it is of 2\. Load it with the version"
    ):
        load_checkpoint(saved, **parts)


class Payload:
    """Touches a file when it is unpickled the unsafe way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_not_executed(saved: Path, parts: dict[str, Any]) -> None:
    executed = saved.parent / "executed"
    torch.save(torch.load(saved, weights_only=True) | {"epoch": Payload(executed)}, saved)
    with pytest.raises(IntegrityError, match="must hold only tensors and plain containers"):
        load_checkpoint(saved, **parts)
    assert not executed.exists()
    torch.load(saved, weights_only=False)
    assert executed.exists(), "the payload does nothing: the test proves nothing"
