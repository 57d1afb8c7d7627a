"""Trainings as forks of one process that has imported torch and Lightning: each starts in milliseconds.

A process of its own is what a job that calls `os._exit`, runs out of memory or crashes in native code needs, so that
the others go on. Importing everything anew for each would cost seconds. `python -m keepbest.sweeping.forking_server`
is the process that forks; it computes nothing itself, so that it has no threads and no devices that a fork would lose.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path

from keepbest.training.interruption import STATUS_OF
from keepbest.training.job_log import LOG_FILE


def serve(commands: int, answers: int) -> None:
    """Run what is asked for, one training at a time, until the other end is closed.

    Args:
        commands: the descriptor from which `{"directory": ..., "environment": {...}}` is read, a line each.
        answers: the descriptor to which `started PID` and `ended STATUS` are written; the status is that of
            `os.waitstatus_to_exitcode`, negative for a signal.
    """
    _import_everything()
    signal.pthread_sigmask(signal.SIG_BLOCK, STATUS_OF)  # a training unblocks them, once it has handlers for them
    with os.fdopen(commands, encoding="utf-8") as lines:
        for line in lines:
            order = json.loads(line)
            pid = _fork(Path(order["directory"]), order["environment"], (commands, answers))
            _answer(answers, f"started {pid}")
            _, status = os.waitpid(pid, 0)
            _answer(answers, f"ended {os.waitstatus_to_exitcode(status)}")


def _import_everything() -> None:
    from keepbest.sweeping import settlement, shared_run  # noqa: F401
    from keepbest.training import execute, session  # noqa: F401


def _fork(directory: Path, environment: dict[str, str], ours: tuple[int, ...]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setsid()  # a group of its own, with its loader workers, which a signal can reach together
        for descriptor in ours:
            os.close(descriptor)
        _send_output_to(directory / LOG_FILE)
        _take_environment(environment)
        _draw_other_random_numbers()
        from keepbest.sweeping.worker import execute_either
        from keepbest.training.worker import main

        status = main([str(directory)], execute_either)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _send_output_to(path: Path) -> None:
    """Send what the training says to its log; several trainings on one terminal would be a muddle."""
    log = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o666)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(log, stream.fileno())
    os.close(log)


def _draw_other_random_numbers() -> None:
    """Let trainings without a seed differ: a fork goes on with the generators of the process that it comes from."""
    import numpy as np
    import torch

    random.seed()
    np.random.seed()
    torch.seed()


def _take_environment(environment: dict[str, str]) -> None:
    """Take the environment that the training is to have; torch has read what it wants to know by now."""
    os.environ.clear()
    os.environ.update(environment)
    if (threads := environment.get("OMP_NUM_THREADS", "")).isdecimal() and int(threads):
        import torch

        torch.set_num_threads(int(threads))


def _answer(descriptor: int, text: str) -> None:
    os.write(descriptor, f"{text}\n".encode())


if __name__ == "__main__":
    try:
        serve(int(sys.argv[1]), int(sys.argv[2]))
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)
