"""A user's own table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from keepbest.data.columns import class_targets, numeric_features, numeric_targets
from keepbest.data.samples import Samples
from keepbest.data.settings import check_text
from keepbest.data.tensor_datamodule import TensorDataModule
from keepbest.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

TASKS = ("classification", "regression")


class CsvTable(TensorDataModule):
    """A CSV file with a header: numeric feature columns, standardised, and one target column.

    Class labels may be of any kind; they are numbered in sorted order, which `classes` keeps. A regression target is
    served standardised, and `target_standardizer.inverse` leads back to its unit.

    Args:
        path: the file, relative to the working directory; a compressed one (`.csv.gz`) works too.
        target: name of the column to predict.
        features: names of the columns to predict it from; all other columns where None.
        task: `classification` or `regression`.
        delimiter: the character that separates the columns.
        batch_size, val_fraction, test_fraction, split_seed, num_workers: see `TensorDataModule`.

    Attributes that `setup` adds:
        feature_names: of the columns that an input holds, in their order.

    Raises:
        ConfigError: a setting that cannot work; from `setup`, a path or a column that is not there.
        DataError: from `setup`, if the file is unreadable, or holds values that cannot be trained on.
    """

    standardize = True
    feature_names: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        path: str,
        target: str,
        features: list[str] | None = None,
        task: str = "classification",
        delimiter: str = ",",
        batch_size: int = 64,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            split_seed=split_seed,
            num_workers=num_workers,
        )
        for name, value in {"path": path, "target": target, "delimiter": delimiter}.items():
            check_text(name, value)
        _check_delimiter(delimiter)
        _check_task(task)
        _check_features(features, target)
        self.path, self.target, self.features = path, target, features
        self.task, self.delimiter = task, delimiter

    def load(self) -> Samples:
        """Read the file and take its columns apart."""
        table = self._read()
        _require_column("target", self.target, table)
        for name in self.features or []:
            _require_column("features", name, table)
        features = self.features or [name for name in table.columns if name != self.target]
        if not features:
            raise DataError(f"{self.path} must have a feature column beside the target {self.target!r}. Add one.")
        inputs = numeric_features(table[features])
        self.feature_names = tuple(features)
        if self.task == "regression":
            return Samples(inputs, numeric_targets(table[self.target]))
        numbers, classes = class_targets(table[self.target])
        return Samples(inputs, numbers, classes)

    def _read(self) -> pd.DataFrame:
        import pandas as pd

        path = Path(self.path).expanduser()
        if not path.is_file():
            remedy = f"Set data.path: none is at {path.absolute()}"
            raise ConfigError("path must name a file", received=self.path, remedy=remedy)
        try:
            table = pd.read_csv(path, sep=_separator(self.delimiter), low_memory=False)
        except (ValueError, OSError, EOFError) as error:  # pandas derives its parser errors from ValueError
            raise DataError(f"{path} must be a readable CSV file: {str(error).strip()}.") from error
        if table.empty:
            raise DataError(f"{path} must hold rows under its header, got {len(table)}. Provide samples.")
        return table


def _check_delimiter(delimiter: str) -> None:
    if len(_separator(delimiter)) != 1:
        rule = r"delimiter must be one character, or \t for a tab"
        raise ConfigError(rule, received=delimiter, remedy="Set for example data.delimiter=';'")


def _separator(delimiter: str) -> str:
    """Return the character meant: a tab arrives from a command line as a backslash and a t."""
    return delimiter.replace(r"\t", "\t")


def _check_task(task: object) -> None:
    if task not in TASKS:
        remedy = f"{did_you_mean(str(task), TASKS)} Set data.task to {' or '.join(TASKS)}".lstrip()
        raise ConfigError("task must be one that a table can serve", received=task, remedy=remedy)


def _check_features(features: object, target: str) -> None:
    if features is None:
        return
    if not isinstance(features, list) or not features or not all(isinstance(name, str) for name in features):
        rule = "features must be a list of column names, not empty, or null"
        raise ConfigError(rule, received=features, remedy="Set for example data.features=[age,weight]")
    if target in features or len(set(features)) < len(features):
        rule = f"features must name each column once, and not the target {target!r}, which would give the answer away"
        raise ConfigError(rule, received=features, remedy="Leave the others out")


def _require_column(setting: str, name: str, table: pd.DataFrame) -> None:
    columns = table.columns.tolist()
    if name in columns:
        return
    remedy = f"{did_you_mean(name, columns)} The columns are {', '.join(columns)}".lstrip()
    if len(columns) == 1:
        remedy += ". If these are several, set data.delimiter to what separates them"
    raise ConfigError(f"{setting} must name a column of the file", received=name, remedy=remedy)
