"""Config becomes objects in one place; what goes wrong there is a fault of the config, told by its key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.demos.boring_classes import BoringDataModule, BoringModel
from lightning.pytorch.loggers import CSVLogger

from keepbest.checkpoints.checkpoint_io import DurableCheckpointIO
from keepbest.composition.build import (
    build_callbacks,
    build_datamodule,
    build_loggers,
    build_model,
    build_trainer,
)
from keepbest.errors import ConfigError, DataError

Write = Callable[[str], str]

BORING = "lightning.pytorch.demos.boring_classes"
CALLBACKS = "lightning.pytorch.callbacks"
TRAINER = {
    "_target_": "lightning.pytorch.Trainer", "accelerator": "cpu", "max_epochs": 1,
    "enable_progress_bar": False, "enable_model_summary": False,
}  # fmt: skip


@pytest.fixture
def job_dir(tmp_path: Path) -> Path:
    return tmp_path / "job"


def test_a_model_and_data_need_no_base_class_of_keepbests() -> None:
    assert type(build_model({"_target_": f"{BORING}.BoringModel"})) is BoringModel
    assert type(build_datamodule({"_target_": f"{BORING}.BoringDataModule"})) is BoringDataModule


def test_a_model_is_given_plain_containers(user_module: Write) -> None:
    name = user_module(
        f"""
        from {BORING} import BoringModel

        class Model(BoringModel):
            def __init__(self, sizes, table, optimizer):
                super().__init__()
                self.kinds = type(sizes), type(table), type(table["inner"])
                self.optimizer = optimizer
        """
    )
    optimizer = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.5}
    table = {"a": 1, "inner": [1]}
    model: Any = build_model({"_target_": f"{name}.Model", "sizes": [1], "table": table, "optimizer": optimizer})
    assert model.kinds == (list, dict, list)
    assert model.optimizer.keywords == {"lr": 0.5}


WRONG_KIND: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "model": (build_model, "model: it must be a LightningModule, got 'dict'"),
    "data": (build_datamodule, "data: it must be a LightningDataModule, got 'dict'"),
    "callback": (lambda node: build_callbacks({"a": node}, Path()), "callbacks.a: it must be a Callback, got 'dict'"),
    "logger": (lambda node: build_loggers({"a": node}, Path()), "logger.a: it must be a Logger, got 'dict'"),
    "trainer": (
        lambda node: build_trainer(node, [], [], DurableCheckpointIO(), Path()),
        "trainer: it must be a Trainer, got 'dict'",
    ),
}


@pytest.mark.parametrize(("build", "message"), WRONG_KIND.values(), ids=WRONG_KIND)
def test_an_object_of_another_kind_is_refused(build: Callable[[dict[str, Any]], object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        build({"_target_": "builtins.dict"})


def test_targets_are_checked_before_anything_is_made(user_module: Write) -> None:
    name = user_module(
        f"""
        from {BORING} import BoringModel
        MADE = []

        class Part:
            def __init__(self, width: int):
                MADE.append(self)

        class Model(BoringModel):
            def __init__(self, first, second): ...
        """
    )
    first, second = ({"_target_": f"{name}.Part", "width": width} for width in (1, "x"))
    with pytest.raises(ConfigError, match=r"^model\.second\.width: Part wants int, got 'x'"):
        build_model({"_target_": f"{name}.Model", "first": first, "second": second})
    assert __import__(name).MADE == []


RAISES = """
    from keepbest.errors import ConfigError, DataError

    def model(what):
        raise {
            "value": ValueError("width must be even"),
            "type": TypeError("no"),
            "data": DataError("the file is empty."),
            "config": ConfigError("width must be even", received=3, remedy="Take 4"),
            "keyed": ConfigError("width must be even", key="data.width"),
        }[what]
    """
REFUSALS = {
    "value": r"^model: it cannot be made: ValueError: width must be even\.$",
    "type": r"^model: it cannot be made: TypeError: no\.$",
    "config": r"^model: width must be even, got 3\. Take 4\.$",
    "keyed": r"^data\.width: width must be even\.$",
}


@pytest.mark.parametrize(("what", "message"), REFUSALS.items(), ids=REFUSALS)
def test_what_a_constructor_refuses_is_a_fault_of_the_config(user_module: Write, what: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build_model({"_target_": f"{user_module(RAISES)}.model", "what": what})
    assert caught.value.exit_status == 2


def test_the_cause_is_kept_for_the_traceback(user_module: Write) -> None:
    with pytest.raises(ConfigError, match="width must be even") as caught:
        build_model({"_target_": f"{user_module(RAISES)}.model", "what": "value"})
    causes = []
    error: BaseException | None = caught.value
    while error := error.__cause__ if error else None:
        causes.append(type(error))
    assert ValueError in causes


def test_an_error_that_keepbest_words_itself_passes_through(user_module: Write) -> None:
    with pytest.raises(DataError, match=r"^the file is empty\.$"):
        build_datamodule({"_target_": f"{user_module(RAISES)}.model", "what": "data"})


def test_callbacks_come_in_the_order_of_the_config_and_null_is_off(job_dir: Path) -> None:
    stop = {"_target_": f"{CALLBACKS}.EarlyStopping", "monitor": "val_loss"}
    timer = {"_target_": f"{CALLBACKS}.Timer"}
    made = build_callbacks({"timer": timer, "off": None, "stop": stop, "empty": {}}, job_dir)
    assert [type(callback).__name__ for callback in made] == ["Timer", "EarlyStopping"]


def test_without_a_logger_there_is_none(job_dir: Path) -> None:
    assert build_loggers(None, job_dir) == []
    assert build_loggers({}, job_dir) == []
    assert build_loggers({"csv": None}, job_dir) == []


ANCHORED = {"relative": ("checkpoints", "job/checkpoints"), "here": (".", "job"), "deep": ("a/b", "job/a/b")}


@pytest.mark.parametrize(("given", "meant"), ANCHORED.values(), ids=ANCHORED)
def test_what_a_run_writes_goes_into_its_directory(tmp_path: Path, given: str, meant: str) -> None:
    keeper_node = {"_target_": f"{CALLBACKS}.ModelCheckpoint", "dirpath": given}
    (keeper,) = build_callbacks({"keeper": keeper_node}, tmp_path / "job")
    assert isinstance(keeper, ModelCheckpoint)
    assert Path(str(keeper.dirpath)) == tmp_path / meant
    logger_node = {"_target_": "lightning.pytorch.loggers.CSVLogger", "save_dir": given, "name": "csv", "version": ""}
    (logger,) = build_loggers({"csv": logger_node}, tmp_path / "job")
    assert isinstance(logger, CSVLogger)
    assert Path(logger.save_dir) == tmp_path / meant
    assert (keeper_node["dirpath"], logger_node["save_dir"]) == (given, given), "the config was changed"


def test_an_absolute_directory_stays(tmp_path: Path, job_dir: Path) -> None:
    node = {"_target_": f"{CALLBACKS}.ModelCheckpoint", "dirpath": str(tmp_path / "elsewhere")}
    (keeper,) = build_callbacks({"keeper": node}, job_dir)
    assert isinstance(keeper, ModelCheckpoint)
    assert Path(str(keeper.dirpath)) == tmp_path / "elsewhere"


def test_a_directory_that_is_not_given_stays_so(job_dir: Path) -> None:
    (keeper,) = build_callbacks({"keeper": {"_target_": f"{CALLBACKS}.ModelCheckpoint", "dirpath": None}}, job_dir)
    assert isinstance(keeper, ModelCheckpoint)
    assert keeper.dirpath is None


@pytest.mark.parametrize("key", ["dirpath", "save_dir"])
def test_a_place_with_a_scheme_stays(job_dir: Path, key: str) -> None:
    """Such as s3://bucket/runs; the checkpoint writer leaves these to Lightning."""
    if key == "dirpath":
        node = {"_target_": f"{CALLBACKS}.ModelCheckpoint", key: "memory://runs"}
        made = build_callbacks({"keeper": node}, job_dir)
    else:
        made = build_loggers(
            {"csv": {"_target_": "lightning.pytorch.loggers.CSVLogger", key: "memory://runs"}}, job_dir
        )
    assert getattr(made[0], key) == "memory://runs"


def test_a_directory_that_is_no_text_is_refused(job_dir: Path) -> None:
    node = {"_target_": f"{CALLBACKS}.ModelCheckpoint", "dirpath": 2026}
    with pytest.raises(ConfigError, match=r"^callbacks\.keeper\.dirpath: "):
        build_callbacks({"keeper": node}, job_dir)


def make_trainer(job_dir: Path, watching: Sequence[Callback] = (), **more: Any) -> tuple[Trainer, Any]:
    io = DurableCheckpointIO()
    return build_trainer({**TRAINER, **more}, watching, [], io, job_dir), io


def test_the_trainer_holds_the_very_objects_it_was_given(job_dir: Path) -> None:
    class Mine(Callback):
        """Cannot be copied."""

        def __deepcopy__(self, memo: object) -> Mine:
            raise TypeError("a copy")

    callbacks = [Mine(), EarlyStopping("val_loss"), ModelCheckpoint(job_dir)]
    logger, io = CSVLogger(job_dir), DurableCheckpointIO()
    trainer = build_trainer(TRAINER, callbacks, [logger], io, job_dir)
    assert [id(callback) for callback in trainer.callbacks] == [id(callback) for callback in callbacks]
    assert trainer.logger is logger
    assert trainer.strategy.checkpoint_io is io
    assert Path(trainer.default_root_dir) == job_dir


def test_without_loggers_the_trainer_has_none(job_dir: Path) -> None:
    """Lightning's default would be one of its own."""
    trainer, _ = make_trainer(job_dir)
    assert trainer.loggers == []


def test_the_trainers_own_callbacks_come_first(job_dir: Path) -> None:
    mine = EarlyStopping("val_loss")
    for own in ({"_target_": f"{CALLBACKS}.Timer"}, [{"_target_": f"{CALLBACKS}.Timer"}]):
        trainer, _ = make_trainer(job_dir, [mine], callbacks=own, enable_checkpointing=False)
        assert [type(callback).__name__ for callback in trainer.callbacks] == ["Timer", "EarlyStopping"]
        assert trainer.callbacks[1] is mine


OWN_IO = {"_target_": "lightning.fabric.plugins.TorchCheckpointIO"}


@pytest.mark.parametrize("plugins", [OWN_IO, [OWN_IO]], ids=["alone", "in a list"])
def test_a_users_own_checkpoint_io_is_respected(job_dir: Path, plugins: object) -> None:
    trainer, _ = make_trainer(job_dir, plugins=plugins)
    assert type(trainer.strategy.checkpoint_io) is TorchCheckpointIO


def test_other_plugins_stand_beside_keepbests_checkpoint_io(job_dir: Path) -> None:
    plugin = {"_target_": "lightning.pytorch.plugins.DoublePrecision"}
    trainer, io = make_trainer(job_dir, plugins=[plugin])
    assert trainer.strategy.checkpoint_io is io
    assert trainer.precision == "64-true"


def test_what_the_trainer_refuses_is_a_fault_of_the_config(job_dir: Path) -> None:
    with pytest.raises(ConfigError, match=r"^trainer: it cannot be made: .*accelerator"):
        make_trainer(job_dir, accelerator="abacus")
    with pytest.raises(ConfigError, match=r"^trainer\.max_epoch: Trainer takes no argument"):
        make_trainer(job_dir, max_epoch=3)


def test_a_function_may_make_the_trainer(user_module: Write, job_dir: Path) -> None:
    name = user_module(
        """
        from lightning.pytorch import Trainer

        def quiet(callbacks, logger, plugins, default_root_dir, epochs):
            return Trainer(
                accelerator="cpu", max_epochs=epochs, callbacks=callbacks, logger=logger, plugins=plugins,
                default_root_dir=default_root_dir, enable_progress_bar=False, enable_model_summary=False,
            )
        """
    )
    trainer = build_trainer({"_target_": f"{name}.quiet", "epochs": 7}, [], [], DurableCheckpointIO(), job_dir)
    assert trainer.max_epochs == 7
