"""The short version of `make crash-test`, and signals in each phase of a training."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

WITHIN_EPOCHS = "callbacks.model_checkpoint.save_last_every_n_train_steps=5"


def run(script, *arguments):
    """Run a script of this folder; give what it prints."""
    command = [sys.executable, "-W", "ignore", Path(__file__).with_name(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "overrides",
    [pytest.param((), id="from whole epochs"), pytest.param((WITHIN_EPOCHS,), id="from steps", marks=pytest.mark.slow)],
)
def test_a_training_that_is_killed_over_and_over_gives_what_an_uninterrupted_one_gives(tmp_path, overrides):
    signals = [argument for name in ("KILL", "TERM", "INT") for argument in ("--signal", name)]
    seen = run("kill_over_and_over.py", "--kills", "6", *signals, "--directory", tmp_path / "crash", *overrides)
    assert seen["kills"] == sum(seen["kills_per_run"]) == 6
    assert seen["SIGKILL"] + seen["SIGTERM"] + seen["SIGINT"] == 6
    assert seen["runs"] >= 1


@pytest.mark.slow
def test_a_signal_in_any_phase_ends_a_training_that_goes_on_to_what_an_uninterrupted_one_gives(tmp_path):
    assert run("signal_in_each_phase.py", "--directory", tmp_path / "phases")["phases"] > 20
