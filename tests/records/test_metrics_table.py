"""metrics.csv: what a row said is what a reader gets, bit for bit, at any time of the training."""

from __future__ import annotations

import csv
import math
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepbest.records.metrics_table import MetricsTable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_there_is_no_file_before_the_first_row(path: Path) -> None:
    MetricsTable(path)
    assert not path.exists()


def test_the_file_holds_every_row_as_soon_as_it_was_added(path: Path) -> None:
    table = MetricsTable(path)
    for epoch in range(3):
        table.append(epoch, 10 * epoch, {"val_loss": 1 / (epoch + 1)})
        assert len(read(path)) == epoch + 1
    assert path.read_text() == "epoch,step,val_loss\n0,0,1.0\n1,10,0.5\n2,20,0.3333333333333333\n"


def test_a_new_metric_gets_a_column_and_earlier_rows_an_empty_cell(path: Path) -> None:
    table = MetricsTable(path)
    table.append(0, 4, {"val_loss": 0.5})
    table.append(1, 8, {"train_loss": 0.25, "val_loss": 0.75})
    table.append(2, 12, {"lr": 0.1})
    table.append(3, 16, {})
    assert path.read_text() == (
        "epoch,step,val_loss,train_loss,lr\n0,4,0.5,,\n1,8,0.75,0.25,\n2,12,,,0.1\n3,16,,,\n"
    )  # fmt: skip


@pytest.mark.parametrize("name", ["val/acc", "a, b", 'the "best"', "two\nlines", "größe", "  ", ""])
def test_any_name_of_a_metric_can_be_a_column(path: Path, name: str) -> None:
    MetricsTable(path).append(0, 1, {name: 2.0})
    assert read(path) == [{"epoch": "0", "step": "1", name: "2.0"}]


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.floats()), min_size=1, max_size=8))
@settings(deadline=None)
def test_reading_gives_the_bits_back(rows: list[dict[str, float]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = MetricsTable(Path(folder) / "metrics.csv")
        for epoch, row in enumerate(rows):
            table.append(epoch, 2 * epoch, row)
        found = read(table.path)
    assert [(row.pop("epoch"), row.pop("step")) for row in found] == [(str(e), str(2 * e)) for e in range(len(rows))]
    kept = [{name: float(text).hex() for name, text in row.items() if text} for row in found]
    assert kept == [{name: value.hex() for name, value in row.items()} for row in rows]


@pytest.mark.filterwarnings("ignore:The 'float_precision' argument is deprecated")  # needed up to pandas 2
def test_pandas_reads_the_same_bits(path: Path) -> None:
    values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 0.30000000000000004, math.inf, -math.inf]
    table = MetricsTable(path)
    for epoch, value in enumerate(values):
        table.append(epoch, epoch, {"val_loss": value})
    table.append(7, 7, {"val_loss": math.nan})
    frame = pd.read_csv(path, float_precision="round_trip")
    assert frame["val_loss"].tolist()[:-1] == values
    assert math.isnan(frame["val_loss"].tolist()[-1])
    assert frame.dtypes.astype(str).to_dict() == {"epoch": "int64", "step": "int64", "val_loss": "float64"}


@pytest.mark.xfail(strict=True, reason="a metric named epoch or step takes the place of the counter")
@pytest.mark.parametrize("name", ["epoch", "step"])
def test_a_metric_named_like_a_counter_does_not_replace_it(path: Path, name: str) -> None:
    """Logging `step` is how Lightning users choose TensorBoard's horizontal axis."""
    MetricsTable(path).append(3, 40, {name: 0.5, "val_loss": 1.0})
    (row,) = read(path)
    assert (row["epoch"], row["step"]) == ("3", "40")


@pytest.mark.xfail(strict=True, reason="a new column truncates the file before it is written again")
def test_a_new_column_that_cannot_be_written_loses_no_row(
    path: Path, limited_file_size: Callable[[int], AbstractContextManager[None]]
) -> None:
    table = MetricsTable(path)
    for epoch in range(100):
        table.append(epoch, epoch, {"val_loss": 1 / 3})
    before = read(path)
    with limited_file_size(1000), pytest.raises(OSError, match="File too large"):
        table.append(100, 100, {"val_acc": 1 / 3})
    assert read(path) == before
