"""What a run that goes on may change, and where it goes on."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import keepbest
from keepbest.errors import ConfigError, IntegrityError
from keepbest.training.continuation import change_settings
from keepbest.training.execute import execute
from keepbest.training.job import create_job
from keepbest.training.workplace import workplace

ES = "callbacks.early_stopping"


@pytest.fixture(scope="module")
def finished(compose_config, tmp_path_factory):
    """A run of eight epochs that its limit ended."""
    job_dir = tmp_path_factory.mktemp("finished") / "job"
    create_job(job_dir, "job", compose_config(["trainer=cpu", "trainer.max_epochs=8", "model.hidden_sizes=[16]"]))
    execute(job_dir)
    return job_dir


@pytest.mark.parametrize(
    ("override", "message"),
    {
        "trainer.max_epochs=5": "must be at least the 8 epochs that were trained already, got 5",
        "trainer.max_epochs=abc": "must be a whole number of epochs, or null, got 'abc'",
        "trainer.max_epochs=9.5": "must be a whole number of epochs, or null, got 9.5",
        "trainer.min_epochs=50": "must not be above max_epochs, got 50",
        f"{ES}.stopping_threshold=1.5": "would have stopped in epoch . already, and it is past that",
        f"{ES}.min_delta=5.0": "would have stopped in epoch 5 already, and it is past that",
    }.items(),
)
def test_settings_that_would_have_ended_it_earlier_are_refused_and_nothing_is_written(
    finished, tmp_path, override, message
):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    with pytest.raises(ConfigError, match=message):
        change_settings(run, [override])
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    assert before == after


def test_a_run_that_is_reached_by_a_link_is_resumed_and_opens(finished, tmp_path):
    run = tmp_path / "runs" / "one"
    shutil.copytree(finished, run)
    (tmp_path / "latest").symlink_to(run)
    change_settings(tmp_path / "latest", ["trainer.max_epochs=10"])
    execute(tmp_path / "latest")
    assert json.loads((run / "run.json").read_text())["best_model_path"] == "checkpoints/best.ckpt"
    keepbest.open_run(tmp_path / "latest").load_model()


def test_a_copy_without_its_best_is_refused_and_does_not_take_that_of_the_original(finished, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree(finished, copied)
    change_settings(copied, ["trainer.max_epochs=10"])
    (copied / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(IntegrityError, match=r"best\.ckpt was recorded with .* and does not exist"):
        execute(copied)


def test_a_damaged_best_is_noticed_before_anything_is_trained(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    change_settings(run, ["trainer.max_epochs=10"])
    best = run / "checkpoints" / "best.ckpt"
    content = bytearray(best.read_bytes())
    content[len(content) // 2] ^= 1
    best.write_bytes(content)
    metrics = (run / "metrics.csv").read_bytes()
    with pytest.raises(IntegrityError, match="must have the sha256 it was recorded with"):
        execute(run)
    assert (run / "metrics.csv").read_bytes() == metrics


def test_checkpoints_outside_of_the_run_are_refused(run_job, tmp_path):
    with pytest.raises(ConfigError, match="checkpoints must lie in the run's own directory"):
        run_job(f"callbacks.model_checkpoint.dirpath={tmp_path / 'elsewhere'}")
    assert not (tmp_path / "elsewhere").exists() or not any((tmp_path / "elsewhere").iterdir())


def test_without_a_checkpoint_it_says_that_it_starts_over(compose_config, tmp_path, monkeypatch, capsys):
    (tmp_path / "dying_at_once.py").write_text(
        "from pathlib import Path\nfrom lightning.pytorch import Callback\n"
        "class Dies(Callback):\n"
        "    def __init__(self, flag):\n        self.flag = Path(flag)\n"
        "    def on_train_batch_start(self, *arguments):\n"
        "        if self.flag.exists():\n"
        "            self.flag.unlink()\n            raise RuntimeError('out')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    flag = tmp_path / "flag"
    flag.touch()
    dies = f"+callbacks.dies={{_target_: dying_at_once.Dies, flag: {flag}}}"
    create_job(tmp_path / "job", "job", compose_config(["trainer=cpu", "trainer.max_epochs=1", dies]))
    with pytest.raises(RuntimeError, match="out"):
        execute(tmp_path / "job")
    assert "starts over" not in capsys.readouterr().out
    execute(tmp_path / "job")
    assert "no checkpoint to go on from: the training starts over" in capsys.readouterr().out


def test_limits_by_steps_do_not_keep_a_run_from_going_on(compose_config, tmp_path, monkeypatch):
    settings = ["trainer=cpu", "trainer.max_steps=60", "trainer.max_epochs=20", "model.hidden_sizes=[16]"]
    create_job(tmp_path / "whole", "job", compose_config(settings))
    execute(tmp_path / "whole")
    flag = tmp_path / "flag"
    flag.touch()
    (tmp_path / "dying_in_the_third.py").write_text(
        "from pathlib import Path\nfrom lightning.pytorch import Callback\n"
        "class Once(Callback):\n"
        "    def __init__(self, flag):\n        self.flag = Path(flag)\n"
        "    def on_train_epoch_start(self, trainer, module):\n"
        "        if trainer.current_epoch == 2 and self.flag.exists():\n"
        "            self.flag.unlink()\n            raise RuntimeError('out')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    create_job(
        tmp_path / "broken", "job",
        compose_config([*settings, f"+callbacks.once={{_target_: dying_in_the_third.Once, flag: {flag}}}"]),
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="out"):
        execute(tmp_path / "broken")
    execute(tmp_path / "broken")
    assert (tmp_path / "whole" / "metrics.csv").read_text() == (tmp_path / "broken" / "metrics.csv").read_text()
    weights = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "broken")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_run_is_resumed_where_it_was_started_unless_it_lies_here(tmp_path, monkeypatch):
    project, copied = tmp_path / "project", tmp_path / "copied"
    for directory in (project, copied / "outputs" / "run", tmp_path / "elsewhere" / "run"):
        directory.mkdir(parents=True)
    monkeypatch.chdir(copied)
    with workplace(tmp_path / "elsewhere" / "run", str(project)) as place:
        assert place == project == Path.cwd()
    with workplace(copied / "outputs" / "run", str(project)) as place:
        assert place == copied
    with workplace(tmp_path / "elsewhere" / "run", str(tmp_path / "gone")) as place:
        assert place == copied
    assert Path.cwd() == copied
