"""What a module remembers beside its weights: the same for modules that go on alike, another for any that do not."""

from __future__ import annotations

import copy
import random
from collections import deque

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from torch import nn
from torchmetrics import MeanMetric, MinMaxMetric

from keepbest.sweeping.module_memory import memory_of


class Remembers:
    """An object of the user's, in an attribute of a module."""

    def __init__(self):
        self.seen = {"batches": [1, 2]}


class Module(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        self.mean, self.worst = MeanMetric(), MinMaxMetric(MeanMetric())
        self.register_buffer("mask", torch.ones(2), persistent=False)
        self.outputs = []
        self.counts = {"a": 0}
        self.window = deque([torch.zeros(2)], maxlen=3)
        self.array = np.arange(3)
        self.mine = Remembers()
        self.noise = torch.Generator().manual_seed(1)
        self.dice = random.Random(1)
        self.numbers = np.random.default_rng(1)
        self.unregistered = [MeanMetric(), nn.Linear(1, 1)]
        nn.init.zeros_(self.unregistered[1].weight)
        nn.init.zeros_(self.unregistered[1].bias)
        self.layer[0].calls = 0
        self.ring = [{}]
        self.ring[0]["ring"] = self.ring
        self.grid = [[]]
        for _ in range(40):
            self.grid = [self.grid, self.grid]


CHANGES = {
    "outputs": lambda module: module.outputs.append(torch.tensor(1.0)),
    "counts": lambda module: module.counts.update(a=1),
    "window": lambda module: module.window[0].add_(1),
    "array": lambda module: np.add(module.array, 1, out=module.array),
    "mine": lambda module: module.mine.seen["batches"].append(3),
    "noise": lambda module: torch.rand(1, generator=module.noise),
    "dice": lambda module: module.dice.random(),
    "numbers": lambda module: module.numbers.random(),
    "mask": lambda module: module.mask.zero_(),
    "unregistered": lambda module: module.unregistered[0].update(1.0),
    "layer.0.calls": lambda module: setattr(module.layer[0], "calls", 1),
    "ring": lambda module: module.ring[0].update(more=1),
    "later": lambda module: setattr(module, "later", None),
}


@pytest.mark.parametrize(("name", "change"), CHANGES.items(), ids=CHANGES)
def test_what_has_changed_is_named(name, change):
    before, module = memory_of(Module()), Module()
    assert memory_of(module) == before
    change(module)
    after = memory_of(module)
    assert {key for key in before | after if before.get(key) != after.get(key)} == {name}
    assert memory_of(copy.deepcopy(module)) == after


def test_what_a_checkpoint_holds_is_left_out():
    module, other = Module(), Module()
    with torch.no_grad():
        module.layer[0].weight.add_(1)
    module.layer(torch.randn(4, 2))
    module.mean.update(1.0)
    module.worst.update(1.0)
    module.eval()
    assert memory_of(module) == memory_of(other)
