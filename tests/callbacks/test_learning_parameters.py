"""A resumed training lets those parameters learn that were learning when it was interrupted."""

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BackboneFinetuning
from torch.utils.data import DataLoader, TensorDataset

from keepbest.callbacks.learning_parameters import LearningParameters
from keepbest.callbacks.random_states import RandomStates


class Finetuned(LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        self.head = torch.nn.Linear(4, 1)

    def training_step(self, batch):
        return self.head(self.backbone(batch[0])).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD((value for value in self.parameters() if value.requires_grad), lr=0.1, momentum=0.9)


def weights_after(epochs, directory, *, resume_from=None, unfreeze=1, callbacks=(LearningParameters,)):
    inputs = torch.randn(16, 3, generator=torch.Generator().manual_seed(1))
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=directory,
        callbacks=[RandomStates(), *(make() for make in callbacks), BackboneFinetuning(unfreeze, verbose=False)],
    )  # fmt: skip
    model = Finetuned()
    trainer.fit(model, DataLoader(TensorDataset(inputs), batch_size=4), ckpt_path=resume_from, weights_only=True)
    trainer.save_checkpoint(directory / f"{epochs}.ckpt")
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_it_goes_on_as_if_it_had_not_been_interrupted(stop, tmp_path):
    whole = weights_after(5, tmp_path)
    half = weights_after(stop, tmp_path)
    resumed = weights_after(5, tmp_path, resume_from=tmp_path / f"{stop}.ckpt")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not torch.equal(half["backbone.0.weight"], resumed["backbone.0.weight"])


def test_without_it_lightning_leaves_the_backbone_frozen(tmp_path):
    """The reason for this callback; where Lightning mends it, it can go."""
    half = weights_after(3, tmp_path, callbacks=())
    resumed = weights_after(5, tmp_path, resume_from=tmp_path / "3.ckpt", callbacks=())
    assert torch.equal(half["backbone.0.weight"], resumed["backbone.0.weight"])


def test_a_checkpoint_without_the_names_changes_nothing(tmp_path):
    weights_after(1, tmp_path, unfreeze=50, callbacks=())
    resumed = weights_after(2, tmp_path, resume_from=tmp_path / "1.ckpt", unfreeze=50)
    assert torch.equal(resumed["backbone.0.weight"], Finetuned().backbone[0].weight)
