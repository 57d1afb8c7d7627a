"""conf/model says the same as the code, and every choice of optimizer and scheduler trains."""

import inspect
import math
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from keepbest.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf"
MODELS, OPTIMIZERS, SCHEDULERS = (
    sorted(path.stem for path in (CONF / folder).glob("*.yaml"))
    for folder in ("model", "model/optimizer", "model/scheduler")
)

PRIMARY = f"""
hydra:
  searchpath: ["file://{CONF}"]
defaults: [model: mlp, _self_]
objective: {{monitor: val_loss, mode: min}}
trainer: {{max_epochs: 3}}
"""


@pytest.fixture
def compose_model(tmp_path):
    (tmp_path / "primary.yaml").write_text(PRIMARY)

    def compose_node(*overrides):
        with initialize_config_dir(str(tmp_path), version_base="1.3"):
            return OmegaConf.to_container(compose("primary", list(overrides)), resolve=True)["model"]

    return compose_node


@pytest.fixture
def classification_model(compose_model, classification):
    def make(*overrides):
        sizes = ["model.hidden_sizes=[8]", "model.input_shape=[1,4,4]", "model.num_outputs=3"]
        return instantiate(compose_model(*sizes, *overrides), _convert_="all")

    return make


@pytest.mark.parametrize("name", MODELS)
def test_the_yaml_names_every_argument_with_its_default(compose_model, name):
    node = compose_model(f"model={name}")
    parameters = inspect.signature(get_class(node.pop("_target_"))).parameters
    defaults = {key: list(p.default) if isinstance(p.default, tuple) else p.default for key, p in parameters.items()}
    assert set(node) == set(defaults)
    for composed in ("optimizer", "monitor"):  # these come from other groups
        del node[composed], defaults[composed]
    assert node == defaults


@pytest.mark.parametrize("group", ["model/optimizer", "model/scheduler"])
def test_the_yaml_of_a_part_names_only_arguments_of_its_target(group):
    for path in (CONF / group).glob("*.yaml"):
        node = OmegaConf.load(path)
        node = node.get("scheduler", node)
        if node is not None and "_target_" in node:
            known = set(inspect.signature(get_class(node["_target_"])).parameters)
            assert set(node) - {"_target_", "_partial_"} <= known, path


@pytest.mark.parametrize("path", sorted((CONF / "model").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_yaml_opens_with_what_it_is_and_a_command_that_composes(compose_model, path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("# @package")]
    assert lines[0].startswith("# ")
    assert lines[1].startswith("# keepbest train ")
    overrides = lines[1].removeprefix("# keepbest train ").replace("'", "").split()
    compose_model(*(override for override in overrides if override.startswith("model")))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_trains_with_every_scheduler(
    classification_model, classification, make_trainer, tmp_path, optimizer, scheduler
):
    model = classification_model(f"model/optimizer={optimizer}", f"model/scheduler={scheduler}")
    before = [parameter.clone() for parameter in model.parameters()]
    trainer = make_trainer(max_epochs=3)
    trainer.fit(model, datamodule=classification.data())
    assert not any(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    assert torch.serialization.get_unsafe_globals_in_checkpoint(tmp_path / "model.ckpt") == []


def rate(trainer):
    return trainer.optimizers[0].param_groups[0]["lr"]


def test_without_a_scheduler_the_learning_rate_stays(classification_model, classification, make_trainer):
    trainer = make_trainer(max_epochs=3)
    trainer.fit(classification_model("model.optimizer.lr=0.01"), datamodule=classification.data())
    assert rate(trainer) == 0.01


def test_cosine_reaches_its_end_at_max_epochs(classification_model, classification, make_trainer):
    trainer = make_trainer(max_epochs=3)
    trainer.fit(classification_model("model/scheduler=cosine"), datamodule=classification.data())
    assert rate(trainer) == pytest.approx(0)


def test_one_cycle_needs_no_other_setting_and_spans_the_training(classification_model, classification, make_trainer):
    """Chosen alone it steps after every batch, and its total_steps are the trainer's."""
    model = classification_model("model/scheduler=onecycle", "model.optimizer.lr=0.1")
    trainer = make_trainer(max_epochs=3)
    trainer.fit(model, datamodule=classification.data())
    scheduler = trainer.lr_scheduler_configs[0].scheduler
    assert scheduler.total_steps == trainer.global_step == 15
    assert rate(trainer) < 0.1 / 25


def test_one_cycle_asks_for_an_end(classification_model, classification, make_trainer):
    model = classification_model("model/scheduler=onecycle")
    with pytest.raises(ConfigError, match=r"training of known length, got -1. Set trainer.max_epochs or model.sched"):
        make_trainer(max_epochs=-1).fit(model, datamodule=classification.data())


def test_plateau_lowers_the_rate_when_the_objective_stalls(classification_model, classification, make_trainer):
    stalls = "objective.mode=max"  # the loss falls, so its maximum is that of the first epoch
    model = classification_model("model/scheduler=plateau", "model.scheduler.patience=0", stalls)
    trainer = make_trainer(max_epochs=3)
    trainer.fit(model, datamodule=classification.data())
    assert rate(trainer) == pytest.approx(0.003 * 0.1**2)


def test_plateau_waits_for_the_epochs_that_validate(classification_model, classification, make_trainer):
    model = classification_model("model/scheduler=plateau")
    trainer = make_trainer(max_epochs=4, check_val_every_n_epoch=2)
    trainer.fit(model, datamodule=classification.data())
    assert trainer.lr_scheduler_configs[0].scheduler.last_epoch == 2


def test_plateau_asks_for_a_metric(classification_model, classification, make_trainer):
    model = classification_model("model/scheduler=plateau", "model.monitor=null")
    with pytest.raises(ConfigError, match=r"needs the name of a metric to watch. Set model.monitor"):
        make_trainer().fit(model, datamodule=classification.data())


def test_without_an_optimizer_it_is_adam(classification, make_trainer):
    trainer = make_trainer()
    trainer.fit(classification.make(), datamodule=classification.data())
    assert type(trainer.optimizers[0]) is torch.optim.Adam
    assert math.isclose(rate(trainer), 1e-3)
