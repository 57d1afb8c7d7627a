"""A plain PyTorch loop with keepbest's parts and `keepbest train` agree: stop, best epoch, score, weights bit for bit.

Both must draw the same random numbers in the same order from torch's global generator. What Lightning 2.6.6 draws:

1. The weights of the network, in `configure_model`; a model that is given its sizes draws them when it is made. Making
   the data module and splitting the data draw nothing from this generator.
2. Nothing for the sanity check: it runs under `isolate_rng`, which puts the state back (`Trainer._run_stage`).
3. For each epoch one number for the iterator of the training loader, its base seed. The first epoch's iterator is made
   ahead of `on_train_start` (`_FitLoop.setup_data`), the others as their epoch begins
   (`_TrainingEpochLoop.on_run_start`). Nothing is drawn in between, so it comes to the same.
4. One number that seeds the shuffling, as the first batch is fetched, and then the masks of dropout, batch by batch.
5. One number for the iterator of the validation loader (`_EvaluationLoop.reset`), although it shuffles nothing.

`for batch in loader` draws 3, 4 and 5 just so: no trick is needed, but to read the validation data through its loader
too. Leave that out, and the next epoch shuffles differently.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from keepbest import BestWeights, StoppingPolicy
from keepbest.data import Digits
from keepbest.models import CNNClassifier, MLPClassifier

MODELS = {model.__name__: model for model in (MLPClassifier, CNNClassifier)}
OPTIMIZERS = {"torch.optim.Adam": torch.optim.Adam, "torch.optim.SGD": torch.optim.SGD}
SCHEDULERS = {
    "torch.optim.lr_scheduler.StepLR": torch.optim.lr_scheduler.StepLR,
    "torch.optim.lr_scheduler.ReduceLROnPlateau": torch.optim.lr_scheduler.ReduceLROnPlateau,
}


class Outcome(NamedTuple):
    """What both ways must agree on."""

    stopped_epoch: int | None
    best_epoch: int | None
    best_score: float | None
    weights: dict[str, torch.Tensor]


def train_plainly(config: dict[str, Any], policy: StoppingPolicy) -> Outcome:
    """Train as the README does, on keepbest's data and model."""
    torch.manual_seed(config["seed"])
    data = Digits(**arguments(config["data"]))
    train_batches, val_batches = data.train_dataloader(), data.val_dataloader()
    model = model_for(data, config["model"])
    optimizer = made(OPTIMIZERS, config["model"]["optimizer"], model.parameters())
    scheduler = made(SCHEDULERS, config["model"]["scheduler"], optimizer)
    state, best = policy.start(), BestWeights(model, mode=policy.mode)

    for epoch in range(config["trainer"]["max_epochs"]):
        model.train()
        for inputs, targets in train_batches:
            optimizer.zero_grad()
            cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        value = validate(model, val_batches)[config["objective"]["monitor"]]
        best.offer(value, epoch)
        state.update(value, epoch)
        if state.stopped:
            break
        step(scheduler, value)

    best.restore()
    return Outcome(state.stopped_epoch, best.epoch, best.score, dict(model.state_dict()))


@torch.no_grad()
def validate(model: nn.Module, batches: DataLoader[Any]) -> dict[str, torch.Tensor]:
    """Return the metrics of keepbest's classifiers.

    These log once per epoch: sums over the samples in double precision, divided once, rounded to float32. What is
    logged at every step Lightning adds up in float32, weighted by batch size, which differs in the last bits.
    """
    model.eval()
    loss, correct, samples = torch.zeros(3, dtype=torch.float64)
    for inputs, targets in batches:
        outputs = model(inputs)
        loss += cross_entropy(outputs, targets).double() * len(inputs)
        correct += (outputs.argmax(dim=1) == targets).sum()
        samples += len(inputs)
    return {"val_loss": (loss / samples).float(), "val_acc": (correct / samples).float()}


def step(scheduler: Any, value: torch.Tensor) -> None:
    """Lightning steps a scheduler before the validation and a plateau after it; only the latter looks at the value."""
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        scheduler.step(value)
    elif scheduler is not None:
        scheduler.step()


def model_for(data: Digits, node: dict[str, Any]) -> nn.Module:
    sizes = {"input_shape": data.input_shape, "num_outputs": data.num_outputs}
    own = {name: value for name, value in arguments(node).items() if name not in ("optimizer", "scheduler")}
    return MODELS[node["_target_"].rpartition(".")[2]](**own | sizes)


def made(kinds: dict[str, Any], node: dict[str, Any] | None, *first: Any) -> Any:
    return kinds[node["_target_"]](*first, **arguments(node)) if node else None


def arguments(node: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if not name.startswith("_")}


def outcome_of(job_dir: Path, record: Any) -> Outcome:
    weights = torch.load(job_dir / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    return Outcome(record.stopping.stopped_epoch, record.best_epoch, record.best_model_score, dict(weights))


def assert_same(plain: Outcome, trained: Outcome) -> None:
    assert plain[:3] == trained[:3]
    assert list(plain.weights) == list(trained.weights)
    assert {name for name, value in plain.weights.items() if not torch.equal(value, trained.weights[name])} == set()


SETTINGS = {
    "loss": (["model=mlp"], StoppingPolicy(mode="min", patience=3, min_delta=1e-3)),
    "accuracy, with a scheduler": (
        [
            "model=mlp",
            "objective=val_acc",
            "model/optimizer=sgd",
            "model/scheduler=step",
            "model.scheduler.step_size=3",
        ],
        StoppingPolicy(mode="max", patience=4),
    ),
    "convolutions and a plateau": (
        [
            "model=cnn",
            "model.channels=[4]",
            "model/scheduler=plateau",
            "model.scheduler.patience=0",
            "model.optimizer.lr=0.05",
        ],
        StoppingPolicy(mode="min", patience=2),
    ),
}


@pytest.mark.parametrize(("overrides", "policy"), SETTINGS.values(), ids=SETTINGS)
def test_a_plain_loop_and_the_command_agree_bit_for_bit(overrides, policy, run_job, compose_config):
    overrides = [
        "data=digits",
        "trainer=cpu",
        "trainer.max_epochs=40",
        f"callbacks.early_stopping.patience={policy.patience}",
        f"callbacks.early_stopping.min_delta={policy.min_delta}",
        *overrides,
    ]
    trained = outcome_of(*run_job(*overrides))
    plain = train_plainly(compose_config(overrides), policy)
    assert_same(plain, trained)
    assert plain.stopped_epoch is not None, "the policy has stopped it, not the limit"
    assert plain.stopped_epoch > plain.best_epoch, "the best weights are not the last ones"


def test_validation_data_kept_in_memory_draws_less_and_so_trains_otherwise(run_job, compose_config, monkeypatch):
    """Point 5 above, and proof that the comparison tells trainings apart."""
    overrides = ["data=digits", "trainer=cpu", "trainer.max_epochs=2"]
    policy = StoppingPolicy(patience=5, min_delta=1e-4)
    trained, config = outcome_of(*run_job(*overrides)), compose_config(overrides)
    assert_same(train_plainly(config, policy), trained)

    def kept_in_memory(data: Digits, load: Any = Digits.val_dataloader) -> list[Any]:
        with torch.random.fork_rng(devices=[]):
            return list(load(data))

    monkeypatch.setattr(Digits, "val_dataloader", kept_in_memory)
    otherwise = train_plainly(config, policy)
    assert otherwise.best_epoch == trained.best_epoch == 1
    assert otherwise.best_score != trained.best_score
    assert not any(torch.equal(value, trained.weights[name]) for name, value in otherwise.weights.items())
