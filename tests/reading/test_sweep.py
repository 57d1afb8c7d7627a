"""Opening a sweep: from anywhere, finished or not, as a typed table, its best run and pictures."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import keepbest
from keepbest.errors import ConfigError, IntegrityError, RecordError
from keepbest.records.ownership import owned
from keepbest.records.run_record import Objective, Stopping, Timing


@pytest.fixture
def grid(make_sweep, fake_job):
    """Two patiences by three seeds; one training per seed, and one score per job."""
    scores = {(2, 1): 0.5, (2, 2): 0.7, (2, 3): 0.6, (16, 1): 0.3, (16, 2): 0.5, (16, 3): 0.25}
    jobs = [
        fake_job(
            [f"callbacks.early_stopping.patience={patience}", f"seed={seed}", "model=mlp"],
            score,
            values=[1.0, 0.9, 0.8, score, *[0.9] * (patience // 2)],
            trajectory=None,
        )
        for (patience, seed), score in scores.items()
    ]
    return make_sweep(jobs)


def test_a_row_per_job_and_a_typed_column_per_override_that_varies(grid):
    table = keepbest.open_sweep(grid).table()
    assert list(table.columns) == [
        "patience", "seed", "score", "best_epoch", "stopped_epoch", "reason", "epochs_trained", "status", "path",
    ]  # fmt: skip
    assert table.index.name == "job"
    assert table.index.tolist() == list(range(6))
    assert table["patience"].tolist() == [2, 2, 2, 16, 16, 16]
    kinds = {"patience": "Int64", "score": "Float64", "best_epoch": "Int64", "reason": "string", "status": "string"}
    assert {name: str(table[name].dtype) for name in kinds} == kinds
    assert table.loc[5].to_dict() == {
        "patience": 16, "seed": 3, "score": 0.25, "best_epoch": 3, "stopped_epoch": 8, "reason": "patience_exhausted",
        "epochs_trained": 12, "status": "completed", "path": str(grid / "5"),
    }  # fmt: skip
    assert table.attrs == {
        "objective": {"monitor": "val_loss", "mode": "min"},
        "fixed": {"model": "mlp"},
        "keys": {"patience": "callbacks.early_stopping.patience", "seed": "seed"},
    }


def test_the_types_of_columns_are_those_of_their_values(make_sweep, fake_job):
    values = [
        ("1e-3", "true", "mlp", "null", "1", "5"),
        ("0", "false", "cnn", "2", "auto", "99999999999999999999"),
        ("1", "true", "'1'", "3", "2.5", "7"),
    ]
    names = ("delta", "flag", "model", "epochs", "mixed", "huge")
    jobs = [fake_job([f"a.{name}={value}" for name, value in zip(names, row, strict=True)]) for row in values]
    table = keepbest.open_sweep(make_sweep([*jobs, fake_job(["a.delta=2"])])).table()
    assert {name: str(table[name].dtype) for name in names} == {
        "delta": "Float64", "flag": "boolean", "model": "string", "epochs": "Int64", "mixed": "object",
        "huge": "object",
    }  # fmt: skip
    assert table["model"].tolist()[:3] == ["mlp", "cnn", "1"]
    assert table["mixed"].tolist()[:3] == [1, "auto", 2.5]
    assert table["huge"][1] == 99999999999999999999
    assert table.loc[3, list(names)].isna().tolist() == [False] + [True] * 5
    assert pd.isna(table["epochs"][0]), "null"


def test_what_did_not_happen_is_missing_and_never_zero(make_sweep, fake_job):
    pending = {"stopping": None, "timing": Timing(), "best_epoch": None}
    by_limit = {"stopping": Stopping(None, None, 5, "max_epochs", None)}
    sweep = keepbest.open_sweep(
        make_sweep(
            [
                fake_job(["seed=1"], None, record=pending, status="pending"),
                fake_job(["seed=2"], record=by_limit),
                fake_job(["seed=3"], float("nan"), status="diverged"),
            ]
        )
    )
    table = sweep.table()
    assert table.loc[0, ["score", "best_epoch", "stopped_epoch", "reason", "epochs_trained"]].isna().all()
    assert pd.isna(table["stopped_epoch"][1])
    assert pd.isna(table["score"][2])
    assert table["status"].tolist() == ["pending", "completed", "diverged"]
    assert sweep.best().directory.name == "1"


def test_an_unfinished_sweep_is_shown_as_it_stands(make_sweep, fake_job):
    """A job says `running` while a process holds its directory, and `interrupted` once it is dead."""
    jobs = [
        fake_job(["seed=1"], 0.4),
        fake_job(["seed=2"], 0.1, status="running"),
        fake_job(["seed=3"], 0.2, status="running"),
        fake_job(["seed=4"], None, record=None, status="pending"),
        fake_job(["seed=5"], None, record=None, status="completed"),
        fake_job(["seed=6"], None, status="failed"),
    ]
    path = make_sweep(jobs)
    sweep = keepbest.open_sweep(path)
    with owned(path / "1"):
        assert sweep.table()["status"].tolist() == [
            "completed", "running", "interrupted", "pending", "missing", "failed",
        ]  # fmt: skip
    assert sweep.table()["status"].tolist()[1] == "interrupted"
    assert sweep.best().directory.name == "0", "only a completed job can be the best"
    assert sweep.table(best_first=True).index.tolist() == [0, 1, 2, 5, 3, 4]
    assert "1 missing" in sweep._repr_html_()
    with pytest.raises(RecordError, match=r"a run directory must hold run\.json"):
        sweep.runs[3]


def test_a_table_sees_what_a_job_has_done_since(make_sweep, fake_job):
    path = make_sweep([fake_job(["seed=1"], 0.4), fake_job(["seed=2"], None, record=None, status="pending")])
    sweep = keepbest.open_sweep(path)
    assert sweep.table()["status"].tolist() == ["completed", "pending"]
    make_sweep([fake_job(["seed=1"], 0.4), fake_job(["seed=2"], 0.3)])
    assert sweep.table()["score"].tolist() == [0.4, 0.3]
    assert sweep.best().directory.name == "1"


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_is_the_best_in_both_modes_and_ties_go_to_the_lowest_number(make_sweep, fake_job, mode):
    record = {"objective": Objective("val_x", mode)}
    scores = [0.5, 0.9, 0.1, 0.1, 0.9]
    sweep = keepbest.open_sweep(make_sweep([fake_job([f"seed={i}"], s, record=record) for i, s in enumerate(scores)]))
    best = "2" if mode == "min" else "1"
    assert sweep.best().directory.name == best
    assert sweep.best() is sweep.runs[int(best)]
    order = [2, 3, 0, 1, 4] if mode == "min" else [1, 4, 0, 2, 3]
    assert sweep.table(best_first=True).index.tolist() == order


def test_without_a_completed_job_there_is_no_best(make_sweep, fake_job):
    jobs = [fake_job(["seed=1"], status="failed"), fake_job(["seed=2"], None, record=None, status="pending")]
    sweep = keepbest.open_sweep(make_sweep(jobs))
    with pytest.raises(RecordError, match="this sweep has none: 1 failed, 1 pending"):
        sweep.best()
    with pytest.raises(RecordError, match="this sweep has none: no jobs"):
        keepbest.open_sweep(make_sweep([], "empty")).best()


def test_several_objectives_have_no_best_and_no_picture(make_sweep, fake_job):
    jobs = [
        fake_job(["objective=val_loss", "seed=1"]),
        fake_job(["objective=val_acc", "seed=2"], record={"objective": Objective("val_acc", "max")}),
    ]
    sweep = keepbest.open_sweep(make_sweep(jobs))
    assert sweep.table().attrs["objective"] is None
    assert sweep._repr_html_()
    for ask in (
        sweep.best, sweep.curves, lambda: sweep.heatmap("objective", "seed"), lambda: sweep.table(aggregate="seed"),
    ):  # fmt: skip
        with pytest.raises(RecordError, match=r"have 2: val_loss \(min\), val_acc \(max\)"):
            ask()


def test_seeds_are_aggregated_as_mean_and_spread(grid):
    table = keepbest.open_sweep(grid).table(aggregate="seed")
    assert list(table.columns) == ["patience", "score_mean", "score_std", "score_min", "score_max", "count"]
    assert str(table["patience"].dtype) == "Int64"
    assert table["patience"].tolist() == [2, 16]
    assert table.loc[0, ["score_mean", "score_min", "score_max", "count"]].tolist() == pytest.approx([0.6, 0.5, 0.7, 3])
    assert table["score_std"].tolist() == pytest.approx(
        [np.std([5, 7, 6], ddof=1) / 10, np.std([3, 5, 2.5], ddof=1) / 10]
    )
    assert keepbest.open_sweep(grid).table(aggregate="seed", best_first=True)["patience"].tolist() == [16, 2]


def test_results_of_a_heat_map_have_short_names(make_sweep, fake_job):
    from keepbest.reading.sweep_grid import grid_of

    jobs = [fake_job([f"p={p}", f"q={q}"]) for p in (1, 2) for q in (1, 2)]
    table = keepbest.open_sweep(make_sweep(jobs)).table()
    for short, name in (("epochs", "epochs_trained"), ("stop_epoch", "stopped_epoch")):
        grids = [grid_of(table, "p", "q", value, "mean") for value in (short, name)]
        assert grids[0].values.tolist() == grids[1].values.tolist()
        assert grids[0].name == grids[1].name


def test_only_completed_jobs_count_in_an_aggregate(make_sweep, fake_job):
    jobs = [
        fake_job(["patience=1", "seed=1"], 0.2), fake_job(["patience=1", "seed=2"], 0.1, status="interrupted"),
        fake_job(["patience=2", "seed=1"], 0.1, status="failed"),
        fake_job(["patience=null", "seed=1"], 0.4), fake_job(["patience=null", "seed=2"], 0.6),
    ]  # fmt: skip
    table = keepbest.open_sweep(make_sweep(jobs)).table(aggregate="seed")
    assert table["count"].tolist() == [1, 0, 2]
    assert table["score_mean"].fillna(-1).tolist() == [0.2, -1, 0.5]
    assert table["patience"].fillna(-1).tolist() == [1, 2, -1]


def test_where_only_seeds_vary_the_aggregate_is_one_row(make_sweep, fake_job):
    sweep = keepbest.open_sweep(make_sweep([fake_job([f"seed={i}"], i / 4) for i in range(3)]))
    table = sweep.table(aggregate="seed")
    assert table.to_dict("records") == [
        {"score_mean": 0.25, "score_std": 0.25, "score_min": 0.0, "score_max": 0.5, "count": 3}
    ]


WRONG = {
    "a near miss": (
        lambda s: s.heatmap("patienc", "seed"),
        r"\(patience, seed\), got 'patienc'\. Did you mean 'patience'",
    ),
    "a fixed one": (lambda s: s.heatmap("patience", "model"), r"y must be an override that varies .* got 'model'\."),
    "a result": (lambda s: s.heatmap("score", "seed"), "x must be an override that varies"),
    "the same twice": (lambda s: s.heatmap("seed", "seed"), "x and y must be different overrides"),
    "a value": (lambda s: s.heatmap("patience", "seed", "stoped_epoch"), "Did you mean 'stopped_epoch'"),
    "an aggregate": (lambda s: s.heatmap("patience", "seed", aggregate="sum"), "aggregate must be one of mean, median"),
    "no seed": (lambda s: s.table(aggregate="sed"), "aggregate must be an override that varies .* Did you mean 'seed'"),
    "no text": (lambda s: s.table(aggregate=3), "aggregate must be an override that varies .* got 3"),
    "a list": (lambda s: s.heatmap("patience", "seed", ["score"]), "value must be one of score"),
}


@pytest.mark.parametrize(("ask", "message"), WRONG.values(), ids=WRONG)
def test_a_name_that_there_is_not_is_refused_with_those_that_there_are(grid, ask, message):
    with pytest.raises(ConfigError, match=message):
        ask(keepbest.open_sweep(grid))


def test_runs_are_opened_when_they_are_asked_for(grid):
    sweep = keepbest.open_sweep(grid)
    assert len(sweep) == len(sweep.runs) == 6
    assert list(sweep.runs) == list(range(6))
    (grid / "4" / "run.json").unlink()
    assert sweep.runs[3].record["best_model_score"] == 0.3
    assert len(sweep.runs[3].metrics) == 12
    assert 7 not in sweep.runs
    assert repr(sweep) == "<Sweep sweep: 6 jobs>"
    assert {**sweep.record, "checksum": ""} == {**json.loads((grid / "sweep.json").read_text()), "checksum": ""}


def test_a_number_that_no_job_has_is_told_with_those_that_there_are(make_sweep, fake_job):
    sweep = keepbest.open_sweep(make_sweep([fake_job([f"p={i}"]) for i in range(3)]))
    for wrong in (99, "0", None):
        with pytest.raises(KeyError, match=rf"by the number of its job \(0-2\), got {wrong!r}"):
            sweep.runs[wrong]
        assert sweep.runs.get(wrong) is None
    assert keepbest.open_sweep(make_sweep([], "empty")).runs.get(0) is None


def test_a_notebook_shows_reasons_in_words(make_sweep, fake_job):
    reasons = ["non_finite", "max_epochs", "patience_exhausted"]
    jobs = [fake_job([f"p={i}"], record={"stopping": Stopping({}, 1, 2, reasons[i], None)}) for i in range(3)]
    html = keepbest.open_sweep(make_sweep(jobs))._repr_html_()
    assert [html.count(f">{words}<") for words in ("not finite", "max epochs", "patience exhausted")] == [1, 1, 1]


def test_one_damaged_record_does_not_hide_the_others(grid):
    path = grid / "5" / "run.json"
    path.write_text(path.read_text().replace("0.25", "0.05"))
    sweep = keepbest.open_sweep(grid)
    with pytest.warns(UserWarning, match=r"1 record of this sweep cannot be read; job 5: .*checksum"):
        table = sweep.table()
    assert table["status"].tolist() == ["completed"] * 5 + ["unreadable"]
    assert pd.isna(table["score"][5])
    assert sweep.best().directory.name == "3"
    with pytest.raises(IntegrityError, match="checksum"):
        sweep.runs[5]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert keepbest.open_sweep(grid, trust=True).best().directory.name == "5", "an edit of one's own"


def test_a_moved_sweep_opens_by_its_directory_its_file_and_a_link(grid, tmp_path):
    moved = tmp_path / "elsewhere" / "renamed"
    shutil.move(grid, moved)
    link = tmp_path / "latest"
    link.symlink_to(moved)
    for path in (moved, str(moved), moved / "sweep.json", link, link / "sweep.json"):
        sweep = keepbest.open_sweep(path)
        assert sweep.directory == moved
        assert sweep.table()["path"][0] == str(moved / "0")
        assert len(sweep.curves().axes) == 1


def test_a_run_is_no_sweep_and_the_error_says_what_opens_it(grid, tmp_path):
    with pytest.raises(
        RecordError, match=r"must hold sweep\.json.* It holds run\.json: open it with keepbest\.open_run"
    ):
        keepbest.open_sweep(grid / "0")
    with pytest.raises(
        RecordError, match=r"must hold run\.json.* It holds sweep\.json: open it with keepbest\.open_sweep"
    ):
        keepbest.open_run(grid)
    with pytest.raises(RecordError, match=r"a sweep directory must hold sweep\.json, .* does not\.$"):
        keepbest.open_sweep(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="a sweep must be given by a path"):
        keepbest.open_sweep("a\0b")
    with pytest.raises(ConfigError, match="modules must be a list of names"):
        keepbest.open_sweep(grid, modules="mine")


def test_a_sweep_of_a_thousand_jobs_has_a_table_at_once(make_sweep, fake_job):
    """The seconds are measured by benchmarks/open_sweep.py; this is about the shape."""
    jobs = [fake_job([f"a.x={i // 40}", f"a.y={i % 40}"], 1 / (1 + i)) for i in range(1000)]
    path = make_sweep(jobs)
    sweep = keepbest.open_sweep(path)
    assert sweep.table().shape == (1000, 9)
    assert sweep.best().directory.name == "999"
    assert "... and 970 more" in sweep._repr_html_()
    assert sweep.heatmap("x", "y").axes


FRESH = """
import sys
import keepbest
sweep = keepbest.open_sweep(sys.argv[1])
table = sweep.table()
assert "torch" not in sys.modules, "a table is made without torch"
assert table["status"].tolist() == ["completed"] * 4, table
best = sweep.best()
sweep.heatmap("patience", "seed"), sweep.curves(), sweep._repr_html_(), best._repr_html_()
assert "torch" not in sys.modules, "... and pictures"
import torch
model, data = best.load_model(), best.datamodule()
with torch.no_grad():
    loss = torch.nn.functional.cross_entropy
    losses = [(loss(model(x), y, reduction="sum"), len(y)) for x, y in data.val_dataloader()]
print(float(sum(loss for loss, _ in losses)) / sum(count for _, count in losses), best.record["best_model_score"])
"""


def test_a_trained_sweep_opens_in_a_fresh_interpreter_and_its_best_model_gives_its_score(trained_sweep, tmp_path):
    moved = shutil.copytree(trained_sweep, tmp_path / "moved", symlinks=True)
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(moved)], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    found, recorded = map(float, done.stdout.split())
    assert found == pytest.approx(recorded, rel=1e-5)


def test_the_table_of_a_trained_sweep_says_what_its_records_say(trained_sweep):
    sweep = keepbest.open_sweep(trained_sweep)
    table = sweep.table()
    assert table[["patience", "seed"]].to_numpy().tolist() == [[1, 1], [1, 2], [3, 1], [3, 2]]
    assert table.attrs["fixed"]["trainer.max_epochs"] == 4
    for number, run in sweep.runs.items():
        record = run.record
        assert table["score"][number] == record["best_model_score"]
        assert table["epochs_trained"][number] == record["timing"]["epochs_trained"]
        assert table["path"][number] == str(run.directory)
    assert sweep.best().record["best_model_score"] == table["score"].min()
    assert sweep.table(aggregate="seed")["count"].tolist() == [2, 2]
    (line, *_) = [line for line in sweep.curves().axes[0].get_lines() if "seed=" in str(line.get_label())]
    longest = keepbest.open_run(trained_sweep / sweep.record["jobs"][int(sweep.best().directory.name)]["trajectory"])
    assert list(line.get_ydata()) == longest.metrics["val_loss"].tolist(), "of the shared training, to its end"


def test_the_lines_of_the_readme_work(trained_sweep):
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    (code,) = re.findall(r"## Reading a sweep\n\n```python\n(.*?)```", readme, re.DOTALL)
    found: dict[str, Any] = {}
    code = re.sub(r'"outputs/sweeps/[^"]*"', repr(str(trained_sweep)), code).replace('"min_delta"', '"seed"')
    exec(code, found)
    assert not found["model"].training
    image = Path(__file__).resolve().parents[2] / "docs" / "images" / "sweep_heatmap.png"
    assert image.read_bytes().startswith(b"\x89PNG")


def test_a_notebook_shows_a_run(trained_sweep):
    run = keepbest.open_sweep(trained_sweep).best()
    html = run._repr_html_()
    for text in (
        "completed",
        "val_loss, min",
        "bit for bit",
        str(run.directory),
        f"{run.record['best_model_score']:.6g}",
    ):
        assert text in html


def test_an_open_run_shows_what_is_there(make_sweep, fake_job):
    failure = {"stopping": None, "timing": Timing(), "error": None}
    sweep = keepbest.open_sweep(make_sweep([fake_job(["seed=1"], None, record=failure, status="failed")]))
    assert "none" in sweep.runs[0]._repr_html_()
