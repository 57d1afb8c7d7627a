"""keepbest's ModelCheckpoint: Lightning's, whose best is the strict optimum and stays it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.callbacks import ModelCheckpoint as StockModelCheckpoint
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from keepbest.callbacks.model_checkpoint import ModelCheckpoint
from keepbest.errors import ConfigError

Make = Callable[..., Any]
NAN, INF = math.nan, math.inf

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")


@pytest.fixture
def fit(scripted: Make, make_trainer: Make) -> Callable[..., Trainer]:
    """Fit the scripted module, one epoch for each score unless told otherwise."""

    def run(keeper: Any, scores: list[float], ckpt_path: Any = None, **settings: Any) -> Trainer:
        wanted = {"max_epochs": len(scores), "enable_checkpointing": True, **settings}
        callbacks = keeper if isinstance(keeper, list) else [keeper]
        trainer = make_trainer(*callbacks, **wanted)
        trainer.fit(scripted(scores), ckpt_path=ckpt_path)
        return trainer

    return run


def epoch_of(path: str | Path) -> int:
    return int(torch.load(path, weights_only=True)["epoch"])


# What is Lightning's stays Lightning's.

SHARED: dict[str, dict[str, Any]] = {
    "defaults": {},
    "best": {"monitor": "score"},
    "best, highest": {"monitor": "score", "mode": "max"},
    "two best": {"monitor": "score", "save_top_k": 2},
    "all": {"monitor": "score", "save_top_k": -1},
    "none": {"monitor": "score", "save_top_k": 0, "save_last": True},
    "last": {"monitor": "score", "save_last": True},
    "a link": {"monitor": "score", "save_last": "link"},
    "every second epoch": {"monitor": "score", "every_n_epochs": 2},
    "by steps": {"every_n_train_steps": 3, "save_top_k": -1},
    "by steps, monitored": {"monitor": "score", "every_n_train_steps": 4},
    "named": {"monitor": "score", "filename": "x-{epoch:02d}-{score:.2f}"},
    "named without the metric's name": {"monitor": "score", "filename": "{score}", "auto_insert_metric_name": False},
    "one name": {"monitor": "score", "filename": "best", "save_top_k": 2},
    "after validation": {"monitor": "score", "save_on_train_epoch_end": False},
    "weights": {"monitor": "score", "save_weights_only": True, "save_last": True},
}


@pytest.mark.parametrize("arguments", SHARED.values(), ids=SHARED)
@pytest.mark.parametrize("validations", [1, 2])
def test_with_shared_arguments_it_leaves_what_lightnings_leaves(
    fit: Make, tmp_path: Path, arguments: dict[str, Any], validations: int
) -> None:
    """The same files, and the same attributes."""
    left = []
    for kind in StockModelCheckpoint, ModelCheckpoint:
        folder = tmp_path / kind.__module__
        keeper = kind(folder, **arguments)
        fit(keeper, [3, 1, 2, 1, 0.5, 4], val_check_interval=1 / validations)
        state = {name: str(value).replace(str(folder), "") for name, value in keeper.state_dict().items()}
        files = sorted(path.name for path in folder.iterdir())
        left.append((files, [epoch_of(folder / name) for name in files], state, keeper.state_key))
    assert left[0] == left[1]
    assert left[0][0]


def test_a_finite_series_with_infinities_at_the_good_end_is_kept_as_lightning_keeps_it(
    fit: Make, tmp_path: Path
) -> None:
    scores = []
    for kind in StockModelCheckpoint, ModelCheckpoint:
        keeper = kind(tmp_path / kind.__module__, monitor="score", mode="max")
        fit(keeper, [1, INF, 2])
        scores.append((float(keeper.best_model_score), Path(keeper.best_model_path).name))
    assert scores[0] == scores[1] == (INF, "epoch=1-step=8.ckpt")


# save_best_only


@pytest.mark.parametrize("verbose", [True, 1])
def test_save_best_only_leaves_the_one_best_and_its_path(fit: Make, tmp_path: Path, verbose: Any) -> None:
    keeper = ModelCheckpoint(
        dirpath=tmp_path, filename="best-checkpoint", monitor="score", mode="min", save_best_only=True, verbose=verbose
    )
    fit(keeper, [3, 1, 2])
    assert [path.name for path in tmp_path.iterdir()] == ["best-checkpoint.ckpt"]
    assert Path(keeper.best_model_path) == tmp_path / "best-checkpoint.ckpt"
    assert float(keeper.best_model_score) == 1
    assert epoch_of(keeper.best_model_path) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"save_best_only": True},
        {"save_best_only": True, "monitor": "score", "save_top_k": 3},
        {"save_best_only": True, "monitor": "score", "save_top_k": -1},
        {"min_delta": 0.1},
        {"min_delta": 0.1, "monitor": "score", "save_top_k": 2},
    ],
)
def test_one_best_needs_a_monitor_and_one_place(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"keeps one best checkpoint: it needs monitor, and save_top_k=1, got "):
        ModelCheckpoint(**arguments)


@pytest.mark.parametrize("min_delta", [-0.1, "x", NAN])
def test_a_min_delta_that_cannot_work_is_refused(min_delta: Any) -> None:
    with pytest.raises(ConfigError, match="min_delta must"):
        ModelCheckpoint(monitor="score", min_delta=min_delta)


def test_with_min_delta_only_improvements_by_it_replace_the_best(fit: Make, tmp_path: Path) -> None:
    keeper = ModelCheckpoint(tmp_path, monitor="score", min_delta=0.5)
    fit(keeper, [3, 2.75, 2.5, 2.25, 2])
    assert (float(keeper.best_model_score), epoch_of(keeper.best_model_path)) == (2.25, 3)


# NaN


@pytest.mark.parametrize("arguments", [{}, {"save_top_k": 3}, {"save_top_k": -1}, {"save_best_only": True}])
@pytest.mark.parametrize(("mode", "worst"), [("min", INF), ("max", -INF)])
def test_a_run_whose_metric_was_never_a_number_has_no_best(
    fit: Make, tmp_path: Path, arguments: dict[str, Any], mode: str, worst: float
) -> None:
    keeper = ModelCheckpoint(tmp_path, monitor="score", mode=mode, **arguments)
    fit(keeper, [NAN, worst, NAN])
    assert (keeper.best_model_path, keeper.best_model_score) == ("", None)
    assert len(list(tmp_path.iterdir())) == (3 if arguments.get("save_top_k") == -1 else 0)


@pytest.mark.parametrize("save_top_k", [1, 2, -1])
@pytest.mark.parametrize("scores", [[NAN, 2, 1, NAN], [2, NAN, 1], [1, NAN, NAN], [INF, NAN, 1]])
def test_nan_is_never_among_the_best(fit: Make, tmp_path: Path, save_top_k: int, scores: list[float]) -> None:
    keeper = ModelCheckpoint(tmp_path, monitor="score", save_top_k=save_top_k)
    fit(keeper, scores)
    assert float(keeper.best_model_score) == 1
    assert epoch_of(keeper.best_model_path) == scores.index(1)
    if save_top_k > 0:
        assert all(math.isfinite(score) for score in keeper.best_k_models.values())


# save_last


def test_the_last_checkpoint_is_that_of_every_epoch(fit: Make, tmp_path: Path) -> None:
    """Lightning's `save_last=True` writes it only where a best one is saved."""
    seen: list[int] = []

    class Looks(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            seen.extend([epoch_of(tmp_path / "last.ckpt")] if trainer.current_epoch else [])

    best = {"filename": "best", "monitor": "score", "save_weights_only": True}
    keeper = ModelCheckpoint(tmp_path, **best, save_last="every_epoch")
    trainer = fit([keeper, Looks()], [1, 2, 3, 4])
    assert seen == [0, 1, 2]
    assert keeper.last_model_path == str(tmp_path / "last.ckpt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.ckpt", "last.ckpt"]
    best, last = (torch.load(tmp_path / f"{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert (best["epoch"], last["epoch"], trainer.current_epoch) == (0, 3, 4)
    assert "optimizer_states" not in best
    assert last["optimizer_states"], "the last one is whole: a training can be resumed from it"
    assert last["callbacks"][keeper.state_key]["best_model_path"] == str(tmp_path / "best.ckpt")


def test_the_last_checkpoint_comes_once_an_epoch_and_after_its_end(fit: Make, tmp_path: Path) -> None:
    steps: list[int] = []

    class Keeper(ModelCheckpoint):
        def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
            super()._save_checkpoint(trainer, filepath)
            steps.extend([trainer.global_step] if filepath.endswith("last.ckpt") else [])

    fit(Keeper(tmp_path, monitor="score", save_last="every_epoch"), [4, 3, 2, 1], max_epochs=2, val_check_interval=0.5)
    assert steps == [4, 8]


STEPS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "every third": ({"every": 3}, [3, 4, 6, 8, 9, 12]),
    "every one": ({"every": 1}, list(range(1, 13))),
    "only epochs' ends": ({"every": 4}, [4, 8, 12]),
    "more than an epoch": ({"every": 9}, [4, 8, 9, 12]),
    "accumulated": ({"every": 1, "accumulate_grad_batches": 3}, [1, 2, 3, 4, 5, 6]),
    "beside validations": ({"every": 3, "val_check_interval": 1}, [3, 4, 6, 8, 9, 12]),
    "beside saves by steps": ({"every": 3, "every_n_train_steps": 1, "monitor": None}, [3, 4, 6, 8, 9, 12]),
}


@pytest.mark.parametrize(("settings", "expected"), STEPS.values(), ids=STEPS)
def test_the_last_checkpoint_also_comes_after_so_many_steps_and_once_at_an_epochs_end(
    fit: Make, tmp_path: Path, settings: dict[str, Any], expected: list[int]
) -> None:
    """An epoch of four batches: each of its steps that is a multiple, but not the last."""
    steps: list[int] = []
    arguments = {"monitor": "score", "save_last_every_n_train_steps": settings.pop("every")}
    arguments |= {name: settings.pop(name) for name in ("every_n_train_steps", "monitor") if name in settings}

    class Keeper(ModelCheckpoint):
        def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
            super()._save_checkpoint(trainer, filepath)
            steps.extend([trainer.global_step] if filepath.endswith("last.ckpt") else [])

    fit(Keeper(tmp_path, save_last="every_epoch", **arguments), [4, 3, 2], **settings)
    assert steps == expected
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == expected[-1]


@pytest.mark.parametrize("kept", [{}, {"save_top_k": -1}, {"save_top_k": 2, "min_delta": 0.0}], ids=str)
def test_the_best_are_kept_as_without_saves_after_so_many_steps(
    fit: Make, tmp_path: Path, kept: dict[str, Any]
) -> None:
    """Where gradients are accumulated, a validation comes at a step at which the last one was saved already."""
    left = []
    for every in None, 1:
        folder = tmp_path / str(every)
        keeper = ModelCheckpoint(
            folder, monitor="score", save_last="every_epoch", save_last_every_n_train_steps=every, **kept
        )
        fit(keeper, [4, 3, 2, 5, 1, 6, 7], max_epochs=2, val_check_interval=1, accumulate_grad_batches=3)
        scores = {Path(path).name: float(score) for path, score in keeper.best_k_models.items()}
        left.append((sorted(path.name for path in folder.iterdir()), scores))
    assert left[0] == left[1]


def test_a_best_that_is_found_before_the_first_step_of_an_epoch_is_kept(fit: Make, tmp_path: Path) -> None:
    """The last checkpoint was saved at the same step, when the epoch before had ended."""
    keeper = ModelCheckpoint(tmp_path, monitor="score", save_last="every_epoch")
    settings = {"val_check_interval": 3, "check_val_every_n_epoch": None, "accumulate_grad_batches": 3}
    fit(keeper, [4, 3], max_epochs=2, **settings)
    assert (keeper.best_model_score, epoch_of(keeper.best_model_path)) == (3, 1)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True, "3"])
def test_a_number_of_steps_that_cannot_work_is_refused(steps: Any) -> None:
    with pytest.raises(ConfigError, match="must be a whole number of optimizer steps, at least 1, got"):
        ModelCheckpoint(save_last="every_epoch", save_last_every_n_train_steps=steps)


@pytest.mark.parametrize("save_last", [None, True, False, "link"])
def test_saves_after_so_many_steps_need_those_of_every_epoch(save_last: Any) -> None:
    with pytest.raises(ConfigError, match=r"save_last_every_n_train_steps needs save_last='every_epoch', got"):
        ModelCheckpoint(save_last=save_last, save_last_every_n_train_steps=3)


def test_without_any_save_by_score_there_is_a_last_one(fit: Make, tmp_path: Path) -> None:
    fit(ModelCheckpoint(tmp_path, save_top_k=0, save_last="every_epoch"), [1, 2])
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_fast_dev_run_saves_nothing(fit: Make, tmp_path: Path) -> None:
    fit(ModelCheckpoint(tmp_path / "none", save_last="every_epoch"), [1], fast_dev_run=True)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("save_last", ["every-epoch", "yes", 2])
def test_another_save_last_is_refused(save_last: Any) -> None:
    with pytest.raises(MisconfigurationException, match=f"'link' or 'every_epoch', got {save_last!r}"):
        ModelCheckpoint(save_last=save_last)


# Names of files


def test_an_unknown_metric_in_the_name_is_an_error_with_a_suggestion(fit: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'scor' was not; logged: .*Did you mean 'score'\?"):
        fit(ModelCheckpoint(tmp_path, filename="{epoch}-{scor:.2f}"), [1])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_metric_in_the_name_does_not_hide_why_the_training_died(fit: Make, tmp_path: Path) -> None:
    class Dies(Callback):
        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            raise RuntimeError("the lights went out")

    keeper = ModelCheckpoint(tmp_path, filename="{epoch}-{score:.2f}", save_on_exception=True)
    with pytest.raises(RuntimeError, match="the lights went out"):
        fit([keeper, Dies()], [1], num_sanity_val_steps=0)
    assert len(list(tmp_path.iterdir())) == 1


# A moved directory

SCORES = [0.5, 0.7, 0.6, 0.4, 0.8]


@pytest.mark.parametrize("copy", [True, False], ids=["copied", "moved"])
@pytest.mark.parametrize("save_top_k", [1, 2])
@pytest.mark.parametrize("stock", [True, False], ids=["by Lightning", "by keepbest"])
def test_the_best_survives_a_moved_directory(
    fit: Make, tmp_path: Path, copy: bool, save_top_k: int, stock: bool
) -> None:
    """Lightning's takes the next epoch, 0.6, for the best."""
    old, new = tmp_path / "old", tmp_path / "new"
    kind: Any = StockModelCheckpoint if stock else ModelCheckpoint
    fit(first := kind(old / "checkpoints", monitor="score", save_top_k=save_top_k), SCORES[:2])
    last = first.best_model_path if save_top_k == 1 else max(first.best_k_models, key=epoch_of)
    (shutil.copytree if copy else shutil.move)(old, new)
    before = {path: path.read_bytes() for path in old.rglob("*.ckpt")}

    keeper = ModelCheckpoint(new / "checkpoints", monitor="score", save_top_k=save_top_k)
    begin = epoch_of(new / "checkpoints" / Path(last).name) + 1
    module_scores = SCORES[begin:]
    fit(keeper, module_scores[:2], ckpt_path=new / "checkpoints" / Path(last).name, max_epochs=begin + 1)
    assert float(keeper.best_model_score) == pytest.approx(0.5)
    assert Path(keeper.best_model_path) == new / "checkpoints" / "epoch=0-step=4.ckpt"
    assert Path(keeper.best_model_path).exists()
    assert {path: path.read_bytes() for path in old.rglob("*.ckpt")} == before, "the other run is left alone"
    assert bool(before) == copy
    assert keeper.kth_best_model_path in keeper.best_k_models
    assert float(keeper.kth_value) == max(map(float, keeper.best_k_models.values()))


def test_a_run_that_goes_on_elsewhere_keeps_the_best_where_it_is(fit: Make, tmp_path: Path) -> None:
    fit(first := ModelCheckpoint(tmp_path / "a", monitor="score", save_last="every_epoch"), [0.5, 0.7])
    keeper = ModelCheckpoint(tmp_path / "b", monitor="score")
    fit(keeper, [0.6, 0.4], ckpt_path=tmp_path / "a" / "last.ckpt", max_epochs=3)
    assert (keeper.best_model_path, float(keeper.best_model_score)) == (first.best_model_path, 0.5)
    keeper = ModelCheckpoint(tmp_path / "b", monitor="score")
    fit(keeper, [0.6, 0.4], ckpt_path=tmp_path / "a" / "last.ckpt", max_epochs=4)
    assert float(keeper.best_model_score) == pytest.approx(0.4)
    assert Path(keeper.best_model_path).parent == tmp_path / "b"
    assert Path(first.best_model_path).exists(), "another run's checkpoint is not removed"


def test_a_best_that_is_nowhere_is_dropped_with_a_warning(fit: Make, tmp_path: Path) -> None:
    first = ModelCheckpoint(tmp_path / "a", monitor="score", save_last="every_epoch", save_top_k=2)
    fit(first, [0.5, 0.7])
    shutil.move(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / Path(first.best_model_path).name).unlink()
    keeper = ModelCheckpoint(tmp_path / "b", monitor="score", save_top_k=2)
    with pytest.warns(UserWarning, match="no longer there cannot be kept: .*epoch=0-step=4.ckpt"):
        fit(keeper, [0.8], ckpt_path=tmp_path / "b" / "last.ckpt", max_epochs=3)
    assert float(keeper.best_model_score) == pytest.approx(0.7)
    assert Path(keeper.best_model_path) == tmp_path / "b" / "epoch=1-step=8.ckpt"


def test_lightnings_class_goes_on_from_keepbests_checkpoint(fit: Make, tmp_path: Path) -> None:
    fit(ModelCheckpoint(tmp_path, monitor="score", save_last="every_epoch", filename="best"), [0.5, 0.7])
    keeper = StockModelCheckpoint(tmp_path, monitor="score", filename="best")
    fit(keeper, [0.6], ckpt_path=tmp_path / "last.ckpt", max_epochs=3)
    assert (float(keeper.best_model_score), keeper.best_model_path) == (0.5, str(tmp_path / "best.ckpt"))


def test_without_a_dirpath_the_best_of_a_moved_run_is_found_beside_the_resumed_checkpoint(
    scripted: Make, make_trainer: Make, tmp_path: Path
) -> None:
    """Lightning gives the resumed training a directory of its own, `version_1`."""
    from lightning.pytorch.loggers import CSVLogger

    def run(root: Path, scores: list[float], epochs: int, ckpt_path: Any = None) -> ModelCheckpoint:
        keeper = ModelCheckpoint(monitor="score", save_last=True)
        settings = {"logger": CSVLogger(root), "enable_checkpointing": True, "max_epochs": epochs}
        make_trainer(keeper, **settings).fit(scripted(scores), ckpt_path=ckpt_path)
        return keeper

    run(tmp_path / "a", [0.7, 0.5], 2)
    shutil.move(tmp_path / "a", tmp_path / "b")
    (last,) = (tmp_path / "b").rglob("last.ckpt")
    keeper = run(tmp_path / "b", [0.6], 3, last)
    assert "version_1" in str(keeper.dirpath)
    assert float(keeper.best_model_score) == 0.5
    assert Path(keeper.best_model_path).exists()
    assert "version_0" in keeper.best_model_path


def test_a_file_of_the_same_name_in_an_occupied_directory_is_another_runs(fit: Make, tmp_path: Path) -> None:
    named = {"monitor": "score", "filename": "best", "save_last": True}
    fit(ModelCheckpoint(tmp_path / "a", **named), [0.7, 0.5])
    fit(ModelCheckpoint(tmp_path / "b", **named), [0.2, 0.1])
    before = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    keeper = ModelCheckpoint(tmp_path / "b", **named)
    fit(keeper, [0.45], ckpt_path=tmp_path / "a" / "last.ckpt", max_epochs=3)
    assert (float(keeper.best_model_score), Path(keeper.best_model_path).name) == (pytest.approx(0.45), "best-v1.ckpt")
    assert {name: (tmp_path / "b" / name).read_bytes() for name in before} == before
    assert (tmp_path / "a" / "best.ckpt").exists()


@pytest.mark.parametrize("remote", [True, False], ids=["remote", "parent directory"])
def test_going_on_elsewhere_removes_nothing_of_the_run_it_came_from(fit: Make, tmp_path: Path, remote: bool) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    old, new = ("memory://a", "memory://b") if remote else (str(tmp_path / "root" / "a"), str(tmp_path / "root"))
    fit(first := ModelCheckpoint(old, monitor="score", save_last=True), [0.7, 0.5])
    keeper = ModelCheckpoint(new, monitor="score", save_last=True)
    fit(keeper, [0.4, 0.3], ckpt_path=f"{old}/last.ckpt", max_epochs=4)
    assert float(keeper.best_model_score) == pytest.approx(0.3)
    exists = MemoryFileSystem().exists if remote else (lambda path: Path(path).exists())
    assert exists(first.best_model_path.replace("memory://", "/"))
    assert exists(f"{old}/last.ckpt".replace("memory://", "/"))


def test_a_best_file_that_is_gone_is_noticed_in_the_same_directory_too(fit: Make, tmp_path: Path) -> None:
    named = {"monitor": "score", "filename": "best", "save_last": "every_epoch"}
    fit(ModelCheckpoint(tmp_path, **named), [0.5, 0.7])
    (tmp_path / "best.ckpt").unlink()
    keeper = ModelCheckpoint(tmp_path, **named)
    with pytest.warns(UserWarning, match=r"no longer there cannot be kept: .*best\.ckpt"):
        fit(keeper, [0.8], ckpt_path=tmp_path / "last.ckpt", max_epochs=3)
    assert (float(keeper.best_model_score), Path(keeper.best_model_path).exists()) == (pytest.approx(0.8), True)


def test_the_best_of_a_stock_checkpoint_that_is_no_number_is_forgotten(fit: Make, tmp_path: Path) -> None:
    fit(StockModelCheckpoint(tmp_path, monitor="score", filename="best", save_last=True), [NAN])
    keeper = ModelCheckpoint(tmp_path, monitor="score", filename="best")
    fit(keeper, [NAN], ckpt_path=tmp_path / "last.ckpt", max_epochs=2)
    assert (keeper.best_model_path, keeper.best_model_score) == ("", None)


def test_a_metric_that_validation_is_yet_to_log_may_stand_in_a_name(fit: Make, tmp_path: Path) -> None:
    keeper = ModelCheckpoint(tmp_path, every_n_train_steps=2, filename="{step}-{score:.2f}", save_top_k=-1)
    fit(keeper, [1, 2], num_sanity_val_steps=0)
    assert {path.name for path in tmp_path.iterdir()} >= {"step=2-score=0.00.ckpt", "step=6-score=1.00.ckpt"}


def test_an_instance_used_again_names_its_files_as_strictly(fit: Make, tmp_path: Path) -> None:
    keeper = ModelCheckpoint(tmp_path, filename="{epoch}-{score}-{scor}")
    for _ in range(2):
        with pytest.raises(ConfigError, match="'scor' was not"):
            fit(keeper, [1])


def test_save_best_only_is_a_truth_value() -> None:
    with pytest.raises(ConfigError, match="save_best_only must be true or false, got 'yes'"):
        ModelCheckpoint(monitor="score", save_best_only="yes")  # type: ignore[arg-type]
