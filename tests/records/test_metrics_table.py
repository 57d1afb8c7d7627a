"""metrics.csv: what a row said is what a reader gets, bit for bit, at any time of the training."""

from __future__ import annotations

import csv
import math
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepbest.errors import RecordError
from keepbest.records.metrics_table import MetricsTable, read_metrics


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_there_is_no_file_before_the_first_row(path: Path) -> None:
    MetricsTable(path)
    assert not path.exists()


def test_there_is_no_file_after_it_was_restored_to_no_row(path: Path) -> None:
    for _ in range(2):
        MetricsTable(path).restore([])
        assert not path.exists()
        MetricsTable(path).append(0, 1, {"val_loss": 0.5})


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
        columns = read_metrics(table.path)
    assert columns.pop("epoch") == list(range(len(rows)))
    assert columns.pop("step") == list(range(0, 2 * len(rows), 2))
    assert set(columns) == {name for row in rows for name in row}
    for name, cells in columns.items():
        assert [cell.hex() for cell in cells] == [row.get(name, math.nan).hex() for row in rows]


def test_counters_are_whole_numbers_and_columns_keep_their_order(path: Path) -> None:
    path.write_text("epoch,step,val_loss,train_loss\n0,4,0.5,\n1,8,inf,1e-05\n")
    columns = read_metrics(path)
    assert list(columns) == ["epoch", "step", "val_loss", "train_loss"]
    assert [type(number) for number in columns["epoch"] + columns["step"]] == [int] * 4
    assert columns["val_loss"] == [0.5, math.inf]
    assert columns["train_loss"][1:] == [1e-05]
    assert math.isnan(columns["train_loss"][0])


UNREADABLE: dict[str, bytes] = {
    "a word for a number": b"epoch,step,a\n0,4,high\n",
    "a broken epoch": b"epoch,step,a\n0.5,4,1.0\n",
    "an epoch that is empty": b"epoch,step,a\n,4,1.0\n",
    "a row that ends early": b"epoch,step\n0\n",
    "a row that ends late": b"epoch,step\n0,1,2\n",
    "a metric that is missing": b"epoch,step,a\n0,4\n",
    "a row that is cut off": b"epoch,step,a\n0,4,1.25",
    "nothing": b"",
    "no row": b"epoch,step,a\n",
    "a name twice": b"epoch,step,a,a\n0,4,1.0,2.0\n",
    "no counters": b"a,b\n1.0,2.0\n",
    "not text": b"epoch,step,a\n0,4,\xff\n",
    "a quote that never ends": b'epoch,step,"a\n0,4,1.0\n',
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_table_of_metrics_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"metrics\.csv cannot be read as a table of metrics: "):
        read_metrics(path)


def test_a_table_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(RecordError, match=r"metrics\.csv cannot be read as a table of metrics: .*No such file"):
        read_metrics(path)


@pytest.mark.parametrize("name", ["epoch", "step"])
def test_a_metric_named_like_a_counter_does_not_replace_it(path: Path, name: str) -> None:
    """Logging `step` is how Lightning users choose TensorBoard's horizontal axis."""
    MetricsTable(path).append(3, 40, {name: 0.5, "val_loss": 1.0})
    (row,) = read(path)
    assert (row["epoch"], row["step"]) == ("3", "40")


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
