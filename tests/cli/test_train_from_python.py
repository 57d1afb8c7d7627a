"""`keepbest.train` and what it opens: a run, or a sweep."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import keepbest
from keepbest.errors import ConfigError, RecordError

SHORT = ["trainer=cpu", "trainer.max_epochs=2", "model.hidden_sizes=[4]", "data.batch_size=256"]
SCRIPT = f"""
import keepbest
from keepbest.errors import ConfigError, KeepbestError, SweepError

SHORT = {SHORT!r}
if __name__ == "__main__":
    run = keepbest.train([*SHORT, "seed=3"])
    assert type(run).__name__ == "Run" and run.record["seed"] == 3
    assert run.evaluate()["val_loss"] == run.record["best_model_score"]

    sweep = keepbest.train([*SHORT, "seed=1,2"], multirun=True)
    assert type(sweep).__name__ == "Sweep" and len(sweep) == 2
    assert sorted(sweep.table()["seed"]) == [1, 2]
    assert keepbest.latest_sweep().directory == sweep.directory

    sweep = keepbest.train([*SHORT, "sweep=patience_min_delta"])
    assert len(sweep) == 16 and keepbest.latest_sweep().directory == sweep.directory

    try:
        keepbest.train([*SHORT, "model.optimizer.lr=1e-3,many"], multirun=True)
    except SweepError as error:
        assert error.numbers == [1], error.numbers
        assert str(error.sweep_dir) in str(error)
        assert keepbest.open_sweep(error.sweep_dir).runs[0].record["status"] == "completed"
    else:
        raise AssertionError("a job has failed")

    try:
        keepbest.train([*SHORT, "seed=1,2"])
    except ConfigError as error:
        assert "need multirun=True" in str(error)
    else:
        raise AssertionError("several values")

    try:
        keepbest.train([*SHORT, "seed=1,2", "hydra.sweeper.dry_run=true"], multirun=True)
    except ConfigError as error:
        assert "a dry run leaves no sweep to open" in str(error)
    else:
        raise AssertionError("a dry run")
    print("all held")
"""


def test_a_script_trains_runs_and_sweeps_and_hears_of_failures(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all held\n")


@pytest.mark.parametrize("overrides", ["seed=1", ["-m", "seed=1,2"], ["--cfg", "job"], [1], None, 7], ids=str)
def test_flags_and_texts_are_refused(overrides: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"takes a list of overrides, without flags.* -m as multirun=True"):
        keepbest.train(overrides)


def test_the_latest_sweep_is_the_one_that_began_last(tmp_path: Path, default_run: tuple[object, Path]) -> None:
    """Whatever its name, and whenever the files of the others were written."""
    from keepbest.records.run_record import Environment, Objective, RunRecord, RunStatus, Timing
    from keepbest.records.store import write_record, write_sweep
    from keepbest.records.sweep_record import SweepJob, SweepRecord

    environment = Environment(None, None, {}, [], "h", "/")

    def make(name: str, *starts: str | None) -> Path:
        place = tmp_path / "sweeps" / name
        jobs = [SweepJob(n, str(n), [], "", None, None, RunStatus.COMPLETED) for n in range(len(starts))]
        for number, start in enumerate(starts):
            (place / str(number)).mkdir(parents=True)
            record = RunRecord("r", RunStatus.COMPLETED, Objective("x", "min"), 1, environment, timing=Timing(start))
            write_record(place / str(number), record)
        place.mkdir(parents=True, exist_ok=True)
        write_sweep(place, SweepRecord(name, ["-m"], environment, jobs))
        return place

    with pytest.raises(RecordError, match=r"there is no sweep in .* keepbest train -m"):
        keepbest.latest_sweep(tmp_path)
    make("2026-11-22_10-00-00_ffffff", None, "2026-11-22T10:00:01+00:00")
    make("patience_min_delta", "2026-11-21T10:00:00+00:00")
    named = make("a_name_of_its_own", "2026-11-22T11:00:00+02:00", "2026-11-22T18:00:00+00:00")
    (tmp_path / "sweeps" / "2021-not-a-sweep").mkdir()
    shutil.copytree(default_run[1], tmp_path / "sweeps" / "2022-a-run")
    assert keepbest.latest_sweep(tmp_path).directory.name == "2026-11-22_10-00-00_ffffff"
    os.utime(make("damaged") / "sweep.json", (0, 0))
    (tmp_path / "sweeps" / "damaged" / "sweep.json").write_text("{}")
    os.utime(tmp_path / "sweeps" / "damaged" / "sweep.json", (9, 9))
    make("2026-11-22_09-00-00_000000", "2026-11-22T09:30:00+00:00")
    assert keepbest.latest_sweep(tmp_path).directory.name == "2026-11-22_10-00-00_ffffff"
    shutil.rmtree(tmp_path / "sweeps" / "2026-11-22_10-00-00_ffffff")
    assert keepbest.latest_sweep(tmp_path).directory.name == "2026-11-22_09-00-00_000000"
    shutil.rmtree(tmp_path / "sweeps" / "2026-11-22_09-00-00_000000")
    assert keepbest.latest_sweep(tmp_path).directory == named
    make("begins")
    assert keepbest.latest_sweep(tmp_path).directory.name == "begins", "of one without a start its file is dated"
