"""Runs side by side: where their configs differ, and what came out."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from keepbest.errors import ConfigError, KeepbestError, printable
from keepbest.reading.choices import recorded_choices
from keepbest.reading.differences import ABSENT, differences
from keepbest.reading.run import Run
from keepbest.reading.sweep import Sweep
from keepbest.records.locations import recorded_directory
from keepbest.records.run_record import Objective, RunRecord, RunStatus
from keepbest.records.store import RUN_FILE, SWEEP_FILE

if TYPE_CHECKING:
    import pandas as pd

_Source = str | Path | Run | Sweep

RESULTS = (
    "status", "monitor", "mode", "score", "best", "best_epoch", "stopped_epoch", "reason", "epochs_trained", "seconds",
    "verified", "best_sha256",
)  # fmt: skip


def compare(*runs: str | Path | Run | Sweep | Iterable[str | Path | Run | Sweep]) -> pd.DataFrame:
    """Return runs side by side, a row for each: what came out, its test metrics, and the settings that differ.

    The columns: `status`, `monitor`, `mode`, `score`, `best` (whether no other run of the same objective has a better
    score), `best_epoch`, `stopped_epoch`, `reason`, `epochs_trained`, `seconds`, `verified` ("exact" or "close"),
    `best_sha256` (equal where the weights are), a column for each test metric, and one for each setting in which the
    configs differ, by its dotted key; those that merely follow another objective are left out. What did not happen, and
    a setting that a run does not have, is NA. The index holds the paths. `attrs["settings"]` lists the columns of
    settings.

    Args:
        runs: paths of runs, of members of sweeps, or of sweeps, which stand for their best run; opened ones may be
            among them. They may also be given as one list.

    Raises:
        ConfigError: for fewer than two, and for what is neither a run nor a sweep.
        RecordError: for what cannot be read, and a sweep without a best run.
        IntegrityError: for a record that is not as it was written.
    """
    import pandas as pd

    from keepbest.reading.sweep_table import typed

    is_list = len(runs) == 1 and isinstance(runs[0], Iterable) and not isinstance(runs[0], str)
    comparison = compared([*cast("Iterable[_Source]", runs[0] if is_list else runs)])
    columns: dict[str, Any] = {name: typed(comparison.results[name]) for name in RESULTS}
    for name, metrics in comparison.tests.items():
        columns[name if name not in columns else f"test {name}"] = typed(metrics)
    settings = []
    for key, values in comparison.settings.items():
        settings.append(key if key not in columns else f"config {key}")
        columns[settings[-1]] = typed([None if value is ABSENT else value for value in values])
    table = pd.DataFrame(columns, index=pd.Index([run.name for run in comparison.runs], name="run"))
    table.attrs = {"settings": settings}
    return table


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs.

    Args:
        name: its directory, as a person would write it.
        record: what came out.
        config: of the run; None where it cannot be read.
        choices: the options of config groups, where Hydra noted them.
        problem: why the config cannot be read.
    """

    name: str
    record: RunRecord
    config: dict[str, Any] | None
    choices: dict[str, str | None]
    problem: str | None


@dataclass(frozen=True)
class Comparison:
    """What is alike in runs, and what is not."""

    runs: Sequence[ComparedRun]

    @functools.cached_property
    def settings(self) -> dict[str, list[Any]]:
        """The values of the settings in which configs differ, one for each run; groups come first.

        What an option of a group or another objective says already is left out.
        """
        there = [run.config for run in self.runs if run.config is not None]
        found = differences(there) if there else {}
        values = {key: iter(items) for key, items in found.items()}
        settings = {
            key: [ABSENT if run.config is None else next(items) for run in self.runs] for key, items in values.items()
        }
        settings = {key: items for key, items in settings.items() if not self._follows_objective(key, items)}
        groups = {group: items for group, items in self._groups().items() if group not in settings}
        for group, options in groups.items():
            key = group.replace("/", ".")
            for said, values_said in ((f"{key}._target_", str), (key, _kind)):  # an option says its class, or none
                kinds = [*map(values_said, settings.get(said, []))]
                if len({*zip(options, kinds, strict=False)}) == len(set(options)):
                    settings.pop(said, None)
        return {**groups, **settings}

    def _follows_objective(self, key: str, items: Sequence[Any]) -> bool:
        """Return whether a setting is the monitor or the mode of each run that has it, which the results show."""
        name = key.rpartition(".")[2]
        if name not in ("monitor", "mode") or len(self.objectives) == 1:
            return False
        return all(
            item is ABSENT or item == getattr(run.record.objective, name)
            for item, run in zip(items, self.runs, strict=True)
        )

    def _groups(self) -> dict[str, list[Any]]:
        if not all(run.choices for run in self.runs):
            return {}
        found = differences([run.choices for run in self.runs])
        return {group: items for group, items in found.items() if group not in ("sweep", "experiment", "debug")}

    @functools.cached_property
    def best(self) -> list[bool]:
        """Whether a run has the best score of the completed ones of its objective; none where it is the only one."""
        groups: dict[Objective, list[float]] = {}
        for run in self.runs:
            if (score := _score(run)) is not None:
                groups.setdefault(run.record.objective, []).append(score)
        bests = {
            objective: min(scores) if objective.mode == "min" else max(scores)
            for objective, scores in groups.items()
            if len(scores) > 1
        }
        return [(score := _score(run)) is not None and bests.get(run.record.objective) == score for run in self.runs]

    @property
    def objectives(self) -> list[Objective]:
        """What the runs optimise, each once."""
        return list(dict.fromkeys(run.record.objective for run in self.runs))

    @property
    def results(self) -> dict[str, list[Any]]:
        """The columns of `RESULTS`, a value for each run; None for what did not happen."""
        rows = [_results(run.record, best) for run, best in zip(self.runs, self.best, strict=True)]
        return {name: [row[name] for row in rows] for name in RESULTS}

    @property
    def tests(self) -> dict[str, list[float | None]]:
        """The test metrics, a value for each run."""
        names = dict.fromkeys(name for run in self.runs for name in run.record.test or ())
        return {printable(name): [(run.record.test or {}).get(name) for run in self.runs] for name in names}

    @property
    def alike(self) -> list[list[int]]:
        """The places of runs that have the very same best weights."""
        groups: dict[str, list[int]] = {}
        for place, run in enumerate(self.runs):
            if run.record.best_sha256:
                groups.setdefault(run.record.best_sha256, []).append(place)
        return [places for places in groups.values() if len(places) > 1]


def compared(runs: Sequence[_Source]) -> Comparison:
    """Open runs and compare them; see `compare`."""
    if len(runs) < 2:
        raise ConfigError(
            "at least two runs are compared",
            received=[str(run.directory if isinstance(run, (Run, Sweep)) else run) for run in runs],
            remedy="Name another run or sweep to compare with",
        )
    return Comparison([_opened(run) for run in runs])


def _opened(path: _Source) -> ComparedRun:
    if isinstance(path, (Run, Sweep)):
        shown, opened = path.directory, path
    else:
        shown = recorded_directory(path)
        place = shown.resolve()
        is_sweep = (place / SWEEP_FILE).exists() and not (place / RUN_FILE).exists()
        opened = Sweep(place) if is_sweep else Run(place)
    if isinstance(opened, Sweep):
        best = opened.best()
        shown, opened = shown / best.directory.relative_to(opened.directory), best
    config, problem = None, None
    try:
        config = opened.config
    except KeepbestError as error:
        problem = str(error)
    return ComparedRun(
        str(shown), RunRecord.from_dict(opened.record), config, recorded_choices(opened.directory), problem
    )


def _kind(value: Any) -> str:
    return "mapping" if isinstance(value, Mapping) else str(value)


def _score(run: ComparedRun) -> float | None:
    score = run.record.best_model_score
    return None if score is None or math.isnan(score) or run.record.status is not RunStatus.COMPLETED else score


def _results(record: RunRecord, best: bool) -> dict[str, Any]:
    stopping, verified = record.stopping, record.verified
    return {
        "status": record.status.value,
        "monitor": record.objective.monitor,
        "mode": record.objective.mode,
        "score": record.best_model_score,
        "best": best,
        "best_epoch": record.best_epoch,
        "stopped_epoch": stopping.stopped_epoch if stopping else None,
        "reason": stopping.reason if stopping else None,
        "epochs_trained": record.timing.epochs_trained,
        "seconds": record.timing.seconds,
        "verified": None if verified is None else "exact" if verified.exact else "close",
        "best_sha256": record.best_sha256,
    }
