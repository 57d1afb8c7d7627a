"""The short version of `make crash-test`."""

import json
import subprocess
import sys
from pathlib import Path


def test_a_training_that_is_killed_over_and_over_gives_what_an_uninterrupted_one_gives(tmp_path):
    script = Path(__file__).with_name("kill_over_and_over.py")
    command = [sys.executable, "-W", "ignore", script, "--kills", "8", "--directory", tmp_path / "crash"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["kills"] == sum(seen["kills_per_run"]) == 8
    assert seen["runs"] >= 1
