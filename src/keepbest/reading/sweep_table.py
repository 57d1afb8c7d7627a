"""The table of a sweep: a row per job, a typed column per override that varies, and what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepbest.errors import ConfigError, RecordError, did_you_mean, printable
from keepbest.reading.overrides import overrides_of, short_names, value_of, varying
from keepbest.records.run_record import RunRecord, RunStatus
from keepbest.records.sweep_record import SweepJob

if TYPE_CHECKING:
    import pandas as pd

RESULTS = ("score", "best_epoch", "stopped_epoch", "reason", "epochs_trained", "status", "path")
"""The columns behind those of the overrides."""

KINDS = {"score": "Float64", "best_epoch": "Int64", "stopped_epoch": "Int64", "epochs_trained": "Int64"}
"""Their types; the others are texts."""

STATISTICS = ("mean", "std", "min", "max", "count")
_TAKEN = frozenset({*RESULTS, "count", "all", *(f"score_{name}" for name in STATISTICS)})
_MOST_CELLS = 10_000_000


def table_of(
    jobs: Sequence[SweepJob], records: Mapping[int, RunRecord], statuses: Mapping[int, str], paths: Mapping[int, Path]
) -> pd.DataFrame:
    """Return the table.

    Args:
        jobs: of the sweep, in the order of the rows.
        records: of the jobs that have one, by number.
        statuses: where each job stands.
        paths: the jobs' directories.

    Raises:
        RecordError: for a sweep with more cells than memory should hold.
    """
    import pandas as pd

    _require_modest(jobs)
    keys = varying(jobs)
    names = [printable(name) for name in short_names(keys, taken=_TAKEN)]
    names = [f"override {name}" if name in _TAKEN else name for name in names]
    given = [overrides_of(job) for job in jobs]
    columns: dict[str, Any] = {
        name: typed([value_of(overrides[key]) if key in overrides else None for overrides in given])
        for name, key in zip(names, keys, strict=True)
    }
    rows = [_results(records.get(job.number)) for job in jobs]
    results = zip(*rows, strict=True) if rows else [()] * len(RESULTS)
    for name, values in zip(RESULTS, results, strict=False):
        columns[name] = of_kind(KINDS.get(name, "string"), list(values))
    columns["status"] = of_kind("string", [statuses[job.number] for job in jobs])
    columns["path"] = pd.array([str(paths[job.number]) for job in jobs], dtype=_dtype("string"))
    table = pd.DataFrame(columns, index=pd.Index([job.number for job in jobs], name="job"))
    table.attrs = {
        "objective": _objective(records),
        "fixed": {key: value_of(text) for key, text in (given[0].items() if given else ()) if key not in keys},
        "keys": dict(zip(names, keys, strict=True)),
    }
    return table


def of_kind(kind: str, values: Sequence[Any]) -> Any:
    """Return a column of a type, with NA for None and for what it cannot hold.

    Args:
        kind: "Float64", "Int64" or "string", in which control characters are escaped.
        values: numbers, or texts.
    """
    import pandas as pd

    if kind == "string":
        values = [None if value is None else printable(str(value)) for value in values]
    elif kind == "Int64":
        values = [value if _fits(value) else None for value in values]
    return pd.array(list(values), dtype=_dtype(kind))


def typed(values: Sequence[Any]) -> Any:
    """Return a column of the type that its values have in common, with NA for None."""
    import pandas as pd

    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pd.array(values, dtype="boolean")
    if kinds == {int} and all(map(_fits, values)):
        return pd.array(values, dtype="Int64")
    if kinds and kinds <= {int, float} and float in kinds:
        return pd.array([None if value is None else _as_float(value) for value in values], dtype="Float64")
    if kinds == {str}:
        return of_kind("string", values)
    mixed = [pd.NA if value is None else printable(value) if isinstance(value, str) else value for value in values]
    return pd.Series(mixed, dtype=object).array


def named_override(table: pd.DataFrame, name: str, role: str) -> str:
    """Return the column of an override, which may be given by its whole key.

    Raises:
        ConfigError: when there is none.
    """
    keys: dict[str, str] = table.attrs["keys"]
    by_key = {key: column for column, key in keys.items()}
    if name in keys or name in by_key:
        return name if name in keys else by_key[name]
    choices = [*keys, *by_key] if isinstance(name, str) else []
    columns = ", ".join(keys) or "none, all jobs have the same"
    near = did_you_mean(name, choices) if choices else ""
    raise ConfigError(
        f"{role} must be an override that varies in the sweep ({columns})", received=name, remedy=near or None
    )


def aggregated(table: pd.DataFrame, over: str) -> pd.DataFrame:
    """Return mean, standard deviation, extremes and count of the completed jobs' scores, over the values of a column.

    Args:
        table: what `table_of` returned.
        over: the override whose jobs are taken together, such as `seed`.

    Raises:
        ConfigError: when it is no override that varies.
    """
    over = named_override(table, over, "aggregate")
    keys = [name for name in table.attrs["keys"] if name != over] or ["all"]
    scores = table["score"].where(table["status"] == RunStatus.COMPLETED.value)
    groups = table.assign(score=scores, all="").groupby(keys, sort=False, dropna=False)["score"]
    result = groups.agg(list(STATISTICS)).reset_index().drop(columns="all", errors="ignore")
    result = result.rename(columns={name: f"score_{name}" for name in STATISTICS if name != "count"})
    for name in (name for name in keys if name != "all"):
        result[name] = result[name].astype(table[name].dtype)
    result.attrs = {**table.attrs, "aggregate": table.attrs["keys"][over]}
    return result


def _results(record: RunRecord | None) -> tuple[Any, ...]:
    if record is None:
        return (None,) * 5
    stopping = record.stopping
    stopped, reason = (stopping.stopped_epoch, stopping.reason) if stopping else (None, None)
    return record.best_model_score, record.best_epoch, stopped, reason, record.timing.epochs_trained


def _objective(records: Mapping[int, RunRecord]) -> dict[str, str] | None:
    """Return what all jobs optimise, None where that is not one and the same."""
    objectives = {record.objective for record in records.values()}
    if len(objectives) != 1:
        return None
    (objective,) = objectives
    return {"monitor": objective.monitor, "mode": objective.mode}


def _fits(number: int | None) -> bool:
    """Return whether a column of whole numbers can hold a number."""
    return number is None or -(1 << 63) <= number < 1 << 63


def _as_float(value: Any) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def _dtype(kind: str) -> Any:
    """Return a dtype; texts are kept by Python, which holds any that JSON can."""
    import pandas as pd

    return pd.StringDtype("python") if kind == "string" else kind


def _require_modest(jobs: Sequence[SweepJob]) -> None:
    keys = {override.partition("=")[0] for job in jobs for override in job.overrides}
    if len(keys) * len(jobs) > _MOST_CELLS:
        raise RecordError(
            f"a table of jobs must have at most {_MOST_CELLS} cells, this sweep has {len(jobs)} jobs with overrides of "
            f"{len(keys)} keys."
        )
