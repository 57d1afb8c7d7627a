"""`keepbest evaluate`: the result is added to the record, and nothing else in it changes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import keepbest as package
from keepbest.cli.evaluate import main
from keepbest.cli.main import main as command_line
from keepbest.reading.facts import facts_of
from keepbest.records.ownership import owned
from keepbest.records.run_record import RunRecord
from keepbest.records.store import read_record, sealed

Said = Callable[..., str]
KINDS = "kinds_to_evaluate"


@pytest.fixture
def run(default_run, tmp_path) -> Path:
    return Path(shutil.copytree(default_run[1], tmp_path / "run"))


@pytest.fixture
def said(capfd, monkeypatch) -> Said:
    """Evaluate, expect an exit status, and give all that was said."""

    def evaluate(status: int, *arguments: object) -> str:
        monkeypatch.setattr(sys, "path", list(sys.path))
        found = main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        assert found == status, said
        assert "Traceback" not in said.err
        return str(said.out if status == 0 else said.err)

    return evaluate


def text_of(run_dir: Path) -> str:
    return (run_dir / "run.json").read_text()


def edited(run_dir: Path, **changes: object) -> None:
    data = json.loads(text_of(run_dir))
    data.pop("checksum")
    (run_dir / "run.json").write_text(sealed(data | changes))


def test_the_command_adds_to_the_record_and_changes_nothing_else_in_it(keepbest, run):
    before = text_of(run)
    done = keepbest(["evaluate", "run"], run.parent)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    score = json.loads(before)["best_model_score"]
    assert "recorded    yes, the same score bit for bit\n" in done.stdout
    assert f"val         val_loss {score:.6g}  val_acc " in done.stdout
    assert " (359 samples)\n" in done.stdout
    assert "added to    run/run.json\n" in done.stdout
    again = keepbest(["evaluate", "run/config.yaml", "--split", "test", "--device", "cpu"], run.parent)
    assert again.returncode == 0, again.stderr
    opened = package.open_run(run)
    first, second = opened.record["evaluations"]
    assert first["metrics"]["val_loss"] == score
    assert (first["split"], first["data"], first["device"]) == ("val", None, "cpu")
    assert (first["samples"], first["cwd"], first["overlap"], first["repeated"]) == (359, None, None, True)
    assert first["best_sha256"] == opened.record["best_sha256"]
    assert (second["split"], second["metrics"]) == ("test", opened.record["test"])
    head, _, _ = before.partition('  "evaluations": ')
    assert text_of(run).startswith(head), "every other key, byte for byte"
    assert not (run.parent / "outputs").exists()
    assert not (run.parent / "lightning_logs").exists()


def test_a_record_of_before_there_were_evaluations_and_one_of_a_later_version_keep_what_they_hold(run, said):
    data = json.loads(text_of(run))
    for key in ("checksum", "evaluations", "metrics_sha256"):
        data.pop(key)
    text = sealed({**data, "from_later": {"a": [1, 1e-7, "é\x1b"]}})
    (run / "run.json").write_text(text)
    assert read_record(run).evaluations == []
    said(0, run)
    found = json.loads(text_of(run))
    assert list(found) == [*[*json.loads(text)][:-1], "evaluations", "checksum"]
    assert text_of(run).startswith(text[: text.index(',\n  "checksum"')])


def test_other_data_are_named_in_hydras_words_and_recorded_resolved(run, said):
    out = said(0, run, "--data", "digits", "data.batch_size=32", "data.split_seed=7")
    assert "data        keepbest.data.Digits batch_size=32 split_seed=7\n" in out
    assert "recorded" not in out
    (entry,) = package.open_run(run).record["evaluations"]
    known = (
        f"shared      {entry['overlap']} of 359 samples are among those the model was trained on: on these the scores"
    )
    assert f" (359 samples, {entry['overlap']} of them trained on)\n{known} say nothing of new data\n" in out
    assert entry["overlap"] > 180, "three fifths of all samples were trained on"
    assert (entry["data"]["batch_size"], entry["data"]["split_seed"]) == (32, 7)
    assert entry["metrics"]["val_loss"] != package.open_run(run).record["best_model_score"]


def test_a_users_own_conf_comes_first(run, said, monkeypatch):
    conf = run.parent / "conf" / "data"
    conf.mkdir(parents=True)
    (conf / "mine.yaml").write_text("_target_: keepbest.data.Digits\nsplit_seed: ${seed}\n")
    monkeypatch.chdir(run.parent)
    said(0, "run", "--data", "mine")
    assert package.open_run(run).record["evaluations"][0]["data"] == {
        "_target_": "keepbest.data.Digits",
        "split_seed": package.open_run(run).record["seed"],
    }


WRONG = {
    "no such option": (["--data", "digitz"], "data: it must be one of .*Did you mean 'digits'"),
    "no such key": (["--data", "digits", "data.batchsize=3"], "data has no key 'batchsize'.*Did you mean 'batch_size'"),
    "no value": (["--data", "csv"], r"data\.path: a value must be given\. Add data\.path=\.\.\. to the command"),
    "another shape": (["--data", "breast_cancer"], r"trained on: input_shape \[1, 8, 8\], BreastCancer has \[30\]"),
    "a wrong value": (["--data", "digits", "data.batch_size=many"], "batch_size"),
    "no option first": (["--data", "data.batch_size=3"], "the first word must be an option of the group data"),
    "another section": (["--data", "digits", "model.hidden_sizes=[3]"], "only the data can be other"),
    "no override": (["--data", "digits", "32"], "an override reads data.key=value, got '32'"),
    "not Hydra's words": (["--data", "digits", "data.batch_size=[3"], "an override reads"),
    "no such split": (["--split", "tests"], "split must be one of val, test, got 'tests'. Did you mean 'test'"),
    "no such flag": (["--spilt", "test"], "cannot be called so"),
    "no such device": (["--device", "nonsense"], "device must be auto, .* got 'nonsense'. It has cpu"),
    "a device of another machine": (["--device", "cuda:99"], "this machine has, got 'cuda:99'. It has cpu"),
    "no such file": (["--data", "csv", "data.path=no.csv", "data.target=x"], "path must name a file, got 'no.csv'"),
    "no such module": (["--modules", "no_such_module"], "imported here, got 'no_such_module'. Install it, or work in"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_a_remedy_and_status_2(run, said, arguments, message):
    import re

    before = text_of(run)
    assert re.search(message, said(2, run, *arguments))
    assert text_of(run) == before


def test_a_run_without_a_best_is_wrong_usage(run, said):
    edited(run, best_model_path=None, status="failed")
    assert "must have a best checkpoint; this one is failed, and has none" in said(2, run)


def test_a_training_that_jobs_share_is_refused_with_the_name_of_a_job(run, said, monkeypatch):
    from keepbest.sweeping.members import Member, Members, write_members

    shared = run.rename(run.parent / "shared")
    write_members(shared, Members("ab", (Member(run.parent / "0", None), Member(run.parent / "1", None))))
    monkeypatch.chdir(run.parent)
    before = text_of(shared)
    out = said(2, "shared")
    assert "must be a job, not the training that several jobs of a sweep share, got 'shared'. Evaluate one of" in out
    assert out.endswith("its jobs, such as 0.\n")
    assert text_of(shared) == before


def test_what_is_no_run_is_wrong_usage(tmp_path, said):
    assert "a run or sweep must be a directory" in said(2, tmp_path / "nowhere")
    assert "cannot be called so: the following arguments are required" in said(2, "--split", "val")
    assert "usage" in said(2)
    assert "usage" in said(0, "--help")


@pytest.mark.parametrize("trust", [[], ["--trust"]], ids=str)
def test_damage_and_edits_are_refused_with_status_1(run, said, trust):
    checkpoint, record = run / "checkpoints" / "best.ckpt", text_of(run)
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[:-1] + b"x")
    assert "must have the sha256 it was recorded with" in said(1, run, *trust)
    checkpoint.write_bytes(content)
    (run / "run.json").write_text(record.replace('"status": "completed"', '"status": "diverged"'))
    edited_text = text_of(run)
    assert "must have the checksum" in said(1, run, *trust)
    assert text_of(run) == edited_text


def test_a_run_that_is_being_trained_is_refused(run, said):
    """By another process: a lock of this one would be its own."""
    code = f"from keepbest.records.ownership import owned\nwith owned(__import__('pathlib').Path({str(run)!r})):\n"
    code += "    print('held', flush=True)\n    input()\n"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    before = text_of(run)
    assert "one process at a time works in the directory of a run" in said(2, run)
    holder.communicate("\n")
    assert text_of(run) == before
    said(0, run)


MODULE = """
import os
import signal

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset
from keepbest.data import Digits
from keepbest.models import MLPClassifier

class MyDigits(Digits):
    pass

class MyNet(MLPClassifier):
    def validation_step(self, batch):
        if name := os.environ.get("ENDED_BY"):
            signal.raise_signal(signal.Signals[name])
        return super().validation_step(batch)

class Narrow(LightningDataModule):
    def val_dataloader(self):
        return DataLoader(TensorDataset(torch.zeros(10, 30), torch.zeros(10, dtype=torch.long)), 5)

class Unlabelled(LightningDataModule):
    def val_dataloader(self):
        return DataLoader(TensorDataset(torch.zeros(10, 1, 8, 8), torch.zeros(10, 3)), 5)
"""


@pytest.mark.slow
def test_a_users_own_classes_are_named_or_trusted_and_found_where_the_run_was_started(
    keepbest, tmp_path, said, monkeypatch
):
    work = tmp_path / "work"
    work.mkdir()
    (work / f"{KINDS}.py").write_text(MODULE)
    settings = ["trainer.max_epochs=2", f"model._target_={KINDS}.MyNet", f"data._target_={KINDS}.MyDigits"]
    done = keepbest(["train", *settings, "hydra.run.dir=run"], work)
    assert done.returncode == 0, done.stderr
    run = work / "run"
    assert f"If you trust that code: --modules {KINDS}; --trust allows everything" in said(2, run)
    assert KINDS not in sys.modules
    for allowed in (["--modules", KINDS], ["--trust"]):
        assert "same score bit for bit" in said(0, run, *allowed)
        sys.modules.pop(KINDS, None)
    assert len(read_record(run).evaluations) == 2
    (work / "conf" / "data").mkdir(parents=True)
    for name in ("Narrow", "Unlabelled"):
        (work / "conf" / "data" / f"{name.lower()}.yaml").write_text(f"_target_: {KINDS}.{name}\n")
    monkeypatch.chdir(work)
    out = said(2, run, "--data", "narrow", "--modules", KINDS)
    assert (
        "data must be such as the model was trained on: input_shape [1, 8, 8], Narrow has [30]; RuntimeError: mat1"
        in out
    )
    out = said(1, run, "--data", "unlabelled", "--modules", KINDS)
    assert "the best model must be one to evaluate on the val batches of Unlabelled, " in out
    assert out.endswith(". Its first batch has the shapes [5, 1, 8, 8], [5, 3].\n")
    assert len(read_record(run).evaluations) == 2
    for name, status in (("SIGINT", 130), ("SIGTERM", 143)):
        done = keepbest(["evaluate", "run", "--trust"], work, env={"ENDED_BY": name})
        assert (done.returncode, done.stdout) == (status, "")
        assert done.stderr == f"keepbest: interrupted by {name}.\n"
    assert len(read_record(run).evaluations) == 2


def test_a_place_that_a_record_names_is_not_imported_from_unasked(run, tmp_path, said):
    """It may be where whoever made the run has put modules of their own."""
    place, here = tmp_path / "place", tmp_path / "here"
    place.mkdir()
    here.mkdir()
    (place / "sklearn.py").write_text(f"open({str(tmp_path / 'hit')!r}, 'w')\n")
    edited(run, environment={**read_record(run).as_dict()["environment"], "cwd": str(place)})
    done = subprocess.run(
        [sys.executable, "-m", "keepbest", "evaluate", str(run)], cwd=here, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "hit").exists()


def test_relative_paths_are_those_of_the_run_and_of_other_data_those_of_the_caller(
    run_job, tmp_path, said, monkeypatch
):
    work, here = tmp_path / "work", tmp_path / "here"
    for place, name, flip in ((work, "table.csv", 1), (here, "new.csv", -1), (here, "again.csv", 1)):
        place.mkdir(exist_ok=True)
        rows = [
            f"{number % 17 + (flip < 0) / 2},{number % 13},{'ab'[flip * (number % 17) > flip * 8]}"
            for number in range(120)
        ]
        (place / name).write_text("\n".join(["x,y,kind", *rows]) + "\n")
    monkeypatch.chdir(work)
    job_dir, _ = run_job("data=csv", "data.path=table.csv", "data.target=kind", "trainer.max_epochs=2")
    monkeypatch.chdir(here)
    assert "same score bit for bit" in said(0, job_dir)
    half = ["data.path=new.csv", "data.target=kind", "data.test_fraction=0.5"]
    out = said(0, job_dir, "--split", "test", "--data", "csv", *half)
    assert "data        keepbest.data.CsvTable path=new.csv test_fraction=0.5\n" in out
    assert " (60 samples)\n" in out
    known = "none of 60 samples was found among those the model was trained on"
    assert f"shared      {known}\n" in out, "its own table is where it was trained, not here"
    assert Path.cwd() == here
    out = said(0, job_dir, "--split", "test", "--data", "csv", "data.path=again.csv", *half[1:])
    assert " of 60 samples are among those the model was trained on: " in out, "standardised by other statistics"
    (here / "named.csv").write_text((here / "new.csv").read_text().replace(",a\n", ",z\n"))
    out = said(2, job_dir, "--split", "test", "--data", "csv", "data.path=named.csv", *half[1:])
    assert "such as the model was trained on: classes ['a', 'b'], CsvTable has ['b', 'z']. Their numbers would" in out
    own, other, again = read_record(job_dir).evaluations
    assert (own.overlap, other.overlap) == (None, 0)
    assert again.overlap is not None
    assert again.overlap > 15
    assert (own.samples, own.cwd) == (24, None)
    assert (other.samples, other.cwd) == (60, str(here)), "so that it can be repeated from anywhere"
    assert (own.data, other.data and other.data["path"]) == (None, "new.csv")
    assert other.metrics != read_record(job_dir).test
    assert "table.csv" in said(2, job_dir, "--data", "csv", "data.path=table.csv", "data.target=kind")


def test_a_function_in_a_config_needs_trust(run, said):
    from keepbest.composition.resolved import read_config, write_config

    config = read_config(run)
    write_config(run, {**config, "data": {"_target_": "os.system", "command": "true"}})
    edited(run, config_sha256=None)
    assert "everything you can do: --trust" in said(2, run)


@pytest.mark.slow
def test_a_finished_sweep_with_evaluated_members_opens_resumes_and_proves(keepbest, said, tmp_path):
    settings = [
        "trainer=cpu", "trainer.max_epochs=4", "model.hidden_sizes=[4]", "data.batch_size=256",
        "callbacks.early_stopping.patience=1,3", "seed=1",
    ]  # fmt: skip
    done = keepbest(["train", "-m", *settings, "hydra.sweep.dir=sweep"], tmp_path)
    assert done.returncode == 0, done.stderr
    best = package.open_sweep(tmp_path / "sweep").best().directory.name
    out = said(0, tmp_path / "sweep")
    assert f"the best of 2 jobs: {best}\n" in out
    assert "same score bit for bit" in out
    for number in (0, 1):
        said(0, tmp_path / "sweep" / str(number), "--split", "test")
    before = [text_of(tmp_path / "sweep" / str(number)) for number in (0, 1)]
    done = keepbest(["resume", "sweep", "hydra.sweeper.prove=2"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "proved: 2" in done.stdout
    assert [text_of(tmp_path / "sweep" / str(number)) for number in (0, 1)] == before
    table = package.open_sweep(tmp_path / "sweep").table()
    assert list(table["status"]) == ["completed", "completed"]


@pytest.mark.slow
def test_a_run_that_goes_on_keeps_its_evaluations_and_ends_as_ever(keepbest, said, tmp_path, capfd):
    whole = keepbest(["train", "trainer=cpu", "trainer.max_epochs=4", "hydra.run.dir=whole"], tmp_path)
    short = keepbest(["train", "trainer=cpu", "trainer.max_epochs=2", "hydra.run.dir=short"], tmp_path)
    assert (whole.returncode, short.returncode) == (0, 0)
    said(0, tmp_path / "short")
    unchanged = text_of(tmp_path / "short")
    done = keepbest(["resume", "short"], tmp_path)
    assert "this run has its result" in done.stdout
    assert text_of(tmp_path / "short") == unchanged
    done = keepbest(["resume", "short", "trainer.max_epochs=4"], tmp_path)
    assert done.returncode == 0, done.stderr
    records: list[RunRecord] = [read_record(tmp_path / name) for name in ("whole", "short")]
    assert records[0].best_model_score == records[1].best_model_score
    assert records[0].test == records[1].test
    (entry,) = records[1].evaluations
    assert entry.best_sha256 != records[1].best_sha256, "it tells which checkpoint was evaluated"
    assert command_line(["show", str(tmp_path / "short")]) == 0
    assert "evaluated" not in capfd.readouterr().out, "it was not this best"
    with owned(tmp_path / "short"):
        pass


def configured(run_dir: Path, **changes: object) -> None:
    from keepbest.composition.resolved import read_config, write_config

    config = read_config(run_dir)
    write_config(run_dir, {**config, **{key: {**config[key], **value} for key, value in changes.items()}})
    edited(run_dir, config_sha256=None)


CHANGED = {
    "by a millionth on the CPU": (1 + 1e-6, {}, 1),
    "by a millionth on another device": (1 + 1e-6, {"trainer": {"accelerator": "gpu"}}, 0),
    "by a hundredth on another device": (1.01, {"trainer": {"accelerator": "gpu"}}, 1),
    "within the run's tolerance": (1.01, {"verification": {"tolerance": 0.01}}, 0),
    "beyond the run's tolerance": (1.01, {"verification": {"tolerance": 1e-9}}, 1),
    "in several processes": (2, {"trainer": {"devices": 2}}, 0),
}


@pytest.mark.parametrize(("factor", "config", "status"), CHANGED.values(), ids=CHANGED)
def test_another_score_than_the_recorded_one_is_told_and_fails_beyond_the_tolerance(
    run, capsys, factor, config, status
):
    score = read_record(run).best_model_score
    assert score is not None
    changed = score * factor
    configured(run, **config)
    edited(run, best_model_score=changed)
    assert main([str(run)]) == status
    said = capsys.readouterr()
    (entry,) = read_record(run).evaluations
    assert entry.metrics["val_loss"] == score, "it is added all the same"
    assert entry.repeated is (not status and factor != 2)
    marked = facts_of(read_record(run))["evaluated"].endswith(", not the recorded score")
    assert marked is not entry.repeated
    is_near = not status and factor != 2
    near = "yes, within " if is_near else "no: "
    assert f"recorded    {near}" in said.out
    assert f"val_loss was {changed!r}, is {score!r}, {abs(changed - score):.2g} from it" in said.out
    assert ("several processes, which count some samples twice" in said.out) is (factor == 2)
    assert bool(said.err) is bool(status)
    if status:
        assert "must reproduce their recorded val_loss within" in said.err
        assert f"recorded {changed!r}, measured {score!r}. The data are not" in said.err


def test_a_verification_that_makes_no_sense_is_told(run, said):
    configured(run, verification={"tolerance": "much"})
    assert "verification.tolerance" in said(2, run)
    assert not read_record(run).evaluations


@pytest.mark.parametrize("has_lock", [True, False])
def test_a_run_that_cannot_be_written_is_evaluated_and_said_not_to_be_recorded(run, tmp_path, capsys, has_lock):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a file system")
    try:
        copy = Path(shutil.copytree(run, disk / "run"))
        (copy / ".lock").unlink(missing_ok=True)
        if has_lock:
            (copy / ".lock").touch()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert main([str(copy)]) == 1
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    said = capsys.readouterr()
    assert "recorded    yes, the same score bit for bit\nadded to    nothing: it cannot be written\n" in said.out
    assert (
        "an evaluation is recorded in the run's run.json, which cannot be written: Read-only file system. " in said.err
    )
    assert ".lock" not in said.err
    assert "Copy the run to where you may write" in said.err


def test_what_only_trust_allows_is_told_in_options(run, said):
    with (run / "config.yaml").open("a") as file:
        file.write("#" * (1 << 20))
    out = said(1, run)
    assert "If you know who made the run and trust them, add --trust." in out
    assert "trust=True" not in out


def test_help_says_which_samples_are_measured(said):
    out = said(0, "--help")
    assert "it decides which of its samples are the split" in out
    assert "data.test_fraction=0.5 --split test" in out
