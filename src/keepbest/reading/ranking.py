"""Which job of a sweep is the best: one definition for the terminal, tables and pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping

from keepbest.errors import RecordError
from keepbest.records.run_record import Objective, RunRecord, RunStatus


def ranked(records: Mapping[int, RunRecord]) -> list[int]:
    """Return the numbers: completed jobs first, objective by objective, the best score first, equal ones by number."""
    objectives = list(dict.fromkeys(records[number].objective for number in sorted(records)))

    def place(number: int) -> tuple[bool, int, bool, float, int]:
        record = records[number]
        score = record.best_model_score
        has_none = score is None or math.isnan(score)
        signed = 0.0 if score is None or has_none else score if record.objective.mode == "min" else -score
        is_open = record.status is not RunStatus.COMPLETED
        return is_open, objectives.index(record.objective), has_none, signed, number

    return sorted(records, key=place)


def the_best(records: Mapping[int, RunRecord]) -> int | None:
    """Return the number of the completed job with the best score; None without one.

    Raises:
        RecordError: when the jobs do not have one objective.
    """
    objective_of_all(records)
    first = next(iter(ranked(records)), None)
    if first is None or records[first].status is not RunStatus.COMPLETED or records[first].best_model_score is None:
        return None
    return first


def objective_of_all(records: Mapping[int, RunRecord]) -> Objective | None:
    """Return what all jobs optimise; None when there are no jobs.

    Raises:
        RecordError: when they do not optimise the same.
    """
    objectives = list(dict.fromkeys(record.objective for record in records.values()))
    if len(objectives) > 1:
        shown = ", ".join(f"{objective.monitor} ({objective.mode})" for objective in objectives[:5])
        raise RecordError(
            f"scores of one objective can be compared, the jobs of this sweep have {len(objectives)}: {shown}. "
            "Select from sweep.table() what belongs together."
        )
    return objectives[0] if objectives else None
