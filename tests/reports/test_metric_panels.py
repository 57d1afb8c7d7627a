"""The small pictures of a run's metrics: what they count, and where they mark the best."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from keepbest.records.metrics_table import RecordedCheck
from keepbest.records.run_record import Environment, Objective, RunRecord, RunStatus
from keepbest.reports.metric_panels import draw_panel, panels_of

RECORD = RunRecord(
    id="run",
    status=RunStatus.COMPLETED,
    objective=Objective("val_loss", "min"),
    seed=1,
    environment=Environment(None, None, {}, [], "h", "/"),
    best_model_score=0.5,
    best_epoch=1,
)


def panel(per_epoch: int, *, has_checks: bool = True):
    """Return the panel of losses, and its axes: four checks, a training loss after each epoch's last."""
    values = [0.9, 0.8, 0.5, 0.7]
    rows = [{"epoch": n // per_epoch, "step": 10 * n + 10, "val_loss": value} for n, value in enumerate(values)]
    checks = [RecordedCheck(row["epoch"], row["step"], row["val_loss"], True) for row in rows]
    ends = [{"epoch": n, "step": 10 * per_epoch * (n + 1), "train_loss": 1.0 - n / 9} for n in range(4 // per_epoch)]
    table = pd.DataFrame(sorted([*rows, *ends], key=lambda row: row["step"]))
    (found,) = panels_of(table, checks if has_checks else [], RECORD)
    return found, draw_panel(found).axes[0]


@pytest.mark.parametrize(
    ("per_epoch", "unit", "trained", "best"), [(1, "epoch", [0, 1, 2, 3], 1), (2, "check", [1, 3], 2)]
)
def test_a_panel_counts_what_the_curve_counts_and_marks_the_best(per_epoch, unit, trained, best):
    if per_epoch == 1:
        best = 2  # of the check with the best score, whatever epoch the record names
    found, axes = panel(per_epoch)
    assert (found.unit, found.best) == (unit, best)
    assert axes.get_xlabel() == unit
    assert [list(line.places) for line in found.lines] == [[0, 1, 2, 3], trained]
    (mark,) = [line for line in axes.get_lines() if line.get_label() == "best"]
    assert set(mark.get_xdata()) == {best}


def test_without_checks_steps_are_counted_and_nothing_is_best():
    found, _ = panel(2, has_checks=False)
    assert (found.unit, found.best) == ("step", None)
    assert np.array_equal(found.lines[1].places, [20, 40])
