"""A worker: a job in a process of its own, with the ranks that Lightning starts from it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import Protocol

from keepbest.errors import KeepbestError
from keepbest.training.interruption import STATUS_OF, Interrupted, in_main_thread

GRACE_SECONDS = 20.0
"""How long a worker may take to end after a signal, before all of its ranks are killed."""

_RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
_STATUSES = (1, 2)
"""What a worker ends with when it has told why: see DESIGN's exit statuses."""


class WorkerError(KeepbestError):
    """A worker ended without a result.

    Args:
        exit_status: what the worker ended with; negative for the signal that killed it.
        job_dir: the directory of its job.

    Attributes:
        told: whether the worker itself has said why, on its standard error.
    """

    def __init__(self, exit_status: int, job_dir: Path) -> None:
        killed = exit_status < 0
        how = f"was killed by {signal.Signals(-exit_status).name}" if killed else f"ended with status {exit_status}"
        self.exit_status = exit_status if exit_status in _STATUSES else 1
        self.told = exit_status in _STATUSES
        super().__init__(f"the worker of {job_dir} {how}.")


class Process(Protocol):
    """What a worker's process is asked for; `subprocess.Popen` has it."""

    pid: int

    def wait(self) -> int:
        """Wait for its end; return its exit status, negative for a signal."""

    def send_signal(self, number: int, /) -> None:
        """Send it a signal, unless it has ended."""


class Worker:
    """A worker process, from its start to its end. Its ranks share a process group, so that all of them can be killed.

    Args:
        command: what to run.
        log: the file that its output goes to; None: where this process's goes.
    """

    def __init__(self, command: Sequence[str], log: Path | None = None) -> None:
        self._command, self._log = command, log
        self._process: Process | None = None
        self._signal: signal.Signals | None = None
        self._taken: signal.Signals | None = None  # from whoever else wanted it, while the worker runs
        self._kill = threading.Timer(GRACE_SECONDS, self._kill_all)

    def run(self) -> int:
        """Start the worker and wait for its end, handing Ctrl-C and SIGTERM on to it; return its exit status.

        It ends the ranks that it started. What has not ended `GRACE_SECONDS` after a signal is killed.
        """
        try:
            with self._passing_signals_on():
                self._process = self._start()
                self._pass_on()
                status = self._process.wait()
        finally:
            self._kill.cancel()
        if status != 0:
            self._kill_all()  # ranks that outlived the first one
        elif self._taken is not None:
            signal.raise_signal(self._taken)  # too late for this job, not for what comes after it
        return status

    def interrupt(self, number: signal.Signals) -> None:
        """Let a signal end the worker. Later ones change nothing."""
        if self._signal is None:
            self._signal = number
            self._kill.start()
            self._pass_on()

    def ended_by(self, status: int, job_dir: Path) -> WorkerError | Interrupted:
        """Return what an exit status without a result means."""
        if status < 0 and self._signal is not None:
            return Interrupted(self._signal.name)
        for number, exit_status in STATUS_OF.items():
            if status == exit_status:
                return Interrupted(number.name)
        return WorkerError(status, job_dir)

    def _start(self) -> Process:
        """Start the process with the signals blocked that it is going to take, until it has a handler for them."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STATUS_OF)
        try:
            with self._log.open("ab") if self._log else nullcontext() as output:
                return subprocess.Popen(
                    self._command, env=clean_environment(), start_new_session=True, stdout=output, stderr=output
                )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _pass_on(self) -> None:
        """Give the worker the signal that came, if there is one. Its ranks get none: the first ends the others."""
        if self._process and self._signal:
            self._process.send_signal(self._signal)

    def _kill_all(self) -> None:
        if self._process and self._process.pid:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    @contextmanager
    def _passing_signals_on(self) -> Iterator[None]:
        if not in_main_thread():  # only this one may take signals
            yield
            return

        def take(number: int, _frame: FrameType | None) -> None:
            self._taken = self._taken or signal.Signals(number)
            self.interrupt(self._taken)

        before = {number: signal.signal(number, take) for number in STATUS_OF}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would make Lightning believe that it is a rank already."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _RANK_VARIABLES and not name.startswith("MASTER_")
    }
    # the user's modules lie in the working directory
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))
    return kept
