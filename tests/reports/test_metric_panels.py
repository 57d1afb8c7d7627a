"""The small pictures of a run's metrics: what they count, and where they mark the best."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

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
    return found, drawn(found)


def drawn(panel):
    axes = Figure().add_subplot()
    draw_panel(panel, axes)
    return axes


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


def test_no_two_lines_of_a_panel_look_alike():
    names = [
        "loss",
        *(f"{part}{sign}loss" for part in ("train", "val", "valid", "validation", "test") for sign in "_/"),
    ]
    table = pd.DataFrame([{"epoch": n, "step": n, **dict.fromkeys(names, 1.0 / (n + 1))} for n in range(3)])
    (found,) = panels_of(table, [], RECORD)
    axes = drawn(found)
    styles = {line.get_label(): (line.get_color(), str(line._dash_pattern)) for line in axes.get_lines()}
    assert set(styles) == set(names)
    assert len(set(styles.values())) == 11
    assert styles["val_loss"][0] == "#0072B2", "whatever stands before it"


def test_what_is_not_finite_has_no_line():
    table = pd.DataFrame([{"epoch": 0, "step": 1, "val_loss": np.nan, "loss": 0.4, "acc": np.inf}])
    loss, acc = map(drawn, panels_of(table, [], RECORD))
    (line,) = loss.get_lines()
    assert (line.get_label(), line.get_marker()) == ("loss", "o"), "one value is seen"
    assert [text.get_text() for text in acc.texts] == ["no check has a finite acc"]
    assert (acc.get_lines()[:], acc.get_legend()) == ([], None)


def test_without_checks_steps_are_counted_and_nothing_is_best():
    found, _ = panel(2, has_checks=False)
    assert (found.unit, found.best) == ("step", None)
    assert np.array_equal(found.lines[1].places, [20, 40])
