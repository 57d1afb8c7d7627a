"""Whatever the history and whatever the policies: shared equals independent."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepbest.sweeping.shared_run import execute_shared

SCRIPTED = '''
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset

class Scripted(LightningModule):
    """Its validation logs what it is told to; its weight counts the steps."""
    def __init__(self, values):
        super().__init__()
        self.values = [float(value) for value in values]
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("seen", torch.zeros(1))
    def training_step(self, batch):
        return -self.weight.sum()
    def validation_step(self, batch):
        check = 0 if self.trainer.sanity_checking else round(float(self.weight)) // 2 - 1
        self.log("val_loss", self.values[max(check, 0) % len(self.values)])
    def test_step(self, batch):
        self.log("test_weight", self.weight.sum())
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)

class Few(LightningDataModule):
    def __init__(self, checks):
        super().__init__()
        self.checks = checks
    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.zeros(2 * self.checks)))
    def val_dataloader(self):
        return DataLoader(TensorDataset(torch.ones(1)))
    test_dataloader = val_dataloader
'''

VALUES = st.sampled_from(["0.5", "0.4", "0.45", "0.3", "0.29999", "0.1", "1.0", "2.0", "nan", "inf", "-inf"])
POLICY = st.fixed_dictionaries(
    {"patience": st.integers(0, 4)},
    optional={
        "min_delta": st.sampled_from([0, 1e-4, 0.05, 0.2]),
        "baseline": st.sampled_from([0.2, 0.42]),
        "start_from_epoch": st.integers(0, 4),
        "stopping_threshold": st.sampled_from([0.15, 0.35]),
        "divergence_threshold": st.sampled_from([0.9, 1.5]),
        "check_finite": st.just("false"),
    },
)
ORDERS = itertools.count()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(VALUES, min_size=1, max_size=8),
    policies=st.lists(POLICY, min_size=2, max_size=4),
    mode=st.sampled_from(["min", "max"]),
    min_epochs=st.sampled_from(["null", "2"]),
    checks_per_epoch=st.sampled_from([1, 3, 4]),
)
def test_shared_equals_independent(
    values, policies, mode, min_epochs, checks_per_epoch, scripted, share, alone, differences
):
    if mode == "max":  # the thresholds lie on the other side then
        policies = [{k: v for k, v in policy.items() if "threshold" not in k} for policy in policies]
    common = (
        "~model", f"+model={{_target_: told_values.Scripted, values: [{','.join(values)}]}}",
        "~data", f"+data={{_target_: told_values.Few, checks: {checks_per_epoch}}}",
        f"trainer.max_epochs={max(2, len(values) // checks_per_epoch)}", f"trainer.min_epochs={min_epochs}",
        f"trainer.val_check_interval={'null' if checks_per_epoch == 1 else 2}", f"objective.mode={mode}",
        "guards.overlap=false",
    )  # fmt: skip
    members = [[f"callbacks.early_stopping.{key}={value}" for key, value in policy.items()] for policy in policies]
    name = f"sweep{next(ORDERS)}"
    training, directories = share(common, members, name)
    execute_shared(training)
    for number, member in enumerate(members):
        assert differences(directories[number], alone([*common, *member], f"{name}/{number}")) == [], member


@pytest.fixture
def scripted(tmp_path, monkeypatch):
    (tmp_path / "told_values.py").write_text(SCRIPTED)
    monkeypatch.syspath_prepend(tmp_path)
