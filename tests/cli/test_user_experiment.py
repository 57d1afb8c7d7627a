"""A user's own experiment, in an empty directory, with keepbest installed from its wheel."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MY_MODULE = """
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class MyModel(LightningModule):
    def __init__(self, width: int = 8, lr: float = 0.05):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1))

    def training_step(self, batch, batch_idx):
        x, y = batch
        return nn.functional.mse_loss(self.net(x), y)

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val_loss", nn.functional.mse_loss(self.net(x), y))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


class MyData(LightningDataModule):
    def setup(self, stage):
        x = torch.linspace(-1, 1, 200).reshape(100, 2)
        self.data = {"train": x[::2], "val": x[1::2]}

    def loader(self, part):
        x = self.data[part]
        return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), 20, shuffle=part == "train")

    def train_dataloader(self):
        return self.loader("train")

    def val_dataloader(self):
        return self.loader("val")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment for subprocesses in which keepbest comes from a freshly built wheel, not from the checkout."""
    built, site = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    return {**os.environ, "PYTHONPATH": str(site)}, site


@pytest.fixture
def project(tmp_path):
    """What the user writes: a module that knows nothing of keepbest, and two config files."""
    (tmp_path / "my_module.py").write_text(MY_MODULE)
    for group, target in [("model", "MyModel"), ("data", "MyData")]:
        (tmp_path / "conf" / group).mkdir(parents=True)
        (tmp_path / "conf" / group / "mine.yaml").write_text(f"_target_: my_module.{target}\n")
    return tmp_path


def run(site: Path, arguments, cwd, env):
    """Run the console script that the wheel installed."""
    command = [sys.executable, str(site / "bin" / "keepbest"), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=240)


def test_own_model_and_data_train_from_an_installed_wheel(installed, project):
    env, site = installed
    done = run(site, ["train", "model=mine", "data=mine", "trainer.max_epochs=4"], project, env)
    assert done.returncode == 0, done.stderr
    record = json.loads((project / "outputs" / "latest" / "run.json").read_text())
    assert record["status"] == "completed"
    assert record["verified"]["exact"]
    opens = "keepbest.latest_run(modules=['my_module']).load_model()"
    where = f"import keepbest; print(keepbest.__file__); print(type({opens}).__name__)"
    opened = subprocess.run(
        [sys.executable, "-c", where], cwd=project, env=env, capture_output=True, text=True, check=False
    )
    file, loaded = opened.stdout.split()
    assert Path(file).is_relative_to(site), "this tested the wheel, not the checkout"
    assert loaded == "MyModel"
    told = run(site, ["report", "outputs/latest"], project, env)
    lasting = Path("outputs", "runs", record["id"], "report.html")
    assert told.stdout == f"report       {lasting}\n", f"the wheel holds the page's templates: {told.stderr}"


def test_own_files_replace_those_of_the_same_name_and_leave_the_others(installed, project):
    env, site = installed
    own = project / "conf" / "callbacks" / "early_stopping"
    own.mkdir(parents=True)
    (own / "simple.yaml").write_text(
        "_target_: lightning.pytorch.callbacks.EarlyStopping\nmonitor: ${objective.monitor}\npatience: 77\n"
    )
    done = run(site, ["train", "model=mine", "--cfg", "job"], project, env)
    assert done.returncode == 0, done.stderr
    assert "patience: 77" in done.stdout
    assert "_target_: my_module.MyModel" in done.stdout
    assert "_target_: keepbest.data.Digits" in done.stdout, "ours is still there"


def test_own_options_are_listed_and_suggested(installed, project):
    env, site = installed
    assert "model: cnn, mine, mlp, regressor, unet" in run(site, ["train", "--help"], project, env).stdout
    done = run(site, ["train", "model=mien"], project, env)
    assert (done.returncode, "Did you mean 'mine'?" in done.stderr) == (2, True)


def test_a_module_that_raises_while_it_is_imported_is_told_in_one_message(installed, project):
    env, site = installed
    (project / "my_module.py").write_text("raise OSError('no licence')\n")
    done = run(site, ["train", "model=mine", "data=mine"], project, env)
    assert done.returncode == 2
    assert "importing my_module raised OSError: no licence" in done.stderr
    assert "Traceback" not in done.stderr
