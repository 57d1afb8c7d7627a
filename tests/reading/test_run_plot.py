"""The picture of a run, wherever it lies and however far it is."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

import keepbest
from keepbest.errors import ConfigError, IntegrityError, RecordError
from keepbest.records.ownership import owned
from keepbest.records.run_record import Environment, Objective, PolicyBest, RunRecord, RunStatus, Stopping
from keepbest.records.store import read_record
from keepbest.reports.curve import draw_curve, plot_curve


def record_of(monitor: str = "val_loss", **facts) -> RunRecord:
    known = {"id": "run", "status": RunStatus.COMPLETED, "seed": 1, **facts}
    return RunRecord(
        objective=Objective(monitor, "min"), environment=Environment(None, None, {}, [], "h", "/"), **known
    )


def checks_of(*values: float, per_epoch: int = 1) -> list:
    return [SimpleNamespace(epoch=number // per_epoch, value=value) for number, value in enumerate(values)]


def drawn(checks, record):
    axes = plot_curve(checks, record.objective.monitor, record).axes[0]
    axes.figure.savefig("/dev/null", format="png")
    return axes


def legend(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


STOPPED = {
    "best_model_score": 0.5,
    "best_epoch": 1,
    "policy_best": PolicyBest(1, 0.5),
    "stopping": Stopping({"patience": 2}, 3, 4, "patience_exhausted", None),
}


def test_a_run_shows_its_metric_its_best_its_stop_and_the_patience_between(default_run):
    run = keepbest.open_run(default_run[1])
    figure = run.plot()
    (axes,) = figure.axes
    line, star, stop = axes.get_lines()
    assert list(line.get_ydata()) == [check.value for check in run.checks()]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (run.record["best_epoch"], run.record["best_model_score"])
    assert stop.get_xdata()[0] == run.record["stopping"]["stopped_epoch"]
    (window,) = axes.patches
    assert window.get_x() == run.record["policy_best"]["epoch"]
    assert window.get_x() + window.get_width() == run.record["stopping"]["stopped_epoch"]
    assert "verified bit for bit" in axes.get_title(loc="left")
    assert figure._repr_png_().startswith(b"\x89PNG"), "a notebook shows it"


def test_a_member_of_a_sweep_is_drawn_up_to_its_own_stop(trained_sweep):
    sweep = keepbest.open_sweep(trained_sweep)
    for run in sweep.runs.values():
        line = run.plot().axes[0].get_lines()[0]
        assert list(line.get_ydata()) == list(run.metrics["val_loss"])


def test_any_metric_of_the_run_is_drawn_without_the_marks_of_the_objective(default_run):
    run = keepbest.open_run(default_run[1])
    axes = run.plot("train_loss").axes[0]
    assert axes.get_lines()[0].get_ydata().tolist() == run.metrics["train_loss"].dropna().tolist()
    assert (legend(axes), axes.get_ylabel()) == (["train_loss"], "train_loss")
    assert legend(run.plot("val_loss").axes[0]) == legend(run.plot().axes[0])
    with pytest.raises(ConfigError, match="Did you mean 'train_loss'"):
        run.plot("train_los")
    with pytest.raises(ConfigError, match="a metric to look at must be one of the run"):
        run.plot(Figure().subplots())


def test_the_legend_hides_nothing(default_run):
    run = keepbest.open_run(default_run[1])
    axes = run.plot().axes[0]
    axes.figure.draw_without_rendering()
    own = axes.get_legend().get_window_extent()
    assert own.y1 < axes.xaxis.label.get_window_extent().y0, "below the axes"
    assert own.y0 >= 0
    assert min(own.x0, axes.figure.bbox.width - own.x1) >= 0
    given = Figure().subplots()
    run.plot(ax=given)
    assert given.get_legend().get_frame().get_alpha() == 1, "in other people's axes on a ground of its own"


def test_it_draws_in_the_axes_that_are_given(honest_run):
    axes = Figure().subplots(1, 2)
    assert keepbest.open_run(honest_run).plot(ax=axes[1]) is axes[0].figure
    assert not axes[0].get_lines()
    assert axes[1].get_lines()


def test_a_run_that_goes_on_is_drawn_as_far_as_it_is(copied, edit_record):
    edit_record(copied, status="running", stopping=None, policy_best=None, verified=None, metrics_sha256=None)
    with owned(copied):
        run = keepbest.open_run(copied)
        axes = run.plot().axes[0]
        assert axes.get_title(loc="left") == "run: running"
        before = len(axes.get_lines()[0].get_xdata())
        with (copied / "metrics.csv").open("a") as file:
            last = (copied / "metrics.csv").read_text().splitlines()[-1].split(",")
            file.write(",".join([str(int(last[0]) + 1), *last[1:]]) + "\n")
        assert len(run.plot().axes[0].get_lines()[0].get_xdata()) == before + 1


def test_a_run_without_metrics_says_so(copied, edit_record):
    (copied / "metrics.csv").unlink()
    edit_record(copied, status="failed", metrics_sha256=None)
    with pytest.raises(RecordError, match="begin with its first check"):
        keepbest.open_run(copied).plot()


def test_changed_metrics_are_refused(copied):
    path = copied / "metrics.csv"
    path.write_text(path.read_text().replace("0.", "1.", 1))
    with pytest.raises(IntegrityError):
        keepbest.open_run(copied).plot()


def test_the_file_that_training_leaves_is_the_same_picture(default_run, tmp_path):
    run = keepbest.open_run(default_run[1])
    record = read_record(default_run[1])
    draw_curve(tmp_path / "again.png", run.checks(), record.objective, record)
    assert (tmp_path / "again.png").read_bytes() == (default_run[1] / "curve.png").read_bytes()


@pytest.mark.parametrize("monitor", ["_hidden", "val$_{loss}$", r"$\frac{", "a\nb", "x" * 500, "\x1b[31mred", "損失"])
@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_are_shown_as_they_are_and_never_as_formulas(monitor):
    axes = drawn(checks_of(1.0, 0.5, 0.7, 0.8), record_of(monitor, id=monitor, **STOPPED))
    shown = legend(axes)[0].strip()
    assert shown
    assert len(shown) <= 60
    assert shown.isprintable()
    assert monitor[:5] in shown or not monitor[:5].isprintable()
    assert not axes.yaxis.label.get_parse_math()
    assert len(legend(axes)) == 4


def test_a_policy_of_somebody_elses_is_text_as_well():
    stopping = Stopping({"patience": "$x$" * 99}, 3, 4, "patience_exhausted", None)
    assert len(legend(drawn(checks_of(1.0, 0.5, 0.7, 0.8), record_of(**{**STOPPED, "stopping": stopping})))[3]) == 60


def test_several_checks_in_an_epoch_are_counted_as_checks_and_the_best_is_that_of_its_epoch():
    axes = drawn(checks_of(0.5, 0.9, 0.5, 0.8, per_epoch=2), record_of(best_model_score=0.5, best_epoch=1))
    assert axes.get_xlabel() == "check"
    assert list(axes.get_lines()[1].get_xdata()) == [2]


@pytest.mark.parametrize(
    ("values", "scale"),
    [((8.0, 1.0, 0.5), "log"), ((0.9, 0.5), "linear"), ((8.0, -1.0), "linear"), ((0.0, 9.0), "linear")],
)
def test_a_long_descent_is_shown_in_a_logarithmic_scale(values, scale):
    assert drawn(checks_of(*values), record_of()).get_yscale() == scale


def test_what_is_not_finite_leaves_a_gap():
    axes = drawn(checks_of(1.0, float("nan"), float("inf"), 0.5), record_of(best_model_score=float("nan")))
    assert np.isnan(axes.get_lines()[0].get_ydata()[1])
    assert len(axes.get_lines()) == 1
    assert drawn(checks_of(float("nan")), record_of()).get_yscale() == "linear"


def test_where_nothing_is_finite_the_axes_say_so():
    axes = drawn(checks_of(float("nan"), float("inf")), record_of(**STOPPED))
    assert [text.get_text() for text in axes.texts] == ["no check has a finite val_loss"]
    assert axes.get_legend() is None
    assert not axes.get_lines()
    assert "run: patience exhausted" in axes.get_title(loc="left")


@pytest.mark.parametrize("values", [(0.5,), (0.5, float("nan"))])
def test_one_epoch_has_the_room_of_one(values):
    axes = drawn(checks_of(*values), record_of())
    low, high = axes.get_xlim()
    assert high - low >= 1
    assert all(tick == round(tick) for tick in axes.get_xticks())


@pytest.mark.parametrize("status", ["failed", "interrupted", "diverged"])
def test_the_title_says_how_the_run_ended(status):
    assert drawn(checks_of(1.0), record_of(status=RunStatus(status))).get_title(loc="left") == f"run: {status}"
    stopped = record_of(status=RunStatus(status), **STOPPED)
    assert drawn(checks_of(1.0, 0.5), stopped).get_title(loc="left") == f"run: patience exhausted, {status}"


def test_a_moved_copy_is_drawn(default_run, tmp_path):
    moved = shutil.copytree(default_run[1], tmp_path / "moved")
    assert keepbest.open_run(moved).plot().axes
