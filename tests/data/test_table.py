"""A user's CSV file: which columns become what, and an explanation for whatever cannot be trained on."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from keepbest.data import CsvTable
from keepbest.errors import ConfigError, DataError

WriteCsv = Callable[..., str]
NUMERIC = ["age", "weight", "constant"]


def set_up(path: str, target: str = "kind", features: list[str] | None = NUMERIC, **settings: Any) -> CsvTable:
    data = CsvTable(path=path, target=target, features=features, **settings)
    data.setup("fit")
    return data


def served(data: CsvTable, split: str, field: int) -> torch.Tensor:
    loader = {"val": data.val_dataloader, "test": data.test_dataloader}[split]()
    return torch.cat([batch[field] for batch in loader])


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["dog", "cat", "bird"], ("bird", "cat", "dog")),
        ([7, -1, 3], (-1, 3, 7)),
        ([2.0, 1.0, 3.0], (1.0, 2.0, 3.0)),
        ([True, False, True], (False, True)),
    ],
)
def test_labels_of_any_kind_are_numbered_in_sorted_order(
    write_csv: WriteCsv, labels: list[Any], classes: tuple[Any, ...]
) -> None:
    data = set_up(write_csv(label=labels * 20), target="label")
    assert data.classes == classes
    assert data.num_outputs == len(classes)
    expected = [classes.index((labels * 20)[row]) for row in data.split_indices["val"]]
    assert served(data, "val", 1).tolist() == expected


def test_the_names_of_the_columns_are_kept_in_the_order_of_the_inputs(write_csv: WriteCsv) -> None:
    path = write_csv()
    assert set_up(path, features=["weight", "age"]).feature_names == ("weight", "age")
    assert set_up(path, features=None).feature_names == ("age", "weight", "constant", "price")


def test_regression_targets_lead_back_to_their_unit(write_csv: WriteCsv) -> None:
    path = write_csv()
    data = set_up(path, target="price", task="regression")
    prices = pd.read_csv(path)["price"].to_numpy()
    assert data.target_standardizer is not None
    np.testing.assert_allclose(data.target_standardizer.mean, prices[data.split_indices["train"]].mean())
    in_units = data.target_standardizer.inverse(served(data, "test", 1).numpy())
    np.testing.assert_allclose(in_units, prices[data.split_indices["test"]], rtol=1e-6)


def test_features_are_the_columns_asked_for_in_that_order(write_csv: WriteCsv) -> None:
    path = write_csv()
    data = set_up(path, features=["weight", "age"])
    assert data.input_standardizer is not None
    raw = pd.read_csv(path)[["weight", "age"]].to_numpy()
    in_units = data.input_standardizer.inverse(served(data, "val", 0).numpy())
    np.testing.assert_allclose(in_units, raw[data.split_indices["val"]], rtol=1e-5)


def test_all_columns_but_the_target_are_features_by_default(write_csv: WriteCsv) -> None:
    assert set_up(write_csv(kind=3), target="price", features=None, task="regression").input_shape == (4,)


def test_statistics_come_from_training_rows_only(write_csv: WriteCsv) -> None:
    path = write_csv()
    data = set_up(path)
    assert data.input_standardizer is not None
    train = pd.read_csv(path)[NUMERIC].to_numpy()[data.split_indices["train"]]
    np.testing.assert_allclose(data.input_standardizer.mean, train.mean(axis=0))
    np.testing.assert_allclose(data.input_standardizer.scale[:2], train.std(axis=0)[:2])


def test_constant_column_becomes_zero(write_csv: WriteCsv) -> None:
    constant = served(set_up(write_csv()), "val", 0)[:, NUMERIC.index("constant")]
    torch.testing.assert_close(constant, torch.zeros(12))


def test_rare_class_does_not_stop_the_split(write_csv: WriteCsv) -> None:
    assert set_up(write_csv(kind=["cat"] * 59 + ["lynx"])).num_outputs == 2


@pytest.mark.parametrize(("name", "delimiter"), [("t.csv", ";"), ("t.tsv", "\t"), ("t.tsv", r"\t"), ("t.csv.gz", ",")])
def test_other_delimiters_and_compressed_files_are_read(write_csv: WriteCsv, name: str, delimiter: str) -> None:
    assert set_up(write_csv(name, sep=delimiter.replace(r"\t", "\t")), delimiter=delimiter).input_shape == (3,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": ""}, "path must be a string, not empty, got ''"),
        (
            {"target": 3},
            r"target must be a string, not empty, got 3\. Set data.target, in quotes if it looks like a numb",
        ),
        ({"delimiter": ""}, "delimiter must be a string, not empty, got ''"),
        ({"delimiter": "||"}, r"delimiter must be one character, or \\t for a tab, got '\|\|'"),
        (
            {"task": "regresion"},
            r"got 'regresion'\. Did you mean 'regression'\? Set data.task to classification or reg",
        ),
        ({"features": []}, r"features must be a list of column names, not empty, or null, got \[\]"),
        ({"features": "age"}, "features must be a list of column names, not empty, or null, got 'age'"),
        ({"features": ["age", 3]}, r"features must be a list of column names.*got \['age', 3\]"),
        ({"features": ["age", "kind"]}, "features must name each column once, and not the target 'kind'"),
        ({"features": ["age", "age"]}, r"features must name each column once.*got \['age', 'age'\]"),
        ({"val_fraction": 0.8}, "val_fraction and test_fraction must sum to less than 1"),
    ],
)
def test_settings_that_cannot_work_are_named_with_their_value(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CsvTable(**{"path": "table.csv", "target": "kind", **settings})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"target": "prize"},
            r"target must name a column of the file, got 'prize'\. Did you mean 'price'\? The columns are age, weight",
        ),
        ({"features": ["age", "wieght"]}, r"features must name a column.*got 'wieght'\. Did you mean 'weight'\?"),
        ({"target": "nothing alike"}, r"got 'nothing alike'\. The columns are age, weight, constant, kind, price\."),
        ({"delimiter": ";"}, r"If these are several, set data.delimiter to what separates them\."),
    ],
)
def test_unknown_column_is_named_with_the_choices(write_csv: WriteCsv, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        set_up(write_csv(), **settings)


@pytest.mark.parametrize(
    ("columns", "settings", "message"),
    [
        (
            {},
            {"target": "price", "features": None},
            r"finite numbers, got 'kind' \(60 not a number, such as 'dog'; of 60 rows\).*data.featur",
        ),
        ({"age": [None, 1, 2] * 20}, {}, r"got 'age' \(20 missing; of 60 rows\)"),
        ({"age": ["inf", 1, 2] * 20}, {}, r"got 'age' \(20 infinite; of 60 rows\)"),
        ({"age": [None, "old", 2] * 20}, {}, r"got 'age' \(20 missing, 20 not a number, such as 'old'; of 60 rows\)"),
        ({"age": "old", "weight": "fat"}, {}, r"'age' \(60 not a number.*; 'weight' \(60 not a number"),
        (
            {str(i): "x" for i in range(8)},
            {"target": "price", "features": None},
            r"'3' \(60 not a number, such as 'x'; of 60 rows\) and 4 more columns\. Fill or encode",
        ),
        ({}, {"task": "regression"}, r"target must hold finite numbers, got 'kind' \(60 not a number.*classification"),
        ({"kind": ["a", None, "b"] * 20}, {}, "target 'kind' must have a label in every row, got 20 without"),
        ({}, {"target": "price"}, "must hold labels, got fractional numbers in 'price'.*data.task=regression"),
        ({"kind": "cat"}, {}, "target 'kind' must have at least 2 classes, got only 'cat'"),
    ],
)
def test_values_that_cannot_be_trained_on_are_counted(
    write_csv: WriteCsv, columns: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        set_up(write_csv(**columns), **settings)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"path must name a file, got '.*absent.csv'. Set data.path: none is at /"):
        set_up(str(tmp_path / "absent.csv"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a readable CSV file: No columns"),
        (b"a,b\n1,2,3\n1,2,3,4,5\n", "must be a readable CSV file: Error tokenizing"),
        (b"\xff\xfe\x00,b\n1,2\n", "must be a readable CSV file: 'utf-8'"),
        (b"age,kind\n", "must hold rows under its header"),
        (b"kind\ncat\ndog\n", "must have a feature column beside the target 'kind'"),
    ],
    ids=["empty", "ragged", "binary", "header only", "target only"],
)
def test_unusable_file_is_named_with_the_reason(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        set_up(str(path), features=None)


def test_damaged_compressed_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"age,kind\n" + b"1,cat\n" * 100)[:-12])
    with pytest.raises(DataError, match="must be a readable CSV file"):
        set_up(str(path))


def test_too_few_rows_name_the_empty_split(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("age,kind\n1,cat\n2,dog\n")
    with pytest.raises(ConfigError, match="the val split of CsvTable must not be empty: of 2 samples"):
        set_up(str(path), features=None)
