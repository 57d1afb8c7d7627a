"""One suite for every data module: what models, trainers and guards rely on, and that conf/ matches the code."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from keepbest import data as room
from keepbest.data.tensor_datamodule import TensorDataModule

CONF = Path(__file__).parents[2] / "conf" / "data"

# name: task, input shape, number of outputs, sizes of train, val and test
EXPECTED = {
    "digits": ("classification", (1, 8, 8), 10, (1079, 359, 359)),
    "breast_cancer": ("classification", (30,), 2, (341, 114, 114)),
    "diabetes": ("regression", (10,), 1, (266, 88, 88)),
    "shapes": ("segmentation", (1, 16, 16), 4, (60, 20, 20)),
    "fashion_mnist": ("classification", (1, 6, 4), 10, (90, 10, 20)),
    "csv_classes": ("classification", (3,), 3, (36, 12, 12)),
    "csv_values": ("regression", (3,), 1, (36, 12, 12)),
}


@pytest.fixture
def build(fashion_dir: Path, write_csv: Callable[..., str]) -> Callable[[str], TensorDataModule]:
    features = ["age", "weight", "constant"]

    def build(name: str) -> TensorDataModule:
        builders: dict[str, Callable[[], TensorDataModule]] = {
            "digits": room.Digits,
            "breast_cancer": room.BreastCancer,
            "diabetes": room.Diabetes,
            "shapes": lambda: room.Shapes(num_samples=100, image_size=16),
            "fashion_mnist": lambda: room.FashionMNIST(data_dir=str(fashion_dir)),
            "csv_classes": lambda: room.CsvTable(path=write_csv(), target="kind", features=features),
            "csv_values": lambda: room.CsvTable(path=write_csv(), target="price", features=features, task="regression"),
        }
        return builders[name]()

    return build


@pytest.fixture(params=EXPECTED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def data(build: Callable[[str], TensorDataModule], name: str) -> TensorDataModule:
    module = build(name)
    module.setup("fit")
    return module


def test_a_model_can_size_itself(data: TensorDataModule, name: str) -> None:
    task, input_shape, num_outputs, _ = EXPECTED[name]
    assert (data.task, data.input_shape, data.num_outputs) == (task, input_shape, num_outputs)
    assert len(data.classes) == (0 if task == "regression" else num_outputs)


def test_splits_are_disjoint_and_complete(data: TensorDataModule, name: str) -> None:
    sizes = {split: len(indices) for split, indices in data.split_indices.items()}
    assert sizes == dict(zip(("train", "val", "test"), EXPECTED[name][3], strict=True))
    assert sorted(np.concatenate(list(data.split_indices.values()))) == list(range(sum(sizes.values())))


def test_batches_have_the_types_and_shapes_of_their_task(data: TensorDataModule) -> None:
    masks = data.input_shape[1:] if data.task == "segmentation" else ()
    target_type = torch.float32 if data.task == "regression" else torch.int64
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader(), data.predict_dataloader()):
        for inputs, targets in loader:
            assert inputs.dtype == torch.float32
            assert inputs.shape[1:] == data.input_shape
            assert torch.isfinite(inputs).all()
            assert targets.dtype == target_type
            assert targets.shape == (len(inputs), *masks)


@pytest.mark.parametrize("name", [name for name, (task, *_) in EXPECTED.items() if task != "regression"], indirect=True)
def test_targets_are_class_numbers_that_all_occur_in_every_split(data: TensorDataModule) -> None:
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        seen = torch.cat([targets.flatten() for _, targets in loader]).unique()
        assert seen.tolist() == list(range(data.num_outputs))


@pytest.mark.parametrize(
    "name", [name for name, (task, *_) in EXPECTED.items() if task == "classification"], indirect=True
)
def test_class_shares_agree_between_splits(data: TensorDataModule) -> None:
    shares = []
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        labels = torch.cat([targets for _, targets in loader])
        shares.append(torch.bincount(labels, minlength=data.num_outputs) / len(labels))
    torch.testing.assert_close(shares[1], shares[0], atol=0.015, rtol=0)
    torch.testing.assert_close(shares[2], shares[0], atol=0.015, rtol=0)


def test_setup_repeats_itself_and_leaves_the_global_generators_alone(
    build: Callable[[str], TensorDataModule], name: str
) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    first, again = build(name), build(name)
    for module in (first, again):
        module.setup("fit")
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    for one, other in zip(first.val_dataloader(), again.val_dataloader(), strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_nothing_goes_into_checkpoints(data: TensorDataModule) -> None:
    assert dict(data.hparams) == {}
    assert data.state_dict() == {}


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_yaml_lists_every_argument_with_its_default(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    config.pop("_convert_", None)
    package, _, kind = config.pop("_target_").rpartition(".")
    assert package == "keepbest.data"
    parameters = inspect.signature(getattr(room, kind)).parameters
    defaults = {name: "???" if p.default is p.empty else p.default for name, p in parameters.items()}
    assert config == defaults


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_yaml_opens_with_what_it_is_and_a_command_that_uses_it(path: Path) -> None:
    what, command, target, *_ = path.read_text().splitlines()
    assert what.startswith("# ")
    assert command.startswith(f"# keepbest train data={path.stem}")
    assert target.startswith("_target_: ")


def test_every_public_data_module_has_a_yaml() -> None:
    targets = {yaml.safe_load(path.read_text())["_target_"] for path in CONF.glob("*.yaml")}
    assert targets == {f"keepbest.data.{name}" for name in room.__all__}
