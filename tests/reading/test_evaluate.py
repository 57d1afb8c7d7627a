"""`run.evaluate`: the best checkpoint gives its score again, and the process that asked is as it was."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import keepbest
from keepbest.errors import ConfigError, DataError, IntegrityError, KeepbestError, RecordError

MODULE = """
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset, random_split

seen = {}


class Line(LightningModule):
    def __init__(self, fails=None):
        super().__init__()
        self.fails = fails
        self.net = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 1))

    def training_step(self, batch):
        return nn.functional.mse_loss(self.net(batch[0]), batch[1])

    def validation_step(self, batch):
        seen["threads"] = torch.get_num_threads()
        if seen.get("fails"):
            raise seen["fails"]
        self.log("val_loss", self.training_step(batch), batch_size=len(batch[0]), logger=False)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.05)


class Named(Line):
    def validation_step(self, batch, batch_index, dataloader_idx=0):
        self.log("val_loss", self.training_step(batch), batch_size=len(batch[0]))


class WithTest(Line):
    def test_step(self, batch):
        self.log("test_loss", self.training_step(batch))


class Drawn(LightningDataModule):
    # the split is drawn from the global generator, and only for the fit
    def __init__(self, size=50):
        super().__init__()
        self.size, self.fits = size, 0

    def setup(self, stage):
        if stage == "fit":
            x = torch.arange(2.0 * self.size).reshape(self.size, 2) / self.size
            self.parts = random_split(TensorDataset(x, x.sin().sum(1, keepdim=True)), [0.6, 0.4])

    def train_dataloader(self):
        self.fits += 1
        return DataLoader(self.parts[0], 8, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.parts[1], 8)

    def state_dict(self):
        return {"fits": self.fits}

    def load_state_dict(self, state):
        seen["state"] = state


class Empty(Drawn):
    def val_dataloader(self):
        return DataLoader(TensorDataset(torch.zeros(0, 2), torch.zeros(0, 1)))


class Numbers(IterableDataset):
    def __iter__(self):
        return iter((torch.zeros(2), torch.zeros(1)) for _ in range(12))


class Stream(Drawn):
    def val_dataloader(self):
        return DataLoader(Numbers(), 8)


class TrainedOn(Drawn):
    def val_dataloader(self):
        return DataLoader(self.parts[0], 8)


class Several(Drawn):
    def val_dataloader(self):
        data = TensorDataset(torch.zeros(10, 2), torch.zeros(10, 1))
        return [DataLoader(data, 4), DataLoader(data, 4, drop_last=True)]


class Says(Callback):
    def on_validation_epoch_end(self, trainer, module):
        module.log("said", 7.0)


def forbidden(**arguments):
    seen["called"] = True
"""
NAME = "lines_to_evaluate"
SETTINGS = ("~model", "~data", f"+model._target_={NAME}.Line", f"+data._target_={NAME}.Drawn", "trainer.max_epochs=3")


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The user's own module, where they work."""
    (tmp_path / f"{NAME}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop(NAME, None)


@pytest.fixture
def run(honest_run):
    return keepbest.open_run(honest_run)


def state() -> list[object]:
    switches = [torch.get_num_threads(), torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled()]
    generators = [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]
    return [*switches, *generators, dict(os.environ), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]


def tree(directory: Path) -> dict[str, tuple[int, int]]:
    states = {path: path.lstat() for path in directory.rglob("*")}
    return {str(path): (found.st_size, found.st_mtime_ns) for path, found in states.items()}


def score_of(run) -> float:
    return run.record["best_model_score"]


def test_the_recorded_score_and_the_recorded_tests_come_out_again_bit_for_bit(run):
    found = run.evaluate()
    assert found["val_loss"] == score_of(run)
    assert found == run.evaluate("val", device="cpu")
    assert run.evaluate("test") == run.record["test"]
    assert set(found) == {"val_loss", "val_acc"}


@pytest.mark.filterwarnings("error")
def test_nothing_is_written_said_or_left_behind(copied, tmp_path, monkeypatch, capfd):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PL_GLOBAL_SEED", "5")
    random.random(), np.random.rand(), torch.rand(1)
    run = keepbest.open_run(copied)
    before, files = state(), tree(tmp_path)
    run.evaluate()
    run.evaluate("test")
    assert state() == before
    assert tree(tmp_path) == files
    assert "evaluations" in run.record
    assert not run.record["evaluations"]
    assert capfd.readouterr() == ("", "")


def test_what_the_trainers_settings_switch_is_switched_back(copied):
    from keepbest.composition.resolved import read_config, write_config

    config = read_config(copied)
    config["trainer"] |= {
        "deterministic": True,
        "benchmark": True,
        "default_root_dir": "elsewhere",
        "profiler": "simple",
    }
    write_config(copied, config)
    run, before = keepbest.open_run(copied), state()
    with pytest.warns(UserWarning, match="deterministic=True"):
        assert run.evaluate()["val_loss"] == score_of(run)
    assert state() == before


@pytest.mark.parametrize("threads", [2, 3])
def test_it_computes_with_the_runs_number_of_threads(mine, run_job, edit_record, threads):
    job_dir, _ = run_job(*SETTINGS)
    environment = {**keepbest.open_run(job_dir).record["environment"], "threads": threads}
    edit_record(job_dir, environment=environment)
    before = torch.get_num_threads()
    keepbest.open_run(job_dir, modules=[NAME]).evaluate()
    assert sys.modules[NAME].seen["threads"] == threads
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("threads", [-1, 0, 10**9, 10**30])
def test_a_number_of_threads_that_no_machine_has_is_ignored(copied, edit_record, threads):
    environment = keepbest.open_run(copied).record["environment"]
    edit_record(copied, environment={**environment, "threads": threads})
    run = keepbest.open_run(copied)
    assert run.evaluate()["val_loss"] == score_of(run)


def test_samples_are_counted_where_loaders_know_them(mine, run_job):
    job_dir, _ = run_job(*SETTINGS, f"model._target_={NAME}.Named")
    run = keepbest.open_run(job_dir, modules=[NAME])
    counts = {"Drawn": 20, "Several": 18, "Stream": None}
    assert {name: run.evaluation(data={"_target_": f"{NAME}.{name}"}).samples for name in counts} == counts


def test_a_split_that_is_drawn_for_the_fit_is_the_same_one(mine, run_job):
    job_dir, record = run_job(*SETTINGS)
    assert record.verified.exact
    run = keepbest.open_run(job_dir, modules=[NAME])
    torch.manual_seed(987)
    assert run.evaluate() == {"val_loss": score_of(run)}, "also where it is logged for callbacks only"
    assert sys.modules[NAME].seen["state"] == {"fits": 1}


@pytest.mark.parametrize(
    "settings",
    [
        ["trainer.limit_val_batches=3", "trainer.limit_test_batches=1"],
        ["trainer.precision=64-true"],
        ["trainer.precision=bf16-mixed"],
        ["trainer.overfit_batches=2"],
        ["model=cnn", "model.channels=[4]", "objective=val_acc"],
        ["+trainer.inference_mode=false"],
        ["data=diabetes", "model=regressor"],
        ["seed=null"],
    ],
    ids=" ".join,
)
@pytest.mark.filterwarnings("ignore")
def test_settings_that_change_numbers_hold(run_job, settings):
    job_dir, record = run_job("trainer.max_epochs=2", "guards.overlap=false", *settings)
    run = keepbest.open_run(job_dir)
    assert record.verified.exact
    assert run.evaluate()[record.objective.monitor] == score_of(run)
    assert run.evaluate("test") == record.test


@pytest.mark.filterwarnings("error")
def test_samples_that_the_model_was_trained_on_are_found_whatever_their_split_is_drawn_from(mine, run_job):
    job_dir, record = run_job(*SETTINGS)
    run, before = keepbest.open_run(job_dir, modules=[NAME]), state()
    assert run.evaluate(data=dict(run.config["data"])) == {"val_loss": record.best_model_score}, "it warns of nothing"
    assert run.evaluation(data=dict(run.config["data"])).overlap == 0
    assert run.evaluation().overlap is None
    again = {"_target_": f"{NAME}.TrainedOn"}
    assert run.evaluation(data=again).overlap == 30
    rule = "30 of 30 samples are among those the model was trained on: on these the scores say nothing of new data"
    with pytest.warns(UserWarning, match=rf"^{rule}\.$") as caught:
        run.evaluate(data=again)
    assert caught[0].filename == __file__, "it points at the call"
    assert state() == before
    with pytest.warns(UserWarning, match="not looked at, .* their loaders serve no single samples"):
        run.evaluate(data={"_target_": f"{NAME}.Stream"})


@pytest.mark.parametrize("limit", ["limit_train_batches", "overfit_batches"])
@pytest.mark.filterwarnings("ignore:.*overfit")
def test_samples_that_a_limited_training_may_not_have_seen_are_not_called_trained_on(mine, run_job, limit):
    job_dir, _ = run_job(*SETTINGS, f"trainer.{limit}=2")
    run, told = keepbest.open_run(job_dir, modules=[NAME]), []
    split = f"those of the split that the model was trained from, limited by trainer.{limit}"
    with pytest.warns(UserWarning, match=f"^30 of 30 samples are among {split}: how many of them .* is not known"):
        run.evaluate(data={"_target_": f"{NAME}.TrainedOn"})
    assert run.evaluation(data={"_target_": f"{NAME}.TrainedOn"}, tell=told.append).overlap is None
    assert told[0].found == 30
    assert run.evaluation(data=dict(run.config["data"])).overlap == 0, "of none it is known"


@pytest.mark.parametrize(
    ("trainer", "limit"),
    [
        ({}, ""),
        ({"limit_train_batches": None, "overfit_batches": 0.0}, ""),
        ({"limit_train_batches": 1.0}, ""),
        ({"limit_train_batches": 1}, "limit_train_batches"),
        ({"limit_train_batches": 0.5}, "limit_train_batches"),
        ({"overfit_batches": 0.01}, "overfit_batches"),
        ({"limit_train_batches": ["x"]}, "limit_train_batches"),
    ],
    ids=str,
)
def test_what_limits_a_training(trainer, limit):
    from keepbest.reading.trained_samples import limit_of

    assert limit_of(trainer) == limit


def test_what_is_left_out_of_the_comparison_is_told(run, monkeypatch):
    from keepbest.reading import trained_samples

    monkeypatch.setattr(trained_samples, "_MOST_SAMPLES", 100)
    other = {"_target_": "keepbest.data.Digits", "split_seed": 7}
    with pytest.warns(UserWarning, match="100 of 359 were looked for among 100 of 1079, the others were left out"):
        run.evaluate(data=other)
    monkeypatch.setattr(trained_samples, "_MOST_SAMPLES", 2)
    told = []
    assert run.evaluation(data=other, tell=told.append).overlap == 0
    assert str(told[0]).startswith("none of 2 samples was found among those the model was trained on; 2 of 359 were")


GONE = {
    "a file": ({"_target_": "keepbest.data.CsvTable", "path": "gone.csv", "target": "x"}, "path must name a file"),
    "a class that is not allowed": ({"_target_": "theirs.Data"}, r"own data is not allowed, theirs\.Data\.$"),
    "a class that is not there": ({"_target_": "keepbest.data.Nothing"}, "Nothing"),
    "no config": ("digits", "must be a mapping"),
}


@pytest.mark.parametrize(("own", "reason"), GONE.values(), ids=GONE)
def test_own_data_that_cannot_be_read_keep_nobody_from_an_evaluation_and_that_is_said(copied, own, reason):
    from keepbest.composition.resolved import read_config, write_config

    data = {"_target_": "keepbest.data.Digits", "split_seed": 7}
    expected = keepbest.open_run(copied).evaluation(data=data).metrics
    write_config(copied, {**read_config(copied), "data": own})
    run = keepbest.open_run(copied)
    with pytest.warns(UserWarning, match=f"not looked at, whether samples are among those .*: .*{reason}"):
        assert run.evaluate(data=data) == expected
    assert run.evaluation(data=data).overlap is None


@pytest.mark.filterwarnings("ignore:.*the model was trained on")
def test_other_data_are_evaluated_whole(run_job):
    job_dir, _ = run_job("trainer.max_epochs=2", "trainer.limit_val_batches=1")
    run = keepbest.open_run(job_dir)
    assert run.evaluation().samples == run.config["data"]["batch_size"]
    assert run.evaluation(data=dict(run.config["data"])).samples == 359
    whole = run.evaluate(data={**run.config["data"], "batch_size": 500})
    assert whole["val_loss"] != score_of(run)
    assert run.evaluate(data=dict(run.config["data"]))["val_acc"] == whole["val_acc"]
    entry = run.evaluation("test", data={"_target_": "keepbest.data.Digits", "split_seed": 3})
    assert (entry.split, entry.data["split_seed"], entry.device) == ("test", 3, "cpu")
    assert entry.best_sha256 == run.record["best_sha256"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("BreastCancer", r"input_shape \[1, 8, 8\], BreastCancer has \[30\]"),
        ("Shapes", r"input_shape \[1, 8, 8\], Shapes has"),
    ],
)
def test_data_that_the_model_was_not_made_for_are_refused(run, target, message):
    with pytest.raises(ConfigError, match=f"data must be such as the model was trained on: .*{message}"):
        run.evaluate(data={"_target_": f"keepbest.data.{target}"})


def test_data_of_a_users_own_that_do_not_fit_are_told_in_one_message(mine, run):
    run = keepbest.open_run(run.directory, modules=[NAME])
    with pytest.raises(ConfigError, match=r"input_shape \[1, 8, 8\], Drawn has \[2\]; RuntimeError: mat1"):
        run.evaluate(data={"_target_": f"{NAME}.Drawn"})


HOSTILE = {
    "a function": ({"_target_": f"{NAME}.forbidden"}, "calls no functions"),
    "a function of Python": ({"_target_": "os.system", "command": "true"}, "_target_"),
    "no data module": ({"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}, "LightningDataModule"),
    "nested": ({"_target_": "keepbest.data.Digits", "batch_size": {"_target_": "os.getcwd"}}, "batch_size"),
    "interpolation": ({"_target_": "keepbest.data.Digits", "batch_size": "${oc.env:HOME}"}, "interpolate"),
    "no target": ({"batch_size": 3}, "must be the config of a data module"),
    "a text": ("digits", "must be the config of a data module"),
    "a number": (5, "must be the config of a data module"),
    "an unknown class": ({"_target_": "keepbest.data.Digit"}, "Did you mean 'Digits'"),
    "a wrong argument": ({"_target_": "keepbest.data.Digits", "batchsize": 3}, "batchsize"),
}


@pytest.mark.parametrize(("data", "message"), HOSTILE.values(), ids=HOSTILE)
def test_what_a_data_config_must_not_name_is_refused_and_not_called(mine, run, data, message):
    import importlib

    module = importlib.import_module(NAME)
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        keepbest.open_run(run.directory, modules=[NAME]).evaluate(data=data)
    assert "called" not in module.seen


def test_a_module_that_was_not_named_is_not_imported(mine, run):
    with pytest.raises(ConfigError, match=rf'modules=\["{NAME}"\]'):
        run.evaluate(data={"_target_": f"{NAME}.Drawn"})
    assert NAME not in sys.modules


@pytest.mark.parametrize("split", ["train", "vall", "", None, 3])
def test_an_unknown_split_is_refused(run, split):
    with pytest.raises(ConfigError, match="split must be one of val, test, got"):
        run.evaluate(split)


def test_what_the_run_has_no_step_loader_or_batch_for_is_told(mine, run_job):
    job_dir, _ = run_job(*SETTINGS)
    run = keepbest.open_run(job_dir, modules=[NAME])
    with pytest.raises(ConfigError, match="on 'test' only with a test_step, Line has none"):
        run.evaluate("test")
    with pytest.raises(DataError, match="the val split must have batches, Empty has none"):
        run.evaluate(data={"_target_": f"{NAME}.Empty"})
    job_dir, _ = run_job(*SETTINGS, f"model._target_={NAME}.WithTest", name="tested")
    with pytest.raises(ConfigError, match="on 'test' only with a test_dataloader, Drawn has none"):
        keepbest.open_run(job_dir, modules=[NAME]).evaluate("test")


def test_callbacks_take_no_part_but_those_of_ones_own_in_a_trusted_run(mine, run_job):
    job_dir, _ = run_job(*SETTINGS, f"+callbacks.says._target_={NAME}.Says")
    assert "said" not in keepbest.open_run(job_dir, modules=[NAME]).evaluate()
    assert keepbest.open_run(job_dir, trust=True).evaluate()["said"] == 7.0


def test_what_goes_wrong_and_ctrl_c_leave_the_process_as_it_was(mine, run_job):
    job_dir, _ = run_job(*SETTINGS)
    run, before = keepbest.open_run(job_dir, modules=[NAME]), state()
    seen = sys.modules[NAME].seen
    for raised, expected in (
        (ValueError("oh"), DataError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (SystemExit(3), SystemExit),
    ):
        seen["fails"] = raised
        with pytest.raises(expected):
            run.evaluate()
        assert state() == before


def test_another_score_than_the_recorded_one_is_a_warning(copied, edit_record):
    edit_record(copied, best_model_score=0.125)
    with pytest.warns(UserWarning, match=r"came out as .*, recorded is 0\.125"):
        keepbest.open_run(copied).evaluate()


@pytest.mark.parametrize(
    "device", ["cuda:99", "cuda:1000", "nonsense", "cpu:x", "", "meta", "xla", "CPU", "mps:7", 3, None], ids=repr
)
def test_a_device_that_is_not_there_is_told_with_those_that_are(run, device):
    rule = f"device must be auto, cpu, .* this machine has, got {device!r}. It has cpu(, (cuda|mps):[0-9])*[.]$"
    with pytest.raises(ConfigError, match=rule):
        run.evaluate(device=device)


@pytest.mark.parametrize("accelerator", ["gpu", "cuda", "mps", "tpu", {"a": 1}, None])
def test_a_run_of_another_machines_accelerator_is_evaluated_on_what_is_here(copied, accelerator):
    from keepbest.composition.resolved import read_config, write_config

    config = read_config(copied)
    config["trainer"] |= {"accelerator": accelerator, "devices": 8, "strategy": "ddp", "num_nodes": 4}
    write_config(copied, config)
    run = keepbest.open_run(copied)
    assert run.evaluate()["val_loss"] == pytest.approx(score_of(run), rel=1e-3)


def test_a_damaged_or_missing_checkpoint_is_no_result(copied, edit_record):
    path = copied / "checkpoints" / "best.ckpt"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match="must have the sha256"):
        keepbest.open_run(copied).evaluate()
    edit_record(copied, best_model_path=None)
    with pytest.raises(RecordError, match="no best model"):
        keepbest.open_run(copied).evaluate()


@pytest.mark.parametrize("trainer", [{"precision": "17"}, {"precision": ["16"]}, {"limit_val_batches": "x"}, "none"])
def test_settings_of_a_hostile_trainer_are_refused_or_ignored(copied, trainer):
    from keepbest.composition.resolved import read_config, write_config

    config = read_config(copied)
    config["trainer"] = {**config["trainer"], **trainer} if isinstance(trainer, dict) else trainer
    write_config(copied, config)
    run = keepbest.open_run(copied)
    if trainer == "none":
        assert run.evaluate()["val_loss"] == score_of(run)
    else:
        with pytest.raises(KeepbestError):
            run.evaluate()


def test_a_read_only_copy_is_evaluated(honest_run, tmp_path):
    copy = shutil.copytree(honest_run, tmp_path / "run")
    for path in (*copy.rglob("*"), copy):
        path.chmod(0o555)
    try:
        assert keepbest.open_run(copy).evaluate()
    finally:
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755)
