"""The logged metrics are the ones that everybody means by their names."""

import json
import subprocess
import sys

import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score
from torchmetrics.functional import accuracy, jaccard_index

from keepbest.errors import DataError
from keepbest.models import MLPRegressor, UNetSegmenter


def validated(case, make_trainer):
    """Validate an untrained model; return the metrics, its outputs and the targets."""
    model, data = case.make(), case.data()
    (metrics,) = make_trainer().validate(model, datamodule=data, verbose=False)
    inputs, targets = data.samples[:]
    with torch.no_grad():
        return metrics, model.eval()(inputs), targets


def test_metrics_equal_torchmetrics_and_sklearn(case, make_trainer):
    metrics, outputs, targets = validated(case, make_trainer)
    multiclass = {"task": "multiclass", "num_classes": case.num_outputs}
    if case.task == "classification":
        expected = {"val_acc": accuracy(outputs, targets, **multiclass).item()}
    elif case.task == "segmentation":
        expected = {"val_iou": jaccard_index(outputs, targets, **multiclass).item()}
    else:
        expected = {
            "val_mae": mean_absolute_error(targets, outputs),
            "val_r2": r2_score(targets, outputs),
        }
    del metrics["val_loss"]
    assert metrics == pytest.approx(expected, rel=1e-5)


def test_r2_is_exact_far_from_zero():
    """The variance of the targets is a small difference of large sums, which float32 would lose."""
    torch.manual_seed(0)
    targets = 1e4 + torch.randn(1000)
    predictions = targets + 0.1 * torch.randn(1000)
    model = MLPRegressor(input_shape=[1], num_outputs=1)
    sums = model.terms(predictions, targets) | {"samples": torch.tensor(1000.0)}
    assert model.metrics(sums)["r2"].item() == pytest.approx(r2_score(targets, predictions), abs=1e-6)


def test_iou_counts_the_whole_epoch_and_leaves_out_classes_that_never_occur():
    model = UNetSegmenter(input_shape=[1, 4, 4], num_outputs=4)
    predicted = torch.tensor([[[0, 0], [1, 1]], [[0, 1], [1, 1]]])
    true = torch.tensor([[[0, 0], [0, 1]], [[1, 1], [2, 1]]])
    logits = torch.nn.functional.one_hot(predicted, 4).movedim(-1, 1).float()
    batches = [model.terms(logits[i : i + 1], true[i : i + 1]) for i in range(2)]
    sums = {name: batches[0][name] + batches[1][name] for name in batches[0]}
    # class 0: 2 of 4 pixels; class 1: 3 of 6; class 2: 0 of 1; class 3 never occurs
    assert model.metrics(sums)["iou"].item() == pytest.approx((2 / 4 + 3 / 6 + 0 / 1) / 3)


@pytest.mark.parametrize("targets", [torch.arange(4.0), torch.arange(4.0).unsqueeze(1)], ids=["[N]", "[N,1]"])
def test_a_single_regression_target_may_have_a_column_of_its_own(targets):
    model = MLPRegressor(input_shape=[3], num_outputs=1)
    inputs = torch.randn(4, 3)
    assert model(inputs).shape == (4,)
    assert model.training_step((inputs, targets)).item() == pytest.approx(
        ((model(inputs) - torch.arange(4.0)) ** 2).mean().item()
    )


@pytest.mark.parametrize(
    ("num_outputs", "shape"), [(1, (4, 2)), (2, (4,)), (2, (4, 1)), (4, (4,)), (2, (2, 4)), (1, (4, 1, 1))]
)
def test_regression_never_broadcasts(num_outputs, shape):
    model = MLPRegressor(input_shape=[3], num_outputs=num_outputs)
    with pytest.raises(
        DataError, match=r"one value for each prediction, got targets of shape .* Set model.num_outputs"
    ):
        model.training_step((torch.randn(4, 3), torch.zeros(shape)))


TWO_PROCESSES = """
import json, torch
from lightning.pytorch import Callback, LightningDataModule, Trainer
from torch.utils.data import DataLoader, TensorDataset
from keepbest.models import UNetSegmenter

class Shards(LightningDataModule):
    def val_dataloader(self):
        random = torch.Generator().manual_seed(0)
        images = torch.randn(19, 1, 4, 4, generator=random)
        masks = torch.randint(3, (19, 4, 4), generator=random)
        whole, of_rank = slice(None), (slice(0, 5), slice(5, 19))
        part = whole if self.trainer.world_size == 1 else of_rank[self.trainer.global_rank]
        return DataLoader(TensorDataset(images[part], masks[part]), batch_size=19)

class Report(Callback):
    def on_validation_end(self, trainer, model):
        values = {name: value.item() for name, value in trainer.callback_metrics.items()}
        print("\\n" + json.dumps([trainer.world_size, values]), flush=True)

torch.manual_seed(0)
torch.set_num_threads(1)
model = UNetSegmenter(input_shape=[1, 4, 4], num_outputs=3)
for devices, strategy in (1, "auto"), (2, "ddp_fork"):
    trainer = Trainer(accelerator="cpu", devices=devices, strategy=strategy, use_distributed_sampler=False,
                      callbacks=Report(), logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.validate(model, datamodule=Shards(), verbose=False)
"""


def test_two_processes_with_shards_of_other_sizes_log_what_one_process_logs(tmp_path):
    """Sum of sums over sum of counts: an average of the two processes' averages would differ."""
    done = subprocess.run(
        [sys.executable, "-c", TWO_PROCESSES], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    (alone,) = (values for processes, values in reports if processes == 1)
    first, second = (values for processes, values in reports if processes == 2)
    assert first == second
    assert first == pytest.approx(alone, rel=1e-6)
    assert "sync_dist" not in done.stderr
