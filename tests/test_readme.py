"""Every line of the README's cookbook composes, passes the checks, and trains where this machine can."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
LINES = re.findall(
    r"^keepbest train( .*)?$", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)), re.MULTILINE
)
COOKBOOK = [line.strip() for line in dict.fromkeys(LINES) if "mine" not in line and "--" not in line]
SWEEPS = [line for line in COOKBOOK if line.startswith("-m ")]
COOKBOOK = [line for line in COOKBOOK if line not in SWEEPS]
SHORT = ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=2"]
ELSEWHERE = ("trainer=gpu", "trainer=ddp", "data=fashion_mnist", "hydra.run.dir")


def test_the_cookbook_was_found():
    assert len(COOKBOOK) > 25
    assert len(SWEEPS) == 3
    assert (
        README.index("make train") < README.index("make test") < README.index("pip install") < README.index("Cookbook")
    )


@pytest.mark.parametrize("line", COOKBOOK)
def test_a_line_of_the_cookbook_composes_and_is_accepted(line, compose_config):
    from keepbest.composition.checks import check
    from keepbest.composition.targets import check_targets

    config = compose_config(shlex.split(line))
    check(config)
    check_targets({key: config[key] for key in ("model", "data", "callbacks", "logger")}, "config")


@pytest.mark.parametrize("line", SWEEPS)
def test_a_sweep_of_the_readme_is_planned(line, keepbest, tmp_path):
    done = keepbest(["train", *shlex.split(line), "hydra.sweeper.dry_run=true"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 jobs, 4 trainings" in done.stdout


@pytest.mark.parametrize("line", [line for line in COOKBOOK if not any(word in line for word in ELSEWHERE)])
def test_a_line_of_the_cookbook_trains(line, run_job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = range(60)
    table = {"height": rows, "width": [row % 7 for row in rows]}
    target = {"price": [row * 2.0 for row in rows]} if "price" in line else {"kind": [row % 2 for row in rows]}
    pd.DataFrame(table | target).to_csv("table.csv", index=False)
    _, record = run_job(*shlex.split(line), *SHORT)
    assert record.status.value == "completed"
    assert record.verified.exact


def test_the_record_shown_in_the_readme_has_the_keys_of_a_real_one(default_run):
    done, _ = default_run
    labels = re.findall(r"^(\w[\w ]*?)  +\S", README.split("ends like this")[1].split("```")[1], re.MULTILINE)
    shown = [label for label in labels if not label.startswith("epoch")]
    assert shown, "the summary is there"
    assert all(re.search(rf"^{label}  ", done.stdout, re.MULTILINE) for label in shown)
