"""Members of one training get, each of them, what a job of their own would have left."""

import itertools

import pytest

from keepbest.sweeping.shared_run import execute_shared

ES = "callbacks.early_stopping"


def grid(**settings):
    """Return the override lists of a grid over settings of early stopping."""
    return [[f"{ES}.{key}={value}" for key, value in zip(settings, values, strict=True)]
            for values in itertools.product(*settings.values())]  # fmt: skip


SMALL = ("model.hidden_sizes=[16]", "data.batch_size=128")
FAST = (*SMALL, "model.optimizer.lr=0.03")
PATIENCE = grid(patience=[1, 3], min_delta=[0, 0.02])
LONG, SHORT = "trainer.max_epochs=30", "trainer.max_epochs=20"
SLOW = (
    "patience and min_delta",
    "sparse checks",
    "checks within epochs, min_epochs",
    "min_epochs",
    "maximum",
    "a keeper with min_delta",
    "a check at the last batch of each epoch",
    "checks by batches, across epochs",
    "plateau schedule",
    "double precision",
    "the same twice",
    "regression",
    "checks within epochs, limits",
    "checks within epochs, several kept, saved steps",
    "checks within epochs, weights only",
    "checks within epochs, thresholds",
)
CASES = {
    "patience and min_delta": ((*FAST, "model.dropout=0.2", LONG), grid(patience=[1, 2, 5], min_delta=[0, 1e-3, 0.02])),
    "plateau schedule": ((*FAST, "model/scheduler=plateau", "model.scheduler.patience=0", SHORT), PATIENCE),
    "max_epochs comes first": ((*SMALL, "trainer.max_epochs=4"), grid(patience=[1, 50])),
    "min_epochs": ((*FAST, "trainer.min_epochs=9", SHORT), PATIENCE),
    "max_steps": ((*FAST, "trainer.max_steps=55"), grid(patience=[1, 50])),
    "maximum": (("objective=val_acc", *FAST, SHORT), PATIENCE),
    "a keeper with min_delta": ((*FAST, "callbacks.model_checkpoint.min_delta=0.02", SHORT), PATIENCE),
    "weights only": ((*FAST, "callbacks/model_checkpoint=weights_only", SHORT), grid(patience=[1, 3])),
    "several kept": (
        (*FAST, "callbacks.model_checkpoint.save_top_k=2", "callbacks.model_checkpoint.filename='{epoch}'", SHORT),
        grid(patience=[1, 4]),
    ),
    "sparse checks": ((*FAST, "trainer.check_val_every_n_epoch=2", "trainer.max_epochs=40"), PATIENCE),
    "thresholds": (
        (*FAST, SHORT),
        [
            [f"{ES}.stopping_threshold=0.3"],
            [f"{ES}.stopping_threshold=0.2"],
            [f"{ES}.divergence_threshold=0.5"],
            [f"{ES}.divergence_threshold=5.0", f"{ES}.patience=2"],
        ],
    ),
    "baseline and warm-up": (
        (*FAST, SHORT),
        [
            [f"{ES}.baseline=0.25"],
            [f"{ES}.baseline=0.1", f"{ES}.patience=6"],
            [f"{ES}.start_from_epoch=5", f"{ES}.patience=1"],
        ],
    ),
    "one without early stopping": ((*FAST, SHORT), [[f"{ES}.patience=1"], ["callbacks/early_stopping=off"]]),
    "double precision": ((*FAST, "trainer.precision=64-true", "trainer.max_epochs=12"), grid(patience=[1, 2])),
    "the same twice": ((*FAST, "trainer.max_epochs=12"), grid(patience=[1, 1])),
    "regression": (("experiment=diabetes_regression", "trainer.max_epochs=15"), grid(patience=[1, 3])),
    "checks within epochs": (
        (*FAST, "trainer.val_check_interval=0.25", "model.dropout=0.2", SHORT),
        grid(patience=[2, 2, 5], min_delta=[0.02, 0.05]),
    ),
    "checks within epochs, accumulated gradients, plateau schedule": (
        (
            *FAST,
            "trainer.val_check_interval=0.25",
            "trainer.accumulate_grad_batches=3",
            "model.dropout=0.2",
            "model/scheduler=plateau",
            "model.scheduler.patience=0",
            SHORT,
        ),
        grid(patience=[2, 4], min_delta=[0, 0.05]),
    ),
    "checks by batches, across epochs": (
        (*FAST, "trainer.val_check_interval=7", "trainer.check_val_every_n_epoch=null", "objective=val_acc", SHORT),
        grid(patience=[1, 2, 4], min_delta=[0, 0.02]),
    ),
    "a check at the last batch of each epoch": (
        (*FAST, "trainer.val_check_interval=3", SHORT),
        grid(patience=[1, 2, 3, 4, 5], min_delta=[0.02]),
    ),
    "checks within epochs, min_epochs": (
        (*FAST, "trainer.val_check_interval=0.25", "trainer.min_epochs=2", "trainer.max_epochs=6"),
        [*grid(patience=[1, 2, 4], min_delta=[0, 0.05]), [f"{ES}.patience=50"], ["callbacks/early_stopping=off"]],
    ),
    "checks within epochs, limits": (
        (*FAST, "trainer.val_check_interval=0.25", "trainer.max_steps=40", "+trainer.min_steps=12"),
        [*grid(patience=[1, 3], min_delta=[0.05]), [f"{ES}.patience=50"]],
    ),
    "checks within epochs, several kept, saved steps": (
        (
            *FAST,
            "trainer.val_check_interval=2",
            "callbacks.model_checkpoint.save_top_k=2",
            "callbacks.model_checkpoint.filename='{epoch}-{step}'",
            SHORT,
            "callbacks.model_checkpoint.save_last_every_n_train_steps=3",
        ),
        grid(patience=[1, 3], min_delta=[0, 0.02]),
    ),
    "checks within epochs, weights only": (
        (*FAST, "trainer.val_check_interval=0.5", "callbacks/model_checkpoint=weights_only", SHORT),
        grid(patience=[1, 2], min_delta=[0, 0.05]),
    ),
    "checks within epochs, thresholds": (
        (*FAST, "trainer.val_check_interval=0.25", SHORT),
        [
            [f"{ES}.stopping_threshold=0.5"],
            [f"{ES}.stopping_threshold=0.3"],
            [f"{ES}.divergence_threshold=1.0"],
            [f"{ES}.patience=6"],
        ],
    ),
}


@pytest.mark.parametrize(
    ("common", "members"),
    [pytest.param(*case, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, case in CASES.items()],
)
def test_each_member_has_what_a_job_of_its_own_leaves(common, members, share, alone, differences, record_of, caplog):
    training, directories = share(common, members)
    record = execute_shared(training)
    assert "trained from the beginning" not in caplog.text
    results = [alone([*common, *member], str(number)) for number, member in enumerate(members)]
    found = {str(members[i]): differences(directories[i], results[i]) for i in range(len(members))}
    assert {member: names for member, names in found.items() if names} == {}
    trained = [record_of(directory)["timing"]["epochs_trained"] for directory in directories]
    assert record.timing.epochs_trained == max(trained), "not an epoch more than the longest needs"
    assert not (training / "kept").exists()


def test_a_best_checkpoint_lies_on_the_disk_once(share, record_of):
    training, directories = share((*FAST, "trainer.max_epochs=30"), grid(patience=[1, 2, 5], min_delta=[0, 1e-3, 0.02]))
    execute_shared(training)
    bests = [record_of(directory)["best_step"] for directory in directories]
    inodes = {(directory / "checkpoints" / "best.ckpt").stat().st_ino for directory in directories}
    assert len(inodes) == len(set(bests)) > 1


NAN = """
import torch
from keepbest.models import MLPClassifier

class Explodes(MLPClassifier):
    '''Its loss is no number from an epoch on, and a number again from another.'''
    def __init__(self, nan_from, nan_until=10**6, **settings):
        super().__init__(**settings)
        self.nan_from, self.nan_until = nan_from, nan_until
    def validation_step(self, batch):
        super().validation_step(batch)
        fits = self.trainer.state.fn == "fit" and not self.trainer.sanity_checking
        if fits and self.nan_from <= self.current_epoch < self.nan_until:
            self._epochs["val"].add(1, {"loss": torch.tensor(float("nan"))})
"""


@pytest.mark.parametrize(("first", "until"), [(0, 10**6), (4, 10**6), (3, 6)])
def test_values_that_are_no_numbers(first, until, share, alone, tmp_path, monkeypatch, differences):
    (tmp_path / "exploding.py").write_text(NAN)
    monkeypatch.syspath_prepend(tmp_path)
    common = (
        *FAST,
        "model._target_=exploding.Explodes",
        f"+model.nan_from={first}",
        f"+model.nan_until={until}",
        "trainer.max_epochs=12",
    )
    members = [
        [f"{ES}.patience=2"],
        [f"{ES}.patience=3", f"{ES}.check_finite=false"],
        [f"{ES}.patience=6", f"{ES}.check_finite=false"],
    ]
    training, directories = share(common, members)
    execute_shared(training)
    for number, member in enumerate(members):
        assert differences(directories[number], alone([*common, *member], str(number))) == [], member


DICE = """
import torch
from keepbest.models import MLPClassifier

class Dice(MLPClassifier):
    '''Tests with random numbers, as a model that samples does.'''
    def test_step(self, batch):
        inputs, targets = batch
        super().test_step((inputs + 0.3 * torch.randn_like(inputs), targets))
"""


def test_an_evaluation_with_random_numbers_has_those_of_each_members_own_end(
    share, alone, tmp_path, monkeypatch, differences, record_of
):
    (tmp_path / "dice.py").write_text(DICE)
    monkeypatch.syspath_prepend(tmp_path)
    common = (*FAST, "model._target_=dice.Dice", "trainer.max_epochs=30")
    members = grid(patience=[1, 2], min_delta=[0, 0.02])
    training, directories = share(common, members)
    execute_shared(training)
    for number, member in enumerate(members):
        assert differences(directories[number], alone([*common, *member], str(number))) == [], member
    tests = {str(record_of(directory)["test"]) for directory in directories}
    assert len(tests) > len({record_of(directory)["best_step"] for directory in directories}), (
        "the dice fell differently"
    )


KNOWS = """
from keepbest.models import MLPClassifier

class Knows(MLPClassifier):
    '''Evaluates by how far the training is, and by what it remembers of it; a list grows, as in many modules.'''
    def __init__(self, ends=False, **settings):
        super().__init__(**settings)
        self.epochs, self.losses, self.ends = 0, [], ends
    def on_train_epoch_end(self):
        super().on_train_epoch_end()
        self.epochs += 1
        self.losses.append(float(self.trainer.callback_metrics["val_loss"]))
    def on_train_end(self):
        if self.ends:
            self.epochs += 1000
    def on_test_epoch_end(self):
        super().on_test_epoch_end()
        self.log("test_epoch", float(self.trainer.current_epoch))
        self.log("test_step_number", float(self.global_step))
        self.log("test_epochs", float(self.epochs))
        self.log("test_losses", float(sum(self.losses)))
        self.epochs += 1
"""


@pytest.mark.parametrize(
    "ends",
    [
        pytest.param(False, id="while it trains"),
        pytest.param(True, id="and its end changes that", marks=pytest.mark.slow),
    ],
)
def test_a_module_is_evaluated_with_what_it_knew_at_each_members_own_end(
    ends, share, alone, tmp_path, monkeypatch, differences, caplog
):
    (tmp_path / "knowing.py").write_text(KNOWS)
    monkeypatch.syspath_prepend(tmp_path)
    common = (*FAST, "model._target_=knowing.Knows", f"+model.ends={ends}", "trainer.max_epochs=14")
    members = grid(patience=[1, 2, 30], min_delta=[0, 0.02])
    training, directories = share(common, members)
    execute_shared(training)
    assert ("is trained from the beginning" in caplog.text) == ends
    for number, member in enumerate(members):
        assert differences(directories[number], alone([*common, *member], str(number))) == [], member


DIES = """
import os
from pathlib import Path
from lightning.pytorch import Callback

class Dies(Callback):
    '''Ends the process in the middle of given epochs, once each.'''
    def __init__(self, flags, epochs):
        self.flags, self.epochs = Path(flags), epochs
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        flag = self.flags / str(trainer.current_epoch)
        if trainer.current_epoch in self.epochs and batch_idx == 1 and flag.exists():
            flag.unlink()
            raise RuntimeError("the lights went out")
    def on_test_start(self, trainer, pl_module):
        flag = self.flags / "test"
        if flag.exists():
            flag.unlink()
            raise RuntimeError("the lights went out")
"""


@pytest.mark.slow
def test_a_shared_training_that_died_goes_on_for_all(share, alone, tmp_path, monkeypatch, differences, record_of):
    (tmp_path / "dying_in_epochs.py").write_text(DIES)
    monkeypatch.syspath_prepend(tmp_path)
    flags = tmp_path / "flags"
    flags.mkdir()
    common = (
        *FAST,
        "model.dropout=0.2",
        "trainer.max_epochs=30",
        f"+callbacks.dies={{_target_: dying_in_epochs.Dies, flags: {flags}, epochs: [0,2,5,7]}}",
    )
    members = grid(patience=[1, 2, 5], min_delta=[0, 1e-3, 0.02])
    expected = [alone([*common, *member], str(number)) for number, member in enumerate(members)]
    training, directories = share(common, members)
    for name in ("0", "2", "5", "7", "test"):
        (flags / name).touch()
    for attempt in range(5):
        with pytest.raises(RuntimeError, match="the lights went out"):
            execute_shared(training)
        statuses = {record_of(directory)["status"] for directory in directories}
        assert statuses <= {"failed", "completed"}, attempt
    execute_shared(training)
    for number, member in enumerate(members):
        assert differences(directories[number], expected[number]) == [], member
    assert not any(flags.iterdir())
