"""Send SIGTERM or SIGINT to a training in each of its phases, going on after each, and compare what comes out.

    python tests/crash/signal_in_each_phase.py --directory /tmp/phases

Each phase has a process of its own, which signals itself there, twice. It must end with the signal's status, a record
that says `interrupted`, and no traceback. The last one must give what an uninterrupted training gives, bit for bit, and
once all epochs are trained none may be trained again. Prints how many phases there were as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from kill_over_and_over import SECONDS_TO_END, STATUS_OF, config, create_job, equal, result, start, wait
from lightning.pytorch import Callback

from keepbest.reports import curve

PHASES = (
    "setup fit", "on_fit_start", "on_sanity_check_start", "on_sanity_check_end", "on_train_start",
    "on_train_batch_start", "on_before_optimizer_step", "on_validation_start fit", "on_validation_end fit",
    "on_save_checkpoint", "on_train_epoch_end", "on_train_end", "teardown fit",
    "setup validate", "on_validation_start validate", "on_validation_batch_end validate", "teardown validate",
    "on_test_start", "on_test_batch_end", "teardown test", "drawing",
)  # fmt: skip
TRAINED_BEFORE = PHASES[PHASES.index("on_train_end") :]
OVERRIDES = [
    "trainer=cpu", "trainer.max_epochs=9", "model.hidden_sizes=[8]", "model.dropout=0.2", "guards.overlap=false",
]  # fmt: skip


class Signals(Callback):
    """Signals its own process when it reaches the phase that a file names; notes each batch that is trained.

    Args:
        armed: the file, with the phase and the signal's number; it is removed when they were used.
    """

    def __init__(self, armed: str) -> None:
        self.armed = Path(armed)
        self.epochs = 0

    def reach(self, phase: str) -> None:
        if not self.armed.exists():
            return
        wanted, number = self.armed.read_text().split(",")
        in_epochs = PHASES.index("on_train_start") < PHASES.index(wanted) < PHASES.index("on_train_end")
        if phase == wanted and (self.epochs > 1 or not in_epochs):  # an epoch was trained: each start comes further
            self.armed.unlink()
            for _ in range(2):
                os.kill(os.getpid(), int(number))

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self.epochs += 1
        with self.armed.with_name("epochs").open("a") as file:
            file.write(f"{trainer.current_epoch} ")


def hook(name: str, fn: str) -> Any:
    def call(self: Signals, trainer: Any, *arguments: Any, **named: Any) -> None:
        self.reach(f"{name} {trainer.state.fn.value}" if fn else name)

    return call


for phase in PHASES[:-1]:
    hook_name, _, of_fn = phase.partition(" ")
    setattr(Signals, hook_name, hook(hook_name, of_fn))


def draw_with_signals(armed: Path) -> None:
    draw, callback = curve.draw_curve, Signals(str(armed))

    def reach_and_draw(*arguments: Any) -> None:
        callback.reach("drawing")
        draw(*arguments)

    curve.draw_curve = reach_and_draw


def interrupt(job_dir: Path, phase: str, number: signal.Signals) -> None:
    armed = job_dir.parent / "armed"
    armed.write_text(f"{phase},{int(number)}")
    out = job_dir.with_suffix(".out")
    out.unlink(missing_ok=True)
    status = wait(start(job_dir), SECONDS_TO_END)
    assert not armed.exists(), f"{phase} was not reached"
    assert status == STATUS_OF[number], f"{phase}: {number.name} gave status {status}\n{out.read_text()}"
    record = json.loads((job_dir / "run.json").read_text())
    assert (record["status"], record["error"]["type"]) == ("interrupted", "Interrupted"), phase
    assert record["error"]["message"] == f"the training was interrupted by {number.name}.", phase
    said = out.read_text() if out.exists() else ""
    assert "Traceback" not in said, f"{phase}: {said}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, required=True)
    directory = parser.parse_args().directory
    directory.mkdir(parents=True)
    armed = directory / "armed"
    job = config([*OVERRIDES, f"+callbacks.signals={{_target_: signal_in_each_phase.Signals, armed: {armed}}}"])
    draw_with_signals(armed)
    for job_dir in directory / "whole", directory / "broken":
        create_job(job_dir, "job", job)
    assert wait(start(directory / "whole")) == 0

    trained = directory / "epochs"
    broken, before = directory / "broken", ""
    for count, phase in enumerate(PHASES):
        interrupt(broken, phase, (signal.SIGTERM, signal.SIGINT)[count % 2])
        if phase in TRAINED_BEFORE[1:]:
            assert trained.read_text() == before, f"{phase}: trained again"
        before = trained.read_text()
    assert wait(start(broken)) == 0, broken.with_suffix(".out").read_text()
    assert trained.read_text() == before
    wanted, got = result(directory / "whole"), result(broken)
    different = [name for name in wanted if not equal(wanted[name], got[name])]
    assert not different, different
    print(json.dumps({"phases": len(PHASES)}))  # noqa: T201


if __name__ == "__main__":
    sys.modules["signal_in_each_phase"] = sys.modules["__main__"]  # where the config looks for the callback
    main()
