"""A worker: a job in a process of its own, with the ranks that Lightning starts from it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from keepbest.errors import KeepbestError
from keepbest.training.interruption import Interrupted

GRACE_SECONDS = 20.0
"""How long a worker may take to end after a signal, before all of its ranks are killed."""

_RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
_STATUSES = (1, 2, 130, 143)
"""What a worker ends with when it has told why: see DESIGN's exit statuses."""
_PASSED_ON = (signal.SIGINT, signal.SIGTERM)


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


class Worker:
    """A running worker process. Its ranks share a process group, so that a signal can reach all of them.

    Args:
        command: what to run.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, env=_clean_environment(), start_new_session=True)
        self._signal: signal.Signals | None = None

    def wait(self) -> int:
        """Wait for the end of the worker, handing Ctrl-C and SIGTERM on to it; return its exit status.

        A worker that has not ended `GRACE_SECONDS` after a signal is killed: a rank whose peer has left waits for it
        without end.
        """
        with self._passing_signals_on():
            status = self._process.wait()
        if status != 0:
            self._send(signal.SIGKILL)  # ranks that outlived the first one
        return status

    def ended_by(self, status: int, job_dir: Path) -> WorkerError | Interrupted:
        """Return what an exit status without a result means."""
        if status < 0 and self._signal is not None:
            return Interrupted(self._signal.name)
        return WorkerError(status, job_dir)

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    @contextmanager
    def _passing_signals_on(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():  # only the main thread may take signals
            yield
            return
        kill = threading.Timer(GRACE_SECONDS, self._send, [signal.SIGKILL])

        def pass_on(number: int, _frame: FrameType | None) -> None:
            self._send(number)
            if self._signal is None:
                kill.start()
            self._signal = signal.Signals(number)

        before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
        try:
            yield
        finally:
            kill.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)


def _clean_environment() -> dict[str, str]:
    """Return this process's environment without what would make Lightning believe that it is a rank already."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _RANK_VARIABLES and not name.startswith("MASTER_")
    }
    # the user's modules lie in the working directory
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))
    return kept
