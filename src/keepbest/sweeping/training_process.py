"""One training in a process of its own, waited for."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from keepbest.records.run_record import RunStatus
from keepbest.records.store import read_record
from keepbest.sweeping.members import is_shared, read_members
from keepbest.sweeping.stop_order import StopOrder
from keepbest.sweeping.waiting import has_result, wait_until_free
from keepbest.training.early_end import record_death
from keepbest.training.interruption import Interrupted
from keepbest.training.job_log import LOG_FILE
from keepbest.training.launch import fits_one_process
from keepbest.training.running_record import FINISHED
from keepbest.training.worker_process import Process, Worker, clean_environment

_CAN_FORK = sys.platform == "linux"
"""Elsewhere a fork is not safe once certain libraries are loaded, or impossible."""


def run_training(directory: Path, trainer: Mapping[str, Any], order: StopOrder) -> RunStatus:
    """Run a job directory, or a shared one, in a process of its own, and wait; return the status in its record.

    What it says goes to its log. Where it could not write how it ended, that is written here, for each of its jobs.
    One that another process runs already is waited for, and gone on with if that leaves it without its results.

    Args:
        directory: what to run.
        trainer: the trainer's settings.
        order: what ends it early, beside signals to this process.

    Raises:
        Interrupted: when a signal ended it.
        OwnedError: when another process trains there, and nothing more is to be started.
    """
    jobs = [member.directory for member in read_members(directory).all] if is_shared(directory) else []
    wait_until_free(directory, jobs, order)
    if has_result(directory, jobs):
        return read_record(directory).status
    worker = worker_of(directory, trainer)
    with order.obeyed_by(worker):
        ending = worker.ended_by(worker.run(), directory)
    status = record_death(directory, ending, jobs).status
    if status not in FINISHED and isinstance(ending, Interrupted):
        raise ending
    return status


def worker_of(directory: Path, trainer: Mapping[str, Any]) -> Worker:
    """Return the worker that runs a job directory, or a shared one.

    Args:
        directory: what to run.
        trainer: the trainer's settings: a training on several devices needs a command line of its own.
    """
    if fits_one_process(trainer) and _CAN_FORK:
        return ForkedWorker(directory)
    command = [sys.executable, "-m", "keepbest.sweeping.worker", str(directory)]
    return Worker(command, directory / LOG_FILE)


def start_ahead() -> None:
    """Start the process that trainings are going to be forked from: its imports take longer than what comes before."""
    if _CAN_FORK:
        _Servers.present()


class ForkedWorker(Worker):
    """A worker that is forked from a process which has imported everything.

    Args:
        directory: what to run.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(())
        self._directory = directory

    def _start(self) -> Process:
        return _Servers.present().start(self._directory)


class _Servers:
    """The forking server of this process: one, because that is what saves the imports."""

    _server: ForkingServer | None = None

    @classmethod
    def present(cls) -> ForkingServer:
        """Return the server, started if there is none that lives."""
        if cls._server is None or not cls._server.is_alive:
            cls._server = ForkingServer()
            atexit.register(cls._server.close)
        return cls._server


class ForkingServer:
    """The other end of `keepbest.sweeping.forking_server`."""

    def __init__(self) -> None:
        theirs, commands = os.pipe()
        answers, their_answers = os.pipe()
        command = [sys.executable, "-m", "keepbest.sweeping.forking_server", str(theirs), str(their_answers)]
        self._process = subprocess.Popen(
            command, env=clean_environment(), pass_fds=(theirs, their_answers), stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process, which hands it on to the training
        )  # fmt: skip
        os.close(theirs)
        os.close(their_answers)
        self._commands: TextIO = os.fdopen(commands, "w", encoding="utf-8")
        self._answers: TextIO = os.fdopen(answers, encoding="utf-8")

    @property
    def is_alive(self) -> bool:
        """Whether it can take another training."""
        return self._process.poll() is None

    def start(self, directory: Path) -> Process:
        """Start a training; one at a time."""
        with suppress(BrokenPipeError):
            order = {"directory": str(directory.absolute()), "environment": clean_environment()}
            self._commands.write(f"{json.dumps(order)}\n")
            self._commands.flush()
        return _Forked(self, self.answer("started"))

    def answer(self, word: str) -> int | None:
        """Return the number of the next answer, None when the server has died."""
        line = self._answers.readline()
        return int(line.removeprefix(word)) if line else None

    def close(self) -> None:
        """End it: it computes nothing itself, and its trainings have ended."""
        with suppress(OSError):
            self._commands.close()
        self._process.kill()
        self._process.wait()


class _Forked:
    """A process that the server has forked; without a number, one that it did not live to fork."""

    def __init__(self, server: ForkingServer, pid: int | None) -> None:
        self._server, self._has_started = server, pid is not None
        self.pid = pid or 0

    def wait(self) -> int:
        """Wait for its end; return its exit status, negative for a signal."""
        status = self._server.answer("ended") if self._has_started else None
        return -signal.SIGKILL if status is None else status

    def send_signal(self, number: int, /) -> None:
        """Send it a signal, unless it has ended."""
        if self._has_started:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
