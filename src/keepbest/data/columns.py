"""Columns of a user's table as arrays, or the reason why they cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keepbest.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MOST_SHOWN = 5


def numeric_features(table: pd.DataFrame) -> NDArray[np.float64]:
    """Return the columns as `[N, columns]`.

    Raises:
        DataError: values that are missing or no finite numbers; it names the columns and counts the rows.
    """
    faults = [fault for name in table.columns if (fault := _fault(table[name]))]
    if faults:
        more = f" and {len(faults) - MOST_SHOWN} more columns" if len(faults) > MOST_SHOWN else ""
        raise DataError(
            f"feature columns must hold finite numbers, got {'; '.join(faults[:MOST_SHOWN])}{more}. "
            "Fill or encode these values in the file, or name other columns with data.features=[...]."
        )
    return table.to_numpy(dtype=np.float64)


def numeric_targets(column: pd.Series[Any]) -> NDArray[np.float64]:
    """Return the column as `[N]`.

    Raises:
        DataError: values that are missing or no finite numbers.
    """
    if fault := _fault(column):
        raise DataError(
            f"a regression target must hold finite numbers, got {fault}. "
            "Correct or drop these rows, or set data.task=classification if they are labels."
        )
    return column.to_numpy(dtype=np.float64)


def class_targets(column: pd.Series[Any]) -> tuple[NDArray[np.int64], tuple[Any, ...]]:
    """Return the class number of each row `[N]`, and the labels in the order of their numbers: sorted.

    Raises:
        DataError: missing labels, fewer than two classes, or values that look like a quantity.
    """
    import pandas as pd

    if missing := int(column.isna().sum()):
        raise DataError(f"the target {column.name!r} must have a label in every row, got {missing} without. Drop them.")
    if pd.api.types.is_float_dtype(column) and (column % 1 != 0).any():
        raise DataError(
            f"a classification target must hold labels, got fractional numbers in {column.name!r}. "
            "Set data.task=regression to predict a quantity."
        )
    numbers, labels = pd.factorize(column, sort=True)
    if len(labels) < 2:
        raise DataError(f"the target {column.name!r} must have at least 2 classes, got only {labels[0]!r}.")
    return numbers.astype(np.int64), tuple(labels.tolist())


def _fault(column: pd.Series[Any]) -> str:
    """Say what keeps a column from being finite numbers, or return an empty string."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    missing = column.isna()
    text = numbers.isna() & ~missing
    infinite = np.isinf(numbers)
    faults = [f"{missing.sum()} missing"] if missing.any() else []
    faults += [f"{text.sum()} not a number, such as {column[text].iloc[0]!r}"] if text.any() else []
    faults += [f"{infinite.sum()} infinite"] if infinite.any() else []
    return f"{column.name!r} ({', '.join(faults)}; of {len(column)} rows)" if faults else ""
